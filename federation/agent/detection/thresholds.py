"""From probabilities to a family and a score that means something here: calibrated on one's own records, once a model.

The thresholds are kept in the home under the model's hash and the state of the records, and made anew when either is
another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import orjson

from federation.agent import files
from federation.agent.detection.scorers import scorer_for
from federation.agent.evaluation import FoundModel
from federation.agent.records import Records, RecordSource
from federation.agent.session import Agent
from models_ml import codec
from models_ml.calibration import UNCALIBRATED, Calibration, calibrate
from models_ml.edge_stream import EdgeStream, concat
from models_ml.families import BENIGN, UNLABELLED

MAX_RECORDS = 400_000
"""Records that are scored for a calibration at most: the newest ones."""
PIECE = 65_536
KEPT = 32


@dataclass(frozen=True)
class Threshold:
    """How probabilities are decided here, and whether own records stand behind it."""

    calibration: Calibration
    is_calibrated: bool


def threshold_for(agent: Agent, found: FoundModel, source: RecordSource) -> Threshold:
    """The organisation's thresholds for a model, from its held-out records; even odds where it has none.

    Raises:
        DataInvalid: the configured records cannot be read.
    """
    if not source.is_configured:
        agent.output.warn("no flow records are configured: scores are not calibrated on your own traffic")
        return Threshold(UNCALIBRATED, is_calibrated=False)
    kept = agent.home.calibrations / f"{_fingerprint(found, source)}.json"
    if kept.exists():
        document = orjson.loads(kept.read_bytes())
        thresholds = [np.inf if value is None else value for value in document["thresholds"]]
        return Threshold(Calibration(np.array(thresholds), document["slope"]), document["benign_records"] > 0)
    calibration, benign = _made(found, source.load())
    if not benign:
        agent.output.warn("none of your held-out records is labelled benign: scores are not calibrated")
    document = {"thresholds": calibration.thresholds.tolist(), "slope": calibration.slope, "benign_records": benign}
    files.make_private_folder(agent.home.calibrations)
    files.write_durably(kept, orjson.dumps(document))
    files.keep_newest(agent.home.calibrations, KEPT)
    return Threshold(calibration, is_calibrated=benign > 0)


def _made(found: FoundModel, records: Records) -> tuple[Calibration, int]:
    """The calibration, and how many benign records it rests on."""
    everything, held = _in_order(records)
    scorer = scorer_for(found)
    scored = [scorer.score(piece).probabilities for piece in _pieces(everything)]
    probabilities = np.concatenate(scored)[held]
    labels = everything.family[held]
    return calibrate(probabilities, labels), int(np.sum(labels == BENIGN))


def _in_order(records: Records) -> tuple[EdgeStream, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The newest records in order of time, for hosts need their past, and which of them are held out and labelled."""
    held = np.arange(len(records.training) + len(records.validation)) >= len(records.training)
    everything = concat([records.training, records.validation])
    order = np.argsort(everything.t, kind="stable")[-MAX_RECORDS:]
    everything = everything.select(order)
    return everything, held[order] & (everything.family != UNLABELLED)


def _pieces(stream: EdgeStream) -> Iterator[EdgeStream]:
    for start in range(0, len(stream), PIECE):
        yield stream.select(slice(start, start + PIECE))


def _fingerprint(found: FoundModel, source: RecordSource) -> str:
    built_on = sorted((name, codec.model_hash(codec.encode(tensors))) for name, tensors in found.basis.items())
    return hashlib.sha256(repr((found.model_hash, built_on, source.stamp())).encode()).hexdigest()[:32]
