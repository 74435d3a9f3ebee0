"""What a round collected, as its aggregation reads it: from verified files, one range at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from federation import selectors
from federation.aggregation import registry, weighting
from federation.aggregation.cohort import Cohort
from federation.aggregation.strategy import Strategy
from federation.errors import SubmissionDamaged
from federation.models import ModelVersion, Submission, TrainingRound
from federation.round_config import RoundConfig
from federation.services import model_versions
from flxdr.platform.storage.blobs import blobs
from models_ml.codec import ModelSchema
from models_ml.errors import NotCanonicalModel
from models_ml.vector_file import StoredVector, open_vector

_RENEWAL_SECONDS = 5.0


@dataclass(frozen=True)
class Inputs:
    """A round's configuration, the updates that it collected in the order of their organisations, and its parent.

    The cohort holds the updates themselves, or in a masked round the means of the groups that they were added up in.
    """

    training_round: TrainingRound
    config: RoundConfig
    submissions: Sequence[Submission]
    parent: ModelVersion
    schema: ModelSchema
    strategy: Strategy
    cohort: Cohort


def parent_of(training_round: TrainingRound) -> ModelVersion:
    """The model that an open round starts from; its first submission fixed the schema of a model that had none."""
    parent = model_versions.parent_of(RoundConfig.decode(bytes(training_round.config)))
    assert parent is not None, "the first submission fixed the schema"
    return parent


def assemble(training_round: TrainingRound, parent: ModelVersion) -> Inputs:
    """The inputs of a round that started from `parent`; of the files only headers and lengths are read.

    Raises:
        SubmissionDamaged: a stored update is no file of the model's schema.
        TooFewUpdates: the strategy cannot combine so few updates.
    """
    config = RoundConfig.decode(bytes(training_round.config))
    submissions = list(selectors.counted_submissions(training_round))
    schema = ModelSchema.from_json(parent.schema)
    cohort = _means(training_round, schema) if training_round.step else _updates(submissions, schema, config)
    strategy = registry.build(config.aggregation_method, config.aggregation_params)
    strategy.require(cohort.count)
    return Inputs(training_round, config, submissions, parent, schema, strategy, cohort)


def _updates(submissions: Sequence[Submission], schema: ModelSchema, config: RoundConfig) -> Cohort:
    return Cohort(
        updates=[_opened(submission.update_digest, schema) for submission in submissions],
        weights=weighting.weights([submission.samples for submission in submissions], config.weighting),
        digests=[submission.wire_digest for submission in submissions],
    )


def _means(training_round: TrainingRound, schema: ModelSchema) -> Cohort:
    means = list(training_round.masked_means.order_by("index"))
    return Cohort(
        updates=[_opened(mean.update_digest, schema) for mean in means],
        weights=np.array([mean.weight for mean in means], dtype=np.int64),
        digests=[mean.update_digest for mean in means],
    )


def _opened(digest: str, schema: ModelSchema) -> StoredVector[np.int32]:
    try:
        return open_vector(blobs().path(digest), schema)
    except NotCanonicalModel as error:
        raise SubmissionDamaged(f"a stored update cannot be read: {error.detail}") from error


def verify(training_round: TrainingRound, parent: ModelVersion, renew: Callable[[], None]) -> None:
    """Hash every file that the aggregation reads.

    Args:
        renew: called after every file.

    Raises:
        BlobMissing: a file is gone.
        BlobDamaged: a file has changed.
    """
    store = blobs()
    for digest in _digests(training_round, parent):
        store.verify(digest)
        renew()


def fetch(training_round: TrainingRound, parent: ModelVersion, renew: Callable[[], None]) -> None:
    """Have every file at hand: where they are in a bucket, a machine that has none of them yet needs its time.

    Args:
        renew: called every few seconds.

    Raises:
        BlobMissing, BlobDamaged: as `verify`, of what is fetched.
    """
    store, renewed = blobs(), time.monotonic()
    for digest in _digests(training_round, parent):
        store.path(digest)
        if time.monotonic() - renewed > _RENEWAL_SECONDS:
            renew()
            renewed = time.monotonic()


def _digests(training_round: TrainingRound, parent: ModelVersion) -> list[str]:
    """What the aggregation reads."""
    config = RoundConfig.decode(bytes(training_round.config))
    stored = training_round.masked_means if training_round.step else training_round.submissions
    digests = [parent.blob_digest, *stored.values_list("update_digest", flat=True)]
    if config.optimizer_state_hash is not None:
        digests.append(config.optimizer_state_hash)
    return digests


@contextmanager
def damage_told_from_trouble(training_round: TrainingRound, renew: Callable[[], None]) -> Iterator[None]:
    """For work on files that were verified earlier: one that has changed since will not get better by a retry.

    Raises:
        BlobMissing, BlobDamaged: instead of the OSError of the block, if a file is not what it was.
    """
    try:
        yield
    except OSError:
        verify(training_round, parent_of(training_round), renew)
        raise
