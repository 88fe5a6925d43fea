"""Maps of one file are one memory, whichever module made them and whatever they were reached by."""

import os

import ndbridge as nd
import numpy as np
import pytest
from conftest import in_thread
from ndbridge_example import testing

MODES = ["r", "r+", "c"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(8.0))
    return path


def refused(call):
    """Whether a borrow stands in the way of `call`."""
    try:
        call()
    except BufferError as error:
        assert "borrowed" in str(error), error
        return True
    return False


#: What is passed to another module's function: a tensor, or an array over its memory.
PASSED = {"tensor": lambda t: t, "array": lambda t: t.numpy(), "slice": lambda t: t.numpy()[1:]}


@pytest.mark.parametrize("passed", PASSED.values(), ids=PASSED)
@pytest.mark.parametrize("held", MODES)
@pytest.mark.parametrize("wanted", MODES)
def test_mut_8_two_maps_of_one_file_conflict(path, held, wanted, passed):
    a, b = nd.load(path, mmap=held), nd.load(path, mmap=wanted)
    x = passed(a)
    writes = lambda: b.fill_(7)  # noqa: E731
    if wanted != "r":
        assert testing.call_while_reading(x, lambda: refused(writes)) == (wanted == "r+")
    assert not testing.call_while_reading(x, lambda: refused(b.tolist))
    if held != "r":
        both = "r+" in (held, wanted)
        assert testing.call_while_writing(x, lambda: refused(b.tolist)) == (held == "r+")
        if wanted != "r":
            assert testing.call_while_writing(x, lambda: refused(writes)) == both
    assert wanted == "r" or not refused(writes)


@pytest.mark.parametrize("held", MODES)
def test_mut_8_a_file_is_one_whatever_it_is_called(path, held, tmp_path):
    os.link(path, tmp_path / "hard.npy")
    (tmp_path / "soft.npy").symlink_to(path)
    a = nd.load(path, mmap=held)
    for name in ("hard.npy", "soft.npy", os.path.join("..", tmp_path.name, "a.npy")):
        b = nd.load(tmp_path / name, mmap="r+")
        assert testing.call_while_reading(a, lambda b=b: refused(lambda: b.fill_(7)))
        assert testing.call_while_writing(b, lambda: refused(a.tolist))
    np.save(tmp_path / "b.npy", np.zeros(8))
    os.replace(tmp_path / "b.npy", path)
    other = nd.load(path, mmap="r+")
    assert not testing.call_while_reading(a, lambda: refused(lambda: other.fill_(7)))


def test_mut_8_maps_of_two_modules_conflict(path):
    r, w = nd.load(path, mmap="r"), nd.load(path, mmap="r+")
    c = nd.load(path, mmap="c")
    assert testing.call_while_mapped(path, False, lambda: refused(lambda: w.fill_(7)))
    assert not testing.call_while_mapped(path, False, lambda: refused(lambda: c.fill_(7)))
    for t in (r, w, nd.load(path, mmap="c")):
        assert testing.call_while_mapped(path, True, lambda t=t: refused(t.tolist))
    assert testing.call_while_writing(w, lambda: refused(lambda: testing.sum_of_file(path)))
    assert testing.call_while_reading(r, lambda: refused(lambda: testing.fill_file(path, 1)))
    del r, w, t  # lent to the other module as arguments, for as long as they live
    testing.fill_file(path, 2)
    assert nd.load(path, mmap="r").tolist() == [2.0] * 8 and c.tolist() == [7.0] * 8


def test_mut_8_without_the_gil_a_guard_sees_one_value(path):
    r, w = nd.load(path, mmap="r"), nd.load(path, mmap="r+")
    for x in (r, r.numpy(), nd.from_numpy(r.numpy())):
        before, after, error = testing.sum_detached_while(x, lambda: in_thread(lambda: w.fill_(7)))
        assert (before, after) == (28, 28) and isinstance(error, BufferError)
    w.fill_(7)
    assert r.tolist() == [7.0] * 8


def test_mut_8_disjoint_elements_do_not_conflict(path):
    a, b = nd.load(path, mmap="r+"), nd.load(path, mmap="r+")
    assert not testing.call_while_writing(a[::2], lambda: refused(lambda: b[1::2].fill_(7)))
    assert testing.call_while_writing(a[::2], lambda: refused(lambda: b[2].fill_(7)))
    assert b.tolist() == [0, 7, 2, 7, 4, 7, 6, 7]


def test_mut_8_two_arguments_may_be_maps_of_one_file(path):
    a, b = nd.load(path, mmap="r+"), nd.load(path, mmap="r")
    testing.both_read(a, b)
    with pytest.raises(BufferError, match="borrowed"):
        testing.overlap(b, a)
    testing.overlap(b[:4], a[4:])


def test_mut_8_what_is_lent_through_one_map_is_lent(path):
    w = nd.load(path, mmap="r+")
    array = w.numpy()
    # Other maps, here and there: Python may write the file, so a thread without it is refused.
    r = nd.load(path, mmap="r")
    assert r.tolist() == array.tolist()
    array[0] = 5
    assert r.tolist()[0] == 5
    for call in (lambda: testing.sum_of_file(path), lambda: testing.fill_file(path, 1)):
        with pytest.raises(BufferError, match="another map of this file is lent, and the Python"):
            call()
    assert testing.call_while_mapped(path, False, lambda: 1) == 1
    del array, w
    assert testing.sum_of_file(path) == 33
    # What Python only reads is not written by such a thread.
    view = r.numpy()
    assert testing.sum_of_file(path) == 33
    with pytest.raises(BufferError, match="another map of this file is lent"):
        testing.fill_file(path, 1)
    del view, r
    testing.fill_file(path, 1)


def test_mut_8_a_map_is_not_lent_under_a_guard(path):
    export = lambda mode: lambda: nd.load(path, mmap=mode).numpy()  # noqa: E731
    with pytest.raises(BufferError, match="still borrowed for reading"):
        testing.call_while_mapped(path, False, export("r+"))
    for mode in ("r", "c"):
        testing.call_while_mapped(path, False, export(mode))
    for mode in MODES:
        with pytest.raises(BufferError, match="still borrowed for writing"):
            testing.call_while_mapped(path, True, export(mode))
    # Python has the bytes already: another map of them changes nothing.
    array = export("r+")()
    testing.call_while_writing(array, export("r+"))


def test_mut_8_members_of_an_archive_are_bytes_of_its_file(tmp_path):
    path = tmp_path / "a.npz"
    nd.savez(path, x=np.arange(8.0), y=np.zeros(8))
    first, second = nd.load_npz(path, mmap=True), nd.load_npz(path, mmap=True)
    assert nd.shares_memory(first["x"], second["x"])
    assert not nd.shares_memory(first["x"], second["y"])
    testing.both_read(first["x"], second["x"])
