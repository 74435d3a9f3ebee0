"""What operators are notified of: how grave each kind is, how it reads, and where an operator acts on it.

A notification is kept as its kind and data. The sentence is made when somebody reads it, in the reader's language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db import models
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from flxdr.backup.record import MADE
from flxdr.core.clock import parse_timestamp
from flxdr.operators.locks import LOCKED_OUT

Data = Mapping[str, Any]
MOMENT = "_at"
"""How the names of data end that are moments."""


class Severity(models.TextChoices):
    INFO = "info", _("info")
    WARNING = "warning", _("warning")
    CRITICAL = "critical", _("critical")

    @property
    def rank(self) -> int:
        """The graver, the higher."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Kind:
    """One kind of notification.

    Attributes:
        holds: says that the condition holds; filled in with the notification's data.
        over: says that it does not hold any more.
        path: the page on which an operator acts.
    """

    severity: Severity
    holds: str | Promise
    over: str | Promise
    path: Callable[[Data], str]


def _page(name: str, **query: str) -> str:
    return f"{reverse(name)}?{urlencode(query)}" if query else reverse(name)


def _admin(model: str, **query: str) -> str:
    return _page(f"admin:{model}_changelist", **query)


ORGANIZATION_WAITING = "organization_waiting"
ORGANIZATION_SILENT = "organization_silent"
CONFIRMATION_WAITING = "confirmation_waiting"
ROUND_FAILED = "round_failed"
PROPOSAL_EXPIRING = "proposal_expiring"
CHAIN_BROKEN = "chain_broken"
CHAIN_UNVERIFIED = "chain_unverified"
BUDGET_LOW = "budget_low"
BUDGET_EXHAUSTED = "budget_exhausted"
TELEMETRY_STUCK = "telemetry_stuck"
TELEMETRY_REFUSED = "telemetry_refused"
ACCOUNT_LOCKED = "account_locked"
BACKUP_OLD = "backup_old"
CHECK_FAILED = "check_failed"
TEST = "test"

KINDS: Mapping[str, Kind] = {
    ORGANIZATION_WAITING: Kind(
        Severity.INFO,
        _("%(org_id)s has registered and waits for an operator's approval."),
        _("%(org_id)s waits for no approval any more."),
        lambda data: reverse("organizations:detail", args=[data["org_id"]]),
    ),
    ORGANIZATION_SILENT: Kind(
        Severity.WARNING,
        _("%(org_id)s is active and was last heard of at %(last_seen_at)s."),
        _("%(org_id)s was heard of again, or is not active any more."),
        lambda data: reverse("organizations:detail", args=[data["org_id"]]),
    ),
    CONFIRMATION_WAITING: Kind(
        Severity.WARNING,
        _("%(requested_by)s asks for a second operator's word by %(expires_at)s: %(action)s %(target)s."),
        _("The request of %(requested_by)s was decided, or has expired: %(action)s %(target)s."),
        lambda data: _page("confirmations:index"),
    ),
    ROUND_FAILED: Kind(
        Severity.WARNING,
        _("Round %(number)s of %(model)s failed (%(code)s): %(reason)s."),
        _("A later round of %(model)s has ended since round %(number)s failed."),
        lambda data: reverse("rounds:detail", args=[data["round_id"]]),
    ),
    PROPOSAL_EXPIRING: Kind(
        Severity.WARNING,
        _(
            "Proposal %(proposal)s lapses at %(deadline_at)s: %(approvals)s of %(threshold)s approvals are there, no "
            "answer came from: %(unanswered)s."
        ),
        _("Proposal %(proposal)s has ended; the ledger says how."),
        lambda data: _page("ledger:proposals"),
    ),
    CHAIN_BROKEN: Kind(
        Severity.CRITICAL,
        _("The chain does not verify: block %(height)s is bad (%(code)s)."),
        _("The last full verification found every block good."),
        lambda data: _page("ledger:index"),
    ),
    CHAIN_UNVERIFIED: Kind(
        Severity.WARNING,
        _("No full verification of the chain has ended since %(since_at)s; one is due every %(minutes)s minutes."),
        _("A full verification of the chain has ended again."),
        lambda data: _page("ledger:index"),
    ),
    BUDGET_LOW: Kind(
        Severity.WARNING,
        _("The privacy budget of %(org_id)s is low. Rounds left at the noise that is set: %(rounds)s."),
        _("The privacy budget of %(org_id)s is used up by now, or lasts longer again."),
        lambda data: _page("privacy:index", org=data["org_id"]),
    ),
    BUDGET_EXHAUSTED: Kind(
        Severity.CRITICAL,
        _("The privacy budget of %(org_id)s pays for no further round: those that include it are refused."),
        _("The privacy budget of %(org_id)s pays for rounds again, or it takes no part any more."),
        lambda data: _page("privacy:index", org=data["org_id"]),
    ),
    TELEMETRY_STUCK: Kind(
        Severity.WARNING,
        _("Telemetry is not delivered: the oldest event waits since %(since_at)s, attempts so far: %(attempts)s."),
        _("Telemetry is delivered again."),
        lambda data: _admin("platform_outboxevent", sent_at__isempty="1"),
    ),
    TELEMETRY_REFUSED: Kind(
        Severity.WARNING,
        _("The telemetry sink refuses events, which are set aside, since %(since_at)s: %(reason)s"),
        _("No telemetry event is set aside any more."),
        lambda data: _admin("platform_outboxevent", refused_at__isempty="0"),
    ),
    ACCOUNT_LOCKED: Kind(
        Severity.WARNING,
        _("Somebody failed too often to sign in as %(account)s: locked since %(since_at)s for %(addresses)s."),
        _("%(account)s is not locked any more."),
        lambda data: _page("audit:index", kind=LOCKED_OUT),
    ),
    BACKUP_OLD: Kind(
        Severity.WARNING,
        _("What happened since %(since_at)s is in no backup."),
        _("A backup was made."),
        lambda data: _page("audit:index", kind=MADE),
    ),
    CHECK_FAILED: Kind(
        Severity.WARNING,
        _("The check of %(check)s could not be made (%(error)s), so nobody knows how that stands."),
        _("The check of %(check)s is made again."),
        lambda data: _page("notifications:index"),
    ),
    TEST: Kind(
        Severity.INFO,
        _("This is a test: notifications arrive here."),
        _("This was a test."),
        lambda data: _page("notifications:index"),
    ),
}


def sentence(kind: str, data: Data, *, over: bool) -> str:
    """What a notification says, in the language that is active; a kind of an older version says its name."""
    known = KINDS.get(kind)
    if known is None:
        return kind.replace("_", " ")
    return str(known.over if over else known.holds) % {name: _shown(name, value) for name, value in data.items()}


def path(kind: str, data: Data) -> str:
    """The path of the page on which an operator acts."""
    known = KINDS.get(kind)
    return known.path(data) if known else _page("notifications:index")


def _shown(name: str, value: Any) -> str:
    if name.endswith(MOMENT):
        return f"{parse_timestamp(value):%Y-%m-%d %H:%M} UTC"
    return ", ".join(value) if isinstance(value, list) else " ".join(str(value).split())
