"""Detections that organisations share with each other."""

from __future__ import annotations

from django.db import models

from federation.models.organization import Organization
from ledger.models import AppendOnly, AppendOnlyQuerySet


class SharedDetection(AppendOnly):
    """A detection as an organisation signed it (append-only). `statement` is the truth; other columns index it."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="shared_detections")
    alert_id = models.CharField(max_length=32, help_text="the organisation's own, from which nothing follows")
    family = models.CharField(max_length=32)
    technique = models.CharField(max_length=16, help_text="ATT&CK id")
    score_ppm = models.PositiveIntegerField(help_text="calibrated, in millionths")
    flows = models.PositiveBigIntegerField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    model_name = models.CharField(max_length=64)
    model_hash = models.CharField(max_length=64)
    block_height = models.PositiveBigIntegerField(null=True, blank=True, help_text="that released the model")
    statement = models.BinaryField(help_text="canonical bytes that were signed")
    signature = models.BinaryField()
    key_id = models.CharField(max_length=64)
    received_at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("organization", "received_at"), name="detections_of_an_hour"),
            models.Index(fields=("family", "received_at", "score_ppm"), name="detections_by_family"),
            models.Index(fields=("received_at", "family"), name="detections_of_a_period"),
            models.Index(fields=("score_ppm", "received_at", "family"), name="detections_of_a_score"),
        )
        constraints = (
            models.UniqueConstraint(fields=("organization", "alert_id"), name="one_statement_per_alert"),
            models.CheckConstraint(
                name="detection_is_seen_in_order", condition=models.Q(last_seen__gte=models.F("first_seen"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.family} of {self.organization_id} ({self.alert_id[:8]})"
