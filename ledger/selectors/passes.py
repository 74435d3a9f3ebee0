"""Full verifications of the stored chain."""

from __future__ import annotations

from ledger.models import VerificationPass


def last_pass() -> VerificationPass | None:
    """The outcome of the last full pass over the chain that ended."""
    return VerificationPass.objects.filter(status=VerificationPass.Status.ENDED).first()


def due_pass() -> VerificationPass | None:
    """The full pass that somebody asked for and that has not ended."""
    return VerificationPass.objects.filter(status=VerificationPass.Status.DUE).first()
