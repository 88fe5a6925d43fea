""".npz files, against NumPy's own reader and writer."""

import gc
import io
import zipfile

import ndbridge as nd
import numpy as np
import pytest

from conftest import NUMPY_DTYPES, copied_bytes, random_array, same_bits, zoo


@pytest.mark.parametrize("compressed", [False, True])
def test_fil_1_npz_both_ways(tmp_path, compressed):
    path = tmp_path / "a.npz"
    arrays = {
        name.replace(" ", "_"): a
        for dtype in ("float32", "bool", "int64", "complex128")
        for name, a in zoo(dtype).items()
    }
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    for file in (path, str(path), path.open("rb"), io.BytesIO(path.read_bytes())):
        archive = nd.load_npz(file)
        assert list(archive) == archive.keys() == list(arrays)
        for name, a in arrays.items():
            assert same_bits(archive[name].numpy(), a)
    (nd.savez_compressed if compressed else nd.savez)(path, **arrays)
    with np.load(path, allow_pickle=False) as archive:
        assert archive.files == list(arrays)
        for name, a in arrays.items():
            assert same_bits(archive[name], a)
    out = io.BytesIO()
    (nd.savez_compressed if compressed else nd.savez)(out, **arrays)
    with np.load(io.BytesIO(out.getvalue())) as archive:
        assert archive.files == list(arrays)


NAMES = [
    "file",
    "x",
    "arr_9",
    "self",
    "args",
    "a/b",
    "日本",
    "with space",
    "ü",
    "a.b",
    "y.npy",
    "a" * 200,
]


def test_fil_1_npz_names(tmp_path):
    path = tmp_path / "names.npz"
    arrays = {name: np.full(3, index) for index, name in enumerate(NAMES)}
    nd.savez(path, **arrays)
    with np.load(path) as archive:
        for name, a in arrays.items():
            key = name if name in archive.files else name.removesuffix(".npy")
            assert same_bits(archive[key], a), name
    for mmap in (False, True):
        loaded = nd.load_npz(path, mmap=mmap)
        assert len(loaded) == len(NAMES)
        for name, a in arrays.items():
            assert same_bits(
                loaded[name if name in loaded else name.removesuffix(".npy")].numpy(), a
            ), name
    nd.savez(path, np.zeros(1), np.ones(2), z=[1, 2])
    with np.load(path) as archive:
        assert archive.files == ["arr_0", "arr_1", "z"]
    with pytest.raises(ValueError, match="arr_0"):
        nd.savez(path, np.zeros(1), arr_0=np.ones(1))


def test_fil_1_npz_is_a_mapping(tmp_path):
    nd.savez(tmp_path / "m", a=[1, 2], b=[[3.0]])
    archive = nd.load_npz(tmp_path / "m.npz")
    assert dict(archive).keys() == {"a", "b"} == set(archive.keys())
    assert [t.tolist() for t in archive.values()] == [[1, 2], [[3.0]]]
    assert [(name, t.tolist()) for name, t in archive.items()] == [("a", [1, 2]), ("b", [[3.0]])]
    assert "a" in archive and "c" not in archive and len(archive) == 2
    assert (
        archive.get("c") is None
        and archive.get("c", 5) == 5
        and archive.get("a").tolist() == [1, 2]
    )
    with pytest.raises(KeyError, match="c"):
        archive["c"]
    assert archive["a"].data_ptr() == archive["a"].data_ptr()


def test_fil_3_stored_members_are_aligned_and_mapped(tmp_path):
    path = tmp_path / "m.npz"
    arrays = {
        f"n{i}": random_array(np.random.default_rng(i), (i, 3), d)
        for i, d in enumerate(NUMPY_DTYPES)
    }
    nd.savez(path, **arrays)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            with path.open("rb") as file:
                file.seek(info.header_offset + 26)
                name, extra = np.frombuffer(file.read(4), "<u2").tolist()
            assert (info.header_offset + 30 + name + extra) % 64 == 0
    loaded, copied = copied_bytes(lambda: nd.load_npz(path, mmap=True))
    assert copied == 0
    for name, a in arrays.items():
        t = loaded[name]
        assert same_bits(t.numpy(), a)
        assert t.receipt.shared and (t.readonly or not a.size)
        assert t.data_ptr() % 64 == 0 or not a.size
    with pytest.raises(TypeError, match="path"):
        nd.load_npz(io.BytesIO(path.read_bytes()), mmap=True)


def test_fil_3_members_outlive_the_archive(tmp_path):
    nd.savez(tmp_path / "m.npz", a=np.arange(1000.0))
    t = nd.load_npz(tmp_path / "m.npz", mmap=True)["a"][1:]
    (tmp_path / "m.npz").unlink()
    gc.collect()
    assert t.numpy().sum() == 499500.0


def test_fil_1_npz_of_many_members(tmp_path):
    # More than 16 bits can count.
    path = tmp_path / "many.npz"
    count = 65_537
    nd.savez(path, **{f"n{i}": np.uint8(i % 256) for i in range(count)})
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == count
        assert archive.testzip() is None
    with np.load(path) as archive:
        assert (archive["n0"], archive[f"n{count - 1}"]) == (0, (count - 1) % 256)
    assert nd.load_npz(path, mmap=True)[f"n{count - 1}"].item() == (count - 1) % 256
