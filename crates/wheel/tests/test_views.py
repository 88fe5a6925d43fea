"""Indexing, views, assignment, iteration: as in NumPy, sharing."""

import ndbridge as nd
import numpy as np
import pytest

from conftest import address, same_bits, zoo

INDICES = [
    (), ..., None, 0, -1, 2, slice(None), slice(None, None, -1), slice(1, None, 2),
    slice(None, -1), slice(5, 0, -2), slice(-100, 100), slice(3, 1), slice(None, None, 1000),
    slice(None, None, -1000), (0, 0), (0, ..., 1), (..., None), (None, 0, None),
    (slice(1), None, -1), (slice(None, None, -1),) * 3, (..., 0), (0, slice(None), 0), (0, 1, 2),
    (..., slice(0, 0)), np.int64(1), (np.uint8(1), np.int16(0)), slice(np.int32(1), None),
    slice(-(2**70), 2**70), (slice(None, 2**70, 2**70),), (1, -1, -1),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_shr_6_indexing_as_numpy_s(index):
    a = np.arange(3 * 4 * 5, dtype="int16").reshape(3, 4, 5)
    for base in (a, a.T, a[::-1, 1:, ::2], a[:1], a[:, :, None, :]):
        t = nd.from_numpy(base)
        expected = answer(lambda: base[index])
        if isinstance(expected, IndexError):
            with pytest.raises(IndexError):
                t[index]
            continue
        view = t[index]
        expected = np.lib.stride_tricks.as_strided(base[index]) if expected.ndim == 0 else expected
        assert same_bits(view.numpy(), expected)
        assert (view.shape, view.strides) == (expected.shape, expected.strides)
        if expected.ndim:
            assert view.data_ptr() == address(expected)
        if expected.size:
            assert nd.shares_memory(view, base)


def answer(function):
    try:
        return np.asarray(function())
    except IndexError as error:
        return error


@pytest.mark.parametrize(
    "index", [4, -5, (0, 4), (0, 0, 0, 0), (..., ...), 2**70, -(2**70)], ids=repr
)
def test_shr_6_what_is_out_of_bounds_is_an_index_error(index):
    t = nd.zeros((4, 4, 4))
    for call in (lambda: t[index], lambda: t.__setitem__(index, 1)):
        with pytest.raises(IndexError):
            call()


@pytest.mark.parametrize(
    "index",
    [[0, 1], np.array([0, 1]), np.zeros(4, bool), True, 1.0, "x", {}, nd.zeros(2), (0, [1])],
    ids=repr,
)
def test_shr_1_what_numpy_would_copy_for_is_refused_by_name(index):
    t = nd.zeros((4, 4))
    with pytest.raises(TypeError, match=r"numpy\(\)\["):
        t[index]
    with pytest.raises(TypeError, match=r"numpy\(\)\["):
        t[index] = 0


def test_shr_6_a_step_of_zero_is_refused():
    with pytest.raises(ValueError, match="step"):
        nd.zeros(3)[::0]


VIEWS = {
    "T": (lambda t: t.T, lambda a: a.T),
    "permute": (lambda t: t.permute(2, 0, 1), lambda a: a.transpose(2, 0, 1)),
    "permute list": (lambda t: t.permute([1, -1, 0]), lambda a: a.transpose([1, -1, 0])),
    "transpose": (lambda t: t.transpose(0, -1), lambda a: a.swapaxes(0, -1)),
    "flip": (lambda t: t.flip(1), lambda a: np.flip(a, 1)),
    "flip axes": (lambda t: t.flip((0, 2)), lambda a: np.flip(a, (0, 2))),
    "flip many": (lambda t: t.flip(0, -1), lambda a: np.flip(a, (0, -1))),
    "unsqueeze": (lambda t: t.unsqueeze(1), lambda a: np.expand_dims(a, 1)),
    "unsqueeze last": (lambda t: t.unsqueeze(-1), lambda a: np.expand_dims(a, -1)),
    "squeeze": (lambda t: t[:1, :, :1].squeeze(), lambda a: a[:1, :, :1].squeeze()),
    "squeeze dim": (lambda t: t[:1, :, :1].squeeze(-1), lambda a: a[:1, :, :1].squeeze(-1)),
    "squeeze dims": (
        lambda t: t[:1, :, :1].squeeze((0, 2)),
        lambda a: a[:1, :, :1].squeeze((0, 2)),
    ),
    "expand": (
        lambda t: t[:, :1].expand(-1, 6, -1),
        lambda a: np.broadcast_to(a[:, :1], (3, 6, 5)),
    ),
    "expand new axes": (lambda t: t.expand(2, 3, 4, 5), lambda a: np.broadcast_to(a, (2, 3, 4, 5))),
    "expand tuple": (
        lambda t: t.expand((2, -1, -1, -1)),
        lambda a: np.broadcast_to(a, (2, 3, 4, 5)),
    ),
    "diagonal": (lambda t: t.diagonal(), lambda a: a.diagonal()),
    "diagonal offset": (lambda t: t.diagonal(-1, 1, 2), lambda a: a.diagonal(-1, 1, 2)),
    "diagonal outside": (lambda t: t.diagonal(9), lambda a: a.diagonal(9)),
    "reshape": (lambda t: t.reshape(12, 5), lambda a: a.reshape(12, 5)),
    "reshape tuple": (lambda t: t.reshape((3, -1)), lambda a: a.reshape(3, -1)),
    "reshape to ones": (lambda t: t.reshape(1, 60, 1), lambda a: a.reshape(1, 60, 1)),
    "reshape empty": (lambda t: t[:0].reshape(7, 0), lambda a: a[:0].reshape(7, 0)),
    "view smaller": (lambda t: t.view("int16"), lambda a: a.view("int16")),
    "view bytes": (lambda t: t.view("uint8"), lambda a: a.view("uint8")),
    "view same": (lambda t: t.view("float32"), lambda a: a.view("float32")),
    "view larger": (lambda t: t[..., :4].view("int64"), lambda a: a[..., :4].view("int64")),
    "view complex": (
        lambda t: t[..., 1:].view("complex64"),
        lambda a: a[..., 1:].view("complex64"),
    ),
}


@pytest.mark.parametrize(("ours", "numpy_s"), VIEWS.values(), ids=VIEWS)
def test_shr_6_views_as_numpy_s(ours, numpy_s):
    a = np.arange(60, dtype="int32").reshape(3, 4, 5)
    t, expected = ours(nd.from_numpy(a)), numpy_s(a)
    assert (t.shape, t.strides) == (expected.shape, expected.strides)
    assert same_bits(t.numpy(), expected)
    assert t.data_ptr() == address(expected) or not expected.size


BAD_VIEWS = [
    lambda t: t.permute(0, 1), lambda t: t.permute(0, 0, 1), lambda t: t.permute(0, 1, 3),
    lambda t: t.permute(), lambda t: t.transpose(0, 3), lambda t: t.flip(3),
    lambda t: t.flip(0, 0), lambda t: t.squeeze(0), lambda t: t.squeeze(5),
    lambda t: t.unsqueeze(5), lambda t: t.expand(4, 4, 5), lambda t: t.expand(3),
    lambda t: t.diagonal(0, 1, 1), lambda t: t.diagonal(0, 0, 5), lambda t: t.reshape(7),
    lambda t: t.reshape(-1, -1), lambda t: t.reshape(-2, 30), lambda t: t.reshape(0, -1),
    lambda t: t.view("complex128"), lambda t: t.T.view("int64"), lambda t: t.reshape(2**40, 2**40),
    lambda t: t.expand(2**62, 3, 4, 5), lambda t: t.expand(-1, 3, 4, 5),
    lambda t: t.permute(2**62, 0, 1), lambda t: t.unsqueeze(-(2**63)),
    lambda t: t.diagonal(2**63 - 1, 0, 2**62),
]  # fmt: skip


@pytest.mark.parametrize("view", BAD_VIEWS)
def test_shr_6_views_that_do_not_exist_are_value_errors(view):
    t = nd.zeros((3, 4, 5), "int32")
    with pytest.raises((ValueError, IndexError)):
        view(t)


@pytest.mark.parametrize(
    "call",
    [
        lambda t, x: t.permute(x),
        lambda t, x: t.reshape(x),
        lambda t, x: t.expand(x),
        lambda t, x: t.unsqueeze(x),
    ],
)
@pytest.mark.parametrize("argument", ["x", 1.5, None, {}, [1.5], ["a"]], ids=repr)
def test_shr_6_arguments_of_the_wrong_kind_are_type_errors(call, argument):
    with pytest.raises(TypeError):
        call(nd.zeros((3, 4)), argument)


SOURCES = [
    5, True, np.float32(2), np.int16(3), [1, 2, 3, 4], [[1], [2], [3]], np.arange(4),
    np.arange(12).reshape(3, 4), np.arange(3)[:, None], np.arange(4)[None, None],
    nd.tensor([4, 3, 2, 1]), nd.tensor(7), np.array(8), (1, 2, 3, 4), np.arange(8)[::-2],
    np.arange(4, dtype=">i4"), range(4), bytes(4), nd.ones((1, 1, 3, 1), "bool"),
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=repr)
@pytest.mark.parametrize("dtype", ["int64", "float32", "complex128"])
def test_shr_4_assignment_as_numpy_s(source, dtype):
    expected = np.zeros((3, 4), dtype)
    values = source.numpy() if isinstance(source, nd.Tensor) else source
    values = np.frombuffer(values, "u1") if isinstance(values, bytes) else values
    expected[...] = values
    a = np.zeros((3, 4), dtype)
    if not np.can_cast(np.asarray(values).dtype, dtype, "same_kind"):
        with pytest.raises(
            TypeError, match="cannot write float32 into int64|cannot write float64 into int64"
        ):
            nd.from_numpy(a)[...] = source
        return
    nd.from_numpy(a)[...] = source
    assert same_bits(a, expected)
    if np.ndim(values) <= 2:
        assert same_bits(nd.zeros((3, 4), dtype).copy_(source).numpy(), expected)


@pytest.mark.parametrize("layout", [name for name, a in zoo("int8").items() if a.flags.writeable])
def test_shr_4_assignment_to_every_layout(layout, dtype):
    a, b = zoo(dtype)[layout], zoo(dtype)[layout]
    rng = np.random.default_rng(5)
    values = rng.integers(0, 2, a.shape).astype(dtype)
    nd.from_numpy(a)[...] = values
    b[...] = values
    assert same_bits(a, b)
    for index in INDICES[1::3]:
        if isinstance(answer(lambda: b[index]), IndexError):
            continue
        b[index] = 1
        nd.from_numpy(a)[index] = 1
        assert same_bits(a, b), index


def test_shr_5_fill_takes_numbers_that_fit(dtype):
    t = nd.zeros(3, dtype)
    kind = np.dtype(dtype).kind
    assert t.fill_(1) is t
    assert t.tolist() == [1, 1, 1]
    for value, kinds in [
        (True, "biufc"),
        (2, "iufc"),
        (1.5, "fc"),
        (1j, "c"),
        (np.float32(0.5), "fc"),
        (np.int8(3), "iufc"),
    ]:
        if kind in kinds:
            assert (t.fill_(value).numpy() == value).all()
        else:
            before = t.tolist()
            with pytest.raises((TypeError, OverflowError), match="bool|cannot write|bounds|imag"):
                t.fill_(value)
            assert t.tolist() == before


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)
def test_shr_5_integers_out_of_bounds_are_refused(dtype):
    info = np.iinfo(dtype)
    t = nd.zeros(2, dtype)
    for value in (info.min, info.max):
        t.fill_(value)
        assert t.tolist() == [value, value]
        t[...] = [value, value]
        assert t.tolist() == [value, value]
    for value in (int(info.min) - 1, int(info.max) + 1, 2**64, -(2**100)):
        for write in (
            t.fill_,
            t.copy_,
            lambda v: t.__setitem__(0, v),
            lambda v: t.__setitem__(..., [v, 0]),
        ):
            with pytest.raises((OverflowError, TypeError)):
                write(value)
        assert t.tolist() == [info.max, info.max]


def test_shr_5_lists_are_written_by_their_values_arrays_by_their_dtype():
    t = nd.zeros(3, "uint8")
    t[...] = [1, 2, 255]
    assert t.tolist() == [1, 2, 255]
    t.copy_([7, 8, 9])
    assert t.tolist() == [7, 8, 9]
    t[0:0] = []
    with pytest.raises(OverflowError, match="256.*uint8"):
        t[...] = [1, 2, 256]
    with pytest.raises(TypeError, match="float64.*uint8"):
        t[...] = [1.0, 2.0, 3.0]
    with pytest.raises(TypeError, match="int64.*uint8"):
        t[...] = np.array([1, 2, 3])
    assert t.tolist() == [7, 8, 9]


def test_shr_6_iteration_and_length():
    a = np.arange(6).reshape(3, 2)
    t = nd.from_numpy(a)
    assert len(t) == 3
    rows = list(t)
    assert [row.tolist() for row in rows] == a.tolist()
    rows[1][0] = 99
    assert a[1, 0] == 99
    assert [x.item() for x in t.T[0]] == a[:, 0].tolist()
    assert list(nd.zeros(0)) == []
    assert [row.shape for row in nd.zeros((2, 0))] == [(0,), (0,)]
    for call in (len, iter, list):
        with pytest.raises(TypeError):
            call(nd.zeros(()))


def test_shr_6_iteration_is_lazy():
    first = next(iter(nd.zeros(1).expand(2**50)))
    assert first.item() == 0.0


def test_shr_6_numbers_of_one_element():
    assert float(nd.full((1, 1), 2.5)) == 2.5
    assert int(nd.full((), 2.75)) == 2
    assert complex(nd.full(1, 1j)) == 1j
    assert bool(nd.ones(())) and not nd.zeros((1,))
    assert [10, 20, 30][nd.tensor(1)] == 20
    assert nd.tensor(3).item() == 3
    for call in (bool, float, int, complex, lambda t: t.item()):
        with pytest.raises((ValueError, TypeError)):
            call(nd.zeros(2))
    for t in (nd.tensor([1]), nd.tensor(1.0), nd.tensor(True)):
        with pytest.raises(TypeError):
            [10, 20][t]


def test_shr_6_properties(layout, dtype):
    a = zoo(dtype)[layout]
    t = nd.from_numpy(a)
    assert (t.shape, t.ndim, t.size, t.nbytes, t.itemsize) == (
        a.shape,
        a.ndim,
        a.size,
        a.size * a.itemsize,
        a.itemsize,
    )
    assert t.device == "cpu"
    assert t.readonly == (not a.flags.writeable)
    assert t.is_contiguous() == t.is_contiguous("C") == a.flags.c_contiguous
    assert t.is_contiguous("F") == a.flags.f_contiguous
    assert t.owner is a
    assert nd.array_equal(t, a.copy()) == np.array_equal(a, a)


def test_shr_6_equality():
    t = nd.tensor([1.0, 2.0])
    assert t == np.array([1.0, 2.0]) and t == [1, 2] and t == nd.tensor([1, 2])
    assert t != [1, 3] and t != [1, 2, 3] and t != None and t != "x" and not t == object()  # noqa: E711, SIM201
    assert nd.array_equal([1, 2], np.array([1, 2])) and not nd.array_equal([np.nan], [np.nan])


PRINTED = [
    np.arange(5), np.arange(6.0).reshape(2, 3) / 3, np.zeros((0, 3)), np.array(2.5),
    np.array(True), np.arange(2000), np.array([1e-10, 1, 1e10]),
    np.array([np.nan, np.inf, -np.inf]), np.array([1 + 2j, -3.5j]), np.zeros((2, 3, 4), bool),
    np.arange(60000).reshape(300, 200), np.float32([0.1, 0.2]), np.float16([0.1, 65504]),
    np.array([1.0, 2, 3]), -np.arange(3), np.array([[1, -100], [30, 4]], "int8"),
    np.arange(1001.0)[::-1], np.array([-0.0, 0.0]), np.array([], "int32"),
    np.complex64([[1, 2j], [3.25, np.nan]]), np.array([1.5e300, 1]),
    np.array([123456789.125, 0.001]), np.arange(24).reshape(2, 3, 4),
]  # fmt: skip


@pytest.mark.parametrize("array", PRINTED, ids=lambda a: f"{a.dtype}-{a.shape}")
def test_shr_6_printed_as_numpy_prints(array):
    text = repr(nd.from_numpy(array))
    assert text.startswith("tensor(")
    assert f"dtype={array.dtype}" in text
    numbers = np.array2string(array, separator=", ", prefix="tensor(", suffix="")
    assert text.removeprefix("tensor(").startswith(numbers)
