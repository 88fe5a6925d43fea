"""Everyday calls of the frameworks that a tensor takes part in."""

import jax.numpy as jnp
import ndbridge as nd
import numpy as np
import torch


def test_shr_1_jax_takes_a_tensor_where_it_takes_an_array():
    t = nd.tensor(np.arange(64, dtype="f4"))
    taken = jnp.asarray(t)
    assert taken.unsafe_buffer_pointer() == t.data_ptr()
    np.testing.assert_array_equal(np.asarray(jnp.array(t)), np.asarray(t))


def test_shr_1_torch_takes_a_tensor_as_data():
    t = nd.tensor([1, 3, 4])
    assert torch.as_tensor(t).data_ptr() == t.data_ptr()


def test_a_torch_device_names_a_device():
    t = nd.tensor([1.0])
    assert t.to(torch.device("cpu")).data_ptr() == t.data_ptr()
    assert nd.asarray(t, device=torch.device("cpu")).data_ptr() == t.data_ptr()
    assert nd.plan(t, device=torch.device("cpu")).action == "share"
