"""Our aggregation strategies against Flower's functions on the same cohorts, in time and in memory.

Ours take int32 in units of 2^-24 and are exact; the peer takes the same values as float32, which holds them exactly.
Times alternate in one process. Memory is the most that one call holds at a time, as tracemalloc counts it (numpy
reports to it), in a fresh process per strategy; the cohort itself does not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Row, against_peer, alone, versions
from federation.aggregation import registry
from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from models_ml.fixed_point import SCALE

Results = list[tuple[list[NDArray[np.float32]], int]]
"""What Flower aggregates: an organisation's layers and its number of samples."""
Peer = Callable[[Results], list[NDArray[Any]]]

SPREAD = 0.01  # of the values, in model units
MEMORY_LIMIT_MB = 32.0
AGREEMENT = 0.999  # share of coordinates that agree; Bulyan's ties at float32's last digit may be decided otherwise


@dataclass(frozen=True)
class Size:
    """N organisations of D values, f of them hostile."""

    label: str
    count: int
    size: int
    byzantine: int
    repeats: int = 5


@dataclass(frozen=True)
class Case:
    """A strategy, the function of Flower that answers the same question, and the least ratio between them.

    Args:
        peer: by name in `flwr.server.strategy.aggregate`; empty where Flower has none.
        takes_byzantine: whether f is one of our parameters.
        samples: whether the organisations' numbers of samples differ.
        limited: whether its memory has a limit.
    """

    name: str
    method: str = registry.ROBUST
    peer: str = ""
    peer_once: bool = False
    least: float | None = None
    takes_byzantine: bool = False
    samples: bool = False
    limited: bool = False

    def params(self, size: Size) -> dict[str, Any]:
        """Of our strategy."""
        own = {registry.ROBUST_METHOD: self.name} if self.method == registry.ROBUST else {}
        return own | ({"byzantine": size.byzantine} if self.takes_byzantine else {})


CASES = (
    Case("fedavg", "FedAvg", peer="aggregate", least=4, samples=True),
    Case("median", peer="aggregate_median", least=8, limited=True),
    Case("trimmed_mean", peer="aggregate_trimmed_avg", least=6, limited=True),
    Case("krum", peer="aggregate_krum", least=10, takes_byzantine=True),
    Case("multi_krum", peer="aggregate_krum", takes_byzantine=True),
    Case("bulyan", peer="aggregate_bulyan", peer_once=True, least=50, takes_byzantine=True, limited=True),
    Case("geometric_median"),
    Case("centered_clipping"),
    Case("norm_bounding"),
    Case("fedavgm", "FedAvgM", samples=True),
    Case("fedadam", "FedAdam", samples=True),
    Case("fedyogi", "FedYogi", samples=True),
)
TARGET_SIZE = Size("50x1e6", 50, 1_000_000, byzantine=10)
OTHER_SIZES = (
    Size("10x1e6", 10, 1_000_000, byzantine=3),
    Size("10x1e7", 10, 10_000_000, byzantine=3, repeats=3),
)
OTHER_CASES = ("fedavg", "median", "trimmed_mean", "krum")
MANY = Size("100x1e6", 100, 1_000_000, byzantine=10)
SIZES = {size.label: size for size in (TARGET_SIZE, *OTHER_SIZES, MANY)}
MEMORY = (("fedavg", OTHER_SIZES[0]), *((case.name, TARGET_SIZE) for case in CASES), ("fedavg", MANY))
"""FedAvg at more than one number of organisations. Every thread holds N x W float64, and W shrinks as N grows: the
memory grows up to 64 organisations, where a portion is as wide as the kernel's step, stays level up to 256, where a
portion is one width, and then grows with N."""


@dataclass(frozen=True)
class Inputs:
    """The same cohort for both; values are N(0, 0.01) in model units."""

    size: Size
    updates: Sequence[NDArray[np.int32]] = field(repr=False)

    @classmethod
    def drawn(cls, size: Size) -> Inputs:
        rng = np.random.default_rng(size.count)
        scaled = (rng.standard_normal(size.size, dtype=np.float32) * (SPREAD * SCALE) for _ in range(size.count))
        return cls(size, [np.rint(values).astype(np.int32) for values in scaled])

    def samples(self, case: Case) -> list[int]:
        """How many each organisation trained on."""
        return [1000 + number * case.samples for number in range(self.size.count)]

    def cohort(self, case: Case) -> Cohort:
        """Ours."""
        weights = np.array(self.samples(case), dtype=np.int64)
        return Cohort(self.updates, weights, [f"{number:064x}" for number in range(self.size.count)])

    def models(self) -> list[NDArray[np.float32]]:
        """The peer's: every value below 2^24 units, so nothing is rounded."""
        return [(update / np.float32(SCALE)).astype(np.float32) for update in self.updates]


def rows() -> Iterator[Row]:
    """Times, then memory."""
    by_name = {case.name: case for case in CASES}
    for size in (TARGET_SIZE, *OTHER_SIZES):
        inputs = Inputs.drawn(size)
        models = inputs.models()
        for case in CASES if size is TARGET_SIZE else [by_name[name] for name in OTHER_CASES]:
            yield _time(case, inputs, models)
    for name, size in MEMORY:
        yield _memory(by_name[name], size)


def _time(case: Case, inputs: Inputs, models: Sequence[NDArray[np.float32]]) -> Row:
    size, cohort = inputs.size, inputs.cohort(case)
    strategy = registry.build(case.method, case.params(size))
    name = f"aggregate.{case.name}.{size.label}"
    note = (
        f"{_described(size, case)}; ours exact on int32 with {len(os.sched_getaffinity(0))} threads; "
        f"medians of {size.repeats}"
    )

    def ours() -> Callable[[], object]:
        return lambda: aggregate(strategy, cohort)

    if not case.peer:
        return alone(name, ours=ours, note=f"{note}; no peer; {versions('numpy')}", repeats=size.repeats)
    peer, samples = _peer(case, size), inputs.samples(case)
    answers: list[list[NDArray[Any]]] = []

    def theirs() -> Callable[[], object]:
        # Bulyan takes the chosen ones out of the list that it is given.
        results = [([model], count) for model, count in zip(models, samples, strict=True)]
        answers.clear()
        return lambda: answers.append(peer(results))

    once = "; the peer, which takes this long, once" if case.peer_once else ""
    row = against_peer(
        name,
        ours=ours,
        peer=theirs,
        limit_ratio=case.least if size is TARGET_SIZE else None,
        note=f"{note}{once}; {case.peer} on float32; {versions('flwr', 'numpy')}",
        repeats=size.repeats,
        peer_once=case.peer_once,
    )
    agreement = float(np.isclose(aggregate(strategy, cohort).update / SCALE, answers[0][0], rtol=0, atol=1e-7).mean())
    assert agreement >= AGREEMENT, f"{name}: only {agreement:.4%} of the coordinates agree with the peer"
    return row


def _described(size: Size, case: Case) -> str:
    hostile = f", f = {size.byzantine}" if case.takes_byzantine else ""
    return f"{size.count} updates of {size.size} values N(0, {SPREAD}){hostile}"


def _peer(case: Case, size: Size) -> Peer:
    """Flower's function with its parameters."""
    from flwr.server.strategy import aggregate as flower  # noqa: PLC0415 (only in the benchmarks' environment)

    byzantine = size.byzantine
    functions: Mapping[str, Peer] = {
        "fedavg": flower.aggregate,
        "median": flower.aggregate_median,
        "trimmed_mean": lambda results: flower.aggregate_trimmed_avg(results, 0.2),
        "krum": lambda results: flower.aggregate_krum(results, byzantine, 0),
        "multi_krum": lambda results: flower.aggregate_krum(results, byzantine, len(results) - byzantine),
        "bulyan": lambda results: flower.aggregate_bulyan(results, byzantine, flower.aggregate_krum, to_keep=0),
    }
    return functions[case.name]


def _memory(case: Case, size: Size) -> Row:
    command = [sys.executable, "-m", "benchmarks.aggregate", case.name, size.label]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    ours, peer = json.loads(done.stdout)
    used = versions(*(["flwr"] if case.peer else []), "numpy")
    return Row(
        name=f"aggregate.memory.{case.name}.{size.label}",
        ours=ours,
        peer=peer,
        ratio=None if peer is None else round(peer / ours, 2),
        unit="MB",
        limit=MEMORY_LIMIT_MB if case.limited else None,
        limit_ratio=None,
        note=f"{_described(size, case)}: the most that a call holds beside its inputs, its result of "
        f"{size.size * 4 / 1e6:g} MB (int32) included, by tracemalloc in a fresh process; "
        f"{len(os.sched_getaffinity(0))} threads; {used}",
    )


def peak_megabytes(call: Callable[[], object]) -> float:
    """The most that a call allocates at a time."""
    tracemalloc.start()
    try:
        call()
        return round(tracemalloc.get_traced_memory()[1] / 1e6, 2)
    finally:
        tracemalloc.stop()


def peaks(case: Case, size: Size, *, with_peer: bool = True) -> tuple[float, float | None]:
    """Ours and the peer's, in this process."""
    inputs = Inputs.drawn(size)
    cohort, strategy = inputs.cohort(case), registry.build(case.method, case.params(size))
    ours = peak_megabytes(lambda: aggregate(strategy, cohort))
    if not case.peer or not with_peer:
        return ours, None
    results: Results = [([model], count) for model, count in zip(inputs.models(), inputs.samples(case), strict=True)]
    peer = _peer(case, size)
    return ours, peak_megabytes(lambda: peer(results))


if __name__ == "__main__":
    _, chosen, label = sys.argv
    print(json.dumps(peaks(next(case for case in CASES if case.name == chosen), SIZES[label])))
