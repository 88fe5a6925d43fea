""".npy and .npz files, against NumPy's own reader and writer."""

import gc
import io
import os
import pathlib

import ndbridge as nd
import numpy as np
import pytest

from conftest import LAYOUTS, NUMPY_DTYPES, copied_bytes, random_array, run_python, same_bits, zoo

VERSIONS = [(1, 0), (2, 0), (3, 0)]


def numpy_bytes(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version)
    return out.getvalue()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.npy"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("layout", ["C", "F", "stepped", "rank 0", "zero-size", "size-1 axes"])
def test_fil_1_files_of_numpy_load_equal(path, dtype, layout, version):
    a = zoo(dtype)[layout]
    path.write_bytes(numpy_bytes(a, version))
    for load in (
        nd.load,
        lambda p: nd.load(str(p)),
        lambda p: nd.load(p, mmap="r"),
        lambda p: nd.load(io.BytesIO(p.read_bytes())),
    ):
        assert same_bits(load(path).numpy(), a)


def test_fil_1_our_files_load_equal_in_numpy(path, dtype, layout):
    a = zoo(dtype)[layout]
    for source in (a, nd.from_numpy(a), nd.tensor(a)):
        nd.save(path, source)
        loaded = np.load(path, allow_pickle=False)
        assert same_bits(loaded, a)
        assert path.read_bytes()[:8] == b"\x93NUMPY\x01\x00"
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            assert file.tell() % 64 == 0
        out = io.BytesIO()
        nd.save(out, source)
        assert out.getvalue() == path.read_bytes()


@pytest.mark.parametrize("layout", ["C", "F"])
def test_fil_1_our_files_are_numpy_s_byte_for_byte(path, dtype, layout):
    a = zoo(dtype)[layout]
    nd.save(path, a)
    assert path.read_bytes() == numpy_bytes(a)


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_fil_1_big_endian_files_are_read_by_copying(path, dtype):
    a = random_array(np.random.default_rng(8), (5, 7), dtype)
    big = a.astype(np.dtype(dtype).newbyteorder(">"))
    np.save(path, big)
    t = nd.load(path)
    assert same_bits(t.numpy(), a)
    if a.itemsize > 1:
        with pytest.raises(ValueError, match="big-endian|byte order"):
            nd.load(path, mmap="r")


@pytest.mark.parametrize("seed", range(40))
def test_fil_1_random_files_both_ways(path, seed):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(rng.choice(NUMPY_DTYPES))
    size = int(10 ** rng.uniform(0, 7)) // dtype.itemsize if seed % 8 else 0
    ndim = int(rng.integers(1, 5))
    shape = [int(rng.integers(1, max(2, int(size ** (1 / ndim))) + 1)) for _ in range(ndim - 1)]
    shape.insert(int(rng.integers(0, ndim)), size // max(1, int(np.prod(shape))))
    a = random_array(rng, tuple(shape), dtype)
    a = np.asfortranarray(a) if rng.random() < 0.5 else a
    version = VERSIONS[int(rng.integers(0, 3))]
    case = f"seed={seed} dtype={dtype} shape={shape} F={a.flags.fnc} version={version}"
    path.write_bytes(numpy_bytes(a, version))
    assert same_bits(nd.load(path).numpy(), a), case
    assert same_bits(nd.load(path, mmap="c").numpy(), a), case
    nd.save(path, a)
    assert same_bits(np.load(path), a), case
    packed = path.with_suffix(".npz")
    (np.savez_compressed if seed % 2 else np.savez)(packed, a=a, b=a[:1])
    assert same_bits(nd.load_npz(packed)["a"].numpy(), a), case
    (nd.savez if seed % 2 else nd.savez_compressed)(packed, a=a, b=a[:1])
    with np.load(packed) as archive:
        assert same_bits(archive["a"], a) and same_bits(archive["b"], a[:1]), case


def test_fil_3_loading_copies_into_private_memory(path):
    np.save(path, np.arange(6.0))
    t = nd.load(path)
    assert (t.data_ptr() % 64, t.readonly, t.owner) == (0, False, None)
    t.fill_(9.0)
    assert np.load(path).tolist() == [0, 1, 2, 3, 4, 5]


def test_fil_3_mode_r_shares_and_is_read_only(path):
    np.save(path, np.arange(6.0))
    t, copied = copied_bytes(lambda: nd.load(path, mmap="r"))
    assert (copied, t.receipt.shared, t.readonly) == (0, True, True)
    with pytest.raises(ValueError, match="read-only"):
        t.fill_(1.0)
    with pytest.raises(ValueError):
        t.numpy().flags.writeable = True
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(np.float64(99.0).tobytes())
    assert t[5].item() == 99.0


def test_fil_3_mode_r_plus_reaches_the_file(path):
    np.save(path, np.arange(6.0))
    t = nd.load(path, mmap="r+")
    other = nd.load(path, mmap="r")
    t[1:3] = [10.0, 20.0]
    assert other.tolist() == [0, 10, 20, 3, 4, 5]
    t.numpy()[0] = -1.0
    assert other[0].item() == -1.0
    del t
    gc.collect()
    assert np.load(path).tolist() == [-1, 10, 20, 3, 4, 5]


def test_fil_3_mode_c_stays_in_memory(path):
    np.save(path, np.arange(6.0))
    t = nd.load(path, mmap="c")
    assert not t.readonly
    t.fill_(7.0)
    assert t.tolist() == [7.0] * 6
    assert np.load(path).tolist() == nd.load(path, mmap="r").tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_fil_3_mapping_any_shape(path, mode):
    for a in (
        np.zeros((0, 3)),
        np.array(2.5),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(100000.0),
    ):
        np.save(path, a)
        t = nd.load(path, mmap=mode)
        assert same_bits(t.numpy(), a)
        assert t.numpy().flags.fnc == a.flags.fnc


def test_fil_3_a_mapping_outlives_the_file_name(path):
    np.save(path, np.arange(1000.0))
    t = nd.load(path, mmap="r")
    array = t[10:].numpy()
    del t
    path.unlink()
    gc.collect()
    assert array.sum() == sum(range(10, 1000))


def test_fil_3_saving_over_a_mapped_file_leaves_the_mapping(path):
    nd.save(path, np.arange(6.0))
    t = nd.load(path, mmap="r")
    nd.save(path, t[::-1])
    assert t.tolist() == [0, 1, 2, 3, 4, 5]
    assert nd.load(path).tolist() == [5, 4, 3, 2, 1, 0]


def test_fil_3_bad_modes(path):
    np.save(path, np.arange(6.0))
    for mode in ("w+", "rb", "", "R"):
        with pytest.raises(ValueError, match="mmap"):
            nd.load(path, mmap=mode)
    with pytest.raises(TypeError, match="path"):
        nd.load(io.BytesIO(path.read_bytes()), mmap="r")
    path.chmod(0o444)
    if os.geteuid():
        with pytest.raises(PermissionError):
            nd.load(path, mmap="r+")


def test_fil_3_saving_is_atomic(path):
    nd.save(path, np.arange(6.0))
    before = path.read_bytes()
    bad = nd.from_numpy(np.array([0, 1, 2], "u1").view(bool))
    for values in (object(), [1, [2]], np.array(["x"]), nd.zeros(3, "bfloat16")):
        with pytest.raises((TypeError, ValueError)):
            nd.save(path, values)
        assert path.read_bytes() == before
    del bad
    assert [entry.name for entry in path.parent.iterdir()] == ["a.npy"]


def test_fil_3_saving_through_a_link_keeps_the_link(path):
    link = path.with_name("link.npy")
    np.save(path, np.arange(3.0))
    link.symlink_to(path)
    assert nd.load(link).tolist() == nd.load(link, mmap="r").tolist() == [0, 1, 2]
    nd.save(link, np.arange(4.0))
    assert np.load(link).tolist() == [0, 1, 2, 3]
    assert link.is_symlink() and np.load(path).tolist() == [0, 1, 2, 3]


def test_fil_3_saving_keeps_the_file_s_permissions(path):
    np.save(path, np.arange(3.0))
    path.chmod(0o640)
    nd.save(path, np.arange(4.0))
    assert path.stat().st_mode & 0o777 == 0o640
    fresh = path.with_name("fresh.npy")
    nd.save(fresh, np.arange(4.0))
    np.save(path.with_name("numpy.npy"), np.arange(4.0))
    assert fresh.stat().st_mode == path.with_name("numpy.npy").stat().st_mode


def test_fil_3_paths_of_every_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a = np.arange(3.0)
    for name in (
        "plain.npy",
        "no_suffix",
        "dots.in.name",
        "späce näme.npy",
        "日本.npy",
        b"bytes.npy",
    ):
        if isinstance(name, bytes):
            name = os.fsdecode(name)
        for given in (name, pathlib.Path(name), tmp_path / name):
            nd.save(given, a)
            expected = name if name.endswith(".npy") else name + ".npy"
            assert same_bits(np.load(expected), a)
            assert same_bits(nd.load(pathlib.Path(expected)).numpy(), a)
            os.unlink(expected)
    assert list(tmp_path.iterdir()) == []


def test_fil_2_missing_files_are_os_errors(tmp_path):
    for call in (
        lambda: nd.load(tmp_path / "missing.npy"),
        lambda: nd.load(tmp_path / "missing.npy", mmap="r"),
        lambda: nd.load_npz(tmp_path / "missing.npz"),
        lambda: nd.load_npz(tmp_path / "missing.npz", mmap=True),
        lambda: nd.save(tmp_path / "no" / "a.npy", [1]),
        lambda: nd.savez(tmp_path / "no" / "a.npz", [1]),
    ):
        with pytest.raises(FileNotFoundError, match="missing|no/a"):
            call()
    for call in (
        lambda: nd.load(tmp_path),
        lambda: nd.load_npz(tmp_path),
        lambda: nd.load(tmp_path, mmap="r"),
    ):
        with pytest.raises(OSError):
            call()
    for wrong in (5, None, object(), [1]):
        with pytest.raises(TypeError):
            nd.load(wrong)


def test_fil_1_several_arrays_in_one_stream(path):
    arrays = [
        np.arange(5),
        np.zeros((0, 3)),
        np.asfortranarray(np.ones((2, 3), "f4")),
        np.array(True),
    ]
    with path.open("wb") as file:
        for index, a in enumerate(arrays):
            (np.save if index % 2 else nd.save)(file, a)
        file.write(b"end")
    for opened in (path.open("rb"), io.BytesIO(path.read_bytes()), path.open("rb", buffering=0)):
        with opened as file:
            for index, a in enumerate(arrays):
                loaded = (
                    np.load(file)
                    if index % 3 == 2 and hasattr(file, "peek")
                    else nd.load(file).numpy()
                )
                assert same_bits(loaded, a)
            assert file.read() == b"end"


class Trickle(io.RawIOBase):
    """Gives and takes a few bytes at a time."""

    def __init__(self, data=b""):
        self.data, self.at = bytearray(data), 0

    def read(self, n=-1):
        n = min(n, 7)
        self.at += n
        return bytes(self.data[self.at - n : self.at])

    def write(self, b):
        self.data += bytes(b)[:5]
        return min(len(b), 5)


def test_fil_1_short_reads_and_writes(dtype):
    a = zoo(dtype)["F"]
    assert same_bits(nd.load(Trickle(numpy_bytes(a))).numpy(), a)
    out = Trickle()
    nd.save(out, a)
    assert bytes(out.data) == numpy_bytes(a)


class Faulty(io.BytesIO):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def read(self, n=-1):
        return self.answer(n)

    write = read


FAULTS = {
    "raises": lambda n: 1 / 0,
    "interrupted": lambda n: (_ for _ in ()).throw(KeyboardInterrupt),
    "text": lambda n: "text",
    "number": lambda n: 10**9,
    "huge number": lambda n: 10**30,
    "negative": lambda n: -5,
    "too much": lambda n: b"x" * 10**6,
    "nothing": lambda n: b"",
    "zero": lambda n: 0,
}


@pytest.mark.parametrize("answer", FAULTS.values(), ids=FAULTS)
def test_fil_2_faulty_file_objects_are_errors(answer):
    calls = (
        nd.load,
        nd.load_npz,
        lambda f: nd.save(f, np.zeros(3)),
        lambda f: nd.savez(f, np.zeros(3)),
    )
    for call in calls:
        with pytest.raises(
            (OSError, TypeError, ValueError, OverflowError, ZeroDivisionError, KeyboardInterrupt)
        ):
            call(Faulty(answer))


def test_fil_1_a_zip_where_an_array_was_expected_and_the_other_way(tmp_path):
    np.savez(tmp_path / "a.npz", a=[1])
    np.save(tmp_path / "a.npy", [1])
    with pytest.raises(ValueError, match="call load_npz"):
        nd.load(tmp_path / "a.npz")
    with pytest.raises(ValueError):
        nd.load_npz(tmp_path / "a.npy")


def test_fil_3_memory_maps_end_well():
    run_python(
        """
import tempfile, os, numpy as np, ndbridge as nd
d = tempfile.mkdtemp(); p = os.path.join(d, "a.npy")
np.save(p, np.arange(1000.0))
keep = [nd.load(p, mmap=m) for m in ("r", "r+", "c")]
keep += [t.numpy() for t in keep] + [memoryview(t) for t in keep]
os.unlink(p); os.rmdir(d)
"""
    )


def test_fil_1_the_layouts_were_all_tried():
    assert {"C", "F", "zero-size", "rank 0"} < set(LAYOUTS)
