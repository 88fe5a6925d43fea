"""Traps between the array libraries: first that they are there, then that ndbridge avoids them.

The first half of a test speaks of the other libraries alone. Where a newer version of one has
closed the trap it warns with a `TrapClosed`, and the half that concerns ndbridge goes on.
"""

import subprocess
import sys
import warnings
import weakref

import ndbridge as nd
import numpy as np
import pytest

import capsules
from conftest import Watched, copied_bytes, is_collected, run_python
from frameworks import (
    aligned_array, jax, jnp, pointer, tf, tf_pointer, to_numpy, torch,
)  # fmt: skip

PRELUDE = """
import os
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
import numpy as np
"""


def ends(code, timeout=120):
    """How a Python program ends: its exit code, negative for a signal, and what it wrote."""
    command = [sys.executable, "-c", PRELUDE + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout + done.stderr


class TrapClosed(UserWarning):
    """The other libraries do what they should."""


def trap(what, is_there):
    if not is_there:
        warnings.warn(f"no more: {what}", TrapClosed, stacklevel=2)


def refuses(call, *arguments):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(*arguments)
    except Exception:
        return True
    return False


def numbers(count=16, dtype="float32"):
    """0, 1, 2, .. in memory that begins at a multiple of 64: JAX and TensorFlow share it."""
    array = aligned_array((count,), dtype)
    array[...] = np.arange(count)
    return array


def read_only(array):
    array.flags.writeable = False
    return array


# ---- memory that is not where it should be -------------------------------------------------------

UNALIGNED_SUM = """
import tensorflow as tf
memory = np.zeros(4096, "u1")
start = -memory.ctypes.data % 64 + {offset}
a = memory[start : start + 400].view("f4")
t = tf.experimental.dlpack.from_dlpack(a.__dlpack__())
print(t.shape, flush=True)
print(float(tf.reduce_sum(t + 1)))
"""


def test_shr_1_tensorflow_gets_aligned_memory_only():
    code, output = ends(UNALIGNED_SUM.format(offset=4))
    trap("TensorFlow takes unaligned memory and aborts later", "(100,)" in output and code < 0)
    for offset in (4, 8, 16, 32):
        a = aligned_array((100,), "float32", offset)
        t = nd.from_numpy(a)
        with pytest.raises(BufferError, match="64.*clone"):
            t.tensorflow()
        assert float(tf.reduce_sum(t.clone().tensorflow() + 1)) == 100
    a = aligned_array((100,), "float32", 0)
    assert tf_pointer(nd.from_numpy(a).tensorflow()) == pointer(a)


HANDLES = {
    "string": "tf.constant(['a', 'b'])",
    "resource": "tf.Variable([1.0]).handle",
    "variant": "tf.data.experimental.to_variant(tf.data.Dataset.range(3))",
}


@pytest.mark.parametrize("handle", HANDLES.values(), ids=HANDLES)
def test_dty_4_tensors_without_elements_are_refused_not_fatal(handle):
    code, output = ends(f"import tensorflow as tf\nnp.from_dlpack({handle})")
    trap(f"TensorFlow aborts when asked for the memory of {handle}", code < 0)
    script = """
import tensorflow as tf
import ndbridge as nd
x = {handle}
a_copy = nd.zeros(1)
calls = dict(
    from_dlpack=nd.from_dlpack, asarray=nd.asarray, share=lambda x: nd.asarray(x, copy=False),
    copy=lambda x: nd.asarray(x, copy=True), tensor=nd.tensor, constant=nd.constant,
    plan=nd.plan, copy_=a_copy.copy_, shares_memory=lambda x: nd.shares_memory(x, a_copy),
)
for name, call in calls.items():
    try:
        call(x)
    except (TypeError, BufferError, ValueError) as error:
        assert x.dtype.name in str(error), (name, str(error))
    else:
        raise SystemExit(name + " took it")
"""
    code, output = ends(script.format(handle=handle))
    assert code == 0, output


def test_own_5_a_torch_storage_cannot_be_freed_under_a_tensor():
    t = torch.arange(1000.0)
    alias = np.from_dlpack(t)
    t.untyped_storage().resize_(0)
    trap("the array dangles", t.untyped_storage().nbytes() == 0 and alias.nbytes == 4000)

    for take in (nd.from_dlpack, nd.asarray, lambda x: nd.asarray(x, copy=False)):
        for shrink in (lambda t: t.untyped_storage().resize_(0), lambda t: t.resize_(100_000)):
            t = torch.arange(1000.0)
            tensor = take(t)
            with pytest.raises(RuntimeError, match="not resizable"):
                shrink(t)
            assert tensor[999].item() == 999


def test_own_5_a_numpy_array_cannot_be_freed_under_a_tensor():
    a = np.arange(1000.0)
    t = torch.from_numpy(a)
    resized = not refuses(lambda: a.resize(1_000_000, refcheck=False))
    trap("the array is resized under the tensor", resized and t.nbytes == 8000)

    for take in (nd.from_numpy, nd.from_dlpack, nd.asarray, nd.from_buffer):
        a = np.arange(1000.0)
        tensor = take(a)
        for exported in (tensor, tensor.torch(), np.from_dlpack(tensor)):
            with pytest.raises(ValueError, match="cannot resize"):
                a.resize(1_000_000, refcheck=False)
            assert float(exported[999]) == 999
        handed_on = tensor.torch()
        del tensor, exported
        with pytest.raises(ValueError, match="cannot resize"):
            a.resize(1_000_000, refcheck=False)
        assert float(handed_on[999]) == 999


def zero_tensor():
    return torch._efficientzerotensor((3,))


def masked_tensor():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.masked.masked_tensor(torch.ones(3), torch.tensor([True, False, True]))


@pytest.mark.parametrize("make", [zero_tensor, masked_tensor])
def test_shr_1_a_torch_tensor_without_memory_is_refused(make):
    x = make()
    capsule = x.__dlpack__(max_version=(1, 0))
    header = capsules.header_of(capsules.managed_of(capsule).dl_tensor)
    trap("torch exports a null pointer", not header["data"] and header["shape"] == (3,))
    for take in (
        nd.from_dlpack,
        nd.asarray,
        nd.tensor,
        nd.constant,
        lambda x: nd.asarray(x, copy=False),
        nd.zeros(3).copy_,
        nd.plan,
    ):
        with pytest.raises((TypeError, BufferError, ValueError)):
            take(x)


def test_shr_1_a_fake_tensor_is_refused():
    # In a process without TensorFlow, whose LLVM and Triton's do not get on.
    script = """
import warnings; warnings.simplefilter("ignore")
import torch, ndbridge as nd
from torch._subclasses.fake_tensor import FakeTensorMode
with FakeTensorMode():
    x = torch.ones(3)
for take in (nd.from_dlpack, nd.asarray, nd.tensor, lambda x: nd.asarray(x, copy=False)):
    try:
        take(x)
    except (TypeError, BufferError, ValueError):
        continue
    raise SystemExit("took it")
meta = torch.ones(3, device="meta")
for take in (nd.from_dlpack, nd.asarray, nd.tensor):
    try:
        take(meta)
    except (TypeError, BufferError, ValueError):
        continue
    raise SystemExit("took a meta tensor")
"""
    code, output = ends(script)
    assert code == 0, output


# ---- sharing by luck, and copy flags that lie ----------------------------------------------------


def test_shr_1_jax_shares_or_refuses_whatever_malloc_gave():
    lucky, unlucky = numbers(), aligned_array((16,), "float32", 16)
    shared = [jnp.from_dlpack(a).unsafe_buffer_pointer() == pointer(a) for a in (lucky, unlucky)]
    trap("jnp.from_dlpack shares if the pointer happens to be aligned", shared == [True, False])

    assert nd.from_numpy(lucky).jax().unsafe_buffer_pointer() == pointer(lucky)
    with pytest.raises(BufferError, match="64"):
        nd.from_numpy(unlucky).jax()
    # Memory of ndbridge is fit for all, every time.
    kept = []
    for count in [1, 3, 4, 100, 1000, 10_000] * 20:
        t = nd.tensor(np.arange(count, dtype="float32"))
        there = [t.jax(), t.tensorflow(), t.torch(), t.numpy()]
        assert {pointer(x) for x in there} == {t.data_ptr()}
        kept.append(there)


def test_shr_2_a_constant_is_not_changed_by_writes_to_its_source():
    for _ in range(2):
        # The first operation of a process may copy.
        a = numbers()
        squeezed = tf.squeeze(a)
    a[0] = 99
    trap("TensorFlow's operations alias their NumPy arguments", float(squeezed[0]) == 99)

    a = numbers()
    there = nd.constant(a).tensorflow()
    squeezed = tf.squeeze(there)
    a[0] = 99
    assert float(there[0]) == float(squeezed[0]) == 0


def test_shr_3_copy_flags_mean_what_they_say():
    a = numbers()
    trap("jnp.from_dlpack(copy=True) shares", pointer(jnp.from_dlpack(a, copy=True)) == pointer(a))
    trap("jnp.asarray(copy=False) copies", pointer(jnp.asarray(a, copy=False)) != pointer(a))
    put = jax.device_put(a, may_alias=False)
    trap("device_put(may_alias=False) aliases", pointer(put) == pointer(a))
    scalar = np.array(1.0, "float32")
    copy = torch.asarray(scalar, copy=False)
    trap("torch.asarray(copy=False) copies a scalar", pointer(copy) != pointer(scalar))

    sources = {
        "numpy": numbers(),
        "torch": torch.arange(16.0),
        "jax": jnp.arange(16, dtype="float32"),
        "tensorflow": tf.range(16, dtype="float32"),
        "0-d": np.array(1.0, "float32"),
        "0-d torch": torch.tensor(1.0),
        "0-d jax": jnp.float32(1),
        "ndbridge": nd.ones(16),
    }
    for name, x in sources.items():
        where = x.data_ptr() if isinstance(x, nd.Tensor) else pointer(x)
        for call in (nd.asarray, nd.from_dlpack):
            for copy, shares in ((True, False), (False, True), (None, True)):
                t, copied = copied_bytes(lambda: call(x, copy=copy))
                assert (t.data_ptr() == where) == shares, (name, call, copy)
                assert copied == (0 if shares else t.nbytes), (name, call, copy)
                assert t.receipt.shared == shares, (name, call, copy)


def test_shr_5_jax_does_not_narrow_unasked():
    a = np.array([2**40, 2**31] * 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trap("JAX makes 0 of 2**40", np.asarray(jnp.asarray(a))[0] == 0)
        narrowed = jnp.from_dlpack(numbers(8, "float64"), copy=False)
        trap("copy=False narrows to float32 by a copy", narrowed.dtype == "float32")

    t = nd.tensor(a)
    with pytest.raises((TypeError, BufferError), match="x64"):
        t.jax()
    with jax.enable_x64(True):
        shared = t.jax()
        assert (shared.dtype, pointer(shared)) == ("int64", t.data_ptr())
        assert np.asarray(shared)[0] == 2**40
    with pytest.raises((TypeError, BufferError), match="x64"):
        t.jax()
    for dtype in ("uint64", "float64", "complex128"):
        with pytest.raises((TypeError, BufferError), match="x64"):
            nd.ones(8, dtype).jax()
    assert t.astype("int32", casting="unsafe").jax().dtype == "int32"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_jax_array_is_waited_for(dtype):
    # JAX returns before it has computed: who looks too early sees whatever was there.
    @jax.jit
    def work(x):
        for _ in range(20):
            x = jnp.tanh(x @ x) + 1
        return x.astype(dtype)

    x = jnp.ones((512, 512))
    takings = [nd.from_dlpack, nd.asarray, nd.tensor, lambda y: nd.asarray(y, copy=False)]
    wanted = np.asarray(work(x)).tobytes()
    for take in takings:
        assert take(work(x)).numpy().tobytes() == wanted
    target = nd.zeros((512, 512), dtype)
    assert target.copy_(work(x)).numpy().tobytes() == wanted


def test_shr_2_a_copy_is_finished_before_the_call_returns():
    # jnp.array(a), and then a write to a, gives a mixture of both if a is large.
    a = aligned_array((1 << 20,), "float32")
    for _ in range(5):
        a[...] = 1
        copies = [nd.tensor(a), nd.tensor(a).jax(), nd.constant(a).tensorflow()]
        a[...] = 2
        for there in copies:
            assert (to_numpy(there) == 1).all()


# ---- wrong values --------------------------------------------------------------------------------


def test_mut_6_the_sign_of_a_negative_view_is_not_lost():
    # The imaginary part of a conjugate: torch notes the minus instead of writing it.
    view = torch.tensor([1 + 2j, 3 + 4j]).conj().imag
    assert view.tolist() == [-2, -4]
    for take in (np.from_dlpack, torch.from_dlpack):
        trap(f"{take.__module__}.from_dlpack loses the sign", take(view).tolist() == [2, 4])
    for take in (nd.from_dlpack, nd.asarray, nd.tensor, nd.constant):
        with pytest.raises(BufferError, match=r"resolve_neg\(\)"):
            take(view)
        assert take(view.resolve_neg()).tolist() == [-2, -4]


def test_dty_4_a_mask_is_not_dropped_unseen():
    masked = np.ma.masked_array(np.arange(4.0, dtype="f4"), [False, True, False, True])
    for take in (torch.from_numpy, torch.from_dlpack, tf.constant, np.from_dlpack, jnp.array):
        trap(f"{take} drops the mask", to_numpy(take(masked)).tolist() == [0, 1, 2, 3])
    for take in (nd.from_numpy, nd.from_dlpack, nd.asarray, nd.tensor, nd.constant, nd.from_buffer):
        with pytest.raises((TypeError, BufferError), match="mask"):
            take(masked)
    assert nd.asarray(masked.filled(-1)).tolist() == [0, -1, 2, -1]


DETACHING = {
    "share_memory_": lambda t: t.share_memory_(),
    "data =": lambda t: setattr(t, "data", torch.zeros(1000)),
    "set_": lambda t: t.set_(torch.zeros(1000)),
    "module.to": lambda t: module_of(t).to(torch.float64),
}


def module_of(t):
    module = torch.nn.Module()
    module.weight = torch.nn.Parameter(t, requires_grad=False)
    t.module = module
    return module


@pytest.mark.parametrize("detach", DETACHING)
def test_shr_8_whether_a_torch_tensor_still_shares_can_be_asked(detach):
    t = torch.ones(1000)
    array = t.numpy()
    DETACHING[detach](t)
    now = t.module.weight if detach == "module.to" else t
    trap("sharing ends without a word", now.data_ptr() != pointer(array))

    t = torch.ones(1000)
    tensor = nd.from_dlpack(t)
    assert nd.shares_memory(tensor, t)
    before = tensor.data_ptr()
    DETACHING[detach](t)
    now = t.module.weight if detach == "module.to" else t
    assert not nd.shares_memory(tensor, now)
    assert tensor.data_ptr() == before


@pytest.mark.parametrize("detach", [name for name in DETACHING if name != "share_memory_"])
def test_own_1_memory_outlives_what_torch_does_to_its_tensor(detach):
    # Not `share_memory_`, which frees the bytes under all who hold them.
    def replaced(t, take):
        kept = take(t)
        DETACHING[detach](t)
        return kept

    # torch's own numpy() keeps the storage, its DLPack export the tensor, which lets go of it.
    assert replaced(torch.ones(1000), lambda t: t.numpy()).tolist() == [1.0] * 1000
    exports = {
        "numpy": lambda t: nd.from_dlpack(t).numpy(),
        "memoryview": lambda t: memoryview(nd.from_dlpack(t)),
        "torch": lambda t: nd.from_dlpack(t).torch(),
        "a view": lambda t: nd.from_dlpack(t)[::2].numpy(),
    }
    for name, export in exports.items():
        kept = replaced(torch.ones(1000), export)
        spoil = [torch.full((1000,), 7.0) for _ in range(20)]
        assert set(kept.tolist()) == {1.0}, name
        del spoil


# ---- lifetimes -----------------------------------------------------------------------------------


def test_own_1_round_trips_do_not_build_chains():
    def lives_on(go_and_return):
        """Whether the array between two round trips is kept by the second."""
        between = go_and_return(np.ones(3)).view(Watched)
        alive = weakref.ref(between)
        end = go_and_return(between)
        del between
        return end is not None and not is_collected(alive)

    kept = lives_on(lambda a: torch.from_numpy(a).numpy())
    trap("every round trip through torch adds a link to a chain", kept)
    # The view that was watched is one that the caller made: it must live. Its own base need not.
    arrays, t = [], nd.from_numpy(np.ones(3))
    for _ in range(20):
        array = t.numpy()
        arrays.append(weakref.ref(array))
        t = nd.from_numpy(array)
    del array
    assert all(is_collected(array) for array in arrays)
    assert t.tolist() == [1, 1, 1]


def test_own_2_ends_well_with_arrays_of_every_library_alive():
    script = (
        PRELUDE
        + """
import ndbridge as nd, torch, jax.numpy as jnp, tensorflow as tf, sys
kept = [nd.ones(16, "float32")]
kept += [kept[0].torch(), kept[0].jax(), kept[0].tensorflow(), kept[0].numpy()]
kept += [nd.from_dlpack(x) for x in (torch.ones(3), jnp.ones(3), tf.ones(3), np.ones(3))]
sys.modules["keeps"] = kept
"""
    )
    run_python(script)
