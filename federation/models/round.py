"""Training rounds and who takes part in them."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from federation.masking.steps import Step
from federation.models.organization import Organization

STEPS = [(step.value, step.value.replace("_", " ")) for step in Step]


class TrainingRound(models.Model):
    """One round of federated training for one model.

    `config` holds the canonical bytes of everything that was fixed at the start; `config_hash` is what every message
    of the round is bound to. A masked round collects in steps: `step` is the one that it is at, or ended with; other
    rounds have none. `token` and `lease_until` belong to the worker that claimed the round.
    """

    class Status(models.TextChoices):
        IN_PROGRESS = "in_progress"
        AGGREGATING = "aggregating"
        VERIFYING = "verifying"
        COMPLETED = "completed"
        FAILED = "failed"

    OPEN = (Status.IN_PROGRESS, Status.AGGREGATING, Status.VERIFYING)

    round_id = models.CharField(max_length=64, unique=True)
    number = models.PositiveIntegerField()
    model_name = models.CharField(max_length=64)
    status = models.CharField(max_length=16, choices=Status, default=Status.IN_PROGRESS)
    config = models.BinaryField()
    config_hash = models.CharField(max_length=64)
    aggregation_method = models.CharField(max_length=64)
    protection = models.CharField(max_length=16)
    step = models.CharField(max_length=16, choices=STEPS, blank=True, help_text="of a masked collection")
    sum_digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the encrypted sums to be opened")
    opening_digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of their openings")
    min_orgs = models.PositiveIntegerField()
    deadline = models.DateTimeField(help_text="of the collection, or of the step that a masked collection is at")
    started_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True, help_text="end of the collection")
    finished_at = models.DateTimeField(null=True, blank=True)
    updates_discarded_at = models.DateTimeField(
        null=True, blank=True, help_text="when the files of its submissions were discarded"
    )
    failure_code = models.CharField(max_length=64, blank=True)
    failure_reason = models.TextField(blank=True)
    convergence_metric = models.FloatField(
        null=True, blank=True, help_text="L2 norm of the aggregated update, in model units"
    )
    metrics = models.JSONField(default=dict, blank=True, help_text="sample-weighted means of reported metrics")
    token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    campaign = models.ForeignKey(
        "federation.Campaign", null=True, blank=True, on_delete=models.PROTECT, related_name="rounds"
    )

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("status", "finished_at"), name="rounds_by_status"),)
        constraints = (
            models.UniqueConstraint(fields=("model_name", "number"), name="round_number_per_model"),
            models.UniqueConstraint(
                fields=("model_name",),
                condition=models.Q(status__in=("in_progress", "aggregating", "verifying")),
                name="one_open_round_per_model",
            ),
            models.CheckConstraint(
                name="failed_round_says_why",
                condition=~models.Q(status="failed") | ~models.Q(failure_code=""),
            ),
        )

    def __str__(self) -> str:
        return self.round_id


class Participant(models.Model):
    """An organisation's part in a round, and how its update looked beside the others."""

    class Status(models.TextChoices):
        EXPECTED = "expected"
        SUBMITTED = "submitted"
        LEFT_OUT = "left_out", "submitted, and left out by the aggregation"
        MISSED = "missed", "did not submit in time"

    training_round = models.ForeignKey(TrainingRound, on_delete=models.PROTECT, related_name="participants")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="participations")
    status = models.CharField(max_length=16, choices=Status, default=Status.EXPECTED)
    update_norm = models.FloatField(null=True, blank=True, help_text="L2 norm of the update, in model units")
    cosine = models.FloatField(null=True, blank=True, help_text="cosine to the mean of the others' updates")
    distance = models.FloatField(null=True, blank=True, help_text="L2 distance to the geometric median of the updates")
    anomaly_score = models.FloatField(null=True, blank=True, help_text="0 like the cohort, above 1 suspicious")
    left_out_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("organization__org_id",)
        constraints = (models.UniqueConstraint(fields=("training_round", "organization"), name="one_part_per_round"),)

    def __str__(self) -> str:
        return f"{self.organization} in {self.training_round}"
