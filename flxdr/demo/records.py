"""Flow records of the demo's organisations, as files that their agents read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flxdr.core.errors import Missing
from models_ml import synthetic
from models_ml.adapters import read
from models_ml.adapters.writing import write_conn_log
from models_ml.edge_stream import EdgeStream
from models_ml.partitions import TRAIN_FRACTION, Partition, by_organization

CAPTURES_FILE = "zeek_conn_dev.csv.gz"
SEED = 20260101


@dataclass(frozen=True)
class OrganizationFiles:
    """What one organisation trains on, and what the demo tests with; the agent is told of `train` only."""

    train: Path
    test: Path

    def read_train(self) -> EdgeStream:
        return read(self.train)[0]

    def read_test(self) -> EdgeStream:
        return read(self.test)[0]


def divide_captures(data: Path, folder: Path) -> dict[str, OrganizationFiles]:
    """Give every organisation its captures of `data` (a folder with `zeek_conn_dev.csv.gz`), as Zeek logs.

    Raises:
        Missing: no such file.
        TooFewFlows: a capture that an organisation needs is not in it.
    """
    source = data / CAPTURES_FILE
    if not source.is_file():
        raise Missing(f"{data} has no {CAPTURES_FILE}", action="Name another folder in DATA, or leave DATA out.")
    return _write(by_organization(read(source)[0]), folder)


def generate(folder: Path) -> dict[str, OrganizationFiles]:
    """Make up five organisations' records: the same ones every time."""
    return _write(synthetic.generate(SEED), folder)


def describe_split(*, real: bool) -> str:
    """How training and test records were told apart, in one sentence."""
    share = f"the first {TRAIN_FRACTION:.0%} of the time"
    if not real:
        return f"generated records of one working week: {share} for training, the rest for the test"
    return f"of every capture {share} for training, the rest for the test; records without a label left out"


def _write(partitions: Mapping[str, Partition], folder: Path) -> dict[str, OrganizationFiles]:
    files = {}
    for organization, partition in partitions.items():
        place = folder / organization
        place.mkdir(parents=True, exist_ok=True)
        files[organization] = OrganizationFiles(place / "train.conn.log", place / "test.conn.log")
        write_conn_log(partition.train, files[organization].train)
        write_conn_log(partition.test, files[organization].test)
    return files
