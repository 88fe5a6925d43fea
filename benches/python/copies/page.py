"""The results as Markdown."""

import datetime
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass

from copies import groups
from copies.files import FILES
from copies.goals import EQUAL, Found, Goal, best_peer, goals, name, ratio
from copies.libraries import JAX, LIMIT, NUMPY, OURS, OURS_2, TENSORFLOW, TORCH, TORCH_2
from copies.sampling import QUIET_CORES, Measured
from copies.small import TINY
from report import first_line, package_version, processor

PACKAGES = ["ndbridge", "numpy", "torch", "tensorflow", "jax", "ml_dtypes"]
COLUMNS = [OURS, OURS_2, NUMPY, TORCH, TORCH_2, TENSORFLOW, JAX]
TABLES = [
    groups.CONTIGUOUS, groups.AGAIN, groups.TRANSPOSED, groups.CHANNELS, groups.PERMUTED,
    groups.STEPS, groups.CASTS, groups.READ, TINY,
]  # fmt: skip
NOTES = {
    groups.CONTIGUOUS: "float32.",
    groups.AGAIN: (
        "float32. *Later*: the result of the call before was freed, and its memory may be used "
        "again. *First*: ndbridge's cache is emptied before each sample."
    ),
    groups.CHANNELS: "32 pictures of 224x224.",
    groups.PERMUTED: (
        f"float32, {'x'.join(map(str, groups.PERMUTED_SHAPE))}; twenty orders, drawn once."
    ),
    groups.STEPS: (
        "float32, 64 MiB at the larger end. The limit moves the same bytes; `[::2]` reads every "
        "line of its source, a row is read from the cache. torch has no view that runs backwards: "
        "it flips, then copies."
    ),
    groups.CASTS: (
        "64 MiB of source (16 MiB in a quick run). The limit moves half of the bytes that are read "
        "and written together."
    ),
    groups.READ: (
        "Into memory that exists; then NumPy sums up all of it, for everyone, the limit too. Who "
        "writes past the caches pays for it here."
    ),
    TINY: "What a call costs. The limit is itself a Python call.",
}
INTRODUCTION = """\
# Copies, conversions and files

What ndbridge's copies take from Python, beside NumPy, torch, TensorFlow and JAX. Written by
`cargo xtask bench --peers --write`; what is measured is in
[benches/python/copies](../../benches/python/copies).

## How to read this

One process. Each round takes a sample of every contender of a case and begins with the next one.
Every contender's output was compared with NumPy's before it was timed, bit by bit. A ratio is the
median over rounds of the ratio within a round.

* **The limit is `memcpy` = 1**: as many bytes, into memory that exists, in one thread. The tables
  show the time of the limit, and everyone else's as a multiple of it: 1.2 takes 20% longer. It is
  called as `ctypes.memmove`; at 4 KiB and less that call is most of the time.
* **Existing and fresh are two things.** Memory that exists: `np.copyto(d, ..)`, `d.copy_(..)`.
  A fresh result is allocated and freed in each call; TensorFlow and JAX know only this.
* **Best peer / ours** above 1: how many times faster ndbridge is than the fastest of NumPy, torch,
  TensorFlow and JAX, one thread each. The function of JAX is compiled before.
* Figures of two threads are dropped (`void`) where other processes used more than {quiet} cores
  meanwhile."""


@dataclass(frozen=True)
class Machine:
    load_before: str
    load_after: str
    is_quick: bool


def markdown(every: list[Measured], machine: Machine, pictures: list[tuple[str, str]]) -> str:
    found = list(goals(every))
    sections = [
        INTRODUCTION.format(quiet=QUIET_CORES),
        where(machine),
        summary(found),
        losses(every, found),
        by_size(every, pictures),
        *(group(title, every) for title in TABLES),
        files(every),
        left_out(every),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def where(machine: Machine) -> str:
    packages = ", ".join(f"{package} {package_version(package)}" for package in PACKAGES)
    quick = "\n* **a quick run**: few rounds, no figures to keep" if machine.is_quick else ""
    system = f"{platform.system()} {platform.release()}"
    return f"""\
## Where these numbers are from

* {datetime.date.today().isoformat()}; {processor()}, {os.cpu_count()} cores; {system}
* Python {platform.python_version()}: {packages}; {first_line("rustc", "--version")}
* load average before {machine.load_before}, after {machine.load_after}; what other processes used
  meanwhile stands with each group{quick}"""


def summary(found: list[Goal]) -> str:
    measured = [goal for goal in found if goal.found]
    reached = sum(not goal.missed for goal in measured)
    lines = [
        "## Goals",
        "",
        (
            f"{reached} of {len(measured)} reached. One thread and memory that exists, unless said "
            f'otherwise. "Not behind" and "never slower" mean {EQUAL} at most, what noise alone moves. '
            "Ratios are judged to two digits after the point."
        ),
        "",
        "| goal | at most | worst case | measured | of the fastest | cases reached | |",
        "|---|--:|---|--:|--:|--:|---|",
        *map(goal_row, found),
    ]
    return "\n".join(lines)


def goal_row(goal: Goal) -> str:
    if not goal.found:
        return f"| {goal.title} | {goal.at_most:.3g} | | | | | not measured |"
    worst, count = goal.worst, len(goal.found)
    numbers = f"{worst.ratio:.3g} | {worst.of_fastest:.3g} | {count - len(goal.missed)} of {count}"
    reached = "**missed**" if goal.missed else "reached"
    return f"| {goal.title} | {goal.at_most:.3g} | {worst.title} | {numbers} | {reached} |"


def losses(every: list[Measured], found: list[Goal]) -> str:
    lines = ["## Where we lose", "", "Cases that miss a goal, and how far:", ""]
    for goal in found:
        if goal.missed:
            missed = "; ".join(f"{title} {one.ratio:.3g}" for title, one in short(goal.missed))
            lines.append(f"* {goal.title}, at most {goal.at_most:.3g}: {missed}")
    lines += ["", "Cases where a peer of one thread is faster, our time by its:", ""]
    behind = []
    for measured in every:
        if measured.case.group in groups.BY_SIZE:
            continue
        peer = best_peer(measured)
        if peer is None or not measured.has(OURS):
            continue
        ours = ratio(measured, OURS, peer)
        if ours.ratio > EQUAL:
            behind.append((ours.ratio, f"* {ours.title}: {ours.ratio:.3g} of {peer}"))
    lines += [line for _, line in sorted(behind, reverse=True)] or ["* none"]
    return "\n".join(lines)


def short(missed: list[Found]) -> list[tuple[str, Found]]:
    """Their titles; without the group where all are of one."""
    prefixes = {found.title.rpartition(": ")[0] for found in missed}
    if len(prefixes) > 1:
        return [(found.title, found) for found in missed]
    return [(found.title.rpartition(": ")[2], found) for found in missed]


def by_size(every: list[Measured], pictures: list[tuple[str, str]]) -> str:
    if not pictures:
        return ""
    lines = ["## By size", "", "Nanoseconds for each byte of the source; lower is better.", ""]
    lines += [f"![{title}]({file})\n" for title, file in pictures]
    lines.append(load([measured for measured in every if measured.case.group in groups.BY_SIZE]))
    for title in groups.BY_SIZE:
        rows = [measured for measured in every if measured.case.group == title]
        lines += details(rows, f"{title}, ")
    return "\n".join(lines)


def group(title: str, every: list[Measured]) -> str:
    chosen = [measured for measured in every if measured.case.group == title]
    lines = [f"## {title}", ""]
    if title in NOTES:
        lines += [NOTES[title], ""]
    lines.append(load(chosen))
    for is_existing, heading in ((True, "Into memory that exists"), (False, "A fresh result")):
        rows = [measured for measured in chosen if measured.case.is_existing == is_existing]
        if rows:
            lines += ["", f"**{heading}**, multiples of the limit:", "", *table(rows)]
            lines += details(rows)
    return "\n".join(lines)


def load(chosen: list[Measured]) -> str:
    cores = [measured.load.other_cores for measured in chosen]
    if not cores:
        return ""
    stolen = max(measured.load.stolen_cores for measured in chosen)
    void = sum(bool(measured.void) for measured in chosen)
    dropped = f" Two threads dropped in {void} of {len(chosen)} cases." if void else ""
    return (
        f"Other processes used {min(cores):.2f} to {max(cores):.2f} cores meanwhile, the host took "
        f"{stolen:.2f} at most.{dropped}"
    )


def columns(rows: list[Measured]) -> list[str]:
    return [
        label
        for label in COLUMNS
        if any(measured.has(label) or label in measured.void for measured in rows)
    ]


def table(rows: list[Measured]) -> Iterator[str]:
    labels = columns(rows)
    yield f"| | limit | {' | '.join(labels)} | best peer / ours |"
    yield "|---|--:|" + "--:|" * (len(labels) + 1)
    for measured in rows:
        cells = [cell(measured, label) for label in labels]
        limit = time(measured.median(LIMIT)) if measured.has(LIMIT) else "-"
        row = [measured.case.title, limit, *cells, advantage(measured)]
        yield f"| {' | '.join(row)} |"


def cell(measured: Measured, label: str) -> str:
    if label in measured.void:
        return "void"
    if not measured.has(label, LIMIT):
        return ""
    text = f"{measured.ratio(label, LIMIT):.3g}"
    return f"**{text}**" if label == OURS else text


def advantage(measured: Measured) -> str:
    peer = best_peer(measured)
    if peer is None or not measured.has(OURS):
        return ""
    return f"{measured.ratio(peer, OURS):.3g} ({peer})"


def details(rows: list[Measured], title: str = "") -> Iterator[str]:
    """Medians and the fastest samples."""
    labels = [LIMIT, *columns(rows)]
    yield ""
    yield f"<details><summary>{title}times: median, fastest</summary>"
    yield ""
    yield f"| | {' | '.join(labels)} |"
    yield "|---|" + "--:|" * len(labels)
    for measured in rows:
        cells = [times(measured, label) for label in labels]
        yield f"| {measured.case.title} | {' | '.join(cells)} |"
    yield ""
    yield "</details>"


def times(measured: Measured, label: str) -> str:
    if not measured.has(label):
        return ""
    return f"{time(measured.median(label))}, {time(measured.fastest(label))}"


def time(seconds: float) -> str:
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def files(every: list[Measured]) -> str:
    chosen = [measured for measured in every if measured.case.group == FILES]
    lines = [
        f"## {FILES}",
        "",
        (
            "In the page cache, on a disk's file system. The limit is a copy in memory. ndbridge's "
            "`save` to a path waits until the disk has the bytes; nobody else's does, nor does its "
            "own to an open file. Each save writes a new file."
        ),
        "",
        load(chosen),
    ]
    for measured in chosen:
        lines += ["", f"**{measured.case.title}**", "", *tall(measured)]
    return "\n".join(lines)


def tall(measured: Measured) -> Iterator[str]:
    yield "| | median | fastest | multiple of the limit | of the fastest |"
    yield "|---|--:|--:|--:|--:|"
    for label in measured.seconds:
        taken = f"{time(measured.median(label))} | {time(measured.fastest(label))}"
        ratios = (
            f"{measured.ratio(label, LIMIT):.3g} | {measured.ratio_of_fastest(label, LIMIT):.3g}"
        )
        yield f"| {label} | {taken} | {ratios} |"


def left_out(every: list[Measured]) -> str:
    lines = [
        f"* {name(measured)}: {label}: {reason}"
        for measured in every
        for label, reason in measured.left_out.items()
    ]
    return "\n".join(["## Left out", "", *lines]) if lines else ""
