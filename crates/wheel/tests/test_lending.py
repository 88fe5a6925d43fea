"""While a tensor uses somebody's memory, they can neither resize nor free it."""

import gc

import ndbridge as nd
import numpy as np
import pytest

def test_own_5_views_keep_the_array_fixed_after_the_first_handle_is_gone():
    a = np.arange(6.0)
    view = nd.from_numpy(a)[2:]
    exported = view.numpy()
    del view
    gc.collect()
    with pytest.raises(ValueError, match="cannot resize"):
        a.resize(100, refcheck=False)
    assert exported.tolist() == [2, 3, 4, 5]


def test_own_5_a_copy_leaves_the_array_free():
    a = np.arange(6.0)
    t = nd.tensor(a)
    a.resize(100, refcheck=False)
    assert t.tolist() == [0, 1, 2, 3, 4, 5]


def test_own_5_a_memmap_stays_mapped(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(1000.0))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    t = nd.from_numpy(mapped)
    with pytest.raises(BufferError):
        mapped._mmap.close()
    del mapped
    gc.collect()
    assert t.numpy().sum() == 499500.0
