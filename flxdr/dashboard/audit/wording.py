"""What an event says as a sentence, by its kind. A kind that is not here is told by its name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

SENTENCES: dict[str, str] = {
    "approval.late": _("approved %(subject)s after it was sealed"),
    "approval.recorded": _("answered %(subject)s: %(verdict)s"),
    "audit.exported": _("exported %(rows)s events of the %(subject)s as %(format)s"),
    "backup.made": _("made the backup %(subject)s of %(blocks)s blocks and %(files)s stored files"),
    "backup.restored": _("restored the backup %(subject)s"),
    "block.sealed": _("sealed %(subject)s (%(type)s)"),
    "budget.released": _("gave back what %(subject)s had reserved of the privacy budget"),
    "budget.reserved": _("reserved privacy budget for %(subject)s"),
    "budget.spent": _("charged %(subject)s to the privacy budget"),
    "budget.unprotected": _("recorded that %(subject)s added no noise"),
    "campaign.aborted": _("aborted %(subject)s"),
    "campaign.completed": _("completed %(subject)s"),
    "campaign.started": _("started %(subject)s for %(model)s"),
    "campaign.stopped": _("stopped %(subject)s"),
    "chain.restored": _("restored the chain up to %(subject)s"),
    "chain.verified": _("verified the %(subject)s"),
    "checkpoint.cosigned": _("cosigned %(subject)s"),
    "confirmation.cancelled": _("cancelled the request about %(subject)s"),
    "confirmation.confirmed": _("confirmed the request about %(subject)s"),
    "confirmation.expired": _("let the request about %(subject)s expire"),
    "confirmation.requested": _("asked a second operator to confirm about %(subject)s"),
    "detection.reviewed": _("reviewed %(subject)s"),
    "detection.shared": _("shared %(subject)s"),
    "enrolment_token.created": _("made an enrolment token for %(subject)s"),
    "enrolment_token.revoked": _("revoked an enrolment token of %(subject)s"),
    "genesis.replaced": _("replaced the genesis of a new database, %(subject)s"),
    "governance.proposed": _("proposed %(subject)s: %(entry)s"),
    "model.adopted": _("stored %(subject)s of %(model)s again, which the chain released"),
    "model.released": _("released %(subject)s"),
    "model.withdrawn": _("withdrew %(subject)s of %(model)s"),
    "notification.closed": _("closed the notification %(subject)s"),
    "notification.opened": _("opened the notification %(subject)s"),
    "operator.added": _("added the account %(subject)s"),
    "operator.changed": _("changed the account %(subject)s"),
    "operator.removed": _("removed the account %(subject)s"),
    "operator.locked_out": _("was locked out as %(subject)s, after too many guesses"),
    "operator.recovery_codes_renewed": _("renewed the recovery codes of %(subject)s"),
    "operator.second_factor_added": _("set up the second factor of %(subject)s"),
    "operator.second_factor_removed": _("removed the second factor of %(subject)s"),
    "operator.second_factor_reset": _("reset the second factor of %(subject)s"),
    "operator.sign_in_failed": _("failed to sign in as %(subject)s"),
    "operator.signed_in": _("signed in as %(subject)s"),
    "organization.admitted": _("admitted %(subject)s to the chain"),
    "organization.approved": _("approved %(subject)s"),
    "organization.declined": _("declined the registration of %(subject)s"),
    "organization.key_replaced": _("replaced the key of %(subject)s"),
    "organization.key_proven": _("proved the key of %(subject)s"),
    "organization.left": _("took the last key of %(subject)s from the chain"),
    "organization.readmitted": _("readmitted %(subject)s"),
    "organization.registered": _("registered as %(subject)s"),
    "organization.registered_anew": _("registered anew as %(subject)s, with another key"),
    "organization.registration_replaced": _("replaced what waited under the name %(subject)s"),
    "organization.signed_in": _("signed in as %(subject)s"),
    "organization.suspended": _("suspended %(subject)s"),
    "proposal.ended": _("ended %(subject)s"),
    "proposal.opened": _("opened %(subject)s to votes"),
    "release.attested": _("attested the release of %(subject)s"),
    "role.added": _("added the role %(subject)s"),
    "role.changed": _("changed the role %(subject)s"),
    "role.removed": _("removed the role %(subject)s"),
    "round.bucket_lost": _("lost a part of %(subject)s"),
    "round.started": _("started %(subject)s for %(model)s"),
    "round.step": _("took a step of %(subject)s"),
    "round.transition": _("moved %(subject)s from %(from)s to %(to)s"),
    "round.updates_discarded": _("discarded the stored updates of %(subject)s"),
    "storage.unnamed_discarded": _("removed %(files)s files from the %(subject)s that no row named"),
    "submission.accepted": _("submitted an update to %(subject)s, %(samples)s samples"),
    "telemetry.retried": _("had %(events)s refused events of the %(subject)s sent again"),
    "token.issued": _("issued a token to %(subject)s"),
}
GROUPS: dict[str, str] = {
    "round.": _("rounds"),
    "submission.": _("submissions"),
    "campaign.": _("campaigns"),
    "organization.": _("organisations"),
    "enrolment_token.": _("enrolment tokens"),
    "confirmation.": _("confirmations"),
    "budget.": _("privacy budget"),
    "model.": _("models"),
    "detection.": _("detections"),
    "block.": _("blocks"),
    "proposal.": _("proposals"),
    "approval.": _("approvals"),
    "governance.": _("governance"),
    "checkpoint.": _("checkpoints"),
    "release.": _("attestations"),
    "chain.": _("the chain"),
    "operator.": _("accounts"),
    "role.": _("roles"),
    "telemetry.": _("telemetry"),
    "token.": _("tokens"),
    "notification.": _("notifications"),
    "audit.": _("the audit trail"),
    "backup.": _("backups"),
    "storage.": _("stored files"),
}
_SUBJECT = "\ufffc"
"""The place of the subject, which a page makes a link; no text holds this character."""


@dataclass(frozen=True)
class Sentence:
    """What an event says, around the place of its subject."""

    before: str
    after: str


def sentence_of(kind: str, data: Mapping[str, Any]) -> Sentence:
    """What an event of that kind says; a detail that it does not hold is a question mark."""
    values: defaultdict[str, str] = defaultdict(lambda: "?", {name: str(value) for name, value in data.items()})
    values["subject"] = _SUBJECT
    text = gettext(SENTENCES[kind]) if kind in SENTENCES else f"{kind}: %(subject)s".replace("%(subject)s", _SUBJECT)
    said = text % values if kind in SENTENCES else text
    before, _place, after = said.partition(_SUBJECT)
    return Sentence(before, after)


def groups() -> list[tuple[str, str]]:
    """The groups of kinds with their names, in the order of the names."""
    return sorted(((prefix, gettext(name)) for prefix, name in GROUPS.items()), key=lambda pair: pair[1])
