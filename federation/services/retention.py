"""How long updates are kept, and the means of buckets. What the coordinator can see, it need not keep for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from federation.models import MaskedMean, ModelVersion, Submission, TrainingRound
from federation.selectors.stored_files import unnamed_files
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event
from flxdr.platform.storage.blobs import blobs

AT_ONCE = 50
"""Rounds of one run; the next one goes on."""


def discard_updates(*, days: int, clock: Clock) -> list[str]:
    """Remove the files of the submissions to rounds that ended more than `days` ago; 0 keeps all of them.

    The means of masked updates and opened sums go with them. Rows, digests and proofs stay, so an organisation can
    still show that it took part. The release can no longer be recomputed, and says so.

    Returns:
        The rounds.
    """
    if days == 0:
        return []
    limit = clock.now() - timedelta(days=days)
    ended = TrainingRound.objects.exclude(status__in=TrainingRound.OPEN)
    due = ended.filter(finished_at__lte=limit, updates_discarded_at=None).order_by("id")[:AT_ONCE]
    return [each.round_id for each in due if _discard(each, limit, clock)]


def discard_unnamed(*, hours: int, actor: str, clock: Clock) -> int:
    """Remove the files that no row names and that were stored more than `hours` ago.

    A process that was killed between a file and its row leaves one, and so does an update whose round ended at that
    moment. Nothing calls this by itself: with another database than theirs all files are without names.

    Returns:
        How many are gone. Those of a run that broke off are on record as well.
    """
    limit, gone = clock.now() - timedelta(hours=hours), 0
    try:
        for digest in unnamed_files():
            gone += blobs().discard(digest, older_than=limit)
    finally:
        if gone:
            _record_discarded(gone, hours, actor, clock)
    return gone


def _record_discarded(files: int, hours: int, actor: str, clock: Clock) -> None:
    data = {"files": files, "hours": hours}
    with transaction.atomic():
        record_event(kind="storage.unnamed_discarded", actor=actor, subject="store", data=data, clock=clock)


def _discard(training_round: TrainingRound, limit: datetime, clock: Clock) -> bool:
    """Whether all of them are gone; one that was stored again meanwhile, or came from a backup, waits for its time."""
    digests = {
        digest
        for digests in training_round.submissions.values_list("wire_digest", "update_digest")
        for digest in digests
    }
    digests |= set(training_round.masked_means.values_list("update_digest", flat=True))
    digests |= {training_round.sum_digest, training_round.opening_digest} - {""}
    spare = digests - _needed(digests, training_round)
    if sum(blobs().discard(digest, older_than=limit) for digest in spare) < len(spare):
        return False
    # The files first: a process that dies in between is repeated.
    with transaction.atomic():
        TrainingRound.objects.filter(pk=training_round.pk).update(updates_discarded_at=clock.now())
        record_event(
            kind="round.updates_discarded",
            actor="coordinator",
            subject=training_round.round_id,
            data={"files": len(spare)},
            clock=clock,
        )
    return True


def _needed(digests: set[str], training_round: TrainingRound) -> set[str]:
    """Which of them something else holds as well: another round's submission or mean, a model, an optimiser's state."""
    kept = TrainingRound.objects.exclude(pk=training_round.pk).filter(updates_discarded_at=None)
    submitted = Submission.objects.filter(training_round__in=kept)
    submitted = submitted.filter(Q(wire_digest__in=digests) | Q(update_digest__in=digests))
    means = MaskedMean.objects.filter(training_round__in=kept, update_digest__in=digests)
    models = ModelVersion.objects.filter(Q(blob_digest__in=digests) | Q(optimizer_state_digest__in=digests))
    return {
        digest
        for rows in (
            submitted.values_list("wire_digest", "update_digest"),
            means.values_list("update_digest"),
            models.values_list("blob_digest", "optimizer_state_digest"),
        )
        for row in rows
        for digest in row
    }
