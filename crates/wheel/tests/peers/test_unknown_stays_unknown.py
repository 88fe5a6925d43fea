"""Writable, read-only or unknown: what a tensor may do is what its object says, and never depends on
what went out before."""

import itertools

import ndbridge as nd
import numpy as np
import pytest

import capsules
from capsules import READ_ONLY, Lent
from frameworks import jnp, tf, torch
from test_interchange import locked

WRITABLE, KEPT, UNKNOWN = "writable", "read-only", "unknown"


def state(t):
    """By what the tensor does, not by what it says of itself."""
    is_writable = t.numpy().flags.writeable
    try:
        t.fill_(t.tolist()[0])
        is_filled = True
    except ValueError:
        is_filled = False
    assert is_writable == is_filled
    if t.readonly:
        assert not is_filled
        return KEPT
    return WRITABLE if is_filled else UNKNOWN


class Interface:
    def __init__(self, array):
        self.array, self.__array_interface__ = array, array.__array_interface__


def floats():
    return np.arange(8, dtype="f4")


def mapped(folder, mode="r"):
    path = folder / f"{mode}.npy"
    np.save(path, floats())
    return nd.load(path, mmap=mode)


#: Objects that have memory, and what each says of it.
OBJECTS = {
    "numpy": (lambda _: floats(), WRITABLE),
    "numpy, locked": (lambda _: locked(floats()), KEPT),
    "numpy over bytes": (lambda _: np.frombuffer(floats().tobytes(), "f4"), KEPT),
    "numpy over a bytearray": (lambda _: np.frombuffer(bytearray(floats()), "f4"), WRITABLE),
    "torch": (lambda _: torch.arange(8, dtype=torch.float32), WRITABLE),
    "jax": (lambda _: jnp.arange(8, dtype="float32"), KEPT),
    "tensorflow": (lambda _: tf.range(8, dtype="float32"), KEPT),
    "legacy": (lambda _: Lent(floats()), UNKNOWN),
    "versioned": (lambda _: Lent(floats(), version=(1, 0)), WRITABLE),
    "versioned, read-only": (lambda _: Lent(floats(), version=(1, 0), flags=READ_ONLY), KEPT),
    "interface": (lambda _: Interface(floats()), WRITABLE),
    "interface, locked": (lambda _: Interface(locked(floats())), KEPT),
    "ndbridge": (lambda _: nd.tensor(floats()), WRITABLE),
    "ndbridge, constant": (lambda _: nd.constant(floats()), KEPT),
    "ndbridge, mapped": (lambda folder: mapped(folder), KEPT),
    "ndbridge, mapped to be written": (lambda folder: mapped(folder, "r+"), WRITABLE),
    "ndbridge, unknown": (lambda _: nd.from_dlpack(Lent(floats())), UNKNOWN),
}

#: Ways in. Of a bare capsule nobody knows whose memory it is: only one of ours says what it was.
WAYS_IN = {
    "asarray": nd.asarray,
    "share": lambda x: nd.asarray(x, copy=False),
    "from_dlpack": nd.from_dlpack,
    "legacy capsule": lambda x: nd.from_dlpack(x.__dlpack__()),
    "versioned capsule": lambda x: nd.from_dlpack(x.__dlpack__(max_version=(1, 0))),
    "numpy": lambda x: nd.from_numpy(np.asarray(x)),
    "memoryview": lambda x: nd.from_buffer(memoryview(x)),
    "torch": lambda x: nd.asarray(torch.as_tensor(x)),
}

#: Ways out, to be kept alive.
WAYS_OUT = {
    "numpy": lambda t: t.numpy(),
    "memoryview": lambda t: memoryview(t),
    "torch": lambda t: t.torch(),
    "jax": lambda t: t.jax(),
    "legacy": lambda t: capsules.consume(t.__dlpack__()),
    "versioned": lambda t: capsules.consume(t.__dlpack__(max_version=(1, 0))),
    "interface": lambda t: t.__array_interface__,
}

REFUSED = (BufferError, TypeError, ValueError, AttributeError, RuntimeError)


def taken(way_in, x):
    """What comes in by that way, or None if it is refused."""
    try:
        return WAYS_IN[way_in](x)
    except REFUSED:
        return None


def outcome(way_in, x):
    t = taken(way_in, x)
    return None if t is None else state(t)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("name", OBJECTS)
def test_mut_2_what_went_out_before_changes_nothing(name, tmp_path):
    make, says = OBJECTS[name]
    fresh = {way: outcome(way, make(tmp_path)) for way in WAYS_IN}
    assert fresh["asarray"] == says
    ways = [way for way, known in fresh.items() if known is not None]
    for earlier in ways:
        x = make(tmp_path)
        before = taken(earlier, x)
        if before is None:
            continue
        alive, went = [before], []
        for way_out, export in WAYS_OUT.items():
            try:
                alive.append(export(before))
                went.append(way_out)
            except REFUSED:
                continue
        assert "numpy" in went
        for _, way in itertools.product(range(3), ways):
            t = taken(way, x)
            again = None if t is None else state(t)
            assert again == fresh[way], (earlier, went, way)
            # What came in goes on, and nothing is forgotten when it is gone.
            alive.append(t)
        for structure in alive:
            if isinstance(structure, (capsules.DLManagedTensor, capsules.DLManagedTensorVersioned)):
                capsules.delete(structure)


@pytest.mark.parametrize("name", OBJECTS)
def test_mut_2_round_trips_keep_what_a_tensor_may_do(name, tmp_path):
    make, says = OBJECTS[name]
    trips = {
        "versioned": lambda t: nd.from_dlpack(t.__dlpack__(max_version=(1, 0))),
        "legacy": lambda t: nd.from_dlpack(t.__dlpack__()),
        "numpy": lambda t: nd.from_numpy(t.numpy()),
        "memoryview": lambda t: nd.from_buffer(memoryview(t)),
        "torch": lambda t: nd.asarray(t.torch()),
        "view": lambda t: nd.asarray(t[:]),
    }
    for others_alive, trip in itertools.product((False, True), trips):
        t = nd.asarray(make(tmp_path))
        others = [t.numpy(), t[2:].numpy(), memoryview(t)] if others_alive else []
        if says == KEPT and trip in ("legacy", "torch"):
            with pytest.raises(BufferError, match="read-only"):
                trips[trip](t)
            continue
        # NumPy and buffers have no word for unknown: the object itself is read-only. A torch tensor
        # is writable.
        passed = {"numpy": KEPT, "memoryview": KEPT, "torch": WRITABLE}.get(trip, UNKNOWN)
        wanted = says if says != UNKNOWN else passed
        owner, address, back = t.owner, t.data_ptr(), t
        for number in range(4):
            back = trips[trip](back)
            assert state(back) == wanted, (trip, number, len(others))
            assert back.data_ptr() == address
        # No trip adds an owner, but that of unknown memory to torch, once.
        assert back.owner is owner or (says, trip) == (UNKNOWN, "torch"), trip


def test_mut_2_a_legacy_capsule_of_torch_is_unknown_each_time():
    """The script of a fault: it worked the first time, and was refused the second."""
    x = torch.arange(4.0)
    for _ in range(3):
        t = nd.from_dlpack(x.__dlpack__())
        assert state(t) == UNKNOWN
        assert t.torch().data_ptr() == x.data_ptr()
    t = nd.tensor(floats())
    for number in range(3):
        again = nd.from_dlpack(t.__dlpack__())
        assert again.torch().data_ptr() == t.data_ptr()
        again.fill_(number)
        assert t.tolist() == [number] * 8


def test_mut_2_one_array_in_a_writable_and_in_a_locked_form():
    a = floats()
    kept = a[:]
    kept.flags.writeable = False
    for first, second in itertools.permutations([a, kept]):
        one = nd.from_numpy(first)
        out = [one.numpy(), memoryview(one)]
        for x in (a, kept, torch.from_numpy(a)):
            wanted = KEPT if x is kept else WRITABLE
            assert state(nd.asarray(x)) == wanted, (len(out), second is kept)


@pytest.mark.parametrize("make", [nd.constant, nd.convert_to_tensor])
def test_mut_2_a_constant_stays_one_for_a_consumer_that_drops_the_mark(make):
    c = make(floats())
    dropped = Lent(c.numpy(), version=(1, 0), flags=0)
    for way_in in (nd.from_dlpack, nd.asarray, lambda x: nd.from_dlpack(x.__dlpack__())):
        assert state(way_in(dropped)) == KEPT
    for shaped in (nd.constant(np.float32(3), shape=(8,)), nd.constant(floats(), shape=(2, 4))[0]):
        assert state(nd.from_dlpack(Lent(shaped.numpy(), version=(1, 0), flags=0))) == KEPT
