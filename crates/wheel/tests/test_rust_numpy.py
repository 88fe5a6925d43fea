"""Borrows of rust-numpy, of ndbridge and of a second module with ndbridge in it exclude each other.

The second module is built from the folder rust_numpy_module. Who comes first decides who keeps the
books, so all tests here run once more for each order, in an interpreter of their own.
"""

import importlib.util
import os
import subprocess
import sys

import ndbridge as nd
import numpy as np
import pytest

from conftest import BUILT_ALREADY, run_python

#: Names who is to come first, for an interpreter that this one starts.
FIRST = "NDBRIDGE_TEST_FIRST"
ORDERS = {
    "ndbridge": lambda rn: nd.from_numpy(np.zeros(1)),
    "rust-numpy": lambda rn: rn.reading(np.zeros(1), bool),
    "rust-numpy, then the other ndbridge": lambda rn: rn.reading(np.zeros(1), rn.join),
    "the other ndbridge": lambda rn: rn.join(),
}


@pytest.fixture(scope="session")
def rn(extension):
    spec = importlib.util.spec_from_file_location("rust_numpy_module", extension)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if FIRST in os.environ:
        ORDERS[os.environ[FIRST]](module)
    return module


def nothing():
    return "called"


class Interface:
    """The memory of an array, by nothing but an address."""

    def __init__(self, array):
        self.array, self.__array_interface__ = array, array.__array_interface__


def twice(a):
    return np.lib.stride_tricks.as_strided(a, (a.size, 2), (8, 0), writeable=True)


ALIASES = {
    "itself": lambda a: a,
    "view": lambda a: a[2:6],
    "reversed": lambda a: a[::-1],
    "every third": lambda a: a[1::3],
    "rank 0": lambda a: a[3, ...],
    "memoryview": lambda a: np.asarray(memoryview(a)),
    "frombuffer": lambda a: np.frombuffer(memoryview(a).cast("B"), "f8"),
    "dlpack": np.from_dlpack,
    "interface": lambda a: np.asarray(Interface(a)),
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (3, 2), (16, 8)),
    "unaligned": lambda a: np.frombuffer(a.view("u1")[1:9], "f8"),
    "ndbridge": lambda a: nd.from_numpy(a).numpy(),
}


@pytest.fixture(params=ALIASES.values(), ids=ALIASES.keys())
def pair(request, rn):
    """An array and an alias of some of it."""
    array = np.arange(8.0)
    return array, request.param(array)


READS = {
    "clone": lambda t: t.clone(),
    "tolist": lambda t: t.tolist(),
    "astype": lambda t: t.astype("float32"),
}
WRITES = {"fill_": lambda t: t.fill_(1), "copy_": lambda t: t.copy_(7.0)}


def refused(action, tensor):
    with pytest.raises(BufferError) as raised:
        action(tensor)
    return str(raised.value)


def test_mut_1_ndbridge_waits_for_a_writer_of_rust_numpy(rn, pair):
    array, alias = pair
    for written, other in [(array, alias), (alias, array)]:
        tensor = nd.from_numpy(other)

        def check():
            for action in [*READS.values(), *WRITES.values()]:
                text = refused(action, tensor)
                assert "borrowed for writing by rust-numpy's PyReadwriteArray, wanted" in text
            return "checked"

        assert rn.writing(written, check) == "checked"
        for action in [*READS.values(), *WRITES.values()]:
            action(tensor)


def test_mut_1_ndbridge_reads_beside_a_reader_of_rust_numpy(rn, pair):
    array, alias = pair
    tensor = nd.from_numpy(alias)

    def check():
        for action in READS.values():
            action(tensor)
        for action in WRITES.values():
            text = refused(action, tensor)
            assert "borrowed for reading by rust-numpy's PyReadonlyArray, wanted" in text
        return "checked"

    assert rn.reading(array, check) == "checked"
    tensor.fill_(1)


class File:
    """A binary file that calls back when it is written."""

    def __init__(self, call):
        self.call, self.size = call, 0

    def write(self, data):
        self.size += len(data)
        if self.size > 128:  # past the header: the elements are borrowed
            self.call()


def taken(rn, array):
    """What rust-numpy may borrow now."""
    kinds = {"reading": rn.reading, "writing": rn.writing}
    found = set()
    for name, borrow in kinds.items():
        try:
            assert borrow(array, nothing) == "called"
            found.add(name)
        except TypeError as error:
            assert "borrowed" in str(error)
    return found


def test_mut_1_rust_numpy_waits_for_a_reader_of_ndbridge(rn, pair):
    array, alias = pair
    seen = []
    nd.save(File(lambda: seen.append(taken(rn, alias))), nd.from_numpy(array))
    assert seen and all(found == {"reading"} for found in seen)
    assert taken(rn, array) == {"reading", "writing"}


@pytest.mark.parametrize("kind", ["tensor_reading", "tensor_writing"])
def test_mut_1_both_wait_for_the_other_module(rn, pair, kind):
    array, alias = pair
    tensor = nd.from_numpy(alias)

    def check():
        assert taken(rn, alias) == ({"reading"} if kind == "tensor_reading" else set())
        assert " by Rust code (lib.rs, line " in refused(WRITES["fill_"], tensor)
        # The place in the sources of who has it, and not where the extension was built.
        shown = repr(tensor)
        assert "/" not in shown and (kind == "tensor_reading" or "by Rust code (lib.rs" in shown)
        return "checked"

    assert getattr(rn, kind)(array, check) == "checked"
    tensor.fill_(1)


def test_mut_1_the_other_module_waits_for_both(rn, pair):
    array, alias = pair
    tried = []

    def other():
        with pytest.raises(BufferError) as raised:
            rn.tensor_writing(array, nothing)
        tried.append(str(raised.value))

    nd.save(File(other), nd.from_numpy(array))
    rn.reading(alias, other)
    assert any("borrowed for reading by Rust code (" in text for text in tried)
    assert any("rust-numpy's PyReadonlyArray" in text for text in tried)
    assert rn.tensor_writing(array, nothing) == "called"


def test_mut_1_rust_numpy_sees_its_own_aliases(rn, pair):
    array, alias = pair
    assert rn.writing(array, lambda: taken(rn, alias)) == set()
    assert rn.reading(array, lambda: taken(rn, alias)) == {"reading"}
    assert taken(rn, array) == {"reading", "writing"}


def test_mut_1_disjoint_slices_go_together(rn):
    array = np.zeros((6, 6))
    both = {"reading", "writing"}
    for one, other in [
        (array[:, ::2], array[:, 1::2]),
        (array[:3], array[3:]),
        (array[:, ::3], array[:, 1::3]),
        (array[::2, ::2], array[1::2]),
        (array[2, 2, ...], array[2, 3, ...]),
    ]:
        tensor = nd.from_numpy(other)
        assert rn.writing(one, lambda: taken(rn, other)) == both
        rn.writing(one, lambda: tensor.fill_(1))
        assert rn.tensor_writing(other, lambda: taken(rn, one)) == both
    assert rn.writing(array[:, ::2], lambda: taken(rn, array[:, 1:3])) == set()


def test_mut_1_one_array_borrowed_several_times(rn):
    array = np.zeros(4)
    tensor = nd.from_numpy(array)

    def inner():
        refused(WRITES["fill_"], tensor)
        return rn.reading(array, lambda: refused(WRITES["fill_"], tensor))

    assert rn.reading(array, inner)
    assert "for reading" in rn.reading(array, lambda: rn.reading(array, nothing) and inner())
    tensor.fill_(1)
    assert rn.writing(array, lambda: taken(rn, array)) == set()
    tensor.fill_(1)


def test_mut_1_arrays_without_and_with_one_element(rn):
    empty, scalar = np.zeros((0, 3)), np.array(1.0)
    assert rn.writing(empty, lambda: taken(rn, empty)) == {"reading", "writing"}
    assert rn.writing(scalar, lambda: taken(rn, scalar)) == set()
    assert rn.reading(scalar, lambda: taken(rn, scalar)) == {"reading"}
    assert taken(rn, np.zeros((4, 0))[1:, ::-1]) == {"reading", "writing"}


def test_mut_3_rust_numpy_does_not_write_a_layout_that_reaches_a_byte_twice(rn):
    array = np.arange(3.0)
    assert taken(rn, twice(array)) == {"reading"}
    assert taken(rn, array) == {"reading", "writing"}


def test_mut_2_rust_numpy_does_not_write_read_only_arrays(rn):
    array = np.zeros(3)
    array.flags.writeable = False
    with pytest.raises(TypeError, match="not writeable"):
        rn.writing(array, nothing)
    assert rn.reading(array, nothing) == "called"


def test_mut_1_a_resize_meanwhile(rn):
    for borrow in [rn.reading, rn.writing]:
        array = np.zeros(1000)
        borrow(array, lambda: array.resize(100_000, refcheck=False))
        assert array.size == 100_000
        assert taken(rn, array) == {"reading", "writing"}


def test_mut_1_an_exception_releases(rn):
    array = np.zeros(3)
    for borrow in [rn.reading, rn.writing, rn.tensor_reading, rn.tensor_writing]:
        with pytest.raises(ZeroDivisionError):
            borrow(array, lambda: 1 / 0)
        assert taken(rn, array) == {"reading", "writing"}


once = pytest.mark.skipif(FIRST in os.environ, reason="starts interpreters of its own")


@once
@pytest.mark.parametrize("order", ORDERS)
def test_mut_1_whoever_comes_first(extension, order):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    environment = {**os.environ, FIRST: order, BUILT_ALREADY: str(extension)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


BEGIN = """
import importlib.util, sys
import ndbridge as nd, numpy as np

spec = importlib.util.spec_from_file_location("rust_numpy_module", sys.argv[1])
rn = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rn)

def error_of(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""


def run(extension, code):
    run_python(BEGIN + code, extension)


@once
def test_mut_1_borrows_from_before_the_join(extension):
    run(extension, """
a, b = np.zeros(8), np.zeros(8)
def late():
    t = nd.from_numpy(a[:4])                    # joins while rust-numpy writes b
    assert "borrowed" in error_of(rn.reading, b[2:], bool)
    assert "borrowed" in error_of(rn.writing, b, bool)
    assert rn.writing(a, lambda: "PyReadwriteArray" in error_of(t.clone))
    t.fill_(1)
rn.writing(b, late)
assert rn.writing(b, lambda: "borrowed" in error_of(rn.reading, b, bool))
def late_reader():
    assert rn.reading(b, lambda: "borrowed" in error_of(rn.writing, b, bool))
    assert "borrowed" in error_of(rn.writing, b, bool)
rn.reading(b, late_reader)
rn.writing(b, bool)
""")  # fmt: skip


@once
def test_mut_1_a_join_waits_for_borrows(extension):
    run(extension, """
nd.from_numpy(np.zeros(1))
def early():
    text = error_of(rn.join)
    assert text.startswith("BufferError: cannot join the ledger of this process: still borrowed"), text
    assert "drop that guard first" in error_of(rn.tensor_reading, np.zeros(1), bool)
rn.borrowing_before_the_join(early)
rn.join()
a = np.zeros(1)
t = nd.from_numpy(a)
rn.tensor_writing(a, lambda: error_of(t.clone))
""")  # fmt: skip


@once
@pytest.mark.parametrize("first", ["nd.from_numpy(a)", "memoryview(nd.zeros(1))", "rn.join()"])
def test_mut_1_tables_of_other_versions_are_refused(extension, first):
    code = """
import ctypes
new = ctypes.pythonapi.PyCapsule_New
new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
table = (ctypes.c_uint32 * 8)(%d, 32)
name = b"ndbridge.ledger.v2"
setattr(sys, name.decode(), new(ctypes.addressof(table), name, None))
a = np.zeros(1)
text = error_of(lambda: %s)
assert text.startswith("ImportError: the ledger of this process has version %d, expected 2"), text
"""
    for version in [0, 1, 3]:
        run(extension, code % (version, first, version))


@once
def test_mut_1_a_table_of_rust_numpy_that_is_too_old(extension):
    run(extension, """
import ctypes, numpy._core.multiarray as place
new = ctypes.pythonapi.PyCapsule_New
new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
table = (ctypes.c_uint64 * 6)(0)
name = b"_RUST_NUMPY_BORROW_CHECKING_API"
setattr(place, name.decode(), new(ctypes.addressof(table), name, None))
text = error_of(nd.from_numpy, np.zeros(1))
assert text == "ImportError: rust-numpy's borrow table has version 0, expected 1 or later", text
""")  # fmt: skip
