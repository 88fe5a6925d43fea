"""Consumers that pull: what torch is refused where it asks the tensor itself, and what it does with
the marks of others, as docs/safety.md says it.
"""

import hashlib
import warnings

import ndbridge as nd
import numpy as np
import pytest

from capsules import Lent
from conftest import run_python
from frameworks import aligned, torch
from test_traps import ends, trap


def mapped(folder):
    path = folder / "x.npy"
    np.save(path, np.arange(4.0))
    return nd.load(path, mmap="r")


KEPT = {
    "constant": lambda _: nd.constant([1.0, 2.0, 3.0, 4.0]),
    "view": lambda _: nd.constant(np.arange(8.0))[4:],
    "bytes": lambda _: nd.from_buffer(np.arange(4.0).tobytes()).view("float64"),
    "read-only array": lambda _: nd.from_numpy(np.frombuffer(np.arange(4.0).tobytes())),
    "mapped": mapped,
    "unknown": lambda _: nd.from_dlpack(Lent(np.arange(4.0))),
}
BY_BUFFER = {
    "asarray": torch.asarray,
    "asarray of a type": lambda t: torch.asarray(t, dtype=torch.float64),
    "asarray that copies": lambda t: torch.asarray(t, copy=True),
    "frombuffer": lambda t: torch.frombuffer(t, dtype=torch.float64),
    "frombuffer of bytes": lambda t: torch.frombuffer(t, dtype=torch.uint8),
}
BY_DLPACK = {
    "as_tensor": torch.as_tensor,
    "tensor": torch.tensor,
    "from_dlpack": torch.from_dlpack,
    "utils.dlpack.from_dlpack": torch.utils.dlpack.from_dlpack,
}


@pytest.mark.parametrize("memory", KEPT)
@pytest.mark.parametrize("call", BY_BUFFER)
def test_mut_2_torch_gets_no_read_only_buffer(memory, call, tmp_path):
    t = KEPT[memory](tmp_path)
    before = t.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # torch drops our words.
        with pytest.raises(RuntimeError, match="could not retrieve"):
            BY_BUFFER[call](t)
        # Nothing is left behind: others read on.
        assert hashlib.sha256(t).digest() == hashlib.sha256(t.numpy().tobytes()).digest()
        assert memoryview(t).tolist() == before
        copy = BY_BUFFER[call](t.clone())
    copy[0] = 9
    assert t.tolist() == before


@pytest.mark.parametrize("memory", [memory for memory in KEPT if memory != "unknown"])
@pytest.mark.parametrize("call", BY_DLPACK)
def test_mut_2_torch_gets_no_read_only_capsule(memory, call, tmp_path):
    t = KEPT[memory](tmp_path)
    before = t.tolist()
    with pytest.raises(BufferError, match=r"read-only.*clone\(\)"):
        BY_DLPACK[call](t)
    BY_DLPACK[call](t.clone())[0] = 9
    assert t.tolist() == before


def test_mut_2_writing_a_mapped_file_through_torch_is_an_error(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4.0))
    code = """
import sys
import numpy as np, ndbridge as nd, torch
t = nd.load(sys.argv[1], mmap="r")
for call in (torch.asarray, torch.as_tensor, torch.from_dlpack, torch.tensor,
             lambda t: torch.frombuffer(t, dtype=torch.float64)):
    try:
        call(t)[0] = 1
    except (RuntimeError, BufferError):
        continue
    raise AssertionError(call)
assert t.tolist() == [0, 1, 2, 3]
"""
    run_python(code, tmp_path / "x.npy")


def test_shr_1_torch_takes_writable_buffers():
    t = nd.tensor(np.arange(6.0).reshape(2, 3))
    for call in BY_BUFFER.values():
        taken = call(t)
        assert taken.numel() * taken.element_size() == t.nbytes
    torch.asarray(t)[0] = 9
    torch.frombuffer(t, dtype=torch.float64)[5] = 7
    assert t.tolist() == [[9, 1, 2], [3, 4, 7]]


# ---- marks of others -----------------------------------------------------------------------------

#: What others make of a read-only tensor, and torch of that: it writes.
THROUGH_OTHERS = {
    "from_numpy": lambda t: torch.from_numpy(t.numpy()),
    "frombuffer": lambda t: torch.frombuffer(memoryview(t), dtype=torch.float64),
    "from_dlpack": lambda t: torch.from_dlpack(t.__dlpack__(max_version=(1, 0))),
    "from_dlpack of an array": lambda t: torch.from_dlpack(t.numpy()),
}


@pytest.mark.parametrize("call", THROUGH_OTHERS)
def test_mut_2_torch_passes_over_the_marks_of_others(call):
    t = nd.constant([1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        THROUGH_OTHERS[call](t)[0] = 9
    trap(f"torch.{call} writes what is marked read-only", t[0].item() == 9)
    # The marks are there.
    assert not t.numpy().flags.writeable and memoryview(t).readonly


def test_mut_2_which_is_the_end_of_the_process_in_a_mapped_file(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4.0))
    code = f"""
import ndbridge as nd, torch
t = nd.load({str(tmp_path / "x.npy")!r}, mmap="r")
torch.from_dlpack(t.__dlpack__(max_version=(1, 0)))[0] = 1
"""
    trap("torch writes a read-only map", ends(code)[0] == -11)
    assert np.load(tmp_path / "x.npy").tolist() == [0, 1, 2, 3]


# ---- what only torch cannot take -----------------------------------------------------------------


def test_shr_1_torch_is_refused_what_it_cannot_hold_in_our_words():
    a = np.arange(6.0).reshape(2, 3)
    t = nd.from_numpy(a)
    for view in (t.flip(0), t.flip(1), t[::-1, ::-1]):
        for call in BY_DLPACK.values():
            with pytest.raises(BufferError, match=r"negative strides.*contiguous\(\)"):
                call(view)
            assert call(view.contiguous()).tolist() == view.tolist()
        # Others walk backwards.
        assert np.shares_memory(np.from_dlpack(view), a)
    for plain in (t[:1].flip(0), t[:0].flip(1)):
        assert tuple(torch.from_dlpack(plain).shape) == plain.shape


@pytest.mark.parametrize("dtype", ["int16", "float64", "complex128"])
def test_shr_1_elements_off_their_alignment_go_out_by_no_dlpack(dtype):
    item = np.dtype(dtype).itemsize
    for offset in {1, 2, item // 2} - {item}:
        t = nd.from_numpy(aligned(4 * item, offset).view(dtype))
        for take in (
            np.from_dlpack, torch.from_dlpack, torch.as_tensor,
            lambda t: t.__dlpack__(), lambda t: t.__dlpack__(max_version=(1, 3)),
        ):  # fmt: skip
            with pytest.raises(BufferError, match=r"aligned.*clone\(\)"):
                take(t)
        assert np.from_dlpack(t.clone()).tolist() == t.tolist()
        assert t.__dlpack__(copy=True)
        # Without elements there is nothing to be aligned.
        assert torch.from_dlpack(t[:0]).numel() == 0
        assert nd.from_dlpack(t).data_ptr() == t.data_ptr()
