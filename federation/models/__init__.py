"""The rows of a federation: the database is the truth, the queue only a hint."""

from federation.models.aggregation_shard import AggregationShard
from federation.models.campaign import Campaign
from federation.models.confirmation import ConfirmationRequest
from federation.models.detection_review import DetectionReview
from federation.models.detections import SharedDetection
from federation.models.masking import MaskedMean, MaskingMessage
from federation.models.model_version import ModelVersion
from federation.models.organization import EnrolmentToken, Organization
from federation.models.round import Participant, TrainingRound
from federation.models.submission import Submission

__all__ = [
    "AggregationShard",
    "Campaign",
    "ConfirmationRequest",
    "DetectionReview",
    "EnrolmentToken",
    "MaskedMean",
    "MaskingMessage",
    "ModelVersion",
    "Organization",
    "Participant",
    "SharedDetection",
    "Submission",
    "TrainingRound",
]
