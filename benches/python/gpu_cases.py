"""What is measured on a GPU: every call of ndbridge beside torch's, its outcome checked first."""

from collections.abc import Callable, Iterator
from typing import Any

import ndbridge as nd
import numpy as np
import torch

from gpu_timing import Case, Contender

OURS, TORCH = "ndbridge", "torch"

TO_DEVICE, TO_HOST = "host to device", "device to host"
BLOCKS, TRANSPOSED, STRIDED, PERMUTED, CASTS, EXCHANGE = (
    "blocks on the device", "transpositions of squares", "every second column",
    "permutations of five axes", "casts", "exchange with torch",
)  # fmt: skip

SIZES = [4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20, 256 << 20, 1 << 30]
#: One data type of each size that elements have.
WIDTHS = ["uint8", "int16", "float32", "float64", "complex128"]
PERMUTATIONS = [(3, 1, 0, 2, 4), (4, 2, 0, 3, 1)]
CASTED = [
    ("float32", "bfloat16"), ("bfloat16", "float32"), ("float32", "float16"),
    ("float16", "float32"), ("float32", "float64"), ("float64", "float32"), ("int64", "float32"),
    ("float32", "int64"), ("uint8", "float32"), ("float32", "uint8"),
]  # fmt: skip


class WrongOutcome(Exception):
    """A call did not do what it is measured for."""


def cases(bytes_on_device: int) -> Iterator[Case]:
    """Each case when it is its turn: its memory is gone before that of the next one is made."""
    for size in SIZES:
        if size <= 2 * bytes_on_device:
            yield from to_device(size)
            yield from to_host(size)
    yield from blocks(bytes_on_device)
    yield from rearrangements(bytes_on_device)
    yield from casts(bytes_on_device)
    yield from exchange()


def pair(group: str, title: str, size: int, clock: str, ours: Any, theirs: Any) -> Case:
    own_stream = torch.cuda.ExternalStream(nd.cuda.current_stream().handle)
    contenders = [
        Contender(OURS, ours, own_stream),
        Contender(TORCH, theirs, torch.cuda.current_stream()),
    ]
    return Case(group, title, size, clock, contenders)


def random_bytes(size: int, seed: int = 0) -> Any:
    return np.frombuffer(np.random.default_rng(seed).bytes(size), np.uint8).copy()


def to_device(size: int) -> Iterator[Case]:
    array, copy = random_bytes(size), random_bytes(size)
    ours, theirs = nd.from_numpy(array), torch.from_numpy(copy)
    there = torch.zeros(size, dtype=torch.uint8, device="cuda")
    room, expected = nd.from_numpy(array).cuda(), torch.from_numpy(array).cuda()

    def checked(title: str, clock: str, ours: Any, theirs: Any) -> Case:
        room.fill_(0)
        ours()
        check_same(title, room.torch(), expected)
        return pair(TO_DEVICE, title, size, clock, ours, theirs)

    yield checked("pageable", "done", lambda: room.copy_(ours), lambda: there.copy_(theirs))
    fresh = ours.cuda()
    check_same("pageable, new memory", fresh.torch(), expected)
    yield pair(TO_DEVICE, "pageable, new memory", size, "done", ours.cuda, theirs.cuda)
    pinned, their_pinned = ours.pin_memory(), theirs.pin_memory()
    yield checked(
        "pinned",
        "device",
        lambda: room.copy_(pinned, non_blocking=True),
        lambda: there.copy_(their_pinned, non_blocking=True),
    )


def to_host(size: int) -> Iterator[Case]:
    array = random_bytes(size, 1)
    ours, theirs = nd.from_numpy(array).cuda(), torch.from_numpy(array).cuda()
    into, their_into = np.zeros_like(array), torch.zeros(size, dtype=torch.uint8)
    room = nd.from_numpy(into)
    room.copy_(ours)
    check("pageable", np.array_equal(into, array))
    yield pair(
        TO_HOST,
        "pageable",
        size,
        "done",
        lambda: room.copy_(ours),
        lambda: their_into.copy_(theirs),
    )
    check("pageable, new memory", np.array_equal(ours.cpu().numpy(), array))
    yield pair(TO_HOST, "pageable, new memory", size, "done", ours.cpu, theirs.cpu)
    pinned, their_pinned = room.pin_memory(), their_into.pin_memory()
    pinned.fill_(0)
    pinned.copy_(ours, non_blocking=True)
    check("pinned", np.array_equal(pinned.numpy(), array))
    # Each waited for: nobody reads such memory before.
    yield pair(
        TO_HOST,
        "pinned",
        size,
        "done",
        lambda: pinned.copy_(ours, non_blocking=True),
        lambda: their_pinned.copy_(theirs, non_blocking=True),
    )


def blocks(size: int) -> Iterator[Case]:
    array = random_bytes(size)
    ours, theirs = nd.from_numpy(array).cuda(), torch.from_numpy(array).cuda()
    room, their_room = ours.clone(), theirs.clone()
    room.fill_(0)
    room.copy_(ours)
    check_same("copy", room.torch(), theirs)
    yield pair(
        BLOCKS,
        "copy",
        2 * size,
        "device",
        lambda: room.copy_(ours),
        lambda: their_room.copy_(theirs),
    )
    for name in WIDTHS:
        values, their_values = room.view(name), their_room.view(getattr(torch, name))
        values.fill_(7)
        check_same("fill", values.torch(), their_values.fill_(7))
        yield pair(
            BLOCKS,
            f"fill, {values.itemsize} B elements",
            size,
            "device",
            lambda values=values: values.fill_(7),
            lambda their_values=their_values: their_values.fill_(7),
        )


def rearrangements(size: int) -> Iterator[Case]:
    for name in WIDTHS:
        count = size // np.dtype(name).itemsize
        # No power of two, whose steps would all meet one channel of the memory.
        side = int(count**0.5) // 32 * 32 or 1
        width = f"{np.dtype(name).itemsize} B elements"
        yield rearranged(TRANSPOSED, width, name, (side, side), lambda x: x.T)
        columns = 4096
        shape = (max(count // columns, 1), columns)
        yield rearranged(STRIDED, f"x[:, ::2], {width}", name, shape, lambda x: x[:, ::2])
        shape = (max(count // (16 * 8 * 10 * 32), 1), 16, 8, 10, 32)
        for axes in PERMUTATIONS:
            title = f"permute{axes}, {width}"
            yield rearranged(PERMUTED, title, name, shape, lambda x, axes=axes: x.permute(*axes))


def rearranged(
    group: str, title: str, name: str, shape: tuple[int, ...], view: Callable[[Any], Any]
) -> Case:
    size = int(np.prod(shape)) * np.dtype(name).itemsize
    array = random_bytes(size).view(name).reshape(shape)
    ours, theirs = view(nd.from_numpy(array).cuda()), view(torch.from_numpy(array).cuda())
    room, their_room = ours.contiguous().clone(), theirs.contiguous().clone()
    room.fill_(0)
    room.copy_(ours)
    check_same(title, room.torch(), their_room)
    return pair(
        group,
        title,
        2 * room.nbytes,
        "device",
        lambda: room.copy_(ours),
        lambda: their_room.copy_(theirs),
    )


def casts(size: int) -> Iterator[Case]:
    count = size // 16
    for source, target in CASTED:
        base = torch.randint(0, 200, (count,), device="cuda")
        theirs = base.to(getattr(torch, source))
        del base
        ours = nd.from_dlpack(theirs)
        wanted = getattr(torch, target)

        def cast(ours: Any = ours, target: str = target) -> Any:
            return ours.astype(target, casting="unsafe")

        title = f"{source} to {target}"
        check_same(title, cast().torch(), theirs.to(wanted))
        moved = count * (ours.itemsize + nd.zeros(1, target).itemsize)
        yield pair(
            CASTS, title, moved, "device", cast, lambda x=theirs, wanted=wanted: x.to(wanted)
        )


def exchange() -> Iterator[Case]:
    given = torch.arange(12.0, device="cuda")
    ours = nd.from_dlpack(given).clone()
    check("t.torch()", ours.torch().data_ptr() == ours.data_ptr())
    check("from_dlpack", nd.from_dlpack(given).data_ptr() == given.data_ptr())
    theirs = lambda: torch.from_dlpack(given)  # noqa: E731
    for title, call in [
        ("t.torch()", ours.torch),
        ("torch.from_dlpack(t)", lambda: torch.from_dlpack(ours)),
        ("nd.from_dlpack(x)", lambda: nd.from_dlpack(given)),
        ("nd.asarray(x)", lambda: nd.asarray(given)),
    ]:
        yield pair(EXCHANGE, title, 0, "host", call, theirs)


def check(title: str, is_right: bool) -> None:
    if not is_right:
        raise WrongOutcome(f"{title}: not the elements of the source")


def check_same(title: str, found: Any, expected: Any) -> None:
    """Bit by bit, on the device."""
    torch.cuda.synchronize()
    bits = [x.contiguous().reshape(-1).view(torch.uint8) for x in (found, expected)]
    check(title, torch.equal(*bits))
