"""What a call really did, decided without asking ndbridge whether it shared.

Two parties share if they give the same address (where both have one) and if a value written through
either is read through the other. The bytes copied come from ndbridge's counter and must agree with
both that and the result's receipt.
"""

import time
from dataclasses import dataclass

import ndbridge as nd
import numpy as np

REFUSALS = (BufferError, TypeError, ValueError)
REPEATS = 7


class Array:
    """One element of a NumPy array or of a Tensor."""

    def __init__(self, array, index):
        self.array, self.index = array, index

    @property
    def address(self):
        cell = self.array[self.index + (...,)]
        return cell.ctypes.data if isinstance(cell, np.ndarray) else cell.data_ptr()

    def read(self):
        return self.array[self.index].item()

    def write(self, value):
        self.array[self.index] = value


class File:
    """The same element in a file, found by the array's bytes and patched with plain file calls."""

    address = None

    def __init__(self, path, array, index):
        self.path, self.dtype = path, array.dtype
        start = path.read_bytes().find(array.tobytes())
        assert start >= 0, f"{path.name} does not hold the array's bytes"
        self.offset = start + np.ravel_multi_index(index, array.shape) * array.itemsize

    def read(self):
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return np.frombuffer(file.read(self.dtype.itemsize), self.dtype)[0].item()

    def write(self, value):
        with self.path.open("r+b") as file:
            file.seek(self.offset)
            file.write(np.array(value, self.dtype).tobytes())


@dataclass
class Row:
    """One line of the table."""

    call: str
    promised: str
    happened: str
    copied: int
    seconds: float

    @property
    def kept(self):
        return self.happened == self.promised


def observe(call, promised, make, source, index=None, at=None):
    """Makes a result and finds out how its memory belongs to `source`.

    `source` is an array, a Tensor or a `File`; `index` names the element watched in the result
    (default: its first), `at` the same element in the source (default: the same index).
    """
    result, copied, seconds = measure(make)
    index = index or (0,) * result.ndim
    there = source if isinstance(source, File) else Array(source, at or index)
    happened = relation(there, Array(result, index))
    return Row(call, promised, with_counter(happened, result, copied), copied, seconds), result


def refused(call, promised, make):
    """A call that must raise, with a message that names what to do instead."""
    try:
        _, copied, seconds = measure(make)
    except REFUSALS as error:
        text = str(error)
        happened = promised if all(word in text for word in words(promised)) else f"says {text!r}"
        return Row(call, promised, happened, 0, 0.0)
    return Row(call, promised, "done without an error", copied, seconds)


def holds(call, promised, make, test):
    """Any other promise: `test` of the result must hold."""
    result, copied, seconds = measure(make)
    happened = promised if test(result) else f"broken: {result!r:.60}"
    return Row(call, promised, happened, copied, seconds), result


def measure(make):
    """The first result, the bytes it copied, and the best time of a few calls."""
    before = nd.copies().bytes
    result = make()
    copied = nd.copies().bytes - before
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        make()
        times.append(time.perf_counter() - start)
    return result, copied, min(times)


def relation(source, result):
    """`shares`, `shares, read-only`, `copies`, `copies, read-only`, or what did not fit."""
    same_address = None if source.address is None else source.address == result.address
    to_result = is_seen(source, result)
    to_source = is_seen(result, source)
    read_only = ", read-only" if to_source is None else ""
    shares = {same_address, to_result, to_source} - {None}
    if shares == {True}:
        return "shares" + read_only
    if shares == {False}:
        return "copies" + read_only
    return f"address {same_address}, source's write {to_result}, result's write {to_source}"


def is_seen(writer, reader):
    """Whether a value written by one is read by the other; `None` if it may not write."""
    before = writer.read()
    value = before + 1
    try:
        writer.write(value)
    except REFUSALS:
        return None
    seen = reader.read() == value
    writer.write(before)
    return seen


def with_counter(happened, result, copied):
    """`happened`, if the counter and the receipt say the same."""
    if not isinstance(result, nd.Tensor):
        expected = 0 if happened.startswith("shares") else copied
    else:
        expected = 0 if happened.startswith("shares") else result.nbytes
        if result.receipt.copied_bytes != expected:
            return f"{happened}, but the receipt says {result.receipt}"
    return happened if copied == expected else f"{happened}, but {copied} B were counted"


def words(promised):
    """`refuses, naming reshape_copy` asks for the word `reshape_copy` in the message."""
    return promised.partition("naming ")[2].split(" and ") if "naming " in promised else []


def table(rows):
    """The rows as text."""
    lines = [("call", "promised", "happened", "bytes copied", "time")]
    lines += [(r.call, r.promised, r.happened, f"{r.copied:,}", duration(r.seconds)) for r in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = []
    for cells in lines:
        left = [cell.ljust(width) for cell, width in zip(cells[:3], widths[:3])]
        right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:])]
        text.append("  ".join(left + right))
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def duration(seconds):
    if seconds == 0:
        return "-"
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"
