"""Submitted updates: metadata and digests here, the bytes in the content-addressed store."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from federation.models.organization import Organization
from federation.models.round import TrainingRound


class Submission(models.Model):
    """One organisation's update in one round (append-only)."""

    gradient_id = models.CharField(max_length=64, unique=True)
    training_round = models.ForeignKey(TrainingRound, on_delete=models.PROTECT, related_name="submissions")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="submissions")
    wire_digest = models.CharField(max_length=64, help_text="SHA-256 of the body as received")
    update_digest = models.CharField(max_length=64, help_text="SHA-256 of the stored canonical update")
    kind = models.CharField(max_length=16, choices=(("weights", "weights"), ("delta", "delta")))
    samples = models.PositiveBigIntegerField()
    metrics = models.JSONField(default=dict, blank=True)
    privacy = models.JSONField(default=dict, blank=True, help_text="declared mechanism and parameters")
    statement = models.BinaryField(blank=True, default=b"", help_text="canonical bytes that were signed")
    signature = models.BinaryField(blank=True, default=b"", help_text="empty: unsigned")
    key_id = models.CharField(max_length=64, blank=True)
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("training_round", "organization"), name="one_submission_per_round"),
            models.CheckConstraint(name="submission_has_samples", condition=models.Q(samples__gte=1)),
        )

    def __str__(self) -> str:
        return self.gradient_id
