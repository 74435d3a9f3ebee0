"""Ranges of coordinates of a large round, each aggregated by whichever worker claims it."""

from __future__ import annotations

from django.db import models

from federation.models.round import TrainingRound


class AggregationShard(models.Model):
    """The coordinates `start` to `stop` in one step of a round's aggregation.

    Results are files in the round's scratch store; they are derived from the submissions and thrown away when the round
    has left its aggregation. `token` and `lease_until` belong to the worker that claimed the shard.
    """

    class Step(models.TextChoices):
        MEASURE = "measure", "inner products of the updates"
        COMBINE = "combine", "the combined update"

    class Status(models.TextChoices):
        WAITING = "waiting", "waiting for a worker, or with one"
        DONE = "done"
        STOPPED = "stopped", "the round ended before"

    training_round = models.ForeignKey(TrainingRound, on_delete=models.PROTECT, related_name="shards")
    step = models.CharField(max_length=16, choices=Step)
    start = models.PositiveBigIntegerField(help_text="first coordinate")
    stop = models.PositiveBigIntegerField(help_text="the coordinate after the last one")
    status = models.CharField(max_length=16, choices=Status, default=Status.WAITING)
    token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    input_digest = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the cohort's inner products, from which the step starts"
    )
    result_digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the result's file")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("training_round", "id")
        constraints = (
            models.UniqueConstraint(fields=("training_round", "step", "start"), name="one_shard_per_range"),
            models.CheckConstraint(name="shard_has_coordinates", condition=models.Q(stop__gt=models.F("start"))),
            models.CheckConstraint(
                name="done_shard_has_result", condition=~models.Q(status="done") | ~models.Q(result_digest="")
            ),
            models.CheckConstraint(
                name="combining_shard_has_products", condition=~models.Q(step="combine") | ~models.Q(input_digest="")
            ),
        )

    def __str__(self) -> str:
        return f"{self.step} {self.start}..{self.stop} of {self.training_round}"
