"""Random sequences of view operations, done by NumPy and by ndbridge: everything must agree.

A failing case is printed whole. Replay it with ``run(case)``, pasting what was printed.
"""

import collections
import random
import warnings

import ndbridge as nd
import numpy as np

from conftest import NUMPY_DTYPES, address, defined, random_array

CASES = 24_000
REFUSALS = (ValueError, IndexError, TypeError)


def whole(index):
    """The same index, for which NumPy gives an array also where it would give a number."""
    return tuple(index) if Ellipsis in index else (*index, ...)


def squeezed(a, axes):
    """NumPy lets 0 and -1 pass as axes of an array of none."""
    if a.ndim == 0 and axes is not None and axes != ():
        raise ValueError
    return a.squeeze(axes)


#: What NumPy does, and what ndbridge does, for each operation.
STEPS = {
    "index": (lambda a, *index: a[whole(index)], lambda t, *index: t[index]),
    "permute": (lambda a, *axes: a.transpose(axes), lambda t, *axes: t.permute(axes)),
    "transpose": (lambda a, *axes: a.swapaxes(*axes), lambda t, *axes: t.transpose(*axes)),
    "T": (lambda a: a.T, lambda t: t.T),
    "flip": (
        lambda a, *axes: np.flip(a, axes) if a.ndim or axes else a,
        lambda t, *axes: t.flip(*axes),
    ),
    "squeeze": (squeezed, lambda t, axes: t.squeeze(axes)),
    "unsqueeze": (lambda a, axis: np.expand_dims(a, axis), lambda t, axis: t.unsqueeze(axis)),
    "expand": (
        lambda a, *shape: np.broadcast_to(a, kept(a, shape)),
        lambda t, *shape: t.expand(*shape),
    ),
    "diagonal": (lambda a, *where: a.diagonal(*where), lambda t, *where: t.diagonal(*where)),
    "reshape": (
        lambda a, *shape: np.reshape(a, shape, copy=False),
        lambda t, *shape: t.reshape(*shape),
    ),
    "view": (lambda a, dtype: a.view(dtype), lambda t, dtype: t.view(dtype)),
}


def kept(a, shape):
    """A shape for broadcast_to, where -1 keeps a length."""
    extra = len(shape) - a.ndim
    if extra < 0 or -1 in shape[:extra]:
        raise ValueError
    return tuple(a.shape[i - extra] if n == -1 else n for i, n in enumerate(shape))


ENDS = {
    "clone": (lambda a: a.copy("K"), lambda t: t.clone()),
    "tensor": (lambda a: np.array(a, order="K"), nd.tensor),
    "contiguous": (
        lambda a, order: np.array(a, order=order, copy=None),
        lambda t, order: t.contiguous(order),
    ),
    "reshape_copy": (
        lambda a, *shape: a.copy().reshape(shape),
        lambda t, *shape: t.reshape_copy(*shape),
    ),
    "astype": (
        lambda a, dtype: a.astype(dtype),
        lambda t, dtype: t.astype(dtype, casting="unsafe"),
    ),
    "astype copy=False": (
        lambda a, dtype: a.astype(dtype, copy=False),
        lambda t, dtype: t.astype(dtype, casting="unsafe", copy=False),
    ),
}

Case = collections.namedtuple("Case", "seed dtype shape wrap steps end")


def base_array(case):
    """The array that a case begins with, lying in memory as `case.wrap` says."""
    rng = np.random.default_rng(case.seed)
    values = random_array(rng, case.shape, case.dtype)
    if case.wrap == "F":
        return np.asfortranarray(values)
    if case.wrap == "record":
        records = np.zeros(case.shape, [("a", "u1"), ("x", case.dtype), ("b", "u2")])
        records["x"] = values
        return records["x"]
    if case.wrap == "inside":
        outer = np.zeros([n + 2 for n in case.shape], case.dtype)
        inner = outer[whole([slice(1, -1)] * len(case.shape))]
        inner[...] = values
        return inner
    if case.wrap == "reversed" and case.shape:
        return np.flip(np.flip(values).copy())
    if case.wrap == "read-only":
        values.flags.writeable = False
    return values


class Generator:
    """Cases that mostly succeed: steps are drawn for the array they meet, then sometimes bent."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def case(self):
        r = self.random
        shape = tuple(
            r.choice([0, 1, 1, 2, 3, 4, 5]) for _ in range(r.choice([0, 1, 2, 2, 3, 3, 4]))
        )
        wrap = r.choice(["C", "C", "F", "record", "inside", "reversed", "read-only"])
        case = Case(r.getrandbits(32), r.choice(NUMPY_DTYPES), shape, wrap, [], ())
        a = base_array(case)
        for _ in range(r.randint(1, 6)):
            step = self.step(a, case.dtype)
            case.steps.append(step)
            try:
                a = STEPS[step[0]][0](a, *step[1:])
            except REFUSALS:
                continue
        return case._replace(end=self.end(a))

    def step(self, a, base_dtype):
        r = self.random
        name = r.choice([*STEPS, "index", "index", "reshape"])
        return (name, *getattr(self, name)(a, base_dtype))

    def axis(self, a, bend=0.05):
        reach = a.ndim + (self.random.random() < bend)
        return self.random.randint(-reach, max(reach - 1, -reach))

    def bound(self, n):
        r = self.random
        return r.choice([None, None, r.randint(-n - 2, n + 2), r.choice([0, n, -1, 100, -100])])

    def index(self, a, _):
        r = self.random
        entries, axis = [], 0
        while axis < a.ndim and r.random() < 0.8:
            n = a.shape[axis]
            kind = r.random()
            if kind < 0.25 and n:
                entries.append(r.randint(-n, n - 1) if r.random() < 0.97 else n)
            elif kind < 0.85:
                step = r.choice([None, 1, 2, 3, -1, -1, -2, -3, 7, -7])
                entries.append(slice(self.bound(n), self.bound(n), step))
            else:
                entries.append(None)
                continue
            axis += 1
        if r.random() < 0.2:
            entries.insert(r.randint(0, len(entries)), Ellipsis)
        if r.random() < 0.02:
            entries.append(0)
        return entries

    def permute(self, a, _):
        axes = list(range(a.ndim))
        self.random.shuffle(axes)
        axes = [axis - a.ndim if self.random.random() < 0.3 else axis for axis in axes]
        return axes[1:] if self.random.random() < 0.03 else axes

    def transpose(self, a, _):
        return self.axis(a), self.axis(a)

    def T(self, a, _):
        return ()

    def flip(self, a, _):
        return [self.axis(a) for _ in range(self.random.randint(0, 2))]

    def squeeze(self, a, _):
        ones = [axis for axis, n in enumerate(a.shape) if n == 1]
        picked = self.random.sample(ones, self.random.randint(0, len(ones)))
        return (self.random.choice([None, tuple(picked), self.axis(a)]),)

    def unsqueeze(self, a, _):
        return (self.random.randint(-a.ndim - 1, a.ndim + (self.random.random() < 0.05)),)

    def expand(self, a, _):
        r = self.random
        grown = [r.choice([-1, 1, 2, 3, 0]) if n == 1 else r.choice([n, n, -1]) for n in a.shape]
        if r.random() < 0.03 and grown:
            grown[0] = 9
        return [r.choice([1, 2, 3]) for _ in range(r.choice([0, 0, 1, 2]))] + grown

    def diagonal(self, a, _):
        return self.random.randint(-4, 4), self.axis(a), self.axis(a)

    def reshape(self, a, _):
        r = self.random
        size, shape = a.size, []
        while size > 1 and r.random() < 0.8:
            n = r.choice([n for n in range(1, size + 1) if size % n == 0])
            shape.append(n)
            size //= n
        shape.append(size if r.random() < 0.97 else size + 1)
        if r.random() < 0.5:
            shape.insert(r.randint(0, len(shape)), 1)
        if r.random() < 0.3:
            shape[r.randrange(len(shape))] = -1
        return shape if a.size or r.random() < 0.5 else [0, *shape]

    def view(self, a, base_dtype):
        same = [d for d in NUMPY_DTYPES if np.dtype(d).itemsize == a.itemsize]
        target = self.random.choice(same * 2 + NUMPY_DTYPES)
        # Other bytes are no bools: NumPy reads them all the same, ndbridge refuses.
        return ("uint8" if target == "bool" != base_dtype else target,)

    def end(self, a):
        r = self.random
        name = r.choice(list(ENDS))
        if name == "contiguous":
            return (name, r.choice("CF"))
        if name == "reshape_copy":
            return (name, *self.reshape(a, None))
        if name.startswith("astype"):
            return (name, r.choice([*NUMPY_DTYPES, str(a.dtype)]))
        return (name,)


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except REFUSALS as error:
        return error


def compare_layout(t, a, what):
    assert t.shape == a.shape, f"{what}: shape {t.shape}, NumPy {a.shape}"
    assert t.strides == a.strides, f"{what}: strides {t.strides}, NumPy {a.strides}"
    assert t.dtype == a.dtype, f"{what}: dtype {t.dtype}, NumPy {a.dtype}"
    assert (t.is_contiguous("C"), t.is_contiguous("F")) == (
        a.flags.c_contiguous,
        a.flags.f_contiguous,
    ), what


def compare_bits(t, a, what):
    ours = t.numpy()
    assert ours.tobytes() == a.tobytes(), f"{what}: {ours!r}, NumPy {a!r}"


def compare_sharing(t, a, others, what):
    for number, (u, b) in enumerate(others):
        expected = np.shares_memory(a, b)
        assert nd.shares_memory(t, u) == expected, (
            f"{what}: shares with view {number}, NumPy {expected}"
        )
    u, b = others[-1]
    assert nd.shares_memory(t, b) == np.shares_memory(a, b), f"{what}: shares with an array"


def compare_step(name, t, a, arguments, what):
    """Both results, or None if both refused."""
    theirs = outcome(STEPS[name][0], a, *arguments)
    ours = outcome(STEPS[name][1], t, *arguments)
    failed = isinstance(theirs, Exception), isinstance(ours, Exception)
    assert failed[0] == failed[1], f"{what}: {ours!r}, NumPy {theirs!r}"
    if failed[0]:
        if name == "reshape":
            copies = not isinstance(outcome(np.reshape, a, arguments), Exception)
            assert ("reshape_copy" in str(ours)) == copies, (
                f"{what}: {ours!r}, NumPy copies: {copies}"
            )
        return None
    return ours, theirs


def compare_end(t, a, case):
    (name, *arguments), what = case.end, f"end {case.end}"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        theirs = outcome(ENDS[name][0], a, *arguments)
    ours = outcome(ENDS[name][1], t, *arguments)
    failed = isinstance(theirs, Exception), isinstance(ours, Exception)
    assert failed[0] == failed[1], f"{what}: {ours!r}, NumPy {theirs!r}"
    if failed[0]:
        return
    compare_layout(ours, theirs, what)
    assert nd.shares_memory(ours, t) == np.shares_memory(theirs, a), f"{what}: sharing"
    if not name.startswith("astype"):
        return compare_bits(ours, theirs, what)
    where = defined(a, arguments[0])
    equal = np.array_equal(ours.numpy()[where], theirs[where], equal_nan=theirs.dtype.kind in "fc")
    assert equal, f"{what}: {ours!r}, NumPy {theirs!r}"


def run(case):
    """Does one case on both sides; gives the number of steps that succeeded."""
    base = a = base_array(case)
    base_tensor = t = nd.from_numpy(base)
    others, done = [(base_tensor, base)], 0
    for name, *arguments in case.steps:
        what = f"{name}{tuple(arguments)}"
        results = compare_step(name, t, a, arguments, what)
        if results is None:
            continue
        t, a = results
        compare_layout(t, a, what)
        assert not a.size or t.data_ptr() == address(a), f"{what}: address"
        compare_sharing(t, a, others[:1] + others[-1:], what)
        assert t.readonly or not base_tensor.readonly, f"{what}: became writable"
        others.append((t, a))
        done += 1
    compare_bits(t, a, "result")
    if case.seed % 3 == 0:
        assert repr(t.tolist()) == repr(a.tolist()), "tolist"
    compare_end(t, a, case)
    return done


def test_shr_6_random_view_sequences_agree_with_numpy():
    generator = Generator(20_241_122)
    done = collections.Counter()
    for number in range(CASES):
        case = generator.case()
        try:
            done["steps"] += run(case)
        except Exception as error:
            raise AssertionError(f"case {number}: {error}\n{case!r}") from error
        done["cases"] += 1
        done["drawn"] += len(case.steps)
    assert done["cases"] == CASES
    assert done["steps"] > 0.8 * done["drawn"], "too many steps are refused to show much"


def test_shr_6_the_comparison_can_fail():
    case = Case(1, "float32", (2, 3), "C", [("index", slice(None, None, -1)), ("T",)], ("clone",))
    assert run(case) == 2
    genuine = STEPS["T"]
    wrong = [lambda t: t, lambda t: t.clone().T, lambda t: t.T.flip(0), lambda t: t.T.reshape(7)]
    for ours in wrong:
        STEPS["T"] = genuine[0], ours
        try:
            run(case)
        except AssertionError:
            continue
        finally:
            STEPS["T"] = genuine
        raise AssertionError("a wrong T went unnoticed")
