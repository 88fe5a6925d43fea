"""Plans, receipts, and the ban on copies, for arrays of other libraries."""

import contextlib
import copy
import itertools

import ml_dtypes
import ndbridge as nd
import numpy as np
import pytest

from capsules import Lent
from frameworks import jnp, tf, torch

SOURCES = {
    "torch": lambda: torch.arange(16.0),
    "torch, strided": lambda: torch.arange(16.0).repeat_interleave(2)[::2],
    "torch, bfloat16": lambda: torch.arange(16).to(torch.bfloat16),
    "jax": lambda: jnp.arange(16, dtype="float32"),
    "jax, bfloat16": lambda: jnp.arange(16).astype("bfloat16"),
    "tensorflow": lambda: tf.range(16, dtype="float32"),
    "tensorflow, bfloat16": lambda: tf.cast(tf.range(16), "bfloat16"),
    "ml_dtypes": lambda: np.arange(16).astype(ml_dtypes.bfloat16),
    "legacy": lambda: Lent(np.arange(16, dtype="f4")),
    "versioned": lambda: Lent(np.arange(16, dtype="f4"), version=(1, 0)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_shr_3_plans_tell_what_happens_to_arrays_of_others(name):
    x = SOURCES[name]()
    size = 2 if "bfloat16" in name or name == "ml_dtypes" else 4
    for dtype, must_copy in itertools.product((None, "float64", "int8"), (None, True, False)):
        plan = nd.plan(x, dtype=dtype, copy=must_copy)
        before = nd.copies().copies
        if plan.action == "refuse":
            assert dtype is not None and must_copy is False
            with pytest.raises(ValueError):
                nd.asarray(x, dtype=dtype, copy=must_copy)
            continue
        t = nd.asarray(x, dtype=dtype, copy=must_copy)
        is_copy = dtype is not None or must_copy is True
        assert plan.action == ("copy" if is_copy else "share")
        assert nd.copies().copies - before == is_copy
        assert t.receipt.shared != is_copy
        assert t.receipt.copied_bytes == plan.copied_bytes
        assert plan.copied_bytes == (16 * (np.dtype(dtype).itemsize if dtype else size) * is_copy)
        assert t.receipt.reasons == plan.reasons
        assert t.tolist() == list(range(16))


@pytest.mark.parametrize("name", SOURCES)
def test_shr_8_no_copy_forbids_copies_of_others_arrays(name):
    x = SOURCES[name]()
    with nd.no_copy():
        t = nd.from_dlpack(x) if name != "ml_dtypes" else nd.from_numpy(x)
        assert nd.asarray(x).data_ptr() == t.data_ptr()
        for forbidden in (
            lambda: nd.tensor(x),
            lambda: nd.asarray(x, copy=True),
            lambda: nd.asarray(x, dtype="float64"),
            lambda: t.clone(),
            lambda: copy.deepcopy(t),
            lambda: t.__dlpack__(max_version=(1, 0), copy=True),
        ):
            with pytest.raises(ValueError, match="forbids"):
                forbidden()
        for allowed in (t.numpy, t.__array__, lambda: t.__dlpack__(max_version=(1, 0))):
            allowed()
        if "bfloat16" not in name and name != "ml_dtypes":
            memoryview(t)
        with contextlib.suppress(BufferError):
            t.torch()
        with contextlib.suppress(BufferError):
            t.jax()
        with contextlib.suppress(BufferError):
            t.tensorflow()


@pytest.mark.parametrize("name", SOURCES)
def test_shr_8_shares_memory_looks_at_others_arrays_in_place(name):
    x = SOURCES[name]()
    t = nd.asarray(x, copy=False)
    assert nd.shares_memory(x, t) and nd.shares_memory(x, x) and nd.shares_memory(t[3:], x)
    assert not nd.shares_memory(x, t.clone()) and not nd.shares_memory(x, SOURCES[name]())
    assert nd.array_equal(x, t.clone()) and nd.array_equal(x, x)
    assert not nd.array_equal(x, t.clone().fill_(3))
