"""Typed uses of the whole surface: not run, but checked by mypy and pyright.

`assert_type` fails where a stub promises another type; an ignored error that does not occur
(`type: ignore`) is an error, so those lines fail where a stub allows too much.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

import copy
import io
import pickle
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol

import ndbridge as nd
import numpy as np
from numpy.typing import NDArray
from typing_extensions import CapsuleType, assert_type


def sharing(a: NDArray[np.float32]) -> None:
    assert_type(nd.from_numpy(a), nd.Tensor)
    assert_type(nd.from_buffer(b"abc"), nd.Tensor)
    assert_type(nd.from_buffer(a), nd.Tensor)
    assert_type(nd.from_buffer(memoryview(bytearray(8))), nd.Tensor)
    assert_type(nd.asarray(a, dtype="float32", copy=False, device="cpu"), nd.Tensor)
    nd.from_numpy([1.0, 2.0])  # type: ignore[arg-type]
    nd.from_buffer("text")  # type: ignore[arg-type]
    nd.asarray(a, copy="never")  # type: ignore[arg-type]


def copying(a: NDArray[np.float32], t: nd.Tensor) -> None:
    for x in (a, t, 1.5, True, [[1, 2], [3, 4]], np.float32(1)):
        assert_type(nd.tensor(x), nd.Tensor)
    assert_type(nd.tensor(a, dtype=np.float16), nd.Tensor)
    assert_type(nd.constant(7, "int64", shape=(2, 3)), nd.Tensor)
    assert_type(nd.convert_to_tensor(t, dtype=t.dtype), nd.Tensor)
    nd.constant(7, shape=2.5)  # type: ignore[arg-type]


def making() -> None:
    assert_type(nd.zeros(3), nd.Tensor)
    assert_type(nd.ones((2, 3), dtype=float), nd.Tensor)
    assert_type(nd.empty([2, 3], "bfloat16"), nd.Tensor)
    assert_type(nd.full((), 1j, np.complex64), nd.Tensor)
    nd.zeros("3")  # type: ignore[arg-type]
    nd.full(3, [1, 2])  # type: ignore[arg-type]


def facts(t: nd.Tensor) -> None:
    assert_type(t.shape, tuple[int, ...])
    assert_type(t.strides, tuple[int, ...])
    assert_type((t.ndim, t.size, t.nbytes, t.itemsize), tuple[int, int, int, int])
    assert_type(t.dtype, nd.DType)
    assert_type(t.device, str)
    assert_type(t.readonly, bool)
    assert_type(t.receipt, nd.Receipt)
    assert_type(t.owner, object | None)
    assert_type(t.data_ptr(), int)
    assert_type(t.is_contiguous(), bool)
    assert_type(t.is_contiguous(order="F"), bool)
    t.is_contiguous("K")  # type: ignore[arg-type]
    t.shape = (2, 3)  # type: ignore[misc]


def views(t: nd.Tensor) -> None:
    assert_type(t.T, nd.Tensor)
    assert_type(t.permute(1, 0), nd.Tensor)
    assert_type(t.permute((1, 0)), nd.Tensor)
    assert_type(t.transpose(0, 1), nd.Tensor)
    assert_type(t.reshape(-1), nd.Tensor)
    assert_type(t.reshape([2, 3]), nd.Tensor)
    assert_type(t.reshape_copy(3, 2), nd.Tensor)
    assert_type(t.view("int32"), nd.Tensor)
    assert_type(t.flip(0), nd.Tensor)
    assert_type(t.squeeze(), nd.Tensor)
    assert_type(t.squeeze((0, 1)), nd.Tensor)
    assert_type(t.unsqueeze(dim=0), nd.Tensor)
    assert_type(t.expand(-1, 3), nd.Tensor)
    assert_type(t.diagonal(offset=1, dim1=0, dim2=1), nd.Tensor)
    t.reshape("C")  # type: ignore[arg-type]


def indexing(t: nd.Tensor, a: NDArray[np.float64]) -> None:
    assert_type(t[0], nd.Tensor)
    assert_type(t[np.int64(0)], nd.Tensor)
    assert_type(t[1:, ::-1], nd.Tensor)
    assert_type(t[..., None, 0], nd.Tensor)
    t[0] = 1.0
    t[...] = a
    t[0, 1:] = [1, 2]
    t[[0, 1]]  # type: ignore[index]
    t["x"]  # type: ignore[index]
    del t[0]  # type: ignore[attr-defined]


def writing(t: nd.Tensor, a: NDArray[np.float64]) -> None:
    assert_type(t.copy_(a), nd.Tensor)
    assert_type(t.fill_(0), nd.Tensor)
    assert_type(t.fill_(np.float32(0)).fill_(t[0]), nd.Tensor)
    t.fill_([0])  # type: ignore[arg-type]


def converting(t: nd.Tensor) -> None:
    assert_type(t.clone(), nd.Tensor)
    assert_type(t.astype("float16", casting="unsafe", copy=False), nd.Tensor)
    assert_type(t.contiguous("F"), nd.Tensor)
    assert_type(t.cpu(), nd.Tensor)
    assert_type(t.to("cpu", non_blocking=True), nd.Tensor)
    assert_type(t.to(np.float32), nd.Tensor)
    assert_type(t.numpy(force=True), NDArray[Any])
    assert_type(np.asarray(t), NDArray[Any])
    assert_type(memoryview(t), memoryview[int])
    assert_type(t.item(), bool | int | float | complex)
    t.astype("float16", casting="maybe")  # type: ignore[arg-type]


def as_python_objects(t: nd.Tensor) -> None:
    assert_type(len(t), int)
    assert_type(iter(t), Iterator[nd.Tensor])
    assert_type([row.shape for row in t], list[tuple[int, ...]])
    assert_type((bool(t), int(t), float(t), complex(t)), tuple[bool, int, float, complex])
    assert_type(range(10)[t], int)
    assert_type(t == 3, bool)
    hashed: Hashable = t  # type: ignore[assignment]
    del hashed


def data_types(t: nd.Tensor) -> None:
    for dtype in ("f4", np.float32, np.dtype("f4"), float, t.dtype):
        assert_type(nd.DType(dtype), nd.DType)
    assert_type(t.dtype.name, str)
    assert_type(t.dtype.itemsize, int)
    assert_type(t.dtype.str, str | None)
    assert_type(np.dtype(t.dtype), np.dtype[Any])
    assert_type(t.dtype == "float32", bool)
    assert_type({t.dtype: 1}, dict[nd.DType, int])
    assert_type(nd.can_cast("int8", t, casting="same_kind"), bool)
    assert_type(nd.promote_types("int8", np.uint8), nd.DType)
    assert_type(nd.result_type(t, "int8", 3, 2.5), nd.DType)
    nd.DType(3)  # type: ignore[arg-type]


def files(t: nd.Tensor, path: Path) -> None:
    assert_type(nd.load("x.npy"), nd.Tensor)
    assert_type(nd.load(path, mmap="r+"), nd.Tensor)
    with open(path, "rb") as opened:
        assert_type(nd.load(opened), nd.Tensor)
        nd.load(opened, mmap="r")  # type: ignore[call-overload]
    with open(path) as text:
        nd.load(text)  # type: ignore[call-overload]
    nd.save(path, t)
    nd.save(io.BytesIO(), [1, 2])
    nd.savez("x.npz", t, weights=t)
    nd.savez_compressed(io.BytesIO(), weights=[1.0])
    archive = nd.load_npz(path, mmap=True)
    assert_type(archive, nd.NpzFile)
    assert_type(archive["weights"], nd.Tensor)
    assert_type(archive.get("weights"), nd.Tensor | None)
    assert_type(archive.get("weights", 0), nd.Tensor | int)
    assert_type(("weights" in archive, len(archive)), tuple[bool, int])
    assert_type(list(archive), list[str])
    assert_type(archive.keys(), list[str])
    assert_type(archive.values(), list[nd.Tensor])
    assert_type(dict(archive.items()), dict[str, nd.Tensor])


def accounts(a: NDArray[np.float64], t: nd.Tensor) -> None:
    plan = nd.plan(a, dtype="float32", copy=None, device="cpu")
    assert_type(plan, nd.Plan)
    assert_type(plan.action, Literal["share", "copy", "refuse"])
    assert_type(plan.copied_bytes, int)
    assert_type(plan.reasons, list[str])
    assert_type(t.receipt.call, str)
    assert_type(t.receipt.action, Literal["created", "shared", "copied"])
    assert_type(t.receipt.shared, bool)
    assert_type(t.receipt.copied_bytes, int)
    assert_type(t.receipt.reasons, list[str])
    assert_type(nd.copies(), nd.CopyCount)
    assert_type((nd.copies().copies, nd.copies().bytes), tuple[int, int])
    assert_type(nd.copies().by_reason, dict[str, int])
    with nd.no_copy() as scope:
        assert_type(scope, nd.NoCopy)
    assert_type(nd.shares_memory(a, t), bool)
    assert_type(nd.array_equal(a, t), bool)
    assert_type(nd.__version__, str)
    nd.Tensor(a)  # type: ignore[call-arg]


class Producer(Protocol):
    """What the arrays of every framework have."""

    def __dlpack__(
        self, *, stream: int | None = None, max_version: tuple[int, int] | None = None
    ) -> CapsuleType: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...


class CudaArray(Protocol):
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


class TorchDType(Protocol):
    @property
    def is_floating_point(self) -> bool: ...
    @property
    def is_complex(self) -> bool: ...
    @property
    def itemsize(self) -> int: ...


def from_frameworks(x: Producer, on_device: CudaArray, dtype: TorchDType) -> None:
    assert_type(nd.from_dlpack(x, device="cpu", copy=False), nd.Tensor)
    assert_type(nd.from_dlpack(x.__dlpack__()), nd.Tensor)
    assert_type(nd.asarray(x, dtype=dtype), nd.Tensor)
    assert_type(nd.tensor(on_device), nd.Tensor)
    assert_type(nd.DType(dtype), nd.DType)
    nd.from_dlpack([1, 2])  # type: ignore[arg-type]
    nd.from_dlpack(x, copy="never")  # type: ignore[arg-type]


def to_frameworks(t: nd.Tensor) -> None:
    assert_type((t.torch(), t.tensorflow(), t.jax(), t.cupy()), tuple[Any, Any, Any, Any])
    producer: Producer = t
    assert_type(producer.__dlpack__(max_version=(1, 1)), CapsuleType)
    assert_type(t.__dlpack__(stream=None, dl_device=(1, 0), copy=False), CapsuleType)
    assert_type(t.__dlpack_device__(), tuple[int, int])
    assert_type(nd.Tensor.__dlpack_c_exchange_api__, CapsuleType)
    assert_type(t.__array_interface__, dict[str, Any])
    assert_type(t.__cuda_array_interface__, dict[str, Any])
    assert_type(np.from_dlpack(t).shape, tuple[Any, ...])


def duplicates(t: nd.Tensor) -> None:
    assert_type(copy.copy(t), nd.Tensor)
    assert_type(copy.deepcopy(t), nd.Tensor)
    assert_type(t.__reduce_ex__(5), tuple[Any, ...])
    buffers: list[pickle.PickleBuffer] = []
    assert_type(pickle.dumps(t, protocol=5, buffer_callback=buffers.append), bytes)


def on_devices(t: nd.Tensor) -> None:
    there = t.cuda().to("cuda:1", non_blocking=True)
    assert_type(there, nd.Tensor)
    assert_type(t.cuda(1).cpu().pin_memory().is_pinned(), bool)
    assert_type(t.copy_(there, non_blocking=True).is_ready(), bool)
    stream = nd.cuda.Stream("cuda:1")
    with stream as entered:
        assert_type(entered, nd.cuda.Stream)
        nd.cuda.current_stream().wait_stream(nd.cuda.Stream.external(1, device=0))
    assert_type(stream.handle, int)
    assert_type(nd.cuda.memory_stats()["used_bytes"], int)
    nd.cuda.synchronize("cuda:0")
    nd.cuda.memory_stats(1.5)  # type: ignore[arg-type]
