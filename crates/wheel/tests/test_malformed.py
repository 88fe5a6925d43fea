"""Malformed files are errors with a reason: no crash, no memory beyond the file's size."""

import io
import pickle
import struct
import subprocess
import sys
import zipfile

import ndbridge as nd
import numpy as np
import pytest

from conftest import ML_DTYPES

FILE_ERRORS = (ValueError, OSError, TypeError, MemoryError)


def npy(
    descr="'<f8'",
    fortran="False",
    shape="(3,)",
    data=bytes(24),
    version=(1, 0),
    header=None,
    length=None,
):
    text = (
        header
        if header is not None
        else f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"
    )
    text = text.encode("latin-1" if version[0] < 3 else "utf-8")
    length = len(text) if length is None else length
    size = struct.pack("<H" if version[0] == 1 else "<I", length)
    return b"\x93NUMPY" + bytes(version) + size + text + data


MALFORMED = {
    "empty": b"",
    "magic only": b"\x93NUMPY",
    "wrong magic": b"\x93NUMPX\x01\x00" + bytes(100),
    "version 0": npy(version=(0, 0)),
    "version 4": npy(version=(4, 0)),
    "version 255": npy(version=(255, 255)),
    "no header": b"\x93NUMPY\x01\x00",
    "header length beyond the file": npy(length=60000),
    "header length of 4 GiB": npy(version=(2, 0), length=2**32 - 1),
    "header cut": npy()[:30],
    "data cut": npy(data=bytes(23)),
    "no data": npy(data=b""),
    "shape beyond the file": npy(shape="(1000000000000,)"),
    "shape overflows": npy(shape="(4611686018427387904, 4611686018427387904)"),
    "shape of 2**64": npy(shape="(18446744073709551616,)"),
    "shape of a thousand digits": npy(shape="(" + "9" * 1000 + ",)"),
    "shape wraps to small": npy(shape="(2**61,)"),
    "shape negative": npy(shape="(-3,)"),
    "shape float": npy(shape="(3.0,)"),
    "shape number": npy(shape="3"),
    "shape text": npy(shape="'3'"),
    "shape none": npy(shape="None"),
    "shape nested": npy(shape="((3,),)"),
    "shape true": npy(shape="(True, 3)"),
    "65 axes": npy(shape=str((1,) * 65)),
    "a million axes": npy(version=(2, 0), shape="(" + "1," * 1_000_000 + ")"),
    "zero axis with an overflow": npy(shape=f"(0, {2**62}, {2**62})", data=b""),
    "fortran text": npy(fortran="'no'"),
    "fortran number": npy(fortran="0"),
    "descr missing": npy(header="{'fortran_order': False, 'shape': (3,)}\n"),
    "shape missing": npy(header="{'fortran_order': False, 'descr': '<f8'}\n"),
    "extra key": npy(header="{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'x': 1}\n"),
    "key twice": npy(
        header="{'descr': '<f8', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}\n"
    ),
    "not a dict": npy(header="['<f8', False, (3,)]\n"),
    "code": npy(header="__import__('os').system('touch owned')\n"),
    "code inside": npy(shape="(__import__('os').getpid(),)"),
    "unterminated": npy(header="{'descr': '<f8"),
    "deep": npy(version=(2, 0), header="{'shape': " + "(" * 200_000 + ")" * 200_000 + "}"),
    "deep dicts": npy(version=(2, 0), header="{'a':" * 100_000),
    "bytes that are no text": npy(version=(3, 0))[:12] + b"\xff\xfe\xfd" + npy()[15:],
    "nul": npy(descr="'<f8\\x00'"),
    "descr object": npy(descr="'|O'", data=pickle.dumps([1])),
    "descr object of pickle": npy(descr="'|O'", data=b"cos\nsystem\n(S'touch owned'\ntR."),
    "descr text": npy(descr="'<U3'", data=bytes(36)),
    "descr datetime": npy(descr="'<M8[s]'"),
    "descr void": npy(descr="'|V8'"),
    "descr structured": npy(descr="[('x', '<f4'), ('y', '<f4')]"),
    "descr long double": npy(descr="'<f16'", data=bytes(48)),
    "descr unknown": npy(descr="'<q9'"),
    "descr empty": npy(descr="''"),
    "descr number": npy(descr="8"),
    "descr of many digits": npy(descr="'<f" + "8" * 500 + "'"),
    "zip": b"PK\x03\x04" + bytes(100),
    "pickle": pickle.dumps(np.arange(3)),
    "text": b"hello world, this is no array" * 10,
}


def loads(path):
    return [
        lambda: nd.load(path), lambda: nd.load(io.BytesIO(path.read_bytes())),
        lambda: nd.load(path, mmap="r"), lambda: nd.load(path, mmap="c"),
        lambda: nd.load(path, mmap="r+"),
    ]  # fmt: skip


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_fil_2_malformed_files_are_errors(tmp_path, content):
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    for load in loads(path):
        with pytest.raises(FILE_ERRORS) as error:
            load()
        assert "::" not in str(error.value), "an error speaks Rust"
    with pytest.raises(FILE_ERRORS, match="bad.npy"):
        nd.load(path)
    assert path.read_bytes() == content


def test_fil_2_errors_name_the_file_the_byte_and_the_reason(tmp_path):
    path = tmp_path / "cut.npy"
    path.write_bytes(npy(data=bytes(20)))
    with pytest.raises(ValueError, match=r"cut.npy.*byte \d+.*24 B.*20 B"):
        nd.load(path)
    path.write_bytes(npy(descr="'|O'"))
    with pytest.raises((ValueError, TypeError), match="cut.npy.*object"):
        nd.load(path)


def same_or_error(ours, theirs):
    """Both load the same array, or ours refuses what NumPy may take.

    Only float8 is the other way round: numpy.save writes it, numpy.load does not take it back.
    """
    try:
        t = ours()
    except FILE_ERRORS:
        return "refused"
    if t.dtype.name in ML_DTYPES:
        return "loaded"
    expected = theirs()
    assert t.numpy().tobytes() == expected.astype(expected.dtype.newbyteorder("=")).tobytes()
    assert t.shape == expected.shape
    return "loaded"


def mutated(rng, content):
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(0, min(len(content), 400) if rng.random() < 0.8 else len(content)))
        kind = rng.integers(0, 6)
        if kind == 0:
            content[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            content[at] = int(rng.integers(0, 256))
        elif kind == 2:
            del content[at : at + int(rng.integers(1, 20))]
        elif kind == 3:
            content[at:at] = rng.bytes(int(rng.integers(1, 20)))
        elif kind == 4:
            del content[at:]
        else:
            digits = [i for i, c in enumerate(content[:400]) if chr(c).isdigit()]
            if digits:
                content[digits[int(rng.integers(0, len(digits)))]] = int(
                    rng.choice(list(b"0123456789"))
                )
        if not content:
            break
    return bytes(content)


def numpy_load(content):
    """What NumPy reads; more patient than NumPy with white space around the header."""
    version = tuple(content[6:8])
    form = "<H" if version[0] == 1 else "<I"
    start = 8 + struct.calcsize(form)
    end = start + struct.unpack_from(form, content, 8)[0]
    header = content[start:end].decode("utf-8" if version[0] == 3 else "latin-1").strip() + "\n"
    return np.load(
        io.BytesIO(npy(version=version, header=header, data=content[end:])), allow_pickle=False
    )


def test_fil_2_mutated_npy_files_load_as_in_numpy_or_are_errors(tmp_path):
    rng = np.random.default_rng(9)
    outcomes = {"refused": 0, "loaded": 0}
    for number in range(1500):
        a = np.arange(60).reshape(3, 4, 5).astype(rng.choice(["<f8", ">i4", "|u1", "<c8", "|b1"]))
        out = io.BytesIO()
        np.lib.format.write_array(
            out, np.asfortranarray(a) if number % 2 else a, (1 + number % 3, 0)
        )
        content = mutated(rng, out.getvalue())
        path = tmp_path / "m.npy"
        path.write_bytes(content)
        try:
            outcomes[same_or_error(lambda: nd.load(path), lambda: numpy_load(content))] += 1
            same_or_error(lambda: nd.load(path, mmap="r"), lambda: numpy_load(content))
            same_or_error(lambda: nd.load(io.BytesIO(content)), lambda: numpy_load(content))
        except Exception as error:
            raise AssertionError(f"file {number}: {error!r}\n{content!r}") from error
    assert min(outcomes.values()) > 200, outcomes


def packed(compressed, **arrays):
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_fil_2_mutated_npz_files_load_as_in_numpy_or_are_errors(tmp_path, compressed):
    rng = np.random.default_rng(10)
    content = packed(compressed, a=np.arange(50.0), b=np.arange(6, dtype="u1"))
    outcomes = {"refused": 0, "loaded": 0}
    path = tmp_path / "m.npz"
    for number in range(700):
        bad = mutated(rng, content)
        tail = rng.random() < 0.4
        if tail:
            at = int(rng.integers(len(content) - 200, len(content)))
            bad = content[:at] + rng.bytes(1) + content[at + 1 :]
        path.write_bytes(bad)
        for mmap in (False, True):
            try:
                loaded = nd.load_npz(path, mmap=mmap)
                for name in loaded:
                    assert loaded[name].numpy().nbytes < 10_000
                outcomes["loaded"] += 1
            except FILE_ERRORS:
                outcomes["refused"] += 1
            except Exception as error:
                raise AssertionError(f"file {number}: {error!r}\n{bad!r}") from error
    assert min(outcomes.values()) > 20, outcomes


def zip_of(name, content, **changes):
    """An archive whose directory lies as `changes` say."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", changes.pop("method", zipfile.ZIP_STORED)) as archive:
        archive.writestr(name, content)
        for key, value in changes.items():
            setattr(archive.filelist[0], key, value)
    return out.getvalue()


def deflate_bomb():
    header = npy(shape="(3,)", data=b"")
    return zip_of("a.npy", header + bytes(64 << 20), method=zipfile.ZIP_DEFLATED)


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


BAD_ARCHIVES = {
    "empty": b"",
    "no end": packed(False, a=[1])[:-22],
    "end only": b"PK\x05\x06" + bytes(18),
    "many entries claimed": b"PK\x05\x06" + bytes(4) + b"\xff\xff\xff\xff" + bytes(10),
    "directory beyond the file": b"PK\x05\x06"
    + bytes(4)
    + b"\x01\x00\x01\x00"
    + b"\xff\xff\xff\x7f" * 2
    + b"\x00\x00",
    "member is no array": zip_of("a.npy", b"hello"),
    "member cut": zip_of("a.npy", npy(data=bytes(10))),
    "member claims too much": zip_of("a.npy", npy(shape="(1000000000000,)")),
    "member of pickles": zip_of("a.npy", npy(descr="'|O'", data=pickle.dumps([1]))),
    "size in the directory too large": zip_of("a.npy", npy(), file_size=2**31),
    "checksum wrong": zip_of("a.npy", npy(), CRC=12345),
    "deflated checksum wrong": zip_of(
        "a.npy", npy(data=bytes(24)), method=zipfile.ZIP_DEFLATED, CRC=12345
    ),
    "unknown method": zip_of("a.npy", npy()).replace(
        b"\x00\x00\x00\x00\x21\x00", b"\x00\x00\x63\x00\x21\x00"
    ),
    "lzma": zip_of("a.npy", npy(), method=zipfile.ZIP_LZMA),
    "broken deflate": flipped(zip_of("a.npy", npy(), method=zipfile.ZIP_DEFLATED), 50),
    "local header beyond the file": zip_of("a.npy", npy(), header_offset=2**31),
}


@pytest.mark.parametrize("content", BAD_ARCHIVES.values(), ids=BAD_ARCHIVES)
def test_fil_2_malformed_archives_are_errors(tmp_path, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    results = []
    for load in (
        lambda: nd.load_npz(path),
        lambda: nd.load_npz(io.BytesIO(content)),
        lambda: nd.load_npz(path, mmap=True),
    ):
        try:
            loaded = load()
            results.append({name: loaded[name].tolist() for name in loaded})
        except FILE_ERRORS as error:
            assert "::" not in str(error), "an error speaks Rust"
            results.append("refused")
    # A file may be whole but for what only one of the ways looks at, such as a checksum.
    assert all(result in ("refused", {}, {"a": [0.0, 0.0, 0.0]}) for result in results), results
    assert results[0] == results[1]


PEAK = """
import resource, sys, io, os
import ndbridge as nd
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
for path in sys.argv[1:]:
    size = os.path.getsize(path)
    calls = [lambda: nd.load(path), lambda: nd.load(path, mmap="r")]
    calls.append(lambda: nd.load(io.BytesIO(open(path, "rb").read())))
    if path.endswith("npz"):
        calls = [lambda: nd.load_npz(path), lambda: nd.load_npz(path, mmap=True)]
    for call in calls:
        before = peak()
        try:
            call()
        except (ValueError, OSError, TypeError, MemoryError):
            pass
        grown = peak() - before
        # Twice, since the last call holds the file's bytes as well.
        assert grown < 2 * size + (16 << 20), (path, size, grown)
"""


def test_fil_1_memory_stays_below_the_file_s_size(tmp_path):
    contents = {f"{index}.npy": content for index, content in enumerate(MALFORMED.values())}
    contents |= {f"{index}.npz": content for index, content in enumerate(BAD_ARCHIVES.values())}
    huge = f"({2**27},)"
    contents["claims a gigabyte.npy"] = npy(shape=huge)
    contents["claims a gigabyte.npz"] = zip_of("a.npy", npy(shape=huge))
    contents["deflated, claims a gigabyte.npz"] = zip_of(
        "a.npy", npy(shape=huge), method=zipfile.ZIP_DEFLATED
    )
    contents["more than its header says.npz"] = deflate_bomb()
    contents["header of 64 MiB.npy"] = npy(version=(2, 0), length=64 << 20)
    contents["deflated header of 64 MiB.npz"] = zip_of(
        "a.npy", npy(version=(2, 0), header=" " * (64 << 20)), method=zipfile.ZIP_DEFLATED
    )
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in contents]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *paths], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_fil_2_an_array_smaller_than_its_member_is_taken_by_its_header(tmp_path):
    path = tmp_path / "bomb.npz"
    path.write_bytes(deflate_bomb())
    try:
        assert nd.load_npz(path)["a"].tolist() == [0, 0, 0]
    except ValueError as error:
        assert "bomb.npz" in str(error)


def test_fil_1_no_pickle_is_ever_executed(tmp_path):
    flag = tmp_path / "executed"

    class Evil:
        def __reduce__(self):
            return (open, (str(flag), "w"))

    np.save(tmp_path / "evil.npy", np.array([Evil()], object), allow_pickle=True)
    np.savez(tmp_path / "evil.npz", a=np.array([Evil()], object))
    for call in (
        lambda: nd.load(tmp_path / "evil.npy"), lambda: nd.load(tmp_path / "evil.npy", mmap="r"),
        lambda: nd.load_npz(tmp_path / "evil.npz"),
        lambda: nd.load_npz(tmp_path / "evil.npz", mmap=True),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match="object|pickle"):
            call()
    assert not flag.exists()


def test_fil_2_deflated_data_is_checked_against_its_checksum(tmp_path):
    a = np.random.default_rng(11).integers(0, 4, 10_000, "u1")
    content = packed(True, a=a)
    at = content.index(b"PK\x01\x02")
    (tmp_path / "bad.npz").write_bytes(flipped(content, at + 16))
    with pytest.raises((ValueError, OSError), match="bad.npz"):
        nd.load_npz(tmp_path / "bad.npz")
