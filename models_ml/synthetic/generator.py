"""Simulated organisations, each with its own network, habits and share of the attacks.

While its training records were taken, each organisation met two of the five families; afterwards, everyone meets all.
That is what a federation is for: what one has seen, the others learn before it reaches them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from models_ml.edge_stream import EdgeStream, concat
from models_ml.partitions import TRAIN_FRACTION, Partition
from models_ml.synthetic.attacks import CAMPAIGNS
from models_ml.synthetic.benign import benign
from models_ml.synthetic.site import Site, random_hosts

START = 1_767_571_200.0
"""Monday, 5 January 2026, 00:00 UTC."""
DAYS = 5
CAMPAIGN_SIZE = 60
CAMPAIGNS_PER_FAMILY = 6

FAMILIES_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bank": ("BruteForce", "C2"),
        "hospital": ("C2", "LateralMovement"),
        "manufacturer": ("LateralMovement", "Scan"),
        "retailer": ("Exfiltration", "BruteForce"),
        "university": ("Scan", "Exfiltration"),
    }
)
"""The families that each organisation meets in its training records."""


def generate(seed: int, *, records: int = 4000) -> dict[str, Partition]:
    """Training and test records of every organisation in `FAMILIES_OF`.

    Args:
        seed: the same seed gives the same records.
        records: benign records of an organisation, training and test together; attacks come on top.
    """
    partitions: dict[str, Partition] = {}
    for index, (name, families) in enumerate(FAMILIES_OF.items()):
        site = _site(name, np.random.Generator(np.random.PCG64((seed, index))))
        end = START + DAYS * 86400
        middle = START + TRAIN_FRACTION * (end - START)
        trained = round(records * TRAIN_FRACTION)
        partitions[name] = Partition(
            train=_period(site, START, middle, trained, families),
            test=_period(site, middle, end, records - trained, tuple(CAMPAIGNS)),
        )
    return partitions


def _period(site: Site, start: float, end: float, records: int, families: tuple[str, ...]) -> EdgeStream:
    campaigns = [
        CAMPAIGNS[family](site, start, end, int(site.rng.integers(CAMPAIGN_SIZE // 2, CAMPAIGN_SIZE * 3 // 2)))
        for family in families
        for _ in range(CAMPAIGNS_PER_FAMILY)
    ]
    stream = concat([benign(site, start, end, records), *campaigns]).in_time_order()
    return stream.select((stream.t >= start) & (stream.t < end))


def _site(name: str, rng: np.random.Generator) -> Site:
    return Site(
        name=name,
        rng=rng,
        clients=random_hosts(rng, int(rng.integers(25, 60))),
        servers=random_hosts(rng, int(rng.integers(5, 10))),
        outside=random_hosts(rng, int(rng.integers(60, 120))),
        volume=float(rng.uniform(0.5, 2.5)),
        cloud=float(rng.uniform(0.3, 0.5)),
        office=float(rng.uniform(0.15, 0.3)),
    )
