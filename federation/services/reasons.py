"""An operator's reason, as second operators, organisations and the audit trail read it."""

from __future__ import annotations

from federation.errors import ReasonInvalid

LONGEST_REASON = 300


def checked_reason(reason: str) -> str:
    """The reason without the space around it; it may be empty.

    Raises:
        ReasonInvalid: no single line of at most 300 characters.
    """
    reason = reason.strip()
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise ReasonInvalid(
            "the reason is too long, or holds control characters",
            expected=f"one line of at most {LONGEST_REASON} characters",
            field="reason",
        )
    return reason
