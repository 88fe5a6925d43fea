"""The results of a GPU as Markdown, and which goals they reach."""

import datetime
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_cases import (
    BLOCKS, CASTS, EXCHANGE, OURS, PERMUTED, STRIDED, TO_DEVICE, TO_HOST, TORCH, TRANSPOSED,
)  # fmt: skip
from gpu_timing import ROUNDS, Measured

#: From here on the goals of copies between host and device count.
LARGE = 64 << 20


@dataclass(frozen=True)
class Goal:
    """`value` is to be at least, or at most, `wanted`; `None` was not measured."""

    name: str
    value: float | None
    wanted: float
    at_most: bool = False

    @property
    def is_reached(self) -> bool:
        if self.value is None:
            return False
        return self.value <= self.wanted if self.at_most else self.value >= self.wanted

    @property
    def row(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:.3g}"
        sign = "at most" if self.at_most else "at least"
        reached = "yes" if self.is_reached else "**no**"
        return f"| {self.name} | {sign} {self.wanted:g} | {value} | {reached} |"


class Results:
    """What was measured, by group."""

    def __init__(self, measured: list[Measured], native: list[dict[str, Any]]) -> None:
        self.measured, self.native = measured, native

    def of(self, group: str, part: str = "") -> list[Measured]:
        return [
            m for m in self.measured if m.case.group == group and m.case.title.startswith(part)
        ]

    def exactly(self, group: str, title: str) -> list[Measured]:
        return [m for m in self.of(group) if m.case.title == title]

    @property
    def ceiling(self) -> float | None:
        """Bytes read and written per second by the faster of the two plain copies."""
        rates = (m.rate(label) for m in self.exactly(BLOCKS, "copy") for label in m.seconds)
        return max(rates, default=None)

    def native_microseconds(self, group: str, name: str) -> float | None:
        found = [r["median"] for r in self.native if (r["group"], r["name"]) == (group, name)]
        return found[0] * 1e6 if found else None


def goals(results: Results) -> Iterator[Goal]:
    for group in (TO_DEVICE, TO_HOST):
        pinned = [m for m in results.exactly(group, "pinned") if m.case.bytes >= LARGE]
        yield Goal(f"{group}, pinned, by torch's rate", slowest(pinned), 0.95)
        link = max((m.fastest_rate() for m in results.exactly(group, "pinned")), default=None)
        largest = pinned[-1].rate(OURS) if pinned else None
        yield Goal(f"{group}, pinned, by the link's rate", share(largest, link), 0.9)
        pageable = [m for m in results.exactly(group, "pageable") if m.case.bytes >= LARGE]
        yield Goal(f"{group}, pageable, by torch's rate", slowest(pageable), 1.3)
    ceiling = results.ceiling
    copy = results.exactly(BLOCKS, "copy")
    yield Goal("copy on the device, by the ceiling", of_ceiling(copy, ceiling), 0.95)
    four = results.exactly(TRANSPOSED, "4 B elements")
    yield Goal("transposition of 4 B elements, by the ceiling", of_ceiling(four, ceiling), 0.75)
    yield Goal("transposition of 4 B elements, by torch's rate", slowest(four), 1.0)
    yield Goal("every second column, slowest by torch's rate", slowest(results.of(STRIDED)), 1.0)
    yield Goal("five axes permuted, slowest by torch's rate", slowest(results.of(PERMUTED)), 1.0)
    yield Goal("casts, slowest by the ceiling", of_ceiling(results.of(CASTS), ceiling), 0.85)
    allocation = results.native_microseconds("allocate and free", "1 MiB")
    yield Goal("allocate and free 1 MiB, us", allocation, 2.0, at_most=True)
    for title in ("t.torch()", "nd.from_dlpack(x)"):
        found = [m.median(OURS) * 1e6 for m in results.exactly(EXCHANGE, title)]
        yield Goal(f"{title}, us", found[0] if found else None, 1.0, at_most=True)


def slowest(measured: list[Measured]) -> float | None:
    return min((m.speed(OURS, TORCH) for m in measured), default=None)


def of_ceiling(measured: list[Measured], ceiling: float | None) -> float | None:
    return share(min((m.rate(OURS) for m in measured), default=None), ceiling)


def share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or whole is None else part / whole


def markdown(results: Results, machine: list[str]) -> str:
    found = list(goals(results))
    reached = sum(goal.is_reached for goal in found)
    lines = ["# One GPU", "", *(f"* {line}" for line in machine), "", "## Goals", ""]
    lines += [f"{reached} of {len(found)} reached.", "", "| goal | wanted | measured | reached |"]
    lines += ["|---|---|--:|---|", *(goal.row for goal in found)]
    for group in dict.fromkeys(m.case.group for m in results.measured):
        lines += ["", f"## {group.capitalize()}", "", *table(results, group)]
    if results.native:
        lines += ["", "## From Rust", "", "| | | us | GB/s |", "|---|---|--:|--:|"]
        lines += [native_row(row) for row in results.native]
    return "\n".join(lines) + "\n"


def table(results: Results, group: str) -> Iterator[str]:
    on_device = group in (BLOCKS, TRANSPOSED, STRIDED, PERMUTED, CASTS)
    head = "| | bytes | ndbridge us | torch us | ndbridge GB/s | torch GB/s | times torch's speed |"
    yield head + (" of the ceiling |" if on_device else "")
    yield "|---|--:|--:|--:|--:|--:|--:|" + ("--:|" if on_device else "")
    for m in results.of(group):
        cells = [m.case.title, str(m.case.bytes or "")]
        cells += [f"{m.median(label) * 1e6:.2f}" for label in (OURS, TORCH)]
        cells += [f"{m.rate(label) / 1e9:.1f}" if m.case.bytes else "" for label in (OURS, TORCH)]
        cells.append(f"{m.speed(OURS, TORCH):.2f}")
        if on_device:
            part = share(m.rate(OURS), results.ceiling)
            cells.append("" if part is None else f"{part:.2f}")
        yield "| " + " | ".join(cells) + " |"


def native_row(row: dict[str, Any]) -> str:
    rate = f"{row['bytes'] / row['median'] / 1e9:.1f}" if row["bytes"] else ""
    return f"| {row['group']} | {row['name']} | {row['median'] * 1e6:.2f} | {rate} |"


def read_native(file: Path | None) -> list[dict[str, Any]]:
    """The lines that the benchmark in Rust wrote."""
    if file is None or not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]


def this_machine(gpu: str, versions: str) -> list[str]:
    load, cores = os.getloadavg()[0], os.cpu_count()
    return [
        f"{datetime.date.today().isoformat()}; {gpu}, driver {driver()}",
        f"{platform.system()} {platform.release()}, {cores} cores, load average {load:.1f}",
        f"Python {platform.python_version()}; {versions}",
        f"medians of {ROUNDS} rounds in one process, interleaved, the order rotated; bytes are those read "
        "and written; the ceiling is the faster one of the two plain copies on the device",
    ]


def driver() -> str:
    if shutil.which("nvidia-smi") is None:
        return "unknown"
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return answer.stdout.splitlines()[0].strip() if answer.stdout else "unknown"
