"""What functions return is freed once, when the last that shares it is gone."""

import gc
import itertools
import threading
import weakref

import ndbridge as nd
import ndbridge_example as example
import numpy as np
import pytest
from conftest import collect, run_python
from ndbridge_example import testing

LIKE = ["numpy", "jax", "tensorflow", "ndbridge", "memoryview"]
WRITABLE = ["numpy", "torch", "ndbridge", "memoryview"]


def need(*libraries):
    for library in libraries:
        if library in ("torch", "jax", "tensorflow"):
            pytest.importorskip(library)


def freed(function):
    """How many counted arrays are freed by `function`."""
    before = testing.dropped()
    function()
    collect()
    return testing.dropped() - before


@pytest.fixture(params=LIKE)
def like(request):
    need(request.param)
    return request.param


def test_own_1_memory_lives_as_long_as_the_array(like):
    if like in ("jax", "tensorflow"):
        planes = example.to_planes(np.full((4, 4, 3), 255, "uint8"), like)
        view = planes[1:]
        del planes
        collect()
        assert np.asarray(view).sum() == 32
        return
    holder = [testing.counted(64, like)]
    assert freed(lambda: np.asarray(holder[0]).sum()) == 0
    assert bytes(np.asarray(holder[0])) == b"\7" * 64
    assert freed(holder.clear) == 1


def test_own_2_every_order_of_letting_go():
    for order in itertools.permutations(range(4)):
        array = testing.counted(64, "numpy")
        handles = [array, array[3:], memoryview(array), nd.from_numpy(array[::2])]
        del array
        before = testing.dropped()
        for at in order[:-1]:
            handles[at] = None
            assert testing.dropped() == before, order
        handles.clear()
        assert testing.dropped() == before + 1, order


def test_own_2_on_another_thread():
    holder = [testing.counted(64, "numpy")]

    def let_go():
        thread = threading.Thread(target=holder.clear)
        thread.start()
        thread.join()

    assert freed(let_go) == 1


def test_own_2_in_a_cycle():
    class Node:
        pass

    def make():
        node = Node()
        node.me, node.array = node, testing.counted(64, "numpy")

    assert freed(make) == 1


def test_own_2_what_cannot_be_returned_is_freed():
    need("torch")

    def fail():
        with pytest.raises(BufferError, match="read-only"):
            testing.counted(64, "torch")

    assert freed(fail) == 1
    with pytest.raises(ValueError, match="got cupy"):
        testing.counted(64, "cupy")


@pytest.mark.parametrize("first", WRITABLE)
def test_own_1_the_lender_goes_first(first):
    need(first)
    array = np.arange(6.0)
    witness = weakref.ref(array)
    keeper = testing.Keeper(array)
    lent = keeper.lend(first)
    del array, keeper
    gc.collect()
    assert witness() is not None
    assert np.asarray(lent).tolist() == [0, 1, 2, 3, 4, 5]
    del lent
    if first in ("torch", "ndbridge"):
        testing.dropped()  # what other libraries free waits for the next call into the module
    gc.collect()
    assert witness() is None


@pytest.mark.parametrize(("first", "then"), list(itertools.product(WRITABLE, WRITABLE)))
def test_shr_4_a_write_is_seen_in_every_library(first, then):
    need(first, then)
    array = np.zeros(4)
    keeper = testing.Keeper(array)
    a, b = np.asarray(keeper.lend(first)), np.asarray(keeper.lend(then))
    a[0], b[1] = 1.0, 2.0
    keeper_again = testing.Keeper(a)
    keeper_again.fill(5.0)
    assert a.tolist() == b.tolist() == array.tolist() == [5.0] * 4


def test_mut_2_read_only_memory_goes_out_read_only():
    array = testing.counted(64, "numpy")
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True
    assert memoryview(array).readonly
    assert testing.counted(64, "memoryview").readonly
    assert testing.counted(64, "ndbridge").readonly


END = """
import atexit, os, sys
os.environ["NDBRIDGE_EXAMPLE_TELLS"] = "1"
import numpy as np
{imports}
from ndbridge_example import testing
keep = testing.counted(64, "numpy")
kept = [testing.Keeper(keep), memoryview(keep), {more}]
array = np.arange(6.0)
builtins = sys.modules["builtins"]
builtins.kept, builtins.keeper = kept, testing.Keeper(array)   # outlive the module's globals
lent = builtins.keeper.lend("numpy")
atexit.register(lambda: print("at exit", lent.sum(), testing.dropped()))
"""


@pytest.mark.parametrize("more", ["numpy", "torch", "ndbridge", "jax", "tensorflow"])
def test_own_2_after_the_interpreter_has_ended(more):
    need(more)
    imports = "" if more in ("numpy", "ndbridge") else f"import {more}"
    lend = {
        "numpy": "keep[1:]",
        "ndbridge": "testing.counted(64, 'ndbridge')",
        "torch": "testing.Keeper(np.arange(6.0)).lend('torch')",
        "jax": "__import__('ndbridge_example').to_planes(np.zeros((4, 4, 3), 'uint8'), 'jax')",
        "tensorflow": "__import__('ndbridge_example').to_planes(np.zeros((4, 4, 3), 'uint8'), 'tensorflow')",
    }[more]
    output, errors = run_python(END.format(imports=imports, more=lend))
    assert output == "at exit 15.0 0\n"
    # Freed at the end, or left to the system; never twice.
    assert errors.count("dropped") <= (2 if more == "ndbridge" else 1)
    assert "Fatal" not in errors
    assert "panicked" not in errors


DAEMON = """
import threading
import numpy as np
from ndbridge_example import testing
started = threading.Event()
def forever():
    started.set()
    threading.Event().wait()
threading.Thread(target=lambda: testing.sum_detached_while(np.arange(6.0), forever), daemon=True).start()
started.wait()
print("end")
"""


def test_own_2_the_interpreter_ends_while_a_thread_computes():
    assert run_python(DAEMON)[0] == "end\n"
