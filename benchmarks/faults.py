"""Updates on which the peer's Krum answers wrongly, and ours on the same ones.

Counts, not times; the target is that none of ours is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Row, versions
from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.krum import Krum
from models_ml.errors import OutOfRange
from models_ml.fixed_point import quantise

Floats = NDArray[np.float32]

ORGANIZATIONS = 7
SEEDS = 20
COUNT, SIZE = 10, 1_000_000
STEP = 1e-4  # of an honest update's values; the model's own are N(0, 1)
HOSTILE_STEP = 10 * STEP


def rows() -> list[Row]:
    """`faults.nan_krum`, `faults.uncentred_gram` and `faults.uncentred_gram_hostile`."""
    return [_nan_krum(), *_uncentred_gram()]


def _nan_krum() -> Row:
    from flwr.server.strategy.aggregate import aggregate_krum  # noqa: PLC0415 (only in the benchmarks' environment)

    ours = peer = 0
    for place in range(ORGANIZATIONS):
        rng = np.random.default_rng(place)
        updates = [rng.normal(0, 0.01, 1000).astype(np.float32) for _ in range(ORGANIZATIONS)]
        updates[place][:] = np.nan
        peer += bool(np.isnan(aggregate_krum([([update], 1) for update in updates], 1, 0)[0]).any())
        ours += nan_counts(updates, place)
    return _row(
        "faults.nan_krum",
        ours,
        peer,
        f"wrong of {ORGANIZATIONS}",
        f"{ORGANIZATIONS} updates of 1000 values, one of them NaN, at each place in turn: how often Flower's answer is "
        "NaN, and how often ours takes that update into the cohort or chooses none of the others. Flower's "
        "aggregate_krum takes the lowest score by argmin, for which NaN is the lowest; ours refuses the update, for "
        "int32 holds no NaN, and aggregates the others",
    )


def nan_counts(updates: Sequence[Floats], place: int) -> bool:
    """Whether the update at `place`, which is not finite, had any effect on ours.

    That the aggregate holds no NaN says nothing: it is int32.
    """
    others = [quantise(update) for index, update in enumerate(updates) if index != place]
    cohort = cohort_of(updates)
    chosen = aggregate(Krum(1), cohort).update
    return cohort.count != len(others) or not any(np.array_equal(chosen, other) for other in others)


def _uncentred_gram() -> Iterator[Row]:
    exact, ours, peer = np.array([_choices(seed) for seed in range(SEEDS)]).T
    hostile = COUNT - 1
    assert not (exact == hostile).any()
    inputs = (
        f"{SEEDS} cohorts of {COUNT} whole float32 models of {SIZE} values, one base N(0, 1) plus honest updates N(0, "
        f"{STEP:g}) and a hostile one {HOSTILE_STEP / STEP:g} times as long; f = 1"
    )
    why = (
        "Flower's select_multikrum computes |u|^2 + |v|^2 - 2 uv in float32, where the models cancel and the updates "
        "drown; ours takes the updates alone, as integers"
    )
    yield _row(
        "faults.uncentred_gram",
        int((ours != exact).sum()),
        int((peer != exact).sum()),
        f"wrong of {SEEDS}",
        f"{inputs}: how often another one is chosen than by the exact distances. {why}",
    )
    yield _row(
        "faults.uncentred_gram_hostile",
        int((ours == hostile).sum()),
        int((peer == hostile).sum()),
        f"wrong of {SEEDS}",
        f"{inputs}: how often the hostile one is chosen, which the exact distances never choose. {why}",
    )


def _choices(seed: int) -> tuple[int, int, int]:
    """Which of the models exact distances choose, ours, and the peer."""
    from flwr.app import ArrayRecord, RecordDict  # noqa: PLC0415
    from flwr.serverapp.strategy.multikrum import select_multikrum  # noqa: PLC0415

    base, models = models_of(seed, COUNT, SIZE)
    updates = [model.astype(np.float64) - base for model in models]
    records = [RecordDict({"model": ArrayRecord([model])}) for model in models]
    (selected,) = select_multikrum(records, num_malicious_nodes=1, num_nodes_to_select=1)
    theirs = next(index for index, record in enumerate(records) if record is selected)
    return exact_choice(updates), our_choice(updates), theirs


def models_of(seed: int, count: int, size: int) -> tuple[Floats, list[Floats]]:
    """A model N(0, 1), and what organisations made of it; the last one is hostile."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(size, dtype=np.float32)
    steps = [STEP] * (count - 1) + [HOSTILE_STEP]
    return base, [base + rng.standard_normal(size, dtype=np.float32) * np.float32(step) for step in steps]


def exact_choice(updates: Sequence[NDArray[np.float64]]) -> int:
    """Krum's choice for f = 1, by the differences themselves."""
    count = len(updates)
    distances = np.array([[((a - b) ** 2).sum() for b in updates] for a in updates])
    return int(np.sort(distances, axis=1)[:, : count - 2].sum(axis=1).argmin())  # its own zero and N - f - 2 others


def our_choice(updates: Sequence[NDArray[Any]]) -> int:
    """The one that our Krum leaves in."""
    (chosen,) = set(range(len(updates))) - set(aggregate(Krum(1), cohort_of(updates)).left_out)
    return chosen


def cohort_of(updates: Sequence[NDArray[Any]]) -> Cohort:
    """What the coordinator aggregates of these: an update that is not finite is refused when it arrives."""
    accepted = []
    for update in updates:
        with suppress(OutOfRange):
            accepted.append(quantise(update))
    digests = [f"{number:064x}" for number in range(len(accepted))]
    return Cohort(accepted, np.ones(len(accepted), dtype=np.int64), digests)


def _row(name: str, ours: int, peer: int, unit: str, note: str) -> Row:
    return Row(name, ours, peer, None, unit, 0, None, f"{note}; {versions('flwr', 'numpy')}")
