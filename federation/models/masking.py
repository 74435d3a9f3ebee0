"""What a masked round collects beside the masked updates: messages of its steps, and the means it comes to."""

from __future__ import annotations

from django.db import models

from federation.models.organization import Organization
from federation.models.round import STEPS, TrainingRound


class MaskingMessage(models.Model):
    """One organisation's answer to one step of a masked round (written once).

    `document` is canonical JSON: what was signed, or for sealed shares and unmasking shares what was sent. Nothing in
    here reveals an update: of every organisation the round learns either the seed of its self-mask or its mask key.
    """

    training_round = models.ForeignKey(TrainingRound, on_delete=models.PROTECT, related_name="masking_messages")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="masking_messages")
    step = models.CharField(max_length=16, choices=STEPS)
    document = models.BinaryField()
    signature = models.BinaryField(blank=True, default=b"")
    key_id = models.CharField(max_length=64, blank=True)
    received_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("training_round", "organization", "step"), name="one_answer_per_step"),
        )

    def __str__(self) -> str:
        return f"{self.step} of {self.organization} in {self.training_round}"


class MaskedMean(models.Model):
    """The mean update of one group of organisations of a masked round: what its aggregation starts from.

    Derived from the masked updates and the unmasking shares; `weight` is the sum of the members' public weights.
    """

    training_round = models.ForeignKey(TrainingRound, on_delete=models.PROTECT, related_name="masked_means")
    index = models.PositiveIntegerField()
    organizations = models.JSONField(help_text="whose updates are in it, by name")
    weight = models.PositiveBigIntegerField()
    update_digest = models.CharField(max_length=64, help_text="SHA-256 of the stored canonical update")

    class Meta:
        ordering = ("training_round", "index")
        constraints = (models.UniqueConstraint(fields=("training_round", "index"), name="one_mean_per_group"),)

    def __str__(self) -> str:
        return f"mean {self.index} of {self.training_round}"
