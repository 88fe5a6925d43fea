"""Writes the files beside this script with NumPy itself: `python generate.py`.

Element number k in C order is: k % 2 (bool), k (integers), k / 2 - 2 (floats),
k / 2 - 2 + k * 1j (complex). The Rust tests know this rule.
"""

import io
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
DTYPES = "? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16".split()


def values(shape, dtype):
    k = np.arange(int(np.prod(shape)))
    dtype = np.dtype(dtype)
    rule = {"b": k % 2, "i": k, "u": k, "f": k / 2 - 2, "c": k / 2 - 2 + k * 1j}
    return rule[dtype.kind].astype(dtype).reshape(shape)


def save(name, array, version=None, **options):
    with open(HERE / f"{name}.npy", "wb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.lib.format.write_array(file, array, version=version, **options)


def python2(shape_text):
    """A header as NumPy wrote it under Python 2, with long integers."""
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }" % shape_text
    text += " " * (15 - (10 + len(text)) % 16) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def arrays():
    for code in DTYPES:
        for order in "CF":
            for endian, sign in [("le", "<"), ("be", ">")]:
                if endian == "be" and np.dtype(code).itemsize == 1:
                    continue
                name = f"{np.dtype(code).name}_{endian}_{order.lower()}"
                save(name, np.asarray(values((3, 4), sign + code), order=order))
    for version in [(1, 0), (2, 0), (3, 0)]:
        save(f"version_{version[0]}", values((2, 3, 2), "<f4"), version=version)
    save("scalar", values((), "<f8"))
    save("vector", values((7,), "<i4"))
    save("empty_vector", values((0,), "<f4"))
    save("empty_c", values((2, 0, 3), "<f8"))
    save("empty_f", np.asarray(values((0, 3), "<i2"), order="F"))
    save("many_axes", values((1,) * 31 + (2,), "<u2"))
    save("cube_f", np.asarray(values((2, 3, 4), "<i4"), order="F"))
    save("sliced", values((4, 6), "<i4")[::2, ::-1])
    (HERE / "python2.npy").write_bytes(python2("2L, 3L") + values((2, 3), "<f8").tobytes())


def refused():
    save("refused_object", np.array([{"a": 1}], object))
    save("refused_text", np.array(["abc", "de"]))
    save("refused_bytes", np.array([b"abc", b"de"]))
    save("refused_datetime", np.array(["2026-01-01"], "<M8[D]"))
    save("refused_timedelta", np.array([5], "<m8[s]"))
    save("refused_void", np.zeros(2, "V2"))
    save("refused_longdouble", np.zeros(2, np.longdouble))
    save("refused_structured", np.zeros(2, [("x", "<f4"), ("y", "<i8", (2,))]))
    save("refused_structured_v3", np.zeros(2, [("Größe", "<f4")]), version=(3, 0))


def archives():
    members = {"a": values((3, 4), "<f8"), "b": values((5,), "<i2"), "c": values((2, 3), ">f4")}
    np.savez(HERE / "stored.npz", **members)
    np.savez_compressed(HERE / "deflated.npz", **members)
    np.savez(HERE / "no_members.npz")
    names = ["plain", "Größe", "測定/値", "../up", "with space.npy"]
    np.savez(HERE / "names.npz", **{name: np.array(k) for k, name in enumerate(names)})
    np.savez(HERE / "mixed.npz", good=values((4,), "<f4"), text=np.array(["abc"]))
    with zipfile.ZipFile(HERE / "commented.npz", "w") as archive:
        for name, array in members.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            method = zipfile.ZIP_DEFLATED if name == "b" else zipfile.ZIP_STORED
            archive.writestr(f"{name}.npy", buffer.getvalue(), method)
        archive.comment = b"PK\x05\x06 is how the end of an archive begins" [4:]
    prefix = b"#!/usr/bin/env python3\n"
    (HERE / "prefixed.npz").write_bytes(prefix + (HERE / "stored.npz").read_bytes())
    with zipfile.ZipFile(HERE / "bzip2.npz", "w", zipfile.ZIP_BZIP2) as archive:
        buffer = io.BytesIO()
        np.save(buffer, members["a"])
        archive.writestr("a.npy", buffer.getvalue())
    streamed(members)


def streamed(members):
    """An archive written to a pipe: sizes follow the data."""

    class Pipe(io.RawIOBase):
        def __init__(self):
            self.bytes = b""

        def writable(self):
            return True

        def write(self, data):
            self.bytes += bytes(data)
            return len(data)

    pipe = Pipe()
    np.savez_compressed(pipe, **members)
    (HERE / "streamed.npz").write_bytes(pipe.bytes)


if __name__ == "__main__":
    arrays()
    refused()
    archives()
