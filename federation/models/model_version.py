"""Versions of the global models."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from federation.models.round import TrainingRound


class ModelVersion(models.Model):
    """A model by its hash: version 0 is a model's starting point, every later one a sealed (or refused) release."""

    class Status(models.TextChoices):
        INITIAL = "initial"
        CANDIDATE = "candidate", "aggregated, waiting for approvals"
        RELEASED = "released", "sealed on the chain"
        REFUSED = "refused", "no quorum approved it"
        WITHDRAWN = "withdrawn", "released, and withdrawn by a later block"

    model_name = models.CharField(max_length=64)
    version = models.PositiveIntegerField()
    model_hash = models.CharField(max_length=64, db_index=True)
    parent_hash = models.CharField(max_length=64, blank=True)
    blob_digest = models.CharField(max_length=64, help_text="SHA-256 of the model file")
    schema = models.JSONField(help_text="list of {name, shape}")
    optimizer_state_digest = models.CharField(
        max_length=64, blank=True, default="", help_text="SHA-256 of the server optimiser's state file; blank: none"
    )
    status = models.CharField(max_length=16, choices=Status)
    training_round = models.OneToOneField(
        TrainingRound, null=True, blank=True, on_delete=models.PROTECT, related_name="result"
    )
    proposal_id = models.BigIntegerField(null=True, blank=True, help_text="the ledger's proposal")
    block_height = models.PositiveBigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("model_name", "status", "version"), name="versions_by_status"),)
        constraints = (
            models.UniqueConstraint(
                fields=("model_name", "version"),
                condition=~models.Q(status="refused"),
                name="one_version_per_model",
            ),
            models.CheckConstraint(
                name="released_version_has_block",
                condition=~models.Q(status__in=("released", "withdrawn")) | models.Q(block_height__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.model_name} v{self.version}"
