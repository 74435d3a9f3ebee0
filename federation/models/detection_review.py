"""What operators made of shared detections."""

from __future__ import annotations

from django.db import models

from federation.models.detections import SharedDetection
from ledger.models import AppendOnly, AppendOnlyQuerySet


class DetectionReview(AppendOnly):
    """An operator's word on a shared detection (append-only). The newest one is its state; without any it is new."""

    class State(models.TextChoices):
        NEW = "new"
        ACKNOWLEDGED = "acknowledged", "somebody looks into it"
        CLOSED = "closed", "nothing is left to do"

    detection = models.ForeignKey(SharedDetection, on_delete=models.PROTECT, related_name="reviews")
    state = models.CharField(max_length=16, choices=State)
    note = models.CharField(max_length=500, blank=True)
    reviewed_by = models.CharField(max_length=200)
    reviewed_at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"detection {self.detection_id}: {self.state}"
