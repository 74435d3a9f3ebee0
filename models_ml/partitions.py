"""Which organisation owns which capture of the labelled Zeek data, and what of it is for training.

An organisation is the owner of one network. Of every capture the first 70 % of its time (between its first and last
record, by the clock) is for training, the rest is the test; unlabelled records are dropped. Nothing is split at random:
neighbouring flows of one burst would sit on both sides and flatter the result. By this split the flood of the device
lab lies in the test as a whole: more than half of the test's records are of a family that nobody was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from models_ml.edge_stream import EdgeStream, concat
from models_ml.errors import TooFewFlows

TRAIN_FRACTION = 0.7

ORGANIZATIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "campus": ("CTU50-Normal-40-day1", "CTU50-Normal-42-day2"),
        "camera-maker": ("Malware-8-1",),
        "device-lab": ("Malware-34-1",),
        "smart-home": ("Malware-20-1", "Malware-42-1"),
        "honeynet": ("Honeypot-4-1", "Honeypot-7-1"),
    }
)
"""Two hosts of one campus, attacked from outside; a network with a Hakai bot; one with a Mirai bot that floods; homes
with a quiet Torii bot and a Trojan; two devices of a honeynet that saw benign traffic only."""


@dataclass(frozen=True)
class Partition:
    """One organisation's records for training and for testing, both labelled."""

    train: EdgeStream
    test: EdgeStream


def by_organization(stream: EdgeStream, *, train_fraction: float = TRAIN_FRACTION) -> dict[str, Partition]:
    """Split labelled captures among their owners (`ORGANIZATIONS`) and by time.

    Raises:
        TooFewFlows: an organisation's captures are not in the stream.
    """
    known = stream.labelled()
    partitions: dict[str, Partition] = {}
    for organization, captures in ORGANIZATIONS.items():
        halves = [known.of_capture(name).split_by_time(train_fraction) for name in captures]
        train, test = (concat(parts) for parts in zip(*halves, strict=True))
        if not len(train) or not len(test):
            raise TooFewFlows(f"no records for {organization}", expected=f"the captures {', '.join(captures)}")
        partitions[organization] = Partition(train=train, test=test)
    return partitions
