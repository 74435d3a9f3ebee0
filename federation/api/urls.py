"""Routes of the federation, under `/api/fl-blockchain/`. The deployment guide's own have names in `contract-`."""

from __future__ import annotations

from django.urls import path, register_converter

from federation.api.identifiers import IdentifierConverter
from federation.api.views.campaigns import CampaignStartViewSet, CampaignViewSet
from federation.api.views.detections import DetectionBundleViewSet, DetectionViewSet
from federation.api.views.masking import MaskingViewSet, SumsViewSet
from federation.api.views.models import ModelFileViewSet, ModelViewSet
from federation.api.views.organizations import (
    OrganizationDecisionViewSet,
    OrganizationListViewSet,
    RegistrationViewSet,
)
from federation.api.views.rounds import CurrentRoundViewSet, ParticipantsViewSet, RoundStartViewSet, RoundViewSet
from federation.api.views.sign_in import SignInViewSet
from federation.api.views.submissions import OwnSubmissionViewSet, SubmissionViewSet

register_converter(IdentifierConverter, "identifier")
_decision = OrganizationDecisionViewSet.as_view
_masking = MaskingViewSet.as_view
_ROUND = "federation/round/<identifier:round_id>"
_ORGANIZATION = "federation/organizations/<identifier:org_id>"

urlpatterns = [
    path("federation/register", RegistrationViewSet.as_view({"post": "register"}), name="contract-register"),
    path("federation/organizations", OrganizationListViewSet.as_view({"get": "page"}), name="contract-organizations"),
    path("federation/organizations/sign-in", SignInViewSet.as_view({"post": "link"}), name="organization-sign-in"),
    path("federation/round/start", RoundStartViewSet.as_view({"post": "start"}), name="contract-round-start"),
    path(
        "federation/round/submit-gradient",
        SubmissionViewSet.as_view({"post": "submit"}),
        name="contract-submit-gradient",
    ),
    path(
        "federation/round/<identifier:round_id>/status",
        RoundViewSet.as_view({"get": "status"}),
        name="contract-round-status",
    ),
    path("federation/status", RoundViewSet.as_view({"get": "federation_status"}), name="contract-federation-status"),
    path("federation/round/current", CurrentRoundViewSet.as_view({"get": "current"}), name="current-round"),
    path(
        "federation/round/<identifier:round_id>/submission",
        OwnSubmissionViewSet.as_view({"get": "retrieve"}),
        name="own-submission",
    ),
    path(
        "federation/round/<identifier:round_id>/participants",
        ParticipantsViewSet.as_view({"get": "page"}),
        name="round-participants",
    ),
    path(f"{_ROUND}/advertise", _masking({"post": "advertise"}), name="masking-advertise"),
    path(f"{_ROUND}/reveal", _masking({"post": "reveal"}), name="masking-reveal"),
    path(f"{_ROUND}/roster", _masking({"get": "roster"}), name="masking-roster"),
    path(f"{_ROUND}/shares", _masking({"get": "shares", "post": "share"}), name="masking-shares"),
    path(f"{_ROUND}/survivors", _masking({"get": "survivors"}), name="masking-survivors"),
    path(f"{_ROUND}/consistency", _masking({"get": "confirmations", "post": "confirm"}), name="masking-consistency"),
    path(f"{_ROUND}/unmask", _masking({"post": "unmask"}), name="masking-unmask"),
    path(f"{_ROUND}/sums", SumsViewSet.as_view({"get": "sums"}), name="masking-sums"),
    path(f"{_ROUND}/openings", SumsViewSet.as_view({"get": "openings", "post": "open"}), name="masking-openings"),
    path("federation/rounds", RoundViewSet.as_view({"get": "page"}), name="rounds"),
    path("federation/models", ModelViewSet.as_view({"get": "page"}), name="models"),
    path("federation/models/registry", ModelViewSet.as_view({"get": "registry"}), name="model-registry"),
    path("federation/model/<identifier:model_hash>", ModelFileViewSet.as_view({"get": "retrieve"}), name="model-file"),
    path("federation/detections", DetectionViewSet.as_view({"get": "page", "post": "share"}), name="detections"),
    path("federation/detections/stix", DetectionBundleViewSet.as_view({"get": "retrieve"}), name="detections-stix"),
    path("federation/campaign/start", CampaignStartViewSet.as_view({"post": "start"}), name="campaign-start"),
    path("federation/campaign/<int:campaign_id>", CampaignViewSet.as_view({"get": "retrieve"}), name="campaign"),
    path(f"{_ORGANIZATION}/approve", _decision({"post": "approve"}), name="organization-approve"),
    path(f"{_ORGANIZATION}/suspend", _decision({"post": "suspend"}), name="organization-suspend"),
    path(f"{_ORGANIZATION}/readmit", _decision({"post": "readmit"}), name="organization-readmit"),
]
