"""What the pages of one model and of one version show, put together from the selectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

import ledger.selectors
from federation.models import ModelVersion
from federation.round_config import RoundConfig
from federation.selectors.catalogue import (
    ModelCard,
    Part,
    Reported,
    model_card,
    parts_of,
    reported_metrics,
    sealed_history,
    versions_numbered,
)
from flxdr.dashboard.charts.timeline import COLOURS, Series, timeline
from ledger.models import Approval, Proposal
from ledger.selectors.release_outcomes import Attested, Withdrawal
from models_ml import codec
from models_ml.codec import ModelSchema
from models_ml.families import FAMILIES
from privacy.dp.composition import PPM
from privacy.mechanism import parse
from privacy.selectors.outlook import multiplier_of

FAMILY = "recall."
"""What the names of figures begin with that tell of one family of traffic (`models_ml.metrics.evaluate`)."""
_FAMILIES = {family.lower(): family for family in FAMILIES}
"""By their names in signed metrics, which are lower case."""
MOST_PARTS = 100
_LOSS = "loss"


@dataclass(frozen=True)
class FamilyRow:
    """A family's figure over the versions that are shown, newest first; None where nobody reported it."""

    family: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class ModelPage:
    """One model: its card, its metrics over the sealed versions."""

    card: ModelCard
    metrics: SafeString | None
    losses: SafeString | None
    family_versions: Sequence[ModelVersion]
    families: Sequence[FamilyRow]


@dataclass(frozen=True)
class Vote:
    """How a version's proposal went."""

    proposal: Proposal
    approved: Sequence[Approval]
    rejected: Sequence[Approval]


@dataclass(frozen=True)
class VersionPage:
    """One version and everything that is known of it.

    Attributes:
        others: further versions with the same number: refused ones, and the one that has it.
        noise: of its round; None where it had none.
        parts: organisations in its round, at most `MOST_PARTS` of `parts_total`.
    """

    version: ModelVersion
    others: Sequence[ModelVersion]
    schema: ModelSchema
    file_bytes: int
    config: RoundConfig | None
    noise: float | None
    epsilon_note: str
    parts: Sequence[Part]
    parts_total: int
    counted: int
    metrics: Sequence[Reported]
    families: Sequence[Reported]
    vote: Vote | None
    withdrawal: Withdrawal | None
    attested: Sequence[Attested]


def read_model(model_name: str) -> ModelPage:
    """One model.

    Raises:
        ModelMissing: there is none of that name.
    """
    card = model_card(model_name)
    history = [version for version in sealed_history(model_name) if version.training_round is not None]
    names = _names(history)
    shown = list(reversed(history))[:6]
    families = [name for name in names if name.startswith(FAMILY)]
    return ModelPage(
        card=card,
        metrics=_timeline(history, [name for name in names if not name.startswith((FAMILY, _LOSS))]),
        losses=_timeline(history, [name for name in names if name.startswith(_LOSS)]),
        family_versions=shown,
        families=[FamilyRow(_family(name), [_metrics(version).get(name) for version in shown]) for name in families],
    )


def read_version(model_name: str, number: int, *, candidate: str = "") -> VersionPage:
    """One version, or the refused candidate with that key.

    Raises:
        ModelMissing: nothing ever carried that number.
    """
    numbered = versions_numbered(model_name, number)
    version = next((each for each in numbered if str(each.pk) == candidate), numbered[0])
    training_round = version.training_round
    schema = ModelSchema.from_json(version.schema)
    parts = parts_of(training_round) if training_round else []
    metrics = reported_metrics(training_round) if training_round else []
    config = RoundConfig.decode(bytes(training_round.config)) if training_round else None
    mechanism = parse(config.privacy) if config else None
    height = version.block_height
    return VersionPage(
        version=version,
        others=[each for each in numbered if each.pk != version.pk],
        schema=schema,
        file_bytes=len(codec.header(schema)) + 4 * schema.size,
        config=config,
        noise=multiplier_of(mechanism) if mechanism else None,
        epsilon_note=_("clipped to %(norm)g") % {"norm": mechanism.clip_ppm / PPM} if mechanism else "",
        parts=parts[:MOST_PARTS],
        parts_total=len(parts),
        counted=sum(part.share is not None for part in parts),
        metrics=[metric for metric in metrics if not metric.name.startswith(FAMILY)],
        families=[replace(each, name=_family(each.name)) for each in metrics if each.name.startswith(FAMILY)],
        vote=_vote(version),
        withdrawal=None if height is None else ledger.selectors.withdrawal_of(model_name, version.version, height),
        attested=[] if height is None else ledger.selectors.attested(height),
    )


def _vote(version: ModelVersion) -> Vote | None:
    if version.proposal_id is None:
        return None
    proposal = ledger.selectors.proposal_by_id(version.proposal_id)
    answers = ledger.selectors.answers_to([proposal]).get(proposal.block_hash or "", [])
    voters = set(proposal.voters)
    cast = [answer for answer in answers if answer.org_id in voters]
    return Vote(
        proposal,
        [answer for answer in cast if answer.verdict == Approval.Verdict.APPROVE],
        [answer for answer in cast if answer.verdict == Approval.Verdict.REJECT],
    )


def _family(name: str) -> str:
    said = name.removeprefix(FAMILY)
    return _FAMILIES.get(said.lower(), said)


def _metrics(version: ModelVersion) -> dict[str, Any]:
    return version.training_round.metrics if version.training_round else {}


def _names(history: Sequence[ModelVersion]) -> list[str]:
    """The metrics' names, those that the newest version has first."""
    return list(dict.fromkeys(name for version in reversed(history) for name in _metrics(version)))


def _timeline(history: Sequence[ModelVersion], names: Sequence[str]) -> SafeString | None:
    if not names:
        return None
    return timeline(
        [version.created_at for version in history],
        [Series(name, [_metrics(version).get(name) for version in history]) for name in names[:COLOURS]],
        title=_("Reported metrics by version"),
    )
