"""Read-only stays read-only, overlapping layouts are not written, bool bytes are checked."""

import gc

import ndbridge as nd
import numpy as np
import pytest

from conftest import zoo


def read_only_array():
    a = np.arange(6.0)
    a.flags.writeable = False
    return a


READ_ONLY = {
    "read-only array": lambda: nd.from_numpy(read_only_array()),
    "frombuffer of bytes": lambda: nd.from_numpy(np.frombuffer(bytes(48))),
    "from_buffer of bytes": lambda: nd.from_buffer(bytes(6)),
    "read-only memoryview": lambda: nd.from_buffer(memoryview(bytearray(6)).toreadonly()),
    "broadcast": lambda: nd.from_numpy(np.broadcast_to(np.zeros(1), 6)),
    "constant": lambda: nd.constant(np.zeros(6)),
    "convert_to_tensor": lambda: nd.convert_to_tensor([0.0] * 6),
    "asarray of a constant": lambda: nd.asarray(nd.constant(np.zeros(6))),
    "round trip": lambda: nd.from_numpy(nd.constant(np.zeros(6)).numpy()),
    "round trip by memoryview": lambda: nd.from_buffer(memoryview(nd.constant(np.zeros(6)))),
}
WRITES = {
    "setitem number": lambda t: t.__setitem__(0, 1),
    "setitem all": lambda t: t.__setitem__(..., 1),
    "setitem slice": lambda t: t.__setitem__(slice(1, 3), [1, 2]),
    "setitem nothing": lambda t: t.__setitem__(slice(0, 1), np.zeros(1, t.dtype.name)),
    "copy_": lambda t: t.copy_(np.zeros(6, "bool")),
    "fill_": lambda t: t.fill_(1),
}
VIEWS = {
    "index": lambda t: t[:3],
    "reversed": lambda t: t[::-1],
    "T": lambda t: t.T,
    "reshape": lambda t: t.reshape(2, 3),
    "unsqueeze": lambda t: t.unsqueeze(0),
    "flip": lambda t: t.flip(0),
    "view": lambda t: t.view("uint8"),
    "expand": lambda t: t.expand(2, 6),
    "permute": lambda t: t.permute(0),
    "asarray": nd.asarray,
    "astype copy=False": lambda t: t.astype(t.dtype, copy=False),
    "row": lambda t: next(iter(t.reshape(2, 3))),
    "diagonal": lambda t: t.reshape(2, 3).diagonal(),
    "cpu": lambda t: t.cpu(),
}


@pytest.mark.parametrize("source", READ_ONLY.values(), ids=READ_ONLY)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_mut_2_read_only_memory_is_not_written(source, write):
    t = source()
    before = t.numpy().tobytes()
    assert t.readonly
    with pytest.raises(ValueError, match="read-only.*clone"):
        write(t)
    assert t.numpy().tobytes() == before


@pytest.mark.parametrize("source", READ_ONLY.values(), ids=READ_ONLY)
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_mut_2_read_only_through_every_view(source, view):
    t = source()
    # A broadcast axis has no such views.
    if (
        view in (VIEWS["view"], VIEWS["reshape"], VIEWS["row"], VIEWS["diagonal"])
        and not t.is_contiguous()
    ):
        t = nd.constant(np.zeros(6))
    seen = view(t)
    assert seen.readonly
    with pytest.raises(ValueError, match="read-only"):
        seen.fill_(1)
    assert not seen.numpy().flags.writeable


@pytest.mark.parametrize("source", READ_ONLY.values(), ids=READ_ONLY)
def test_mut_2_read_only_through_every_export(source):
    t = source()
    for array in (t.numpy(), np.asarray(t), np.array(t, copy=False), t.numpy()[1:], t[::2].numpy()):
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
        with pytest.raises(ValueError):
            array.setflags(write=True)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
    view = memoryview(t)
    assert view.readonly
    with pytest.raises(TypeError):
        view[0] = 1
    if t.is_contiguous():
        with pytest.raises(ValueError, match="read-only"):
            np.frombuffer(t, "u1")[0] = 1


def test_mut_2_a_writable_buffer_of_read_only_memory_is_refused():
    import io

    source = io.BytesIO(b"x" * 48)
    with pytest.raises((BufferError, TypeError), match="read-only|read-write"):
        source.readinto(nd.constant(np.zeros(6)))
    t = nd.zeros(6)
    source.readinto(t)
    assert t.numpy().tobytes() == b"x" * 48


def test_mut_2_the_flag_is_the_array_s_at_the_time():
    a = np.arange(6.0)
    view = a.view()
    view.flags.writeable = False
    assert nd.from_numpy(view).readonly
    assert not nd.from_numpy(a).readonly
    t = nd.from_numpy(view)
    a[0] = 9.0
    assert t[0].item() == 9.0
    with pytest.raises(ValueError):
        t[0] = 1.0


def test_mut_2_locking_a_round_trip_array_locks_what_comes_back():
    t = nd.zeros(3)
    array = t.numpy()
    array.flags.writeable = False
    assert nd.from_numpy(array).readonly
    assert not t.readonly
    t[0] = 5.0
    assert array[0] == 5.0


def test_mut_2_copies_of_read_only_memory_are_writable():
    t = nd.constant([1.0, 2.0])
    for copy in (
        t.clone(),
        nd.tensor(t),
        t.astype("float32"),
        t.reshape_copy(2),
        nd.asarray(t, copy=True),
    ):
        copy[0] = 5
        assert copy[0].item() == 5
    assert t.tolist() == [1, 2]


OVERLAPPING = {
    "expand": lambda: nd.zeros(3).expand(2, 3),
    "sliding windows": lambda: nd.from_numpy(
        np.lib.stride_tricks.sliding_window_view(np.zeros(5), 3, writeable=True)
    ),
    "as_strided": lambda: nd.from_numpy(
        np.lib.stride_tricks.as_strided(np.zeros(4), (3, 2), (8, 8))
    ),
    "zero stride": lambda: nd.from_numpy(np.lib.stride_tricks.as_strided(np.zeros(1), (4,), (0,))),
    "half steps": lambda: nd.from_numpy(np.lib.stride_tricks.as_strided(np.zeros(4), (5,), (4,))),
}


@pytest.mark.parametrize("source", OVERLAPPING.values(), ids=OVERLAPPING)
@pytest.mark.parametrize("write", ["fill_", "copy_", "setitem", "setitem number"])
def test_mut_3_a_layout_that_reaches_a_byte_twice_is_not_written(source, write):
    t = source()
    writes = {
        "fill_": lambda: t.fill_(1),
        "copy_": lambda: t.copy_(np.ones(t.shape)),
        "setitem": lambda: t.__setitem__(..., np.ones(t.shape)),
        "setitem number": lambda: t.__setitem__(..., 1),
    }
    with pytest.raises(ValueError, match="twice|more than once|overlap"):
        writes[write]()
    assert not t.numpy().any()
    assert t.clone().tolist() == t.tolist() == t.numpy().tolist()


def test_mut_3_layouts_that_only_look_overlapping_are_written():
    a = np.zeros(24)
    for view in (
        a.reshape(2, 3, 4).transpose(2, 0, 1),
        a[::-2],
        a[None, :, None],
        a.reshape(4, 6)[:, ::3],
    ):
        nd.from_numpy(view).fill_(1)
        assert (view == 1).all()
    one = nd.zeros(1).expand(1, 1)
    one.fill_(3)
    assert one.item() == 3


SELF_COPIES = {
    "shift up": lambda t: (t[1:], t[:-1]),
    "shift down": lambda t: (t[:-1], t[1:]),
    "reverse": lambda t: (t, t[::-1]),
    "transpose": lambda t: (t.reshape(3, 3), t.reshape(3, 3).T),
    "same": lambda t: (t, t),
    "broadcast": lambda t: (t.reshape(3, 3), t[3:6]),
    "interleaved": lambda t: (t[::2], t[:5]),
}


@pytest.mark.parametrize("sides", SELF_COPIES.values(), ids=SELF_COPIES)
def test_mut_1_copies_within_one_array_are_as_if_through_a_copy(sides):
    a, b = np.arange(9.0), np.arange(9.0)
    target, source = sides(nd.from_numpy(a))
    target.copy_(source)
    target, source = sides(NumpyWithTorchNames(b))
    target.array[...] = source.array.copy()
    assert a.tolist() == b.tolist()


class NumpyWithTorchNames:
    def __init__(self, array):
        self.array = array

    def __getitem__(self, index):
        return NumpyWithTorchNames(self.array[index])

    def reshape(self, *shape):
        return NumpyWithTorchNames(self.array.reshape(shape))

    @property
    def T(self):
        return NumpyWithTorchNames(self.array.T)


def test_mut_1_copies_between_handles_of_one_array():
    a = np.arange(6.0)
    nd.from_numpy(a[1:]).copy_(nd.from_numpy(a[:-1]))
    assert a.tolist() == [0, 0, 1, 2, 3, 4]
    nd.from_numpy(a)[...] = a[::-1]
    assert a.tolist() == [4, 3, 2, 1, 0, 0]


BAD_BOOL_READS = {
    "tolist": lambda t: t.tolist(),
    "astype": lambda t: t.astype("int8"),
    "array_equal": lambda t: nd.array_equal(t, t),
    "==": lambda t: t == t.numpy(),
    "copy_ into ints": lambda t: nd.zeros(4, "int8").copy_(t),
    "tensor with dtype": lambda t: nd.tensor(t, "float32"),
    "item": lambda t: t[2].item(),
    "bool": lambda t: bool(t[2]),
    "fill_": lambda t: nd.zeros(3).fill_(t[2]),
}


@pytest.mark.parametrize("read", BAD_BOOL_READS.values(), ids=BAD_BOOL_READS)
@pytest.mark.parametrize(
    "wrap", [lambda a: a, lambda a: np.repeat(a, 2)[::2], lambda a: np.asfortranarray(a)]
)
def test_mut_5_bool_memory_is_checked_before_it_is_read(read, wrap):
    t = nd.from_numpy(wrap(np.array([0, 1, 2, 255], "u1")).view(bool))
    with pytest.raises(ValueError, match="byte 2.*index.*view..uint8"):
        read(t)


def test_mut_5_the_index_of_the_bad_byte_is_named():
    bytes_ = np.zeros((4, 5), "u1")
    bytes_[2, 3] = 77
    t = nd.from_numpy(bytes_.view(bool))
    with pytest.raises(ValueError, match=r"byte 77 at index \[2, 3\]"):
        t.tolist()
    with pytest.raises(ValueError, match=r"byte 77 at index \[3, 2\]"):
        t.T.tolist()
    assert t[:2].tolist() == [[False] * 5] * 2


def test_mut_5_bad_bools_still_travel_as_bytes():
    a = np.array([0, 1, 2, 255], "u1")
    t = nd.from_numpy(a.view(bool))
    assert t.view("uint8").tolist() == [0, 1, 2, 255]
    assert t.clone().view("uint8").tolist() == [0, 1, 2, 255]
    assert t.numpy().view("u1").tolist() == [0, 1, 2, 255]
    assert "uint8" in repr(t) and "DType" not in repr(t)


def test_mut_1_a_refused_write_changes_nothing(dtype):
    t = nd.ones((3, 4), dtype)
    for value in (
        np.zeros((4, 3), dtype),
        np.zeros(5, dtype),
        "text",
        None,
        [[1, 2], [3]],
        object(),
    ):
        with pytest.raises((TypeError, ValueError)):
            t.copy_(value)
        with pytest.raises((TypeError, ValueError)):
            t[...] = value
    assert (t.numpy() == 1).all()


def test_mut_4_memory_that_numpy_has_is_still_written_by_us(dtype):
    t = nd.zeros((2, 3), dtype)
    array, view = t.numpy(), memoryview(t)
    t.fill_(1)
    assert (array == 1).all()
    assert view.shape == (2, 3)
    del array, view
    gc.collect()
    t[0] = zoo(dtype)["C"][0, :3]
    assert t.numpy()[0].tobytes() == zoo(dtype)["C"][0, :3].tobytes()
