"""The main job on real data: scikit-learn's handwritten digits, through every conversion and back.

Usage: python demo.py FOLDER. Prints a table and writes FOLDER/digits.png; fails if any call does not
do what its name promises.
"""

import gc
import sys
import traceback
from pathlib import Path

import ndbridge as nd
import numpy as np
from picture import draw
from sklearn.datasets import load_digits
from witness import Array, File, Row, holds, observe, refused, relation, table


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "digits.npy"
    np.save(path, load_digits().images)
    print(f"digits: {np.load(path).shape} {np.load(path).dtype}, saved by NumPy {np.__version__}")
    sections = {
        "arrays": arrays(np.load(path)),
        "tensors": tensors(np.load(path)),
        "dtypes": dtypes(np.load(path)),
        "views": views(np.load(path)),
        "lifetime": lifetime(np.load(path)),
        "files": files(path),
        "archives": archives(folder / "digits.npz", np.load(path)),
        "in Rust": in_rust(folder / "digits.png", np.load(path)),
    }
    rows = [row for name, section in sections.items() for row in whole(name, section)]
    print(f"\n{table(rows)}\n")
    broken = [row for row in rows if not row.kept]
    for row in broken:
        print(f"BROKEN: {row.call}: promised {row.promised}, {row.happened}")
    print(
        f"{len(rows) - len(broken)} of {len(rows)} promises kept; picture: {folder / 'digits.png'}"
    )
    return 1 if broken else 0


def whole(name, section):
    """The rows of a section; an unexpected error breaks its last promise, not the table."""
    try:
        yield from section
    except Exception as error:
        traceback.print_exc()
        yield Row(f"section {name}", "runs to its end", f"{type(error).__name__}: {error}", 0, 0.0)


def arrays(a):
    """NumPy to Tensor: calls that share, calls that copy, and `asarray`, which is told."""
    locked = a.view()
    locked.flags.writeable = False
    yield observe("nd.from_numpy(a)", "shares", lambda: nd.from_numpy(a), a)[0]
    yield observe(
        "nd.from_numpy(a[::2, ::-1])",
        "shares",
        lambda: nd.from_numpy(a[::2, ::-1]),
        a,
        index=(1, 0, 0),
        at=(2, 7, 0),
    )[0]
    yield observe("nd.from_numpy(locked)", "shares, read-only", lambda: nd.from_numpy(locked), a)[0]
    yield observe("nd.tensor(a)", "copies", lambda: nd.tensor(a), a)[0]
    yield observe("nd.constant(a)", "copies, read-only", lambda: nd.constant(a), a)[0]
    yield observe(
        "nd.convert_to_tensor(a)", "copies, read-only", lambda: nd.convert_to_tensor(a), a
    )[0]
    yield observe("nd.asarray(a)", "shares", lambda: nd.asarray(a), a)[0]
    yield observe("nd.asarray(a, copy=True)", "copies", lambda: nd.asarray(a, copy=True), a)[0]
    yield observe("nd.asarray(a, copy=False)", "shares", lambda: nd.asarray(a, copy=False), a)[0]
    with nd.no_copy():
        yield observe("no_copy: nd.from_numpy(a)", "shares", lambda: nd.from_numpy(a), a)[0]
        yield refused("no_copy: nd.tensor(a)", "refuses", lambda: nd.tensor(a))


def tensors(a):
    """Tensor to NumPy and to another Tensor."""
    t = nd.from_numpy(a)
    own = nd.tensor(a)
    yield observe("t.numpy()", "shares", t.numpy, a)[0]
    yield observe("nd.tensor(a).numpy()", "shares", own.numpy, own)[0]
    yield observe("np.asarray(t)", "shares", lambda: np.asarray(t), a)[0]
    yield observe("memoryview(t)", "shares", lambda: np.asarray(memoryview(t)), a)[0]
    yield observe("nd.convert_to_tensor(t)", "shares", lambda: nd.convert_to_tensor(t), a)[0]
    yield observe("t.clone()", "copies", t.clone, a)[0]
    c = nd.constant(a)
    yield holds(
        "nd.constant(a).numpy()",
        "same address, read-only",
        c.numpy,
        lambda n: n.ctypes.data == c.data_ptr() and not n.flags.writeable,
    )[0]


def dtypes(a):
    """float64 stays float64; float32 comes only when it is asked for."""
    single = a.astype(np.float32)
    row, t = observe("float64: nd.from_numpy(a)", "shares", lambda: nd.from_numpy(a), a)
    yield row
    yield holds("  its dtype", "float64", lambda: t.dtype, lambda dtype: str(dtype) == "float64")[0]
    row, s = observe("float32: nd.from_numpy(a)", "shares", lambda: nd.from_numpy(single), single)
    yield row
    yield holds("  its dtype", "float32", lambda: s.dtype, lambda dtype: str(dtype) == "float32")[0]
    yield observe(
        "nd.tensor(a, dtype='float32')", "copies", lambda: nd.tensor(a, dtype="float32"), a
    )[0]
    yield observe("t.astype('float32')", "copies", lambda: t.astype("float32"), a)[0]
    yield observe(
        "t.astype('float64', copy=False)", "shares", lambda: t.astype("float64", copy=False), a
    )[0]
    yield refused(
        "nd.asarray(a, 'float32', copy=False)",
        "refuses, naming float64 and float32",
        lambda: nd.asarray(a, dtype="float32", copy=False),
    )


def views(a):
    """Views, views of views, and the reshape that no view can express."""
    t = nd.from_numpy(a)
    last = (len(a) - 1, 7, 7)
    yield observe("t[5:]", "shares", lambda: t[5:], a, at=(5, 0, 0))[0]
    yield observe(
        "t[5:][::2, ::-1]", "shares", lambda: t[5:][::2, ::-1], a, index=(1, 0, 0), at=(7, 7, 0)
    )[0]
    yield observe(
        "t.permute(2, 0, 1)", "shares", lambda: t.permute(2, 0, 1), a, index=(1, 2, 3), at=(2, 3, 1)
    )[0]
    yield observe("t.flip((0, 1, 2))", "shares", lambda: t.flip((0, 1, 2)), a, at=last)[0]
    yield observe(
        "t.reshape(1797, 64)", "shares", lambda: t.reshape(1797, 64), a, index=(1, 9), at=(1, 1, 1)
    )[0]
    yield observe(
        "t.diagonal(0, 1, 2)", "shares", lambda: t.diagonal(0, 1, 2), a, index=(4, 3), at=(4, 3, 3)
    )[0]
    yield observe(
        "t[0].T.numpy()", "shares", lambda: t[0].T.numpy(), a, index=(1, 2), at=(0, 2, 1)
    )[0]
    yield refused("t.T.reshape(-1)", "refuses, naming reshape_copy", lambda: t.T.reshape(-1))
    yield observe("t.T.reshape_copy(-1)", "copies", lambda: t.T.reshape_copy(-1), a, at=(0, 0, 0))[
        0
    ]
    yield holds(
        "nd.shares_memory(a[::2], t[1::2])",
        "disjoint",
        lambda: nd.shares_memory(a[::2], t[1::2]),
        lambda overlap: overlap is False,
    )[0]


def lifetime(a):
    """Memory lives as long as anyone uses it, and cannot be resized meanwhile."""
    own = a.copy()
    t = nd.from_numpy(own)
    yield refused("own.resize(3) while t lives", "refuses", lambda: own.resize(3))
    yield holds("  t after it", "unchanged", lambda: np.array_equal(t.numpy(), a), bool)[0]
    orphan = nd.from_numpy(a.copy())
    gc.collect()
    equal = lambda array: np.array_equal(array, a)
    yield holds("t, its array gone", "alive", orphan.numpy, equal)[0]
    n = nd.tensor(a).numpy()
    gc.collect()
    yield holds("t.numpy(), its tensor gone", "alive", lambda: n, equal)[0]


def files(path):
    """`.npy`: loading copies, mapping shares, saving is read back by NumPy."""
    a = np.load(path)
    in_file = File(path, a, (0, 0, 0))
    yield holds(
        "nd.load(path)",
        "copies, equal to np.load",
        lambda: nd.load(path),
        lambda t: (
            relation(in_file, Array(t, (0, 0, 0))) == "copies" and np.array_equal(t.numpy(), a)
        ),
    )[0]
    for mode, promised in [("r", "shares, read-only"), ("r+", "shares")]:
        call = f"nd.load(path, mmap={mode!r})"
        yield observe(call, promised, lambda mode=mode: nd.load(path, mmap=mode), in_file)[0]
    private = nd.load(path, mmap="c")
    yield holds(
        "nd.load(path, mmap='c')",
        "writes stay out of the file",
        lambda: private.fill_(7),
        lambda _: np.array_equal(np.load(path), a),
    )[0]
    saved = path.with_name("saved.npy")
    yield holds(
        "nd.save(path, t[::2, ::-1])",
        "np.load reads it",
        lambda: nd.save(saved, nd.from_numpy(a)[::2, ::-1]),
        lambda _: np.array_equal(np.load(saved), a[::2, ::-1]),
    )[0]


def archives(path, a):
    """`.npz`: written for NumPy, read from NumPy, mapped without a copy."""
    labels = np.asarray(load_digits().target)
    yield holds(
        "nd.savez(path, images=t, labels=l)",
        "np.load reads it",
        lambda: nd.savez(path, images=nd.from_numpy(a), labels=labels),
        lambda _: (
            np.array_equal(np.load(path)["images"], a)
            and np.array_equal(np.load(path)["labels"], labels)
        ),
    )[0]
    yield observe(
        "nd.load_npz(path, mmap=True)['images']",
        "shares, read-only",
        lambda: nd.load_npz(path, mmap=True)["images"],
        File(path, a, (0, 0, 0)),
    )[0]
    theirs = path.with_name("numpy.npz")
    np.savez_compressed(theirs, images=a, labels=labels)
    yield holds(
        "nd.load_npz(NumPy's, deflated)",
        "equal",
        lambda: nd.load_npz(theirs),
        lambda z: np.array_equal(z["images"].numpy(), a) and "labels" in z,
    )[0]


def in_rust(path, a):
    """ndbridge mirrors digits and draws a bar beside each, in place; the NumPy array shows it."""
    shown = slice(0, 10)
    before = a[shown].copy()
    expected = before[:, :, ::-1].copy()
    expected[:, :, 0] = 16
    digits = nd.from_numpy(a)[shown]

    def change():
        digits.copy_(nd.tensor(before)[:, :, ::-1])
        digits[:, :, 0].fill_(16)

    row, _ = holds(
        "t.copy_(mirrored), t[:, :, 0].fill_(16)",
        "seen in a",
        change,
        lambda _: np.array_equal(a[shown], expected),
    )
    draw(path, [("a, before", before), ("a, after ndbridge changed it in place", a[shown])])
    yield row


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
