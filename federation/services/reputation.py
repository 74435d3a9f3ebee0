"""What an organisation's record shows of its rounds: taken, left out, missed, refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db.models import F

from federation.models import Organization, Participant, TrainingRound


def note_missed(training_round: TrainingRound, org_ids: Collection[str] | None = None) -> None:
    """Mark the participants who never submitted (of `org_ids`, if given), and count it for them."""
    absent = training_round.participants.filter(status=Participant.Status.EXPECTED)
    if org_ids is not None:
        absent = absent.filter(organization__org_id__in=org_ids)
    _count("missed_count", list(absent.values_list("organization_id", flat=True)))
    absent.update(status=Participant.Status.MISSED)


def note_accepted(organization_ids: Sequence[int]) -> None:
    """Count an update that went into an aggregate."""
    _count("accepted_count", organization_ids)


def note_left_out(organization_ids: Sequence[int]) -> None:
    """Count an update that the aggregation left out."""
    _count("left_out_count", organization_ids)


def note_rejected(organization_id: int) -> None:
    """Count an update that was refused for what it held."""
    _count("rejected_count", [organization_id])


def _count(field: str, organization_ids: Sequence[int]) -> None:
    # locked in the order of their keys: two rounds that end at once may share organisations
    organizations = Organization.objects.filter(pk__in=organization_ids)
    locked = list(organizations.select_for_update().order_by("pk").values_list("pk", flat=True))
    Organization.objects.filter(pk__in=locked).update(**{field: F(field) + 1})
