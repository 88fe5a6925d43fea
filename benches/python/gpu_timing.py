"""Times ndbridge beside torch on a GPU: one process, interleaved, the order rotated each round."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

ROUNDS = 15
SAMPLE_SECONDS = 0.003
MOST_CALLS = 1000


@dataclass(frozen=True)
class Contender:
    """A call, and the torch stream that it works on."""

    label: str
    call: Callable[[], Any]
    stream: Any


@dataclass(frozen=True)
class Case:
    """The same work by several. `clock` is `device`: events around calls that are enqueued;
    `done`: the host's clock, each call waited for; or `host`: the host's clock, the calls alone."""

    group: str
    title: str
    bytes: int
    clock: str
    contenders: list[Contender]


@dataclass(frozen=True)
class Measured:
    """Seconds per call, round by round, by the contenders' labels."""

    case: Case
    seconds: dict[str, list[float]]

    def median(self, label: str) -> float:
        return statistics.median(self.seconds[label])

    def rate(self, label: str) -> float:
        """Bytes per second."""
        return self.case.bytes / self.median(label)

    def fastest_rate(self) -> float:
        return self.case.bytes / min(min(seconds) for seconds in self.seconds.values())

    def speed(self, label: str, peer: str) -> float:
        """How many times as fast as the peer: the median of the ratios within a round."""
        pairs = zip(self.seconds[peer], self.seconds[label], strict=True)
        return statistics.median(theirs / ours for theirs, ours in pairs)


def measure(case: Case) -> Measured:
    samplers = {
        contender.label: sampler(contender, case.clock) for contender in case.contenders
    }
    seconds: dict[str, list[float]] = {label: [] for label in samplers}
    labels = list(samplers)
    gc.collect()
    gc.disable()
    try:
        for number in range(ROUNDS):
            first = number % len(labels)
            for label in labels[first:] + labels[:first]:
                seconds[label].append(samplers[label]())
    finally:
        gc.enable()
    # Without the contenders, whose memory is wanted for the next case.
    return Measured(replace(case, contenders=[]), seconds)


def sampler(contender: Contender, clock: str) -> Callable[[], float]:
    """A function that takes one sample: seconds of one call, over enough calls to be seen."""
    batch = {"device": on_device, "done": until_done, "host": on_host}[clock]
    for _ in range(3):
        contender.call()
    once = batch(contender, 1)
    calls = int(min(max(1.0, SAMPLE_SECONDS / max(once, 1e-9)), MOST_CALLS))
    return lambda: batch(contender, calls)


def on_device(contender: Contender, calls: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record(contender.stream)
    for _ in range(calls):
        contender.call()
    end.record(contender.stream)
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3 / calls


def until_done(contender: Contender, calls: int) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        contender.call()
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / calls


def on_host(contender: Contender, calls: int) -> float:
    torch.cuda.synchronize()
    call = contender.call
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls
