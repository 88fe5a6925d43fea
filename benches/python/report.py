"""The results as Markdown."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from timing import Goal, Measured

HERE = Path(__file__).parent
PACKAGES = ["numpy", "torch", "jax", "tensorflow", "nanobind"]
CRATES = ["pyo3", "numpy", "dlpark", "ndarray"]
INTRODUCTION = """\
# The Python boundary

How long an array takes from Python into native code and back, beside peers. Written by
`cargo xtask bench --python --write`; the contenders are in
[benches/python](../../benches/python).

One process; each round takes one sample of about a millisecond of every contender of a group, and
begins with the next one. Times are nanoseconds per call, nothing subtracted: see the empty
function. A ratio is the median over rounds of the ratio within a round, beside it the ratio of the
fastest samples. Every contender's answer was checked before it was timed. Functions that take an
array check dtype and rank and read its first element (rust-numpy without a borrow and dlpark only
check: reading would be unsafe code)."""


@dataclass(frozen=True)
class Outcome:
    """A goal and what was measured; `None` where one of the two contenders is missing."""

    title: str
    goal: Goal
    ratio: float | None
    of_fastest: float | None

    @property
    def is_met(self) -> bool:
        return self.ratio is not None and self.ratio <= self.goal.at_most

    @property
    def name(self) -> str:
        return f"{self.goal.ours} / {self.goal.peer}"


def markdown(measured: list[Measured], load_before: str) -> str:
    sections = [INTRODUCTION, machine(load_before), summary(measured), *map(section, measured)]
    return "\n\n".join(sections) + "\n"


def machine(load_before: str) -> str:
    packages = ", ".join(f"{name} {package_version(name)}" for name in PACKAGES)
    crates = ", ".join(f"{name} {version}" for name, version in crate_versions().items())
    rust, cxx = (
        first_line("rustc", "--version"),
        first_line(os.environ.get("CXX", "c++"), "--version"),
    )
    system = f"{platform.system()} {platform.release()}"
    return f"""\
## Where these numbers are from

* {datetime.date.today().isoformat()}; {processor()}, {os.cpu_count()} cores; {system}
* Python {platform.python_version()}: {packages}
* Rust crates: {crates}; {rust}, `lto = "thin"`, default target CPU
* C and C++: {cxx}, `-O3`
* load average before {load_before}, after {load_average()}; what other processes used meanwhile
  stands with each group"""


def summary(measured: list[Measured]) -> str:
    found = [outcome for group in measured for outcome in outcomes(group)]
    missed = [outcome for outcome in found if not outcome.is_met]
    lines = ["## Goals", "", f"{len(found) - len(missed)} of {len(found)} ratios reached."]
    if missed:
        lines += ["Missed:", ""]
    lines += map(miss, missed)
    return "\n".join(lines)


def miss(outcome: Outcome) -> str:
    ratio, goal = number(outcome.ratio), outcome.goal.at_most
    return f"* {outcome.title}: {outcome.name} is {ratio}, the goal {goal}"


def section(measured: Measured) -> str:
    lines = [f"## {measured.group.title}", "", load(measured), "", *times(measured)]
    if measured.group.goals:
        lines += ["", *goals(measured)]
    for label, reason in measured.left_out.items():
        lines += ["", f"**Left out:** {label}: {reason}"]
    return "\n".join(lines)


def load(measured: Measured) -> str:
    others, stolen = measured.load.other_cores, measured.load.stolen_cores
    return f"Other processes used {others:.2f} cores meanwhile, the host took {stolen:.2f}."


def times(measured: Measured) -> Iterator[str]:
    reference = measured.group.reference
    yield f"| contender | median ns | fastest ns | ratio to {reference} | of the fastest |"
    yield "|---|--:|--:|--:|--:|"
    for label in measured.seconds:
        median, fastest = measured.median(label) * 1e9, measured.fastest(label) * 1e9
        ratio = number(measured.ratio(label, reference))
        of_fastest = number(measured.ratio_of_fastest(label, reference))
        yield f"| {label} | {median:.0f} | {fastest:.0f} | {ratio} | {of_fastest} |"


def goals(measured: Measured) -> Iterator[str]:
    yield "| goal | ratio to reach | ratio measured | of the fastest | reached |"
    yield "|---|--:|--:|--:|---|"
    for outcome in outcomes(measured):
        ratios = f"{number(outcome.ratio)} | {number(outcome.of_fastest)}"
        reached = "yes" if outcome.is_met else "**no**"
        yield f"| {outcome.name} | {outcome.goal.at_most} | {ratios} | {reached} |"


def outcomes(measured: Measured) -> Iterator[Outcome]:
    for goal in measured.group.goals:
        ratio = measured.ratio(goal.ours, goal.peer)
        of_fastest = measured.ratio_of_fastest(goal.ours, goal.peer)
        yield Outcome(measured.group.title, goal, ratio, of_fastest)


def number(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3g}"


def package_version(name: str) -> str:
    # TensorFlow's distributions have several names.
    for distribution in (name, f"{name}-cpu"):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "of unknown version"


def crate_versions() -> dict[str, str]:
    packages = tomllib.loads((HERE / "Cargo.lock").read_text())["package"]
    versions = {package["name"]: package["version"] for package in packages}
    return {name: versions[name] for name in CRATES}


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def first_line(*command: str) -> str:
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    return output.stdout.splitlines()[0]


def load_average() -> str:
    return f"{os.getloadavg()[0]:.1f}"
