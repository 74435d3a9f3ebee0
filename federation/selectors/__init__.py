"""Reads of the federation; every query is bounded."""

from federation.selectors.confirmations import (
    confirmation_entry,
    confirmations_page,
    waiting_confirmation,
    waiting_confirmations,
)
from federation.selectors.detections import detection_entry, detections_bundle, detections_page
from federation.selectors.organizations import eligible_organizations, organizations_page, proven_keys, signing_keys
from federation.selectors.participants import participants_page
from federation.selectors.participation import current_round_for, own_submission
from federation.selectors.rounds import (
    campaign_detail,
    counted_submissions,
    round_by_id,
    round_started,
    round_status,
    rounds_page,
)
from federation.selectors.status import federation_status
from federation.selectors.versions import (
    model_by_hash,
    models_page,
    next_version,
    parent_version,
    registry_document,
    released_version,
    version_of,
)

__all__ = [
    "campaign_detail",
    "confirmation_entry",
    "confirmations_page",
    "counted_submissions",
    "current_round_for",
    "detection_entry",
    "detections_bundle",
    "detections_page",
    "eligible_organizations",
    "federation_status",
    "model_by_hash",
    "models_page",
    "next_version",
    "organizations_page",
    "own_submission",
    "parent_version",
    "participants_page",
    "proven_keys",
    "registry_document",
    "released_version",
    "round_by_id",
    "round_started",
    "round_status",
    "rounds_page",
    "signing_keys",
    "version_of",
    "waiting_confirmation",
    "waiting_confirmations",
]
