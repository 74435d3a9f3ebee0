"""Actions that one operator asks for and another one confirms."""

from __future__ import annotations

from django.db import models


class ConfirmationRequest(models.Model):
    """An operator's wish that takes effect once a second operator confirms it."""

    class Action(models.TextChoices):
        SUSPEND = "suspend", "suspend the organisation"
        READMIT = "readmit", "readmit the organisation"
        ABORT_ROUND = "abort_round", "abort the round"
        ABORT_CAMPAIGN = "abort_campaign", "abort the campaign, with its open round"

    class Status(models.TextChoices):
        WAITING = "waiting"
        CONFIRMED = "confirmed"
        CANCELLED = "cancelled"
        EXPIRED = "expired"

    action = models.CharField(max_length=16, choices=Action)
    subject = models.CharField(max_length=64, help_text="org_id, round_id or the campaign's number")
    reason = models.CharField(max_length=300, blank=True)
    requested_by = models.CharField(max_length=200)
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.WAITING)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("action", "subject"),
                condition=models.Q(status="waiting"),
                name="one_waiting_confirmation_per_action",
            ),
            models.CheckConstraint(
                name="confirmation_is_decided_by_somebody",
                condition=models.Q(status="waiting", decided_by="", decided_at__isnull=True)
                | (~models.Q(status="waiting") & ~models.Q(decided_by="") & models.Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="confirmation_is_by_a_second_person",
                condition=~models.Q(status="confirmed") | ~models.Q(decided_by=models.F("requested_by")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"
