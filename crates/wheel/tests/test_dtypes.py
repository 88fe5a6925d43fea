"""Data types survive, cast and promote as in NumPy, or are refused by name."""

import itertools
import warnings

import ml_dtypes
import ndbridge as nd
import numpy as np
import pytest

from conftest import (
    ML_DTYPES, NUMPY_DTYPES, address, copied_bytes, defined, random_array, run_python, same_bits, zoo,
)  # fmt: skip

ALL_DTYPES = [*NUMPY_DTYPES, *ML_DTYPES]
CASTINGS = ["no", "equiv", "safe", "same_kind", "unsafe"]


def numpy_dtype(name):
    return np.dtype(ML_DTYPES.get(name, name))


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_dty_1_survives_every_import_and_export(dtype):
    a = random_array(np.random.default_rng(1), (3, 4), dtype)
    imports = [
        nd.from_numpy(a), nd.asarray(a), nd.tensor(a), nd.constant(a), nd.convert_to_tensor(a),
        nd.from_buffer(a), nd.from_buffer(memoryview(a)), nd.from_numpy(a[::-1]),
        nd.zeros((3, 4), dtype).copy_(a), nd.empty((3, 4), a.dtype).copy_(nd.tensor(a)),
    ]  # fmt: skip
    for t in imports:
        assert t.dtype == dtype
        assert t.itemsize == a.itemsize
        assert t.numpy().dtype == np.asarray(t).dtype == np.asarray(memoryview(t)).dtype == a.dtype
        assert (t.numpy() == np.asarray(t)).all() or np.isnan(t.numpy()).any()
    assert same_bits(imports[0].numpy(), a)


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_dty_1_numbers_and_lists_go_out_as_python_s(dtype):
    a = random_array(np.random.default_rng(2), (3, 4), dtype)
    t = nd.from_numpy(a)
    assert repr(t.tolist()) == repr(a.tolist())
    assert type(t[0, 0].item()) is type(a[0, 0].item())
    assert repr(t[1, 2].item()) == repr(a[1, 2].item())


@pytest.mark.parametrize("name", ALL_DTYPES)
def test_dty_1_names_and_aliases(name):
    made = nd.zeros(2, name).dtype
    assert (str(made), made.name, repr(made)) == (name, name, f"ndbridge.{name}")
    assert made.itemsize == numpy_dtype(name).itemsize
    assert made == name and made == nd.DType(name) and made == numpy_dtype(name)
    assert hash(made) == hash(nd.DType(name)) == hash(name)
    assert made != "int3" and made != None and made != 5  # noqa: E711
    assert nd.zeros(2, numpy_dtype(name)).dtype == name
    assert nd.zeros(2, numpy_dtype(name).type).dtype == name
    assert nd.zeros(2, made).dtype == name
    if name in NUMPY_DTYPES:
        assert np.dtype(made) == np.dtype(name)
        assert made.str == np.dtype(name).str
        assert nd.zeros(2, np.dtype(name).str).dtype == name
        assert nd.zeros(2, np.dtype(name).char).dtype == name
    else:
        assert made.str is None


def test_dty_1_python_types_mean_what_they_mean_to_numpy():
    for kind in (bool, int, float, complex):
        assert np.dtype(nd.zeros(1, kind).dtype) == np.dtype(kind)
    assert nd.zeros(1).dtype == nd.full(1, 2.5).dtype == "float64"
    for value in (True, 3, 2.5, 1j, np.float32(2), np.int8(3)):
        assert (
            np.dtype(nd.full(1, value).dtype)
            == np.full(1, value.item() if hasattr(value, "item") else value).dtype
        )


@pytest.mark.parametrize(
    "name", ["longlong", "ulonglong", "long", "ulong", "intc", "byte", "half", "intp"]
)
def test_dty_1_c_names_of_numpy(name):
    a = np.ones(3, getattr(np, name))
    t = nd.from_numpy(a)
    assert t.numpy().dtype == a.dtype
    assert t.tolist() == [1, 1, 1]
    assert nd.zeros(1, getattr(np, name)).dtype == a.dtype


def test_dty_2_can_cast_equals_numpy_s():
    for a, b, casting in itertools.product(NUMPY_DTYPES, NUMPY_DTYPES, CASTINGS):
        assert nd.can_cast(a, b, casting) == np.can_cast(a, b, casting), (a, b, casting)
        assert nd.can_cast(np.dtype(a), b) == np.can_cast(a, b), (a, b)
    for a in ALL_DTYPES:
        for casting in CASTINGS:
            assert nd.can_cast(a, a, casting)
        assert nd.can_cast(nd.zeros(1, a), a)


def test_dty_2_can_cast_equals_that_of_ml_dtypes():
    for a, b in itertools.product(ALL_DTYPES, ALL_DTYPES):
        if a in ML_DTYPES or b in ML_DTYPES:
            expected = np.can_cast(numpy_dtype(a), numpy_dtype(b), "safe")
            assert nd.can_cast(a, b, "safe") == expected, (a, b)


def promoted(function, *arguments):
    try:
        return function(*arguments).name
    except TypeError:
        return "TypeError"


def test_dty_2_promote_types_equals_numpy_s():
    for a, b in itertools.product(ALL_DTYPES, ALL_DTYPES):
        expected = promoted(np.promote_types, numpy_dtype(a), numpy_dtype(b))
        assert promoted(nd.promote_types, a, b) == expected, (a, b)


def test_dty_2_result_type_equals_numpy_s():
    numbers = [True, 3, 2.5, 1j, np.float32(1), np.int8(1), -1, 300, 2**40]
    for n in (1, 2, 3):
        for dtypes in itertools.product(NUMPY_DTYPES, repeat=min(n, 2)):
            operands = [np.dtype(name) for name in dtypes]
            assert promoted(nd.result_type, *operands) == promoted(np.result_type, *operands), (
                dtypes
            )
            if n == 3:
                for number in numbers:
                    case = (*operands, number)
                    assert promoted(nd.result_type, *case) == promoted(np.result_type, *case), case
    for dtype, number in itertools.product(NUMPY_DTYPES, numbers):
        array = np.zeros(2, dtype)
        expected = promoted(np.result_type, array, number)
        assert promoted(nd.result_type, array, number) == expected, (dtype, number)
        assert promoted(nd.result_type, number, nd.from_numpy(array)) == expected, (dtype, number)
    for a, b in itertools.product(numbers, numbers):
        assert promoted(nd.result_type, a, b) == promoted(np.result_type, a, b), (a, b)


def test_dty_2_answers_are_dtypes():
    assert isinstance(nd.promote_types("int8", "uint8"), nd.DType)
    assert nd.result_type("int8", 1.0) == "float64"
    with pytest.raises(ValueError, match="nearly"):
        nd.can_cast("int8", "int16", "nearly")
    with pytest.raises(TypeError, match="int33"):
        nd.promote_types("int8", "int33")
    with pytest.raises(ValueError):
        nd.result_type()


@pytest.mark.parametrize("source", NUMPY_DTYPES)
@pytest.mark.parametrize("target", NUMPY_DTYPES)
def test_dty_3_astype_equals_numpy_s_where_defined(source, target):
    values = random_array(np.random.default_rng(3), (7, 11), source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = values.astype(target)
    mask = defined(values, target)
    for view in (np.s_[:, :], np.s_[::-1, ::2], np.s_[:0], np.s_[3:4, 5]):
        t = nd.from_numpy(values[view]).astype(target, casting="unsafe")
        assert t.dtype == target
        a, b, where = t.numpy(), expected[view], mask[view]
        assert a.shape == b.shape
        # Which NaN it is, is not part of the value.
        assert np.array_equal(a[where], b[where], equal_nan=np.dtype(target).kind in "fc")
        assert (
            np.array_equal(np.signbit(a.real[where]), np.signbit(b.real[where]))
            or np.isnan(b.real).any()
        )


@pytest.mark.parametrize("name", ML_DTYPES)
@pytest.mark.parametrize("other", ["float16", "float32", "float64"])
def test_dty_3_astype_to_and_from_ml_dtypes(name, other):
    kind = ML_DTYPES[name]
    bits = np.arange(2 ** (8 * np.dtype(kind).itemsize), dtype=f"u{np.dtype(kind).itemsize}")
    t = nd.from_numpy(bits).view(name)
    with np.errstate(all="ignore"):
        expected = bits.view(kind).astype(other)
    assert np.array_equal(t.astype(other, "unsafe").numpy(), expected, equal_nan=True)
    fine = np.random.default_rng(4).standard_normal(5000).astype("float32")
    back = nd.from_numpy(fine).astype(name, "unsafe").view(bits.dtype)
    assert np.array_equal(back.numpy(), fine.astype(kind).view(bits.dtype))


def test_dty_3_what_numpy_leaves_undefined_saturates():
    values = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, -1.5, 255.9, 300.0])
    assert nd.tensor(values).astype("uint8", "unsafe").tolist() == [0, 255, 0, 255, 0, 0, 255, 255]
    assert nd.tensor(values).astype("int8", "unsafe").tolist() == [
        0,
        127,
        -128,
        127,
        -128,
        -1,
        127,
        127,
    ]


def test_dty_3_astype_asks_before_it_loses():
    t = nd.tensor([1.5, 2.5])
    with pytest.raises(TypeError, match="float64.*int32.*same_kind"):
        t.astype("int32")
    with pytest.raises(TypeError, match="safe"):
        t.astype("float32", casting="safe")
    assert t.astype("int32", casting="unsafe").tolist() == [1, 2]
    assert t.astype("complex64").tolist() == [1.5, 2.5]
    with pytest.raises(ValueError, match="sometimes"):
        t.astype("int32", casting="sometimes")


REFUSED = {
    "object": (np.array([object()]), "object|O", None),
    "object of floats": (np.array([1.0], object), "O", "float64"),
    "str": (np.array(["a"]), "text", "uint32"),
    "bytes": (np.array([b"ab"]), "byte strings", "uint8"),
    "datetime64": (np.array(["2020-01-01"], "M8[D]"), "M8", "int64"),
    "timedelta64": (np.array([5], "m8[s]"), "m8", "int64"),
    "void": (np.zeros(2, "V8"), "V8", "uint8"),
    "structured": (np.zeros(2, [("x", "f4"), ("y", "f4")]), "structured.*field", None),
    "longdouble": (np.zeros(2, "longdouble"), "long double", "float64"),
    "clongdouble": (np.zeros(2, "clongdouble"), "long double", "complex128"),
    "StringDType": (np.array(["a"], np.dtypes.StringDType()), "StringDType", None),
    "float8_e4m3": (np.zeros(2, ml_dtypes.float8_e4m3), "float8_e4m3", None),
    "int4": (np.zeros(2, ml_dtypes.int4), "int4", None),
}


@pytest.mark.parametrize(("array", "name", "hint"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize(
    "call", [nd.from_numpy, nd.asarray, nd.tensor, nd.constant, nd.plan, nd.convert_to_tensor]
)
def test_dty_4_what_cannot_be_carried_is_refused_by_name(array, name, hint, call):
    with pytest.raises(TypeError, match=name) as error:
        call(array)
    if hint:
        assert hint in str(error.value)
    if hint in ("uint8", "int64", "uint16", "uint32"):
        assert nd.from_numpy(array.view(hint)).data_ptr() == array.ctypes.data
    if hint in ("float64", "complex128"):
        assert nd.from_numpy(array.astype(hint)).dtype == hint


def test_dty_4_a_record_s_field_is_shared():
    records = np.zeros(4, [("a", "u1"), ("x", "f8"), ("v", "i2", (3,))])
    nd.from_numpy(records["x"]).fill_(2.5)
    nd.from_numpy(records["v"]).copy_([1, 2, 3])
    assert records["x"].tolist() == [2.5] * 4
    assert records["v"].tolist() == [[1, 2, 3]] * 4
    assert nd.from_numpy(records["x"]).strides == (15,)
    assert nd.from_numpy(records.view(np.recarray).x).tolist() == [2.5] * 4


MASKED = np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0])


class GivesMasked:
    def __array__(self, dtype=None, copy=None):
        return MASKED


@pytest.mark.parametrize(
    "source", [MASKED, np.ma.masked, np.ma.array([1, 2]), MASKED[1:], GivesMasked()]
)
def test_dty_4_a_masked_array_is_refused_for_its_mask(source):
    calls = [nd.asarray, nd.tensor, nd.constant, nd.convert_to_tensor, nd.plan]
    calls += [lambda m: nd.zeros(3).copy_(m), lambda m: nd.zeros(3).__setitem__(..., m)]
    if not isinstance(source, GivesMasked):
        calls.append(nd.from_numpy)
    for call in calls:
        with pytest.raises(TypeError, match="mask.*filled.*data"):
            call(source)
    assert nd.from_numpy(MASKED.filled(0)).tolist() == [1, 0, 3]
    assert nd.shares_memory(nd.from_numpy(MASKED.data), MASKED.data)


@pytest.mark.parametrize("name", ML_DTYPES)
def test_dty_5_crosses_to_numpy_through_ml_dtypes(name):
    t = nd.tensor([1.0, -2.0, 0.5], name)
    for a in (t.numpy(), np.asarray(t), np.array(t, copy=False)):
        assert (a.dtype, address(a), a.flags.writeable) == (ML_DTYPES[name], t.data_ptr(), True)
        assert a.tolist() == [1, -2, 0.5]
    with pytest.raises(BufferError, match=f"{name}.*view"):
        memoryview(t)
    a = np.array([[1.0, -2.0], [0.5, 4.0]], ML_DTYPES[name])[:, ::-1]
    back, copied = copied_bytes(lambda: nd.from_numpy(a))
    assert (back.data_ptr(), back.dtype, back.strides, copied) == (address(a), name, a.strides, 0)
    back[0, 0] = 3.0
    assert a.tolist() == [[3.0, 1.0], [4.0, 0.5]]
    assert same_bits(nd.tensor(a).numpy(), a)
    a.flags.writeable = False
    assert not nd.from_numpy(a).numpy().flags.writeable


@pytest.mark.parametrize("name", ML_DTYPES)
def test_dty_5_without_ml_dtypes_is_refused_with_the_hint(name):
    run_python(
        """
import sys
sys.modules["ml_dtypes"] = None
import ndbridge as nd
t = nd.tensor([1.0, -2.0, 0.5], sys.argv[1])
view = f"uint{8 * t.itemsize}"
try:
    t.numpy()
except TypeError as error:
    assert "pip install ml_dtypes" in str(error) and view in str(error), error
else:
    raise SystemExit("not refused")
assert t.view(view).numpy().size == 3
""",
        name,
    )


@pytest.mark.parametrize(
    "bad", ["int33", "O", "U3", ">f4", ">i8", object, str, "datetime64[s]", 5, np.dtype("V3")]
)
def test_dty_4_dtype_arguments_are_refused_by_name(bad):
    for call in (
        lambda: nd.zeros(3, bad), lambda: nd.tensor([1], dtype=bad),
        lambda: nd.zeros(3).astype(bad), lambda: nd.zeros(3).view(bad),
        lambda: nd.can_cast(bad, "int8"), lambda: nd.DType(bad),
    ):  # fmt: skip
        with pytest.raises(TypeError):
            call()


def test_dty_1_every_layout_survives_every_dtype(layout, dtype):
    a = zoo(dtype)[layout]
    assert same_bits(nd.tensor(a).numpy(), a)
    assert repr(nd.from_numpy(a).tolist()) == repr(a.tolist())
