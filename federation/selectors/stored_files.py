"""Which stored files the rows name, what a backup has to hold; and which they do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import F, QuerySet

from federation.models import MaskedMean, ModelVersion, Submission, TrainingRound
from flxdr.platform.storage.blobs import blobs


def unnamed_files() -> Iterator[str]:
    """The digest of every stored file that no row names, in order and in constant memory.

    One that was stored a moment ago may get its row in the next.
    """
    named = named_files(kept=TrainingRound.objects.all())
    name = next(named, None)
    for digest in blobs().digests():
        while name is not None and name < digest:
            name = next(named, None)
        if name != digest:
            yield digest


def named_files(*, kept: QuerySet[TrainingRound] | None = None) -> Iterator[str]:
    """The digest of every file that a row names and that is to be kept, once, in order and in constant memory.

    Pieces of an aggregation are not among them: they are computed again.

    Args:
        kept: rounds whose updates are to be kept; by default those whose updates were not discarded. The rows of the
            others keep the digests all the same.
    """
    if kept is None:
        kept = TrainingRound.objects.filter(updates_discarded_at=None)
    submissions = Submission.objects.filter(training_round__in=kept)
    columns: tuple[tuple[QuerySet[Any], str], ...] = (
        (submissions, "wire_digest"),
        (submissions, "update_digest"),
        (MaskedMean.objects.filter(training_round__in=kept), "update_digest"),
        (kept, "sum_digest"),
        (kept, "opening_digest"),
        (ModelVersion.objects.all(), "blob_digest"),
        (ModelVersion.objects.all(), "optimizer_state_digest"),
    )
    first, *others = (
        rows.order_by().annotate(named=F(column)).values_list("named", flat=True) for rows, column in columns
    )
    yield from filter(None, first.union(*others).order_by("named").iterator())
