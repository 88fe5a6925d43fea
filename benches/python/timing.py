"""Times contenders beside each other: one process, interleaved, the order rotated each round."""

import gc
import os
import statistics
import time
import timeit
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROUNDS = 101
SAMPLE_SECONDS = 0.001
GROUP_SECONDS = 20.0


@dataclass(frozen=True)
class Contender:
    """One expression to time. `accepts` judges its value before anything is timed."""

    label: str
    expression: str
    names: Mapping[str, object]
    accepts: Callable[[Any], bool]
    setup: str = "pass"


@dataclass(frozen=True)
class Goal:
    """The time of one contender as a share of another's."""

    ours: str
    peer: str
    at_most: float


@dataclass(frozen=True)
class Group:
    """Contenders that do the same job. Ratios are to `reference`, the label of one of them."""

    title: str
    reference: str
    contenders: list[Contender]
    goals: list[Goal] = field(default_factory=list)


@dataclass(frozen=True)
class Load:
    """Cores that others kept busy meanwhile, and cores that the host took away."""

    other_cores: float
    stolen_cores: float


@dataclass(frozen=True)
class Measured:
    """Seconds per call, round by round, by the contenders' labels."""

    group: Group
    seconds: dict[str, list[float]]
    left_out: dict[str, str]
    load: Load

    def median(self, label: str) -> float:
        return statistics.median(self.seconds[label])

    def fastest(self, label: str) -> float:
        return min(self.seconds[label])

    def ratio(self, label: str, to: str) -> float | None:
        """Median of the ratios of each round, which noise that lasts longer than a round spares."""
        if label not in self.seconds or to not in self.seconds:
            return None
        pairs = zip(self.seconds[label], self.seconds[to], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def ratio_of_fastest(self, label: str, to: str) -> float | None:
        if label not in self.seconds or to not in self.seconds:
            return None
        return self.fastest(label) / self.fastest(to)


def measure(group: Group) -> Measured:
    """Checks every contender, then times those that answer rightly."""
    samplers: dict[str, Callable[[], float]] = {}
    left_out: dict[str, str] = {}
    for contender in group.contenders:
        try:
            check(contender)
            samplers[contender.label] = sampler(contender)
        except Exception as error:  # noqa: BLE001, one that fails does not stop the others
            left_out[contender.label] = f"{type(error).__name__}: {error}".splitlines()[0]
    before = Usage.now()
    seconds = interleave(samplers)
    return Measured(group, seconds, left_out, before.load_until(Usage.now()))


def check(contender: Contender) -> None:
    answers: list[object] = []
    names = {**contender.names, "answers": answers}
    timeit.Timer(f"answers.append({contender.expression})", contender.setup, globals=names).timeit(
        1
    )
    if not contender.accepts(answers[0]):
        raise ValueError(f"wrong answer {answers[0]!r}")


def sampler(contender: Contender) -> Callable[[], float]:
    """A function that takes one sample: the seconds of one call, over enough calls to be seen."""
    timer = timeit.Timer(contender.expression, contender.setup, globals=dict(contender.names))
    calls = 1
    while (taken := timer.timeit(calls)) < SAMPLE_SECONDS:
        growth = min(10.0, 1.2 * SAMPLE_SECONDS / max(taken, 1e-9))
        calls = max(calls + 1, int(calls * growth))
    return lambda: timer.timeit(calls) / calls


def interleave(samplers: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """One sample of each in every round; each round begins with the next contender."""
    seconds: dict[str, list[float]] = {label: [] for label in samplers}
    labels = list(samplers)
    end = time.monotonic() + GROUP_SECONDS
    gc.collect()
    gc.disable()
    try:
        for number in range(ROUNDS):
            first = number % max(1, len(labels))
            for label in labels[first:] + labels[:first]:
                seconds[label].append(samplers[label]())
            if time.monotonic() > end:
                break
    finally:
        gc.enable()
    return seconds


@dataclass(frozen=True)
class Usage:
    """Processor seconds since the machine and this process began."""

    clock: float
    busy: float
    stolen: float
    ours: float

    @classmethod
    def now(cls) -> "Usage":
        line = Path("/proc/stat").read_text().splitlines()[0]
        ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in line.split()[1:9]]
        user, nice, system, _idle, _iowait, irq, softirq, stolen = ticks
        busy = user + nice + system + irq + softirq
        return cls(time.monotonic(), busy, stolen, time.process_time())

    def load_until(self, later: "Usage") -> Load:
        seconds = max(later.clock - self.clock, 1e-9)
        others = (later.busy - self.busy) - (later.ours - self.ours)
        return Load(max(0.0, others) / seconds, (later.stolen - self.stolen) / seconds)
