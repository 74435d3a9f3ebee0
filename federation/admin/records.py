"""The records of rounds: who took part, what was submitted, how it was aggregated, which models came of it."""

from __future__ import annotations

from django.contrib import admin

from federation.models import (
    AggregationShard,
    DetectionReview,
    MaskedMean,
    MaskingMessage,
    ModelVersion,
    Participant,
    SharedDetection,
    Submission,
)
from flxdr.platform.admin import ReadOnlyAdmin


@admin.register(Participant)
class ParticipantAdmin(ReadOnlyAdmin):
    page = ("rounds:detail", "training_round.round_id")
    list_display = ("training_round", "organization", "status", "update_norm", "cosine", "anomaly_score")
    list_filter = ("status",)
    list_select_related = ("training_round", "organization")
    search_fields = ("training_round__round_id", "organization__org_id")


@admin.register(Submission)
class SubmissionAdmin(ReadOnlyAdmin):
    page = ("rounds:detail", "training_round.round_id")
    list_display = ("gradient_id", "training_round", "organization", "samples", "signed", "mechanism", "received_at")
    list_filter = ("kind", "received_at")
    list_select_related = ("training_round", "organization")
    search_fields = ("gradient_id", "wire_digest", "training_round__round_id", "organization__org_id")

    @admin.display(boolean=True)
    def signed(self, submission: Submission) -> bool:
        return bool(submission.key_id)

    @admin.display(description="privacy")
    def mechanism(self, submission: Submission) -> str:
        return str(submission.privacy.get("mechanism", "none"))


@admin.register(MaskingMessage)
class MaskingMessageAdmin(ReadOnlyAdmin):
    page = ("rounds:detail", "training_round.round_id")
    list_display = ("training_round", "organization", "step", "received_at")
    list_filter = ("step",)
    list_select_related = ("training_round", "organization")
    search_fields = ("training_round__round_id", "organization__org_id")


@admin.register(MaskedMean)
class MaskedMeanAdmin(ReadOnlyAdmin):
    page = ("rounds:detail", "training_round.round_id")
    list_display = ("training_round", "index", "organizations", "weight", "update_digest")
    list_select_related = ("training_round",)
    search_fields = ("training_round__round_id",)


@admin.register(AggregationShard)
class AggregationShardAdmin(ReadOnlyAdmin):
    page = ("rounds:detail", "training_round.round_id")
    list_display = ("training_round", "step", "start", "stop", "status", "lease_until", "finished_at")
    list_filter = ("status", "step")
    list_select_related = ("training_round",)
    search_fields = ("training_round__round_id",)
    exclude = ("token",)


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    page = ("models:version", "model_name", "version")
    list_display = ("model_name", "version", "status", "model_hash", "block_height", "training_round", "created_at")
    list_filter = ("status", "model_name")
    list_select_related = ("training_round",)
    search_fields = ("model_hash", "parent_hash", "training_round__round_id")


@admin.register(SharedDetection)
class SharedDetectionAdmin(ReadOnlyAdmin):
    page = ("detections:index",)
    list_display = (
        "alert_id",
        "organization",
        "family",
        "technique",
        "score",
        "flows",
        "last_seen",
        "model_name",
        "block_height",
        "received_at",
    )
    list_filter = ("family", "received_at")
    list_select_related = ("organization",)
    search_fields = ("alert_id", "model_hash", "organization__org_id")
    readonly_fields = ("statement_text",)
    exclude = ("statement", "signature")

    @admin.display(ordering="score_ppm")
    def score(self, detection: SharedDetection) -> str:
        return f"{detection.score_ppm / 1_000_000:.3f}"

    @admin.display(description="statement (the bytes that were signed)")
    def statement_text(self, detection: SharedDetection) -> str:
        return bytes(detection.statement).decode(errors="backslashreplace")


@admin.register(DetectionReview)
class DetectionReviewAdmin(ReadOnlyAdmin):
    list_display = ("detection", "state", "note", "reviewed_by", "reviewed_at")
    list_filter = ("state", "reviewed_at")
    list_select_related = ("detection",)
    search_fields = ("detection__alert_id", "reviewed_by")
