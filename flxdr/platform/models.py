"""Rows of the platform: spent tokens, the audit trail, the telemetry outbox."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class UsedToken(models.Model):
    """A single-use token that was presented for a write; kept until it would have expired anyway."""

    issuer = models.CharField(max_length=64)
    jti = models.CharField(max_length=64)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("issuer", "jti"), name="token_used_once"),)

    def __str__(self) -> str:
        return f"{self.issuer} {self.jti}"


class AuditEvent(models.Model):
    """Who did what to what, and when (append-only)."""

    kind = models.CharField(max_length=64, db_index=True)
    actor = models.CharField(max_length=400, help_text="who did it, or both operators where two are needed")
    subject = models.CharField(max_length=128, db_index=True)
    data = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("at", "id"), name="audit_at"),
            models.Index(fields=("actor", "id"), name="audit_actor"),
        )
        permissions = (("export_auditevent", "Can export the audit trail"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class WorkerHeartbeat(models.Model):
    """When a worker last said that it lives, as it does every few seconds; a row that grows old is a dead one's."""

    worker = models.CharField(max_length=255, unique=True, help_text="its name to Celery")
    at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return self.worker


class OutboxEvent(models.Model):
    """A telemetry event that waits for its sink: written with the change it tells of, sent later, at least once."""

    event = models.OneToOneField(AuditEvent, on_delete=models.PROTECT, related_name="outbox")
    stream = models.CharField(
        max_length=128, db_default="", help_text="whose events stay in order; empty: the event's subject"
    )
    created_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)
    is_late = models.BooleanField(db_default=False, help_text="refused once: later events of its stream went before it")
    sent_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True, help_text="set aside: the sink took others, not this one")

    class Meta:
        ordering = ("id",)
        indexes = (
            models.Index(
                fields=("id",), name="outbox_waiting", condition=models.Q(sent_at__isnull=True, refused_at__isnull=True)
            ),
            models.Index(fields=("sent_at",), name="outbox_sent", condition=models.Q(sent_at__isnull=False)),
            models.Index(fields=("refused_at",), name="outbox_refused", condition=models.Q(refused_at__isnull=False)),
        )
        constraints = (
            models.CheckConstraint(
                name="outbox_sent_or_refused", condition=models.Q(sent_at=None) | models.Q(refused_at=None)
            ),
        )

    def __str__(self) -> str:
        return f"outbox of {self.event}"


class TelemetrySender(models.Model):
    """The one row that says who sends telemetry, and until when nobody else does."""

    token = models.CharField(max_length=32, blank=True, help_text="of the drain that sends; empty while it pauses")
    lease_until = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="tries since the sink last took something")

    class Meta:
        constraints = (models.CheckConstraint(name="one_telemetry_sender", condition=models.Q(id=1)),)

    def __str__(self) -> str:
        return "telemetry sender"
