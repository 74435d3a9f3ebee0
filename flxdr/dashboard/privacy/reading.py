"""The privacy page's content, read from the selectors and told in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.http import Http404
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from federation.models import Organization
from flxdr.dashboard.charts.timeline import Series, timeline
from flxdr.dashboard.privacy.forms import SettingsForm
from flxdr.dashboard.states import word_of
from privacy.dp.accountant import MOST_ROUNDS
from privacy.dp.composition import PPM
from privacy.errors import PrivacyParameterInvalid
from privacy.mechanism import NONE, ORGANIZATION, RECORD, Gaussian
from privacy.models import BudgetAccount
from privacy.selectors import configuration, configured_goal, planned_mechanism, training_plan
from privacy.selectors.outlook import Outlook, multiplier_of, outlook
from privacy.selectors.spending import Spending, charges_of, spending_of

PLAIN = "plain"


@dataclass(frozen=True)
class Fact:
    """A line of a table: what, and its figure or words."""

    name: str
    text: str


@dataclass(frozen=True)
class Protection:
    """A protection, whether it is in force, and what it does."""

    name: str
    state: str
    text: str


@dataclass(frozen=True)
class Privacy:
    """What the page shows beside the table of budgets: of all, who has spent most, and what is in force."""

    first: Spending | None
    chart: SafeString | None
    mode: str
    facts: Sequence[Fact]
    protections: Sequence[Protection]
    unprotected: Sequence[str]


@dataclass(frozen=True)
class OrganizationBudget:
    """One organisation's budget and its course; `is_known`: it is one of the federation, which has a page."""

    spending: Spending
    chart: SafeString | None
    is_known: bool


@dataclass(frozen=True)
class Compared:
    """A figure under the settings of now and under others; `note` says what it is."""

    name: str
    note: str
    now: str
    then: str


@dataclass(frozen=True)
class WhatIf:
    """The settings of now beside others; `problem` says why no noise meets these."""

    now: Outlook
    then: Outlook | None
    changes: Sequence[tuple[str, str]]
    problem: str

    @property
    def rows(self) -> list[Compared]:
        """The figures, one under the other."""
        told = [_told(each) for each in (self.now, self.then or self.now)]
        return [Compared(name, note, now, then) for (name, note, now), (_name, _note, then) in zip(*told, strict=True)]


def read_privacy(first: Spending | None) -> Privacy:
    """What holds for all organisations; `first` is the one whose course is drawn."""
    return Privacy(
        first=first,
        chart=None if first is None else _chart(first),
        mode=settings.FLXDR.privacy_mode,
        facts=mechanism_facts(),
        protections=_protections(),
        unprotected=_unprotected(),
    )


def read_organization(org_id: str) -> OrganizationBudget:
    """One organisation's budget.

    Raises:
        Http404: neither the budget nor the federation knows the name.
    """
    is_known = Organization.objects.filter(org_id=org_id).exists()
    if not is_known and not BudgetAccount.objects.filter(org_id=org_id).exists():
        raise Http404(f"no organization {org_id}")
    spending = spending_of(org_id)
    return OrganizationBudget(spending, _chart(spending), is_known)


def read_what_if(form: SettingsForm) -> WhatIf:
    """The settings of now, and beside them those of a form that is filled in and valid."""
    now = outlook(configured_goal())
    if not form.is_bound or not form.is_valid():
        return WhatIf(now, None, [], "")
    try:
        return WhatIf(now, outlook(form.goal, form.plan), form.changes, "")
    except PrivacyParameterInvalid as error:
        return WhatIf(now, None, form.changes, " ".join(filter(None, (f"{error.detail}.", error.action))))


def _told(seen: Outlook) -> list[tuple[str, str, str]]:
    """An outlook's figures: what each is called, what it is, and its text."""
    mechanism, none = seen.mechanism, "-"
    noise = seen.noise_multiplier
    clip = seen.goal.clip_ppm / PPM
    sampled = None if mechanism is None or isinstance(mechanism, Gaussian) else mechanism
    return [
        (_("What noise protects"), "", word_of(seen.goal.mode)),
        (_("Total ε"), _("of every organisation"), f"{seen.goal.budget_ppm / PPM:g}"),
        (_("Clipping norm"), _("of a record's gradient, or of a whole update"), f"{clip:g}"),
        (_("Noise multiplier"), _("in clipping norms; more noise, less accuracy"), _number(noise)),
        (_("Noise"), _("standard deviation of every value, in model units"), _number(noise and noise * clip)),
        (_("Steps of a round"), _("each adds noise once"), none if sampled is None else str(sampled.steps)),
        (
            _("Rounds left: who has spent most"),
            _("the next round is refused where none is left"),
            _rounds(seen.most_spent),
        ),
        (
            _("Rounds left: in the middle"),
            _("half of those that were charged have at least as many"),
            _rounds(seen.middle),
        ),
        (_("Rounds for a newcomer"), _("from an unspent budget"), _rounds(seen.unspent)),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _rounds(left: int | None) -> str:
    if left is None:
        return _("unlimited, without a guarantee")
    return _("no end in sight") if left >= MOST_ROUNDS else str(left)


def mechanism_facts() -> list[Fact]:
    """The noise in force, in words and figures; nothing of it in mode `none`."""
    mechanism = planned_mechanism(training_plan())
    env = settings.FLXDR
    if mechanism is None:
        return []
    facts = [
        Fact(_("Clipping norm"), f"{mechanism.clip_ppm / PPM:g}"),
        Fact(_("Noise multiplier"), _("%(sigma).4f clipping norms") % {"sigma": multiplier_of(mechanism)}),
    ]
    if isinstance(mechanism, Gaussian):
        facts += [
            Fact(_("Added to"), _("an organisation's whole update, once a round")),
            Fact(_("Calibration"), mechanism.calibration),
        ]
    else:
        facts += [
            Fact(_("Added to"), _("the summed gradients of each step, inside training (DP-SGD)")),
            Fact(_("Sampling rate"), _("%(rate)g of the records in a step") % {"rate": mechanism.sampling_ppm / PPM}),
            Fact(_("Steps of a round"), str(mechanism.steps)),
            Fact(_("Example"), _EXAMPLES[mechanism.example]),
        ]
    return [
        *facts,
        Fact(_("Planned for"), _("%(rounds)d rounds at ε %(epsilon)g") % _goal()),
        Fact(_("δ"), f"{env.privacy_delta:g}"),
    ]


_EXAMPLES = {"flow": "one flow", "host_session": "all that one host started in a fixed span of time"}


def _goal() -> dict[str, float]:
    return {"rounds": settings.FLXDR.training_rounds, "epsilon": settings.FLXDR.privacy_epsilon}


def _chart(spending: Spending) -> SafeString | None:
    charges = charges_of(spending.org_id)
    if not charges:
        return None
    return timeline(
        [charge.at for charge in charges],
        [
            Series(_("ε spent by %(org)s") % {"org": spending.org_id}, [charge.epsilon_used for charge in charges]),
            Series(_("total ε"), [spending.epsilon_total for _charge in charges]),
        ],
        title=_("Privacy budget of %(org)s by round") % {"org": spending.org_id},
    )


def _protections() -> list[Protection]:
    told = configuration()
    details = told["gradient_sanitization_details"]
    return [
        Protection(
            _("Differential privacy"),
            told["differential_privacy"]["status"],
            {
                NONE: _("Nobody adds noise."),
                RECORD: _("Every organisation adds noise inside training: no single record can be told."),
                ORGANIZATION: _("Every organisation adds noise to its whole update: no organisation can be told."),
            }[told["differential_privacy"]["mode"]],
        ),
        Protection(
            _("Secure aggregation"),
            told["secure_aggregation"],
            _("The coordinator sees sums of updates, not single ones, in rounds that name no other protection."),
        ),
        Protection(
            _("Homomorphic encryption"),
            told["homomorphic_encryption"],
            _("Masked updates are encrypted as well (Paillier); the coordinator holds no key to them."),
        ),
        Protection(
            _("Checks of updates"),
            told["gradient_sanitization"],
            _("Refused, never altered, if one fails: %(checks)s.") % {"checks": ", ".join(details["update_checks"])},
        ),
        Protection(
            _("Removal of identifiers"),
            details["pii_removal"],
            _("On the organisation's machine, before features exist; names and notes that hold one are refused here."),
        ),
    ]


def _unprotected() -> list[str]:
    """What nobody should take for protected under the settings of now."""
    env = settings.FLXDR
    notes = [configuration()["differential_privacy"]["note"]]
    if env.protection == PLAIN:
        notes.append(_("The coordinator sees every single update, as it is or under the organisation's noise."))
    else:
        notes.append(_("The coordinator cannot check the norm of single updates, of which it sees none."))
    return [
        *notes,
        _("Who took part in which round, and with how many records, is known to every member."),
        _("A person whose records several organisations hold is protected by less than each one's figure says."),
        _("Votes with their reasons, and statements that organisations sign about a release, are told as they are."),
    ]
