"""A model, and one trained by this organisation alone, on the same records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from federation.agent.errors import DataInvalid
from federation.agent.records import RecordSource
from flxdr.core.errors import FlxdrError
from models_ml.adapters import ReadReport
from models_ml.assessment import Assessment, assess
from models_ml.bound_model import BoundModel
from models_ml.calibration import UNCALIBRATED, calibrate
from models_ml.edge_stream import EdgeStream
from models_ml.families import BENIGN
from models_ml.metrics import MAX_FALSE_POSITIVE_RATE
from models_ml.splits import Split, by_capture, by_time

_FEW = 100
"""Held-out benign records below which a threshold for one false alarm in a hundred means little."""


@dataclass(frozen=True)
class Judged:
    """A model's assessment, under the name that a report gives it."""

    label: str
    assessment: Assessment

    def as_json(self) -> dict[str, Any]:
        return {"label": self.label} | self.assessment.as_json()


def split_of(
    source: RecordSource, files: Sequence[Path], *, test_captures: Sequence[str], local: bool
) -> tuple[Split, tuple[ReadReport, ...]]:
    """What is tested on what.

    Given files are the test, and the organisation's own records (if it has any) are what it trains on. Where it has
    none and a local model is wanted, the files are split by time, or by capture if captures are named. Without files,
    the own records are split: the later part of each capture, or the named captures, are the test.

    Raises:
        DataInvalid: a file cannot be read, a named capture is not there, or nothing is left to test on.
    """
    given, reports = source.load_files(files) if files else (None, ())
    if source.is_configured:
        own = source.load()
        reports = (*reports, *own.reports)
        if given is None and not test_captures:
            share = round(100 * len(own.validation) / max(1, len(own.training) + len(own.validation)))
            how = f"one's own records, of each capture the last {share} % in order of time to test on"
            split = Split(own.training, EdgeStream.empty(), own.validation, how)
        elif given is None:
            split = _captures_of(own.everything, test_captures)
        else:
            test = _captures_of(given, test_captures).test if test_captures else given
            split = Split(
                own.training, own.validation, test, "one's own records to train on, the given files to test on"
            )
    elif given is None:
        raise DataInvalid(
            "there are no records to evaluate on", action="Name some: --data FILE, or [data] in agent.toml."
        )
    elif test_captures:
        split = _captures_of(given, test_captures)
    elif local:
        split = by_time(given)
    else:
        split = Split(EdgeStream.empty(), EdgeStream.empty(), given, "all of the given files to test on")
    if not len(split.test):
        raise DataInvalid("there is no record to evaluate on", expected="at least one")
    return split, reports


def _captures_of(stream: EdgeStream, test_captures: Sequence[str]) -> Split:
    try:
        return by_capture(stream, test_captures)
    except FlxdrError as error:
        raise DataInvalid(error.detail, expected=error.expected) from error


def judge(model: BoundModel, split: Split, *, label: str, seed: int) -> Judged:
    """The model on the test records, by the thresholds that the held-out ones give.

    Raises:
        TooFewFlows: no labelled record among them.
        UnknownModel: the model tells no families apart.
    """
    calibration = calibrate(model.predict(split.held), split.held.family) if len(split.held) else UNCALIBRATED
    return Judged(label, assess(model.predict(split.test), split.test, calibration, seed=seed))


def threshold_source(split: Split) -> str:
    """Where thresholds come from, in words."""
    benign = int(np.sum(split.held.family == BENIGN))
    if not benign:
        return "even odds for every family, since no benign records were held out to set thresholds by"
    few = f" (only {benign}: they mean little)" if benign < _FEW else f" ({benign})"
    most = f"at most {100 * MAX_FALSE_POSITIVE_RATE:g} % of the held-out benign records{few}"
    return f"one for each family, such that {most} are alarmed, as in detection"
