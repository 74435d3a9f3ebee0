"""Campaigns: the next round after each completed one, until enough are done or one fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from federation.errors import CampaignMissing, CampaignRunning, CampaignStateConflict, RoundParametersInvalid
from federation.models import Campaign, TrainingRound
from federation.services import model_versions
from federation.services.round_plan import Outlook, outlook_on_round
from federation.services.round_setup import bounded
from federation.services.rounds import abort_round, start_round
from federation.services.transitions import COORDINATOR
from flxdr.core.clock import Clock
from flxdr.core.errors import FlxdrError
from flxdr.platform.audit import record_event
from ledger.services.locking import lock_chain

MAX_ROUNDS = 100_000
PARAMETERS = frozenset(
    {"aggregation_method", "aggregation_params", "min_orgs", "protection", "privacy", "weighting", "local", "timeout"}
)
"""What a campaign may fix for all of its rounds: arguments of `start_round`."""


def start_campaign(
    *,
    actor: str,
    model_name: str | None = None,
    rounds: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    clock: Clock,
) -> Campaign:
    """Start a campaign and its first round; what makes the round impossible refuses the campaign.

    Args:
        rounds: completed rounds to reach; None for `FL_TRAINING_ROUNDS`.
        parameters: what every round is started with (see `PARAMETERS`).

    Raises:
        CampaignRunning: the model has one already.
        RoundParametersInvalid and everything that `start_round` raises.
    """
    model_name, total, chosen = _checked(model_name, rounds, parameters)
    with transaction.atomic():
        campaign = _create(model_name, total, chosen, clock)
        record_event(
            kind="campaign.started",
            actor=actor,
            subject=f"campaign {campaign.pk}",
            data={"model": model_name, "rounds": total, "parameters": chosen},
            clock=clock,
        )
        start_round(actor=actor, model_name=model_name, campaign=campaign, clock=clock, **chosen)
        return campaign


def outlook_on_campaign(
    *,
    model_name: str | None = None,
    rounds: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    clock: Clock,
) -> Outlook:
    """What a campaign would cost everybody, and what would refuse it now; starts nothing.

    Args:
        model_name, rounds, parameters: as `start_campaign`.
    """
    try:
        model_name, total, chosen = _checked(model_name, rounds, parameters)
        if Campaign.objects.filter(model_name=model_name, status=Campaign.Status.RUNNING).exists():
            raise _already_running(model_name)
    except FlxdrError as error:
        return Outlook(None, rounds or settings.FLXDR.training_rounds, [], error)
    return outlook_on_round(model_name=model_name, rounds=total, clock=clock, **chosen)


def advance_campaign(*, campaign_id: int, clock: Clock) -> TrainingRound | None:
    """Start the campaign's next round if that is due, or complete it after its last one.

    A round that cannot be started (budget exhausted, too few organisations) stops the campaign with the reason.

    Returns:
        The round that this call started.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().filter(pk=campaign_id).first()
        if campaign is None or campaign.status != Campaign.Status.RUNNING:
            return None
        if campaign.rounds.filter(status__in=TrainingRound.OPEN).exists():
            return None
        if campaign.rounds.filter(status=TrainingRound.Status.COMPLETED).count() >= campaign.rounds_total:
            _finish(campaign, Campaign.Status.COMPLETED, "", COORDINATOR, clock)
            return None
        try:
            with transaction.atomic():
                return start_round(
                    actor=f"campaign:{campaign.pk}",
                    model_name=campaign.model_name,
                    campaign=campaign,
                    clock=clock,
                    **campaign.parameters,
                )
        except FlxdrError as error:
            _finish(campaign, Campaign.Status.STOPPED, f"{error.code}: {error.detail}", COORDINATOR, clock)
            return None


def abort_campaign(*, campaign_id: int, actor: str, reason: str, clock: Clock) -> Campaign:
    """Stop a campaign and its open round.

    Raises:
        CampaignMissing: there is no such campaign.
        CampaignStateConflict: it has ended.
    """
    with transaction.atomic():
        lock_chain()
        campaign = _running(Campaign.objects.select_for_update(), campaign_id)
        _finish(campaign, Campaign.Status.STOPPED, f"aborted: {reason}", actor, clock)
        for round_id in campaign.rounds.filter(status__in=TrainingRound.OPEN).values_list("round_id", flat=True):
            abort_round(round_id=round_id, actor=actor, reason=reason, clock=clock)
        return campaign


def require_abortable(*, campaign_id: int) -> None:
    """Refuse what `abort_campaign` would refuse now."""
    _running(Campaign.objects.all(), campaign_id)


def _checked(
    model_name: str | None, rounds: int | None, parameters: Mapping[str, Any] | None
) -> tuple[str, int, dict[str, Any]]:
    """The campaign's model, its number of rounds, and what it fixes for them."""
    model_name = model_name or settings.FLXDR.default_model
    model_versions.require_known(model_name)
    total = bounded(settings.FLXDR.training_rounds if rounds is None else rounds, 1, MAX_ROUNDS, field="rounds")
    chosen = dict(parameters or {})
    unknown = sorted(chosen.keys() - PARAMETERS)
    if unknown:
        raise RoundParametersInvalid(
            f"no parameter {unknown[0]!r}", expected=", ".join(sorted(PARAMETERS)), field=unknown[0]
        )
    return model_name, total, chosen


def _running(campaigns: QuerySet[Campaign], campaign_id: int) -> Campaign:
    campaign = campaigns.filter(pk=campaign_id).first()
    if campaign is None:
        raise CampaignMissing(f"no campaign {campaign_id}")
    if campaign.status != Campaign.Status.RUNNING:
        raise CampaignStateConflict(f"the campaign is {campaign.status}", expected="a running campaign")
    return campaign


def _create(model_name: str, total: int, parameters: Mapping[str, Any], clock: Clock) -> Campaign:
    try:
        with transaction.atomic():
            return Campaign.objects.create(
                model_name=model_name, rounds_total=total, parameters=dict(parameters), created_at=clock.now()
            )
    except IntegrityError as error:
        raise _already_running(model_name) from error


def _already_running(model_name: str) -> CampaignRunning:
    return CampaignRunning(f"a campaign of {model_name} is running", action="Wait until it has ended, or abort it.")


def _finish(campaign: Campaign, status: Campaign.Status, reason: str, actor: str, clock: Clock) -> None:
    campaign.status = status
    campaign.stop_reason = reason
    campaign.finished_at = clock.now()
    campaign.save(update_fields=["status", "stop_reason", "finished_at"])
    record_event(
        kind=f"campaign.{status.value}",
        actor=actor,
        subject=f"campaign {campaign.pk}",
        data={"reason": reason},
        clock=clock,
    )
