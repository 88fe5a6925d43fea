"""Libraries that are not there, and one that has no use for the host."""

import ndbridge as nd
import pytest

from conftest import run_python


@pytest.mark.parametrize("library", ["torch", "jax", "tensorflow"])
def test_dty_1_a_missing_library_is_named(library):
    script = f"""
import sys
sys.modules[{library!r}] = None
import ndbridge as nd, numpy as np
t = nd.ones(16, "float32")
try:
    t.{library}()
except ImportError as error:
    assert {library!r} in str(error), str(error)
else:
    raise SystemExit("it is there")
assert nd.asarray(np.ones(3)).tolist() == nd.from_dlpack(np.ones(3)).tolist() == [1, 1, 1]
"""
    run_python(script)


def test_dty_5_without_ml_dtypes_small_floats_are_refused_with_that_hint():
    script = """
import sys
sys.modules["ml_dtypes"] = None
import ndbridge as nd, numpy as np, torch
for dtype in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
    t = nd.ones(3, dtype)
    for export in (t.numpy, lambda: np.asarray(t), lambda: t.__array__()):
        try:
            export()
        except TypeError as error:
            assert "ml_dtypes" in str(error), str(error)
        else:
            raise SystemExit(dtype + " was exported")
    # Everything else goes on without it.
    assert t.torch().dtype == getattr(torch, dtype) and t.tolist() == [1, 1, 1]
    assert nd.from_dlpack(t.torch()).data_ptr() == t.data_ptr()
    size = t.itemsize
    assert t.view(f"uint{8 * size}").numpy().nbytes == t.nbytes
"""
    run_python(script)


def test_cupy_holds_no_host_memory():
    for t in (nd.ones(3), nd.constant([1])):
        with pytest.raises(BufferError, match="CUDA.*numpy"):
            t.cupy()
