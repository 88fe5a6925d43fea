"""Times cases: one process, interleaved, the order rotated each round."""

import gc
import itertools
import statistics
import time
import timeit
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from timing import Load, Usage

#: What other processes may use of a core before figures of two threads are dropped.
QUIET_CORES = 0.3


@dataclass(frozen=True)
class Effort:
    """How long a case is measured: until `rounds` are done or `seconds` are over."""

    rounds: int
    seconds: float
    fewest_rounds: int
    sample_seconds: float


FULL = Effort(rounds=15, seconds=1.8, fewest_rounds=3, sample_seconds=0.0015)
QUICK = Effort(rounds=5, seconds=0.25, fewest_rounds=2, sample_seconds=0.0005)


#: Waking a second thread takes some milliseconds: calls that take longer do not show it.
WAKING_SECONDS = 0.02


def nothing() -> None:
    """What most contenders need before and after a sample."""


@dataclass(frozen=True)
class Contender:
    """One expression to time. `check` raises unless it is given a right answer."""

    label: str
    expression: str
    names: Mapping[str, object]
    check: Callable[[Any], None]
    #: Not timed: around each sample.
    before: Callable[[], None] = nothing
    after: Callable[[], None] = nothing
    threads: int = 1
    #: A second call would find something else: a file, an empty cache.
    is_once: bool = False


@dataclass(frozen=True)
class Case:
    """The same work by several."""

    group: str
    title: str
    #: Read and written together.
    bytes: int
    contenders: list[Contender]
    #: Whether the result lies in memory that exists; None where that is no question.
    is_existing: bool | None = None


@dataclass(frozen=True)
class Measured:
    """Seconds per call, round by round, by the contenders' labels."""

    case: Case
    seconds: dict[str, list[float]]
    load: Load
    left_out: dict[str, str] = field(default_factory=dict)
    #: Figures of two threads that another process spoiled.
    void: frozenset[str] = frozenset()

    def has(self, *labels: str) -> bool:
        return all(label in self.seconds for label in labels)

    def median(self, label: str) -> float:
        return statistics.median(self.seconds[label])

    def fastest(self, label: str) -> float:
        return min(self.seconds[label])

    def ratio(self, label: str, to: str) -> float:
        """Median of the ratios within a round, which noise that lasts longer spares."""
        pairs = zip(self.seconds[label], self.seconds[to], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def ratio_of_fastest(self, label: str, to: str) -> float:
        return self.fastest(label) / self.fastest(to)


def measure(case: Case, effort: Effort) -> Measured:
    """Checks every contender, then times those that answer rightly."""
    samplers: dict[str, Callable[[], float]] = {}
    left_out: dict[str, str] = {}
    for contender in case.contenders:
        try:
            samplers[contender.label] = sampler(contender, effort)
        except Exception as error:  # noqa: BLE001, one that fails does not stop the others
            left_out[contender.label] = f"{type(error).__name__}: {error}".splitlines()[0]
    before = Usage.now()
    seconds = interleave(samplers, effort)
    load = before.load_until(Usage.now())
    void = spoiled(case, load)
    kept = {label: times for label, times in seconds.items() if label not in void}
    # Without the contenders, whose memory is wanted for the next case.
    return Measured(replace(case, contenders=[]), kept, load, left_out, void)


def spoiled(case: Case, load: Load) -> frozenset[str]:
    if load.other_cores <= QUIET_CORES:
        return frozenset()
    return frozenset(contender.label for contender in case.contenders if contender.threads > 1)


def sampler(contender: Contender, effort: Effort) -> Callable[[], float]:
    """Checks a contender and makes the function that takes one sample: seconds of one call."""
    timer = timeit.Timer(contender.expression, globals=dict(contender.names))
    taken = checked(contender)
    wakes = contender.threads > 1 and taken < WAKING_SECONDS
    calls = 1 if contender.is_once else enough(timer, taken, contender, effort)

    def sample() -> float:
        contender.before()
        try:
            if wakes:
                timer.timeit(1)
            return timer.timeit(calls) / calls
        finally:
            contender.after()

    return sample


def checked(contender: Contender) -> float:
    """Seconds of the call whose answer was right."""
    answers: list[object] = []
    names = {**contender.names, "answers": answers}
    contender.before()
    try:
        statement = f"answers.append({contender.expression})"
        taken = timeit.Timer(statement, globals=names).timeit(1)
        contender.check(answers[0])
    finally:
        contender.after()
    return taken


def enough(timer: timeit.Timer, taken: float, contender: Contender, effort: Effort) -> int:
    """Calls that take long enough to be timed."""
    calls = 1
    contender.before()
    try:
        while taken < effort.sample_seconds:
            growth = min(10.0, 1.2 * effort.sample_seconds / max(taken, 1e-9))
            calls = max(calls + 1, int(calls * growth))
            taken = timer.timeit(calls)
    finally:
        contender.after()
    return calls


def interleave(samplers: dict[str, Callable[[], float]], effort: Effort) -> dict[str, list[float]]:
    """One sample of each in every round; each round begins with the next contender."""
    seconds: dict[str, list[float]] = {label: [] for label in samplers}
    labels = list(samplers)
    end = time.monotonic() + effort.seconds
    gc.collect()
    gc.disable()
    try:
        for done in itertools.count():
            first = done % max(1, len(labels))
            if done >= effort.rounds or done >= effort.fewest_rounds and time.monotonic() > end:
                break
            for label in labels[first:] + labels[:first]:
                seconds[label].append(samplers[label]())
    finally:
        gc.enable()
    return seconds
