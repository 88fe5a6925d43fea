"""JAX arrays on the device, which nobody may write."""

import importlib.util
import os

import ndbridge as nd
import numpy as np
import pytest

from on_gpu import bits, on_host, used_bytes

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
jax = pytest.importorskip("jax")
PLUGINS = ["jax_cuda12_plugin", "jax_cuda13_plugin"]
if not any(importlib.util.find_spec(name) for name in PLUGINS):
    pytest.skip("JAX without its CUDA plugin", allow_module_level=True)
jax.config.update("jax_enable_x64", True)

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "bfloat16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip


def test_jax_sees_the_device():
    assert jax.devices("gpu")


@pytest.mark.parametrize("dtype", DTYPES)
def test_shr_1_a_tensor_is_an_array_of_jax(dtype):
    there = on_host(dtype).cuda()
    array = there.jax()
    assert array.unsafe_buffer_pointer() == there.data_ptr()
    assert str(array.dtype) == dtype and array.shape == there.shape
    back = nd.from_dlpack(array)
    assert back.data_ptr() == there.data_ptr()
    assert bits(back) == bits(on_host(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_mut_2_an_array_of_jax_is_shared_and_not_written(dtype):
    gpu = jax.devices("gpu")[0]
    array = jax.device_put(np.arange(24).reshape(4, 6), gpu).astype(dtype) * 1
    for take in (nd.from_dlpack, nd.asarray):
        taken = take(array)
        assert taken.data_ptr() == array.unsafe_buffer_pointer() and taken.receipt.shared
        assert taken.readonly
        with pytest.raises((BufferError, TypeError, ValueError)):
            taken.fill_(0)
    assert taken.astype("complex128").tolist() == np.asarray(array).astype("c16").tolist()


def test_dev_2_jax_is_waited_for_and_waits():
    gpu = jax.devices("gpu")[0]
    array = jax.device_put(np.zeros((2048, 2048), np.float32), gpu)
    step = jax.jit(lambda x: (x @ x) * 0 + x + 1)
    for _ in range(20):
        array = step(array)
    assert set(np.unique(nd.from_dlpack(array).cpu().numpy())) == {20.0}
    there = nd.zeros((2048, 2048), "float32").cuda()
    for value in range(50):
        there.fill_(value)
    assert float(there.jax().max()) == 49


def test_layouts_that_jax_would_copy_are_refused():
    there = on_host("float32").cuda()
    with pytest.raises(BufferError, match="contiguous"):
        there[:, ::2].jax()
    assert there[:, ::2].contiguous().jax().shape == (6, 4, 4)


def test_own_1_memory_lives_in_jax_and_goes_with_it():
    before = used_bytes()
    there = on_host("float32", (1 << 16,)).cuda()
    array = there.jax()
    del there
    assert used_bytes() > before
    assert array.shape == (1 << 16,)
    array.block_until_ready()
    del array
    assert used_bytes() == before
