"""The audit trail: every change is told once, in the transaction that makes it."""

from flxdr.platform.audit.events import record_event

__all__ = ["record_event"]
