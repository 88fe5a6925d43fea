"""Several interpreters in one process, one that ends, and one without a GIL.

Each test runs in an interpreter of its own: a subinterpreter leaves traces in its process for good.
"""

import os
import shutil
import subprocess
import sys
import sysconfig

import ndbridge as nd
import numpy as np
import pytest

from conftest import run_python

#: Makes, uses and ends subinterpreters, by kind.
SUBINTERPRETERS = """
import sys
try:
    import _interpreters as interpreters  # from 3.13 on
    KINDS = {
        "legacy": lambda: interpreters.new_config("legacy"),
        "isolated": lambda: interpreters.new_config("isolated"),
        "own GIL, unchecked": lambda: interpreters.new_config(
            "empty", use_main_obmalloc=True, gil="own", allow_threads=True),
    }
    def create(kind):
        return interpreters.create(KINDS[kind]())
    def run(subinterpreter, code):
        assert interpreters.run_string(subinterpreter, code) is None
except ImportError:
    import _xxsubinterpreters as interpreters
    def create(kind):
        return interpreters.create(isolated=kind == "isolated")
    run = interpreters.run_string
destroy = interpreters.destroy
"""
#: Those whose interpreter loads modules that say nothing of subinterpreters.
UNCHECKED = ["legacy"] + ["own GIL, unchecked"] * (sys.version_info >= (3, 13))
KINDS = [*UNCHECKED, "isolated"]
LOAD = """
import importlib.util
spec = importlib.util.spec_from_file_location("rust_numpy_module", {path!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
"""
LEDGER = "ndbridge.ledger.v2"


@pytest.mark.parametrize("first", ["", "import ndbridge as nd; nd.zeros(3).numpy()"])
@pytest.mark.parametrize("kind", KINDS)
def test_int_2_a_second_interpreter_cannot_import_the_package(kind, first):
    said = run_python(
        f"""{SUBINTERPRETERS}
{first}
subinterpreter = create({kind!r})
for _ in range(2):
    run(subinterpreter, '''
import sys
try: import ndbridge
except ImportError as error: print(error)
assert {LEDGER!r} not in sys.__dict__
''')
destroy(subinterpreter)
import ndbridge as nd, numpy as np
a = np.arange(3.0)
nd.from_numpy(a).fill_(2.0)
assert a.tolist() == [2.0] * 3
"""
    )
    lines = said.splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    if kind in UNCHECKED or sys.version_info < (3, 12):
        assert lines[0].startswith("ndbridge works in the main interpreter of a process only")
    else:
        assert "does not support loading in subinterpreters" in lines[0]


@pytest.mark.parametrize("first", ["", "import numpy; module.count(numpy.zeros(3)); module.keep(numpy.zeros(3))"])
@pytest.mark.parametrize("kind", UNCHECKED)
def test_int_2_no_arrays_and_no_ledger_in_a_second_interpreter(extension, kind, first):
    load = LOAD.format(path=str(extension))
    run_python(
        f"""{SUBINTERPRETERS}
{load}
{first}
subinterpreter = create({kind!r})
run(subinterpreter, '''{load}
import sys
assert "a guard" not in str(module.guard_of_kept())
argument = memoryview(bytearray(8)).cast("d")
for call in (module.join, module.fresh, lambda: module.count(argument)):
    try: call()
    except ImportError as error:
        assert "works in the main interpreter of a process only" in str(error), error
    else: raise AssertionError("not refused")
assert {LEDGER!r} not in sys.__dict__
''')
destroy(subinterpreter)
import numpy
assert module.count(numpy.zeros(3)) == 3
module.keep(numpy.zeros(3))
assert module.guard_of_kept() == "a guard of 3 elements"
"""
    )


@pytest.mark.parametrize("kind", KINDS)
def test_mut_4_the_gate_is_right_before_during_and_after_a_subinterpreter(extension, kind):
    run_python(
        f"""{SUBINTERPRETERS}
{LOAD.format(path=str(extension))}
import threading
import numpy, ndbridge
a = numpy.arange(3.0)
t = ndbridge.from_numpy(a)
def check():
    for look in (lambda: 0, numpy.sort, threading.get_ident):  # other threads may hold the GIL
        refusal = module.guard_while_detached(a)
        assert "this thread is not attached to Python" in refusal, refusal
    t.fill_(2.0)
    assert t.tolist() == [2.0] * 3 and module.count(a) == 3
    assert module.tensor_writing(a, lambda: "attached") == "attached"
def everywhere():
    check()
    errors = []
    def work():
        try: check()
        except BaseException as error: errors.append(error)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors, errors
everywhere()
subinterpreter = create({kind!r})
everywhere()
run(subinterpreter, "import sys")
everywhere()
destroy(subinterpreter)
everywhere()
"""
    )


def test_own_2_a_deleter_without_the_gil_after_a_subinterpreter():
    # What the deleter drops waits for the GIL, which another thread holds meanwhile.
    run_python(
        f"""{SUBINTERPRETERS}
import ctypes, gc, threading, weakref
import numpy, ndbridge
destroy(create("legacy"))
api = ctypes.pythonapi
api.PyCapsule_GetPointer.restype = ctypes.c_void_p
api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
class Watched(numpy.ndarray): pass
USED, alive, busy = b"used_dltensor", [], True
def work():
    while busy: [object() for _ in range(100)]
thread = threading.Thread(target=work)
thread.start()
for _ in range(300):
    a = numpy.zeros(4).view(Watched)
    alive.append(weakref.ref(a))
    capsule = ndbridge.from_numpy(a).__dlpack__()
    managed = api.PyCapsule_GetPointer(capsule, b"dltensor")
    api.PyCapsule_SetName(capsule, USED)
    # DLManagedTensor: the deleter follows the tensor (48 B) and the context.
    deleter = ctypes.c_void_p.from_address(managed + 56).value
    del a
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(deleter)(managed)  # lets go of the GIL
busy = False
thread.join()
ndbridge.from_numpy(numpy.zeros(1))
gc.collect()
assert not any(a() is not None for a in alive)
"""
    )


WITHOUT_A_GIL = {
    "switched off": "sys._is_gil_enabled = lambda: False",
    "free-threaded, switched on for now": (
        "sys._is_gil_enabled = lambda: True; sys.version += ' free-threading build'"
    ),
}


@pytest.mark.parametrize("fake", WITHOUT_A_GIL.values(), ids=WITHOUT_A_GIL)
def test_int_2_without_a_gil_no_memory_is_lent(fake, extension, tmp_path):
    run_python(
        f"""
import sys
{fake}
{LOAD.format(path=str(extension))}
import ndbridge as nd, numpy as np
a, t = np.arange(3.0), nd.full((2, 3), 1.5)
np.save(sys.argv[1] + "/a.npy", a)
refused = dict(
    come=lambda: nd.from_numpy(a), copied=lambda: nd.tensor(a), listed=lambda: nd.tensor([1.0]),
    written=lambda: t.copy_(a), argument=lambda: module.count(a), guard=lambda: module.join(),
    go=t.numpy, buffer=lambda: memoryview(t), dlpack=t.__dlpack__,
    interface=lambda: t.__array_interface__, numpy=lambda: np.asarray(t),
    mapped=lambda: nd.load(sys.argv[1] + "/a.npy", mmap="r"),
)
for name, call in refused.items():
    for _ in range(2):
        try: call()
        except RuntimeError as error: assert "lends no memory on a Python without a GIL" in str(error)
        else: raise AssertionError(name)
assert {LEDGER!r} not in sys.__dict__
# What stays inside.
t.fill_(2.5)
t[0, 0] = 4.0
nd.save(sys.argv[1] + "/t.npy", t)
nd.savez(sys.argv[1] + "/t.npz", t=t)
again = nd.load(sys.argv[1] + "/t.npy")
assert again == t == nd.load_npz(sys.argv[1] + "/t.npz")["t"] == t.clone()
assert again.tolist() == [[4.0, 2.5, 2.5], [2.5] * 3] and t[0, 0].item() == 4.0
assert nd.zeros(3).astype("float32").tolist() == [0] * 3 and "2.5" in repr(t.T)
nd.zeros((2, 3)).copy_(t)
""",
        tmp_path,
    )


EMBED = """
#include <Python.h>
int main(int argc, char **argv) {
    for (int life = 1; life < argc; life++) {
        Py_Initialize();
        if (PyRun_SimpleString(argv[life]) != 0 || Py_FinalizeEx() != 0) return life;
    }
    return 0;
}
"""


def test_int_2_an_interpreter_that_is_started_again_is_refused(tmp_path):
    variable = sysconfig.get_config_var
    header = os.path.join(sysconfig.get_path("include"), "Python.h")
    if not (shutil.which("cc") and os.path.exists(header) and variable("Py_ENABLE_SHARED")):
        pytest.skip("needs a C compiler and a shared libpython with its headers")
    source, program = tmp_path / "embed.c", tmp_path / "embed"
    source.write_text(EMBED)
    folder = variable("LIBDIR")
    flags = [f"-I{os.path.dirname(header)}", f"-L{folder}", f"-lpython{variable('LDVERSION')}"]
    command = ["cc", source, "-o", program, *flags, f"-Wl,-rpath,{folder}"]
    subprocess.run(command, check=True)
    path = f"import sys; sys.path[:] = {sys.path!r}\n"
    use = path + (
        "import ndbridge as nd\n"
        "t = nd.zeros(3)\n"
        "memoryview(t)[0] = 5.0\n"
        "assert t.tolist() == [5.0, 0.0, 0.0]"
    )
    refused = path + (
        "try: import ndbridge\n"
        "except ImportError as error: assert 'interpreter of this process that has ended' in str(error)\n"
        "else: raise AssertionError('not refused')"
    )
    home = {**os.environ, "PYTHONHOME": sys.base_prefix}
    lives = [program, path, use, refused, refused]
    done = subprocess.run(lives, env=home, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
