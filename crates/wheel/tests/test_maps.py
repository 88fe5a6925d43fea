"""Maps of one file are one memory, as Python sees it."""

import ndbridge as nd
import numpy as np
import pytest

MODES = ["r", "r+", "c"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(8.0))
    return path


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("second", MODES)
def test_mut_8_maps_of_one_file_share_memory(path, first, second):
    a, b = nd.load(path, mmap=first), nd.load(path, mmap=second)
    apart = first == second == "c"
    assert nd.shares_memory(a, b) == nd.shares_memory(a, b.numpy()) == (not apart)
    assert not nd.shares_memory(a[:4], b[4:]) and not nd.shares_memory(a[::2], b[1::2])
    assert nd.shares_memory(a, a[3:]) and not nd.shares_memory(a, np.arange(8.0))


@pytest.mark.parametrize("source", MODES)
def test_mut_8_a_copy_between_two_maps_reads_before_it_writes(path, source):
    to, source = nd.load(path, mmap="r+"), nd.load(path, mmap=source)
    to[1:].copy_(source[:-1])
    assert to.tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    to.copy_(source.numpy()[::-1])
    assert to.tolist() == [6, 5, 4, 3, 2, 1, 0, 0]


def test_mut_8_members_of_an_archive_share_their_bytes_alone(tmp_path):
    path = tmp_path / "a.npz"
    nd.savez(path, x=np.arange(8.0), y=np.zeros(8))
    first, second = nd.load_npz(path, mmap=True), nd.load_npz(path, mmap=True)
    assert nd.shares_memory(first["x"], second["x"])
    assert not nd.shares_memory(first["x"], second["y"])


def test_mut_8_what_python_writes_through_one_map_is_read_through_others(path):
    w, r, c = (nd.load(path, mmap=mode) for mode in ("r+", "r", "c"))
    array, view = w.numpy(), r.numpy()
    array[0] = 5
    assert r.tolist()[0] == view[0] == c.tolist()[0] == np.load(path)[0] == 5
    c.numpy()[1] = 7
    assert c.tolist()[1] == 7 and r.tolist()[1] == array[1] == 1
    assert not view.flags.writeable


@pytest.mark.parametrize("function", [nd.load, nd.load_npz])
def test_mut_8_the_docs_say_who_is_not_seen(function):
    first = " ".join(function.__doc__.split("\n\n")[0].split())
    assert "np.memmap" in first and "other processes" in first and "not seen" in first
