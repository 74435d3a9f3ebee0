"""Campaigns: a number of rounds, one after the other."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Campaign(models.Model):
    """Runs `rounds_total` rounds of one model with the same parameters; stops at the first that fails."""

    class Status(models.TextChoices):
        RUNNING = "running"
        COMPLETED = "completed"
        STOPPED = "stopped"

    model_name = models.CharField(max_length=64)
    rounds_total = models.PositiveIntegerField()
    parameters = models.JSONField(default=dict, blank=True, help_text="what every round is started with")
    status = models.CharField(max_length=16, choices=Status, default=Status.RUNNING)
    stop_reason = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("model_name",),
                condition=models.Q(status="running"),
                name="one_running_campaign_per_model",
            ),
        )

    def __str__(self) -> str:
        return f"{self.rounds_total} rounds of {self.model_name}"
