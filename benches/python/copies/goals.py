"""What is to be reached, and what was measured of it."""

import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from copies import groups
from copies.files import VIEWS
from copies.libraries import LIMIT, NUMPY, OURS, OURS_2, PEERS, TORCH
from copies.sampling import Measured
from copies.small import TINY

#: "Not behind" and "never slower": what noise alone moves a ratio by.
EQUAL = 1.05


@dataclass(frozen=True)
class Found:
    """A ratio of medians within rounds, and of the fastest samples."""

    title: str
    ratio: float
    of_fastest: float


@dataclass(frozen=True)
class Goal:
    """Reached if every case is; `found` is empty where nothing was measured."""

    title: str
    at_most: float
    found: list[Found]

    @property
    def missed(self) -> list[Found]:
        return [found for found in self.found if round(found.ratio, 2) > self.at_most]

    @property
    def worst(self) -> Found:
        return max(self.found, key=lambda found: found.ratio)


Chosen = Callable[[Measured], bool]


def goals(every: list[Measured]) -> Iterator[Goal]:
    yield from contiguous(every)
    yield from rearranged(every)
    yield from converted(every)
    yield from small(every)
    yield from two_threads(every)


def contiguous(every: list[Measured]) -> Iterator[Goal]:
    for size, at_most in (("4 KiB", 1.1), ("1 MiB", 1.0), ("256 MiB", 1.0)):
        chosen = among(every, groups.CONTIGUOUS, lambda title, size=size: title == size)
        yield Goal(f"contiguous, {size} / memcpy", at_most, to(LIMIT, chosen))
    for when, at_most in (("later", 1.1), ("first", 2.8)):
        title = f"256 MiB, {when}"
        chosen = among(every, groups.AGAIN, lambda found, title=title: found == title, None)
        yield Goal(f"fresh result, {title} / memcpy", at_most, to(LIMIT, chosen))


def rearranged(every: list[Measured]) -> Iterator[Goal]:
    large = among(every, groups.TRANSPOSED, lambda title: groups.SMALL_SQUARE not in title)
    yield Goal("transpose / memcpy", 1.3, to(LIMIT, large))
    yield Goal("transpose / torch", 1 / 4, to(TORCH, large))
    square = among(every, groups.TRANSPOSED, lambda title: groups.SMALL_SQUARE in title)
    yield Goal("transpose 512x512 / memcpy", 1.6, to(LIMIT, square))
    yield Goal("transpose 512x512 / best peer", EQUAL, to_best(square))
    channels = among(every, groups.CHANNELS)
    yield Goal("channels / memcpy", 1.2, to(LIMIT, channels))
    for dtype, at_most in (("uint8", 1 / 4), ("float32", 1 / 2)):
        chosen = among(every, groups.CHANNELS, lambda title, dtype=dtype: title.endswith(dtype))
        yield Goal(f"channels, {dtype} / best peer", at_most, to_best(chosen))
    permuted = among(every, groups.PERMUTED)
    yield Goal("permute, geometric mean / memcpy", 1.8, mean(to(LIMIT, permuted)))
    yield Goal("permute / best peer", 1.0, to_best(permuted))
    yield Goal("steps / memcpy", 1.4, to(LIMIT, among(every, groups.STEPS)))


def converted(every: list[Measured]) -> Iterator[Goal]:
    casts = among(every, groups.CASTS)
    yield Goal("casts / memcpy", 1.4, to(LIMIT, casts))
    for peer in (NUMPY, TORCH):
        yield Goal(f"casts / {peer}", EQUAL, to(peer, casts))


def small(every: list[Measured]) -> Iterator[Goal]:
    tiny = [measured for measured in every if measured.case.group == TINY]
    yield Goal("2x2 / NumPy", 1.0, to(NUMPY, tiny))
    views = [measured for measured in every if measured.case.title.startswith(VIEWS)]
    times = [
        Found(measured.case.title, measured.median(OURS) * 1e3, measured.fastest(OURS) * 1e3)
        for measured in views
        if measured.has(OURS)
    ]
    yield Goal(".npz, views of all entries, in ms", 1.0, times)


def two_threads(every: list[Measured]) -> Iterator[Goal]:
    yield Goal("two threads / one", EQUAL, to(OURS, every, OURS_2))
    of = (groups.CONTIGUOUS, groups.TRANSPOSED, groups.CHANNELS)
    large = [
        measured
        for measured in every
        if measured.case.group in of
        and measured.case.is_existing
        and measured.case.bytes // 2 >= 16_000_000
    ]
    title = "two threads / one: copy, transpose, channels from 16 MB"
    yield Goal(title, 1 / 1.4, to(OURS, large, OURS_2))


def among(
    every: list[Measured],
    group: str,
    is_title: Callable[[str], bool] = lambda _: True,
    is_existing: bool | None = True,
) -> list[Measured]:
    return [
        measured
        for measured in every
        if measured.case.group == group
        and is_title(measured.case.title)
        and is_existing in (None, measured.case.is_existing)
    ]


def to(peer: str, chosen: Iterable[Measured], ours: str = OURS) -> list[Found]:
    return [ratio(measured, ours, peer) for measured in chosen if measured.has(ours, peer)]


def to_best(chosen: Iterable[Measured]) -> list[Found]:
    return [
        ratio(measured, OURS, peer)
        for measured in chosen
        if measured.has(OURS) and (peer := best_peer(measured)) is not None
    ]


def best_peer(measured: Measured) -> str | None:
    """Of one thread."""
    peers = [peer for peer in PEERS if measured.has(peer)]
    return min(peers, key=measured.median, default=None)


def mean(found: list[Found]) -> list[Found]:
    """Geometric."""
    if not found:
        return []
    ratios = statistics.geometric_mean(one.ratio for one in found)
    fastest = statistics.geometric_mean(one.of_fastest for one in found)
    return [Found(f"{len(found)} orders", ratios, fastest)]


def ratio(measured: Measured, ours: str, peer: str) -> Found:
    title = name(measured)
    return Found(title, measured.ratio(ours, peer), measured.ratio_of_fastest(ours, peer))


def name(measured: Measured) -> str:
    fresh = ", fresh result" if measured.case.is_existing is False else ""
    return f"{measured.case.group}: {measured.case.title}{fresh}"
