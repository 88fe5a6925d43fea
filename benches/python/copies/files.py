"""Files in the page cache: one large .npy, and an .npz of a hundred arrays."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ndbridge as nd
import numpy as np

from copies import libraries
from copies.operations import limit
from copies.sampling import Case, Contender

FILES = "Files"
ENTRIES = 100
#: Beside ndbridge's own calls.
PLAIN = "`read` into memory that exists"
UNSYNCED = "**ndbridge**, to an open file"
WRITE = "`write`"
OF_NUMPY = "**ndbridge**, a file of NumPy's"
VIEWS = ".npz, views of all entries"


def files(folder: Path, is_quick: bool) -> Iterator[Case]:
    megabytes = 32 if is_quick else 256
    array = libraries.values((megabytes << 18,), np.float32)
    whole = f".npy of {megabytes} MiB"
    yield loading(folder / "array.npy", f"{whole}, load", array)
    yield saving(folder / "saved.npy", f"{whole}, save", array)
    del array
    entries = {f"arr_{i}": libraries.values((1 << 18,), np.float32) + i for i in range(ENTRIES)}
    (folder / "array.npy").unlink()
    nd.savez(folder / "ours.npz", **entries)
    np.savez(folder / "theirs.npz", **entries)
    yield viewing(folder, entries)
    yield loading_entries(folder, entries)
    yield saving_entries(folder / "saved.npz", entries)


def loading(path: Path, title: str, array: Any) -> Case:
    np.save(path, array)
    room = libraries.memory(array.shape, array.dtype)
    header = path.stat().st_size - array.nbytes

    def read() -> Any:
        with open(path, "rb", buffering=0) as file:
            file.seek(header)
            file.readinto(room)
        return room

    check = same(array)
    names = {"nd": nd, "np": np, "path": path, "read": read}
    contenders = [
        limit(array.nbytes, array, None),
        Contender(PLAIN, "read()", names, check),
        Contender(libraries.OURS, "nd.load(path)", names, check),
        Contender(libraries.NUMPY, "np.load(path)", names, check),
    ]
    return Case(FILES, title, 2 * array.nbytes, contenders)


def saving(path: Path, title: str, array: Any) -> Case:
    """ndbridge's `save` waits for the disk; to an open file it does not, as the others."""
    tensor = nd.from_numpy(array)

    def unsynced() -> None:
        with open(path, "wb") as file:
            nd.save(file, tensor)

    def write() -> None:
        with open(path, "wb", buffering=0) as file:
            head = np.lib.format.header_data_from_array_1_0(array)
            np.lib.format.write_array_header_1_0(file, head)
            file.write(array)

    check = saved(path, lambda: np.array_equal(np.load(path), array))
    names = {"nd": nd, "np": np, "path": path, "t": tensor, "a": array}
    names |= {"unsynced": unsynced, "write": write}
    contenders = [
        limit(array.nbytes, array, None),
        written(path, WRITE, "write()", names, check),
        written(path, libraries.OURS, "nd.save(path, t)", names, check),
        written(path, UNSYNCED, "unsynced()", names, check),
        written(path, libraries.NUMPY, "np.save(path, a)", names, check),
    ]
    return Case(FILES, title, 2 * array.nbytes, contenders)


def viewing(folder: Path, entries: dict[str, Any]) -> Case:
    """No byte of the arrays is read, but what their page holds beside them."""
    nbytes = sum(array.nbytes for array in entries.values())
    check = same_entries(entries)
    names = {"nd": nd, "np": np, "ours": folder / "ours.npz", "theirs": folder / "theirs.npz"}
    mapped = "nd.load_npz({}, mmap=True).items()"
    contenders = [
        limit_of(nbytes),
        Contender(libraries.OURS, mapped.format("ours"), names, check),
        Contender(OF_NUMPY, mapped.format("theirs"), names, check),
        # It has no views: it maps no .npz.
        Contender(libraries.NUMPY, "list(np.load(theirs).items())", names, check),
    ]
    return Case(FILES, f"{VIEWS}, {ENTRIES} of 1 MiB", 2 * nbytes, contenders)


def loading_entries(folder: Path, entries: dict[str, Any]) -> Case:
    nbytes = sum(array.nbytes for array in entries.values())
    check = same_entries(entries)
    names = {"nd": nd, "np": np, "ours": folder / "ours.npz", "theirs": folder / "theirs.npz"}
    contenders = [
        limit_of(nbytes),
        Contender(libraries.OURS, "nd.load_npz(ours).items()", names, check),
        Contender(OF_NUMPY, "nd.load_npz(theirs).items()", names, check),
        Contender(libraries.NUMPY, "list(np.load(theirs).items())", names, check),
    ]
    return Case(FILES, f".npz, load all entries, {ENTRIES} of 1 MiB", 2 * nbytes, contenders)


def saving_entries(path: Path, entries: dict[str, Any]) -> Case:
    nbytes = sum(array.nbytes for array in entries.values())
    tensors = {name: nd.from_numpy(array) for name, array in entries.items()}

    def unsynced() -> None:
        with open(path, "wb") as file:
            nd.savez(file, **tensors)

    def is_right() -> bool:
        with np.load(path) as found:
            return all(np.array_equal(found[name], array) for name, array in entries.items())

    check = saved(path, is_right)
    names = {"nd": nd, "np": np, "path": path, "unsynced": unsynced}
    names |= {"tensors": tensors, "arrays": entries}
    contenders = [
        limit_of(nbytes),
        written(path, libraries.OURS, "nd.savez(path, **tensors)", names, check),
        written(path, UNSYNCED, "unsynced()", names, check),
        written(path, libraries.NUMPY, "np.savez(path, **arrays)", names, check),
    ]
    return Case(FILES, f".npz, save, {ENTRIES} of 1 MiB", 2 * nbytes, contenders)


def limit_of(nbytes: int) -> Contender:
    return limit(nbytes, libraries.memory((nbytes,), np.uint8), None)


def written(
    path: Path, label: str, expression: str, names: dict[str, object], check: Callable[[Any], None]
) -> Contender:
    """Each writes a new file: one that is still on its way to the disk is slow to truncate."""

    def removed() -> None:
        path.unlink(missing_ok=True)

    return Contender(label, expression, names, check, before=removed, is_once=True)


def same(array: Any) -> Callable[[Any], None]:
    def check(answer: Any) -> None:
        if not np.array_equal(libraries.to_numpy(answer), array):
            raise ValueError("wrong answer")

    return check


def same_entries(entries: dict[str, Any]) -> Callable[[Any], None]:
    def check(answer: Any) -> None:
        found = dict(answer)
        if found.keys() != entries.keys():
            raise ValueError(f"wrong names {sorted(found)}")
        for name, array in entries.items():
            same(array)(found[name])

    return check


def saved(path: Path, is_right: Callable[[], bool]) -> Callable[[Any], None]:
    def check(_: Any) -> None:
        if not is_right():
            raise ValueError(f"wrong file {path.name}")

    return check
