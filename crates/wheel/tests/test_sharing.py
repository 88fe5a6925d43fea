"""Each call shares or copies as its name says, tells so, and agrees with its plan."""

import ndbridge as nd
import numpy as np
import pytest

from conftest import LAYOUTS, NUMPY_DTYPES, address, copied_bytes, same_bits, zoo

SHARING = {
    "from_numpy": nd.from_numpy,
    "asarray": nd.asarray,
    "asarray copy=None": lambda a: nd.asarray(a, copy=None),
    "asarray copy=False": lambda a: nd.asarray(a, copy=False),
    "asarray same dtype": lambda a: nd.asarray(a, dtype=a.dtype),
    "asarray device": lambda a: nd.asarray(a, device="cpu"),
}
COPYING = {
    "tensor": nd.tensor,
    "tensor same dtype": lambda a: nd.tensor(a, dtype=a.dtype),
    "asarray copy=True": lambda a: nd.asarray(a, copy=True),
    "constant": nd.constant,
    "convert_to_tensor": nd.convert_to_tensor,
    "clone": lambda a: nd.from_numpy(a).clone(),
    "astype same dtype": lambda a: nd.from_numpy(a).astype(a.dtype),
    "reshape_copy": lambda a: nd.from_numpy(a).reshape_copy(a.shape),
}


@pytest.mark.parametrize("call", SHARING.values(), ids=SHARING)
def test_shr_1_from_numpy_shares_every_layout(call, dtype):
    for layout, a in zoo(dtype).items():
        t, copied = copied_bytes(lambda a=a: call(a))
        assert copied == 0, layout
        assert (t.data_ptr(), t.shape, t.strides) == (address(a), a.shape, a.strides), layout
        assert (t.receipt.action, t.receipt.shared, t.receipt.copied_bytes) == (
            "shared",
            True,
            0,
        ), layout
        assert str(t.dtype) == dtype, layout
        assert same_bits(t.numpy(), a), layout


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shr_1_numpy_shares_every_layout(layout):
    a = zoo("float32")[layout]
    t = nd.from_numpy(a)
    for back in (t.numpy(), t.numpy(force=True), np.asarray(t), np.array(t, copy=False)):
        assert type(back) is np.ndarray
        assert (address(back), back.shape) == (address(a), a.shape)
        # As a buffer, axes of length 1 get the strides that contiguous elements usually have.
        assert back.strides == a.strides or a.size <= 1
        assert back.flags.writeable == a.flags.writeable
        assert not back.flags.owndata


def test_shr_1_refuses_by_name_of_the_reason_and_of_the_call():
    a = np.arange(3, dtype=">i4")
    with pytest.raises(ValueError, match="byte order.*copies 12 B"):
        nd.from_numpy(a)
    with pytest.raises(TypeError, match="list.*asarray"):
        nd.from_numpy([1, 2])
    with pytest.raises(TypeError, match="Tensor.*asarray"):
        nd.from_numpy(nd.zeros(3))


@pytest.mark.parametrize("call", COPYING.values(), ids=COPYING)
def test_shr_2_copies_even_what_it_could_share(call, dtype):
    for layout, a in zoo(dtype).items():
        t, copied = copied_bytes(lambda a=a: call(a))
        assert copied == a.size * a.itemsize == t.receipt.copied_bytes, layout
        assert (t.receipt.action, t.receipt.shared) == ("copied", False), layout
        assert not nd.shares_memory(t, a), layout
        assert str(t.dtype) == dtype, layout
        assert same_bits(t.numpy(), a), layout


@pytest.mark.parametrize("call", COPYING.values(), ids=COPYING)
def test_shr_2_a_copy_does_not_see_writes(call):
    a = np.zeros((3, 4))
    t = call(a)
    a[:] = 7
    assert not t.numpy().any()


LISTS = [
    3, 2.5, True, 1j, [], [[]], [1, 2], [[1.5, 2], [3, 4]], (1, (2)), range(4), [True, False],
    np.float32(1.5), np.int8(-3), np.bool_(True), [np.float32(1), np.float32(2)], [1, 2.5, 3j],
    [np.zeros(2), np.ones(2)], [nd.zeros(2), nd.ones(2)],
]  # fmt: skip


@pytest.mark.parametrize("values", LISTS, ids=repr)
def test_shr_2_tensor_takes_numbers_and_lists_as_numpy_does(values):
    expected = np.array(values)
    for call in (nd.tensor, nd.asarray, nd.constant, nd.convert_to_tensor):
        t = call(values)
        assert t.receipt.action == "copied"
        assert same_bits(t.numpy(), expected)


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_shr_2_tensor_converts_lists_to_the_dtype(dtype):
    assert same_bits(nd.tensor([[0, 1], [1, 0]], dtype).numpy(), np.array([[0, 1], [1, 0]], dtype))
    t = nd.constant(1, dtype, shape=(2, 3))
    assert same_bits(t.numpy(), np.full((2, 3), 1, dtype))
    assert same_bits(
        nd.constant([0, 1, 1, 0], dtype, (2, 2)).numpy(), np.array([[0, 1], [1, 0]], dtype)
    )


def test_shr_2_constant_reshapes_in_c_order():
    a = np.asfortranarray(np.arange(6).reshape(2, 3))
    assert nd.constant(a, shape=(3, 2)).tolist() == a.reshape(3, 2).tolist()
    assert nd.constant(4, shape=3).tolist() == [4, 4, 4]
    with pytest.raises(ValueError, match="reshape"):
        nd.constant(a, shape=(4, 2))


def test_shr_2_convert_to_tensor_returns_a_tensor_unchanged():
    t = nd.zeros(3)
    assert nd.convert_to_tensor(t) is t
    assert nd.convert_to_tensor(t, dtype="float64") is t
    with pytest.raises(TypeError, match="float64.*float32.*astype"):
        nd.convert_to_tensor(t, dtype="float32")


def test_shr_3_asarray_copy_none_shares_or_copies():
    a = np.arange(6.0)
    assert nd.shares_memory(nd.asarray(a), a)
    t, copied = copied_bytes(lambda: nd.asarray(a, dtype="float32"))
    assert (copied, t.receipt.reasons) == (24, ["dtype"])
    t, copied = copied_bytes(lambda: nd.asarray(a.astype(">f8")))
    assert (copied, t.receipt.reasons) == (48, ["byte order"])
    assert t.tolist() == a.tolist()


def test_shr_3_asarray_copy_true_copies():
    a = np.arange(6.0)
    for source in (a, nd.from_numpy(a), bytearray(8), [1.0]):
        t = nd.asarray(source, copy=True)
        assert (t.receipt.action, t.readonly) == ("copied", False)
        assert "requested" in t.receipt.reasons
    assert not nd.shares_memory(nd.asarray(a, copy=True), a)


def test_shr_3_asarray_copy_false_shares_or_refuses():
    a = np.arange(6.0)
    assert nd.shares_memory(nd.asarray(a, copy=False), a)
    assert nd.shares_memory(nd.asarray(nd.from_numpy(a), copy=False), a)
    for source, dtype, reason in [
        (a, "float32", "dtype"),
        (a.astype(">f8"), None, "byte order"),
        ([1, 2], None, "not an array"),
        (3.5, None, "not an array"),
        (np.float32(3), None, "not an array"),
    ]:
        before = nd.copies().copies
        with pytest.raises(ValueError, match=reason):
            nd.asarray(source, dtype=dtype, copy=False)
        assert nd.copies().copies == before


BUFFERS = {
    "bytes": b"abcdefgh",
    "bytearray": bytearray(b"abcdefgh"),
    "memoryview": memoryview(bytearray(b"abcdefgh"))[::2],
    "2-d memoryview": memoryview(bytearray(range(6))).cast("B", (2, 3)),
    "array.array": __import__("array").array("d", [1, 2, 3]),
    "ctypes": (__import__("ctypes").c_int * 3)(1, 2, 3),
    "2-d ctypes": (__import__("ctypes").c_float * 2 * 3)(),
}


@pytest.mark.parametrize("buffer", BUFFERS.values(), ids=BUFFERS)
def test_shr_1_from_buffer_shares_with_shape_and_format(buffer):
    expected = np.asarray(memoryview(buffer))
    for call in (nd.from_buffer, nd.asarray, lambda b: nd.asarray(b, copy=False)):
        t, copied = copied_bytes(lambda: call(buffer))
        assert (copied, t.receipt.shared) == (0, True)
        assert (t.data_ptr(), t.shape, t.strides) == (
            address(expected),
            expected.shape,
            expected.strides,
        )
        assert same_bits(t.numpy(), expected)
        assert t.readonly == memoryview(buffer).readonly


def test_shr_4_writes_are_seen_both_ways():
    a = np.arange(6.0)
    t = nd.from_numpy(a)
    view, back = t[1:4], t.numpy()
    a[1] = 10.0
    assert (t[1].item(), view[0].item(), back[1]) == (10.0, 10.0, 10.0)
    t[2] = 20.0
    assert (a[2], view[1].item(), back[2]) == (20.0, 20.0, 20.0)
    view[2] = 30.0
    assert (a[3], t[3].item(), back[3]) == (30.0, 30.0, 30.0)
    back[0] = 40.0
    assert (a[0], t[0].item()) == (40.0, 40.0)
    memoryview(t)[5] = 50.0
    assert (a[5], t[5].item()) == (50.0, 50.0)
    t.fill_(-1.0)
    assert (a == -1).all() and (back == -1).all()


def test_shr_4_every_byte_is_shared(dtype):
    for layout, a in zoo(dtype).items():
        if not a.flags.writeable:
            continue
        t = nd.from_numpy(a)
        a[...] = 0
        assert not t.numpy().any(), layout
        t.copy_(np.ones((), dtype))
        assert (a == 1).all(), layout


CHANGES = {
    "astype": lambda t: t.astype("float32"),
    "to": lambda t: t.to("float32"),
    "asarray": lambda t: nd.asarray(t, dtype="float32"),
    "numpy.asarray": lambda t: np.asarray(t, dtype="float32"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_shr_5_a_change_of_dtype_is_asked_for_and_copies(change):
    t = nd.from_numpy(np.arange(6.0))
    changed = change(t)
    assert not nd.shares_memory(changed, t)
    assert str(changed.dtype) == "float32"


def test_shr_5_nothing_is_converted_silently():
    for array in (np.arange(3.0), np.arange(3), np.zeros(3, "uint64"), np.zeros(3, "float16")):
        assert str(nd.from_numpy(array).dtype) == array.dtype
        assert str(nd.tensor(array).dtype) == array.dtype
        assert nd.tensor(array.tolist()).numpy().dtype == np.array(array.tolist()).dtype


SAME = {
    "astype copy=False": lambda t: t.astype(t.dtype, copy=False),
    "to dtype": lambda t: t.to(t.dtype),
    "to device": lambda t: t.to("cpu"),
    "cpu": lambda t: t.cpu(),
    "contiguous": lambda t: t.contiguous(),
    "asarray": nd.asarray,
    "index": lambda t: t[...],
}


@pytest.mark.parametrize("call", SAME.values(), ids=SAME)
def test_shr_2_what_it_already_is_returns_the_same_memory(call):
    t = nd.from_numpy(np.arange(6.0))
    same, copied = copied_bytes(lambda: call(t))
    assert (same.data_ptr(), copied) == (t.data_ptr(), 0)
    assert same.receipt.shared


def test_shr_6_views_share():
    t = nd.from_numpy(np.arange(24.0).reshape(2, 3, 4))
    one = t[:1]
    views = [
        t[0], t[:, ::-1], t[..., None], t.T, t.permute(2, 0, 1), t.permute((2, 0, 1)),
        t.transpose(0, 2), t.flip(0), t.flip((0, -1)), t.unsqueeze(-1), one.squeeze(),
        one.squeeze(0), one.expand(5, -1, 4), t.diagonal(), t.diagonal(1, 1, 2), t.reshape(6, 4),
        t.reshape(-1), t.view("int32"), t.view(np.uint8),
    ]  # fmt: skip
    before = nd.copies().copies
    for view in views:
        assert nd.shares_memory(view, t), repr(view)
        assert view.receipt.shared
    assert nd.copies().copies == before


def test_shr_6_reshape_that_would_copy_names_reshape_copy():
    t = nd.from_numpy(np.arange(6.0).reshape(2, 3)).T
    with pytest.raises(ValueError, match="reshape_copy"):
        t.reshape(6)
    copy = t.reshape_copy(6)
    assert copy.tolist() == [0, 3, 1, 4, 2, 5]
    assert not nd.shares_memory(copy, t)


COPIES = {
    "clone": lambda t: t.clone(),
    "tensor": nd.tensor,
    "asarray": lambda t: nd.asarray(t, copy=True),
    "astype": lambda t: t.astype("complex128"),
    "reshape_copy": lambda t: t.reshape_copy(-1),
    "contiguous": lambda t: t.T.contiguous(),
    "contiguous F": lambda t: t[:, ::-1].contiguous("F"),
}


@pytest.mark.parametrize("call", COPIES.values(), ids=COPIES)
def test_shr_7_a_copy_is_aligned_private_writable(call):
    a = np.arange(12.0).reshape(3, 4)
    a.flags.writeable = False
    copy = call(nd.from_numpy(a))
    assert copy.data_ptr() % 64 == 0
    assert (copy.readonly, copy.owner) == (False, None)
    assert copy.is_contiguous("C") or copy.is_contiguous("F")
    copy.fill_(1.0)
    assert copy.numpy().flags.writeable


def test_shr_7_a_copy_keeps_the_memory_order(layout):
    a = zoo("float32")[layout]
    for t in (nd.tensor(a), nd.from_numpy(a).clone()):
        if a.size and layout != "broadcast":
            assert t.strides == a.copy("K").strides
    for order in "CF":
        t = nd.from_numpy(a).contiguous(order)
        assert t.is_contiguous(order)
        assert same_bits(t.numpy(), a)
        assert not a.size or t.numpy().flags[f"{order}_CONTIGUOUS"]


def test_shr_8_copies_are_counted_by_reason():
    a = np.arange(1000.0)
    before = nd.copies()
    nd.tensor(a), nd.asarray(a, dtype="float32"), nd.from_numpy(a), nd.asarray(a.astype(">f8"))
    after = nd.copies()
    assert after.copies - before.copies == 3
    assert after.bytes - before.bytes == 8000 + 4000 + 8000
    grown = {k: v - before.by_reason.get(k, 0) for k, v in after.by_reason.items()}
    assert {k: v for k, v in grown.items() if v} == {
        "requested": 8000,
        "dtype": 4000,
        "byte order": 8000,
    }


def test_shr_8_no_copy_turns_copies_into_errors():
    a = np.arange(6.0)
    t = nd.from_numpy(a)
    with nd.no_copy():
        nd.from_numpy(a)[::2].T.numpy()
        np.asarray(t), memoryview(t), nd.asarray(a), t.contiguous(), t.astype("float64", copy=False)
        for call in (
            lambda: nd.tensor(a), lambda: nd.asarray(a, dtype="int8"), lambda: nd.asarray([1]),
            t.clone, lambda: t.astype("int8", "unsafe"), lambda: t[::2].contiguous(),
            lambda: t.reshape_copy(6), lambda: nd.constant(a), lambda: nd.convert_to_tensor(a),
            lambda: nd.asarray(a, copy=True),
        ):  # fmt: skip
            before = nd.copies().copies
            with pytest.raises(ValueError, match="forbids copies"):
                call()
            assert nd.copies().copies == before
    assert nd.tensor(a).tolist() == a.tolist()


def test_shr_8_no_copy_nests_and_ends_on_errors():
    a = np.arange(3.0)
    with pytest.raises(KeyError), nd.no_copy():
        with nd.no_copy():
            pass
        with pytest.raises(ValueError):
            nd.tensor(a)
        raise KeyError
    nd.tensor(a)
    with pytest.raises(RuntimeError):
        nd.no_copy().__exit__(None, None, None)


def test_receipts_name_the_kernel():
    a = np.arange(20_000.0).reshape(100, 200)
    assert nd.from_numpy(a).receipt.kernel is None
    assert nd.tensor(a).receipt.kernel == "block"
    assert nd.from_numpy(a.T).contiguous().receipt.kernel == "transpose"


def test_shr_4_copy_changes_data_types_as_far_as_it_is_told():
    t = nd.zeros(3, "uint8")
    with pytest.raises(TypeError, match="casting"):
        t.copy_(np.array([1.5, 300, -1]))
    assert t.copy_(np.array([1.5, 300, -1]), casting="unsafe").tolist() == [1, 255, 0]
