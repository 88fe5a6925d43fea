"""What each public call does with memory that an extension module is writing: a call that reads or
writes elements is refused, a call that shares them works.

Skipped unless the example extension is installed.
"""

import copy
import inspect
import io
import pickle
import re

import ndbridge as nd
import numpy as np
import pytest

import capsules
from frameworks import jnp, torch


@pytest.fixture
def extension():
    return pytest.importorskip("ndbridge_example").testing


def floats():
    return np.arange(16, dtype="f4")


def other():
    return nd.zeros((16,), "float32")


#: Calls on a tensor `t` whose memory is being written, and on an array `a` over the same memory.
READS = {
    "clone": lambda t, a: t.clone(),
    "copy": lambda t, a: t.copy(),
    "tobytes": lambda t, a: t.tobytes(),
    "tobytes, strided": lambda t, a: t[::2].tobytes("F"),
    "format": lambda t, a: f"{t[3]:.1f}",
    "contiguous": lambda t, a: t[::2].contiguous(),
    "astype": lambda t, a: t.astype("float64"),
    "astype, same": lambda t, a: t.astype("float32"),
    "to": lambda t, a: t.to("float64"),
    "reshape_copy": lambda t, a: t.reshape_copy(4, 4),
    "tolist": lambda t, a: t.tolist(),
    "item": lambda t, a: t[3].item(),
    "bool": lambda t, a: bool(t[3]),
    "int": lambda t, a: int(t[3]),
    "float": lambda t, a: float(t[3]),
    "complex": lambda t, a: complex(t[3]),
    "index": lambda t, a: [0][t[0].view("int32")],
    "equal": lambda t, a: t == other(),
    "equal, the other side": lambda t, a: other() == t,
    "equal to the array": lambda t, a: other() == a,
    "array_equal": lambda t, a: nd.array_equal(a, other()),
    "in": lambda t, a: 3 in t,
    "__array__, copy": lambda t, a: t.__array__(copy=True),
    "__array__, cast": lambda t, a: t.__array__("f8"),
    "__dlpack__, copy": lambda t, a: t.__dlpack__(copy=True),
    "deepcopy": lambda t, a: copy.deepcopy(t),
    "pickle": lambda t, a: pickle.dumps(t),
    "pickle, old": lambda t, a: pickle.dumps(t, 2),
    "pickle, strided": lambda t, a: pickle.dumps(t[::3]),
    "pickle, out of band": lambda t, a: pickle.dumps(t, 5, buffer_callback=lambda _: None),
    "save": lambda t, a: nd.save(io.BytesIO(), t),
    "save, strided": lambda t, a: nd.save(io.BytesIO(), t[::3]),
    "save the array": lambda t, a: nd.save(io.BytesIO(), a),
    "savez": lambda t, a: nd.savez(io.BytesIO(), a=t),
    "savez_compressed": lambda t, a: nd.savez_compressed(io.BytesIO(), t),
    "tensor": lambda t, a: nd.tensor(t),
    "tensor of the array": lambda t, a: nd.tensor(a),
    "asarray, copy": lambda t, a: nd.asarray(t, copy=True),
    "asarray, cast": lambda t, a: nd.asarray(a, "float64"),
    "from_dlpack, copy": lambda t, a: nd.from_dlpack(t, copy=True),
    "from_dlpack of the array, copy": lambda t, a: nd.from_dlpack(a, copy=True),
    "constant": lambda t, a: nd.constant(t),
    "constant of the array": lambda t, a: nd.constant(a),
    "constant, one value": lambda t, a: nd.constant(t[:1], shape=(3,)),
    "convert_to_tensor": lambda t, a: nd.convert_to_tensor(a),
    "full": lambda t, a: nd.full((2,), t[3]),
    "copy_ from": lambda t, a: other().copy_(t),
    "copy_ from the array": lambda t, a: other().copy_(a),
    "setitem from": lambda t, a: other().__setitem__(..., t),
    "fill_ with": lambda t, a: other().fill_(t[3]),
}
WRITES = {
    "fill_": lambda t, a: t.fill_(1),
    "copy_": lambda t, a: t.copy_(other()),
    "setitem": lambda t, a: t.__setitem__(3, 1.0),
    "setitem of a slice": lambda t, a: t.__setitem__(slice(2, 5), 1.0),
    "setitem of an array": lambda t, a: t.__setitem__(..., floats()),
    "through the array": lambda t, a: nd.asarray(a, copy=False).fill_(1),
    "through a view": lambda t, a: t[2:].flip(0).fill_(1),
}
SHARES = {
    "numpy": lambda t, a: t.numpy(),
    "memoryview": lambda t, a: memoryview(t),
    "PickleBuffer": lambda t, a: pickle.PickleBuffer(t),
    "__array__": lambda t, a: t.__array__(),
    "__array_interface__": lambda t, a: t.__array_interface__,
    "__dlpack__": lambda t, a: capsules.delete(capsules.consume(t.__dlpack__())),
    "torch": lambda t, a: t.torch(),
    "jax": lambda t, a: t.jax() if t.data_ptr() % 64 == 0 else None,
    "from_numpy": lambda t, a: nd.from_numpy(np.asarray(a)),
    "asarray": lambda t, a: nd.asarray(a, copy=False),
    "from_dlpack": lambda t, a: nd.from_dlpack(a),
    "from_buffer": lambda t, a: nd.from_buffer(np.asarray(a)),
    "copy": lambda t, a: copy.copy(t),
    "views": lambda t, a: (
        t[2:], t[None], t.reshape(4, 4).T, t.flip(0), t.view("uint8"), t.unsqueeze(0).squeeze(0),
        t.expand(2, 16), t.reshape(4, 4).diagonal(), t.reshape(4, 4).permute(1, 0), list(t), t.cpu(),
        t.contiguous(), t.reshape(4, 4).transpose(0, 1), t.to("float32"),
    ),
    "facts": lambda t, a: (
        t.shape, t.strides, t.ndim, t.size, t.nbytes, t.itemsize, t.dtype, t.device, t.readonly,
        t.receipt, t.owner, t.data_ptr(), t.is_contiguous(), t.is_pinned(), t.is_ready(), len(t),
        nd.shares_memory(t, a), nd.plan(t, "float64"), nd.result_type(t, "f4"), t == object(),
    ),
}  # fmt: skip

#: Arrays whose memory an extension writes, each with a tensor over the same memory.
OWNERS = {
    "numpy": lambda: (a := floats(), nd.from_numpy(a)),
    "a tensor's own": lambda: (lambda t: (t.numpy(), t))(nd.tensor(floats())),
    "torch": lambda: (lambda x: (x, nd.from_dlpack(x)))(torch.arange(16, dtype=torch.float32)),
}


@pytest.mark.parametrize("owner", OWNERS)
def test_mut_1_calls_that_read_or_write_are_refused_while_another_writes(extension, owner):
    a, t = OWNERS[owner]()
    before = t.tolist()
    for name, call in (READS | WRITES).items():
        with pytest.raises(BufferError, match="already borrowed for writing"):
            extension.call_while_writing(a, lambda call=call: call(t, a))
        assert t.tolist() == before, name
        call(t, a)
        t.copy_(before)


@pytest.mark.parametrize("owner", OWNERS)
def test_mut_1_calls_that_write_are_refused_while_another_reads(extension, owner):
    a, t = OWNERS[owner]()
    before = t.tolist()
    for call in WRITES.values():
        with pytest.raises(BufferError, match="already borrowed for reading"):
            extension.call_while_reading(a, lambda call=call: call(t, a))
    for name, call in READS.items():
        extension.call_while_reading(a, lambda call=call: call(t, a))
        assert t.tolist() == before, name


@pytest.mark.parametrize("owner", OWNERS)
def test_shr_1_calls_that_share_work_while_another_writes(extension, owner):
    a, t = OWNERS[owner]()
    for name, call in SHARES.items():
        extension.call_while_writing(a, lambda call=call: call(t, a))
        assert t.tolist() == floats().tolist(), name
    shown = []
    extension.call_while_writing(a, lambda: shown.append(repr(t)))
    assert re.fullmatch(r"tensor\(<already borrowed .*>, shape=\[16\], dtype=float32\)", shown[0])


def test_every_public_call_stands_in_a_table():
    """A new method or function has to be put into one of them."""
    used = set()
    for call in [*READS.values(), *WRITES.values(), *SHARES.values()]:
        codes = [call.__code__, *(c for c in call.__code__.co_consts if hasattr(c, "co_names"))]
        used |= {name for code in codes for name in code.co_names}
    special = {
        "T", "bool", "item", "copy_", "fill_", "tensorflow", "cuda", "cupy", "pin_memory",
    }  # fmt: skip
    methods = {name for name in vars(nd.Tensor) if not name.startswith("_")}
    assert methods <= used | special, methods - used - special
    #: Those that get no array, or none whose elements they look at.
    apart = {
        "empty", "ones", "zeros", "load", "load_npz", "can_cast", "promote_types", "copies", "no_copy",
        "cache_stats", "empty_cache", "set_cache_limit", "get_num_threads", "set_num_threads",
    }  # fmt: skip
    functions = {
        name
        for name in dir(nd)
        if not name.startswith("_") and inspect.isroutine(getattr(nd, name))
    }
    assert functions <= used | apart, functions - used - apart
