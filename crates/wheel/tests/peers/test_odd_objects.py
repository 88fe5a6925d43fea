"""Objects of the libraries that look like arrays and are none, or are none any more."""

import ml_dtypes
import ndbridge as nd
import numpy as np
import pytest

from frameworks import jax, jnp, pointer, tf, torch

TAKING = {
    "from_dlpack": nd.from_dlpack,
    "asarray": nd.asarray,
    "asarray copy=False": lambda x: nd.asarray(x, copy=False),
    "tensor": nd.tensor,
    "copy_": lambda x: nd.zeros(3).copy_(x),
}


def deleted(dtype):
    x = jnp.ones(3, dtype)
    x.delete()
    return x


#: Each has no elements in memory that NumPy could see.
WITHOUT_MEMORY = {
    "deleted JAX array": lambda: deleted("float32"),
    "deleted JAX array of bfloat16": lambda: deleted("bfloat16"),
    "random key": lambda: jax.random.key(0),
    "packed integers": lambda: jnp.ones(4, "int4"),
    "ragged tensor": lambda: tf.ragged.constant([[1.0], [1.0, 2.0]]),
    "sparse tensor": lambda: tf.sparse.from_dense([[1.0, 0.0]]),
    "indexed slices": lambda: tf.IndexedSlices(tf.ones((1, 2)), tf.constant([0])),
    "torch sparse": lambda: torch.eye(3).to_sparse(),
    "torch compressed rows": lambda: torch.eye(3).to_sparse_csr(),
    "torch meta": lambda: torch.ones(3, device="meta"),
    "torch nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
}


@pytest.mark.parametrize("make", WITHOUT_MEMORY.values(), ids=WITHOUT_MEMORY)
@pytest.mark.parametrize("take", TAKING.values(), ids=TAKING)
@pytest.mark.filterwarnings("ignore")
def test_dty_4_what_has_no_plain_elements_is_an_error(make, take):
    x = make()
    with pytest.raises(Exception) as error:
        take(x)
    assert str(error.value)


def refused(x):
    try:
        nd.asarray(x)
    except Exception as error:
        return bool(str(error))
    return False


# Not torch.func.grad: it loads Triton, whose LLVM and TensorFlow's do not get on.
TRACED = {
    "jit": lambda seen: jax.jit(lambda x: seen.append(refused(x)) or x)(jnp.ones(3)),
    "jax grad": lambda seen: jax.grad(lambda x: seen.append(refused(x)) or x.sum())(jnp.ones(3)),
    "tf.function": lambda seen: tf.function(
        lambda x: (seen.append(refused(x)), x)[1], autograph=False
    )(tf.ones(3)),
    "vmap": lambda seen: torch.func.vmap(lambda x: seen.append(refused(x)) or x)(torch.ones(3, 2)),
}


@pytest.mark.parametrize("trace", TRACED.values(), ids=TRACED)
def test_dty_4_what_is_only_traced_is_an_error(trace):
    seen = []
    trace(seen)
    assert seen and all(seen)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("end", ["deleted", "donated"])
def test_own_1_a_tensor_outlives_the_jax_array_it_came_from(end, dtype):
    x = jnp.full((16,), 7, dtype)
    t = nd.from_dlpack(x)
    exported, where = t.numpy(), pointer(x)
    if end == "deleted":
        x.delete()
        rest = [jnp.zeros(16, dtype) for _ in range(50)]
    else:
        # The memory of a donated argument is free for the result, unless somebody holds it.
        rest = [jax.jit(lambda x: x * 0, donate_argnums=0)(x).block_until_ready()]
    assert t.tolist() == [7] * 16 and exported.astype("f4").tolist() == [7] * 16
    assert where not in [pointer(y) for y in rest]


@pytest.mark.parametrize("make", [nd.full, lambda *a: nd.constant(nd.full(*a))])
def test_mut_2_a_donated_array_does_not_give_our_memory_away(make):
    t = make((16,), 7.0, "float32")
    y = jax.jit(lambda x: x * 0, donate_argnums=0)(t.jax()).block_until_ready()
    assert t.tolist() == [7] * 16 and pointer(y) != t.data_ptr()


@pytest.mark.parametrize("dtype", [torch.bfloat16, tf.bfloat16, jnp.bfloat16, ml_dtypes.bfloat16])
def test_dty_1_every_library_s_data_types_are_understood(dtype):
    assert str(nd.zeros(3, dtype).dtype) == "bfloat16"
    assert nd.tensor([1, 2], dtype).numpy().dtype == ml_dtypes.bfloat16


def test_shr_2_lists_of_others_scalars_are_gathered():
    for scalar in (torch.tensor, jnp.float32, tf.constant, np.float32):
        assert nd.tensor([scalar(1.0), scalar(2.0)]).tolist() == [1, 2]
