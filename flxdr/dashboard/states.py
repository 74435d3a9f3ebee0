"""How states look: one table for every page. What is not known to be good is never green."""

from __future__ import annotations

from typing import Literal

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

Tone = Literal["good", "warn", "bad", "active", "none"]

_STATES: dict[str, tuple[Tone, str]] = {
    # rounds, and their phases
    "in_progress": ("active", _("in progress")),
    "collection": ("active", _("collecting updates")),
    "aggregating": ("active", _("aggregating")),
    "aggregation": ("active", _("aggregating")),
    "verifying": ("active", _("waiting for approvals")),
    "verification": ("active", _("waiting for approvals")),
    "completed": ("good", _("completed")),
    "failed": ("bad", _("failed")),
    "running": ("active", _("running")),
    "stopped": ("bad", _("stopped")),
    "aborted": ("bad", _("aborted")),
    # parts in a round
    "expected": ("none", _("expected")),
    "submitted": ("good", _("submitted")),
    "left_out": ("warn", _("left out")),
    "missed": ("warn", _("missed")),
    "counted": ("good", _("counted")),
    "uncounted": ("warn", _("not counted")),
    # steps of masked rounds
    "advertise": ("active", _("joining")),
    "reveal": ("active", _("drawing groups")),
    "shares": ("active", _("sharing secrets")),
    "masked_input": ("active", _("masked updates")),
    "consistency": ("active", _("consistency")),
    "unmask": ("active", _("unmasking")),
    # organisations and their keys
    "pending": ("warn", _("waits for approval")),
    "active": ("none", _("active")),
    "suspended": ("bad", _("suspended")),
    "connected": ("good", _("connected")),
    "disconnected": ("warn", _("disconnected")),
    "never connected": ("none", _("never connected")),
    "none": ("none", _("none")),
    "unproven": ("warn", _("without proof")),
    "proven": ("good", _("proven")),
    "revoked": ("bad", _("revoked")),
    "in force": ("good", _("in force")),
    "usable": ("active", _("can be used")),
    "used": ("none", _("used")),
    # versions and proposals
    "initial": ("none", _("starting point")),
    "candidate": ("active", _("waits for approvals")),
    "released": ("good", _("released")),
    "refused": ("bad", _("refused")),
    "withdrawn": ("bad", _("withdrawn")),
    "queued": ("none", _("queued")),
    "open": ("active", _("open")),
    "sealed": ("good", _("sealed")),
    "rejected": ("bad", _("rejected")),
    "expired": ("warn", _("expired")),
    "approve": ("good", _("approves")),
    "reject": ("bad", _("rejects")),
    # the privacy budget, and what protects
    "reserved": ("active", _("reserved")),
    "spent": ("none", _("spent")),
    "given_back": ("none", _("given back")),
    "unprotected": ("warn", _("unprotected")),
    "exhausted": ("bad", _("exhausted")),
    "runs_out": ("warn", _("runs out soon")),
    "enabled": ("good", _("in force")),
    "disabled": ("none", _("not in force")),
    "late": ("none", _("approved late")),
    "unanswered": ("none", _("no answer")),
    # detections
    "high": ("bad", _("high")),
    "medium": ("warn", _("medium")),
    "low": ("none", _("low")),
    "new": ("warn", _("new")),
    "acknowledged": ("active", _("acknowledged")),
    "closed": ("none", _("closed")),
    # confirmations and notifications
    "waiting": ("warn", _("waits for a second operator")),
    "confirmed": ("good", _("confirmed")),
    "cancelled": ("none", _("cancelled")),
    "info": ("none", _("information")),
    "warning": ("warn", _("warning")),
    "critical": ("bad", _("critical")),
}


def tone_of(state: str) -> Tone:
    """The colour that underlines a state."""
    return _STATES[state][0] if state in _STATES else "none"


def word_of(state: str) -> str:
    """What a state is called on a page."""
    return gettext(_STATES[state][1]) if state in _STATES else state.replace("_", " ")
