"""Campaigns: a number of rounds, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from federation import selectors
from federation.api import examples
from federation.api.parsers import received_document
from federation.api.requests import CampaignStartRequest
from federation.api.responses import CampaignAnswer
from federation.api.views.base import FederationViewSet, principal_of, valid
from federation.api.views.rounds import service_parameters
from federation.services import campaigns
from flxdr.core.clock import SystemClock
from flxdr.platform.auth.permissions import IsOperator, IsOperatorOrOrganization

if TYPE_CHECKING:
    from rest_framework.request import Request


class CampaignStartViewSet(FederationViewSet):
    """Starting a campaign."""

    permission_classes = (IsOperator,)

    @extend_schema(
        operation_id="start_campaign",
        summary="Start a campaign",
        description="Runs rounds of one model with the same parameters; stops at the first that fails. Aggregation "
        "methods and their parameters: see `round/start`.",
        tags=["operation"],
        request=CampaignStartRequest,
        responses={200: CampaignAnswer},
        examples=examples.CAMPAIGN_START,
    )
    def start(self, request: Request) -> Response:
        parameters = service_parameters(valid(CampaignStartRequest(data=received_document(request))))
        campaign = campaigns.start_campaign(
            actor=str(principal_of(request)),
            model_name=parameters.pop("model_name", None),
            rounds=parameters.pop("rounds", None),
            parameters=parameters,
            clock=SystemClock(),
        )
        return Response(selectors.campaign_detail(campaign.id))


class CampaignViewSet(FederationViewSet):
    """Reading about campaigns."""

    permission_classes = (IsOperatorOrOrganization,)

    @extend_schema(
        operation_id="campaign",
        summary="A campaign and its rounds",
        tags=["operation"],
        responses={200: CampaignAnswer},
    )
    def retrieve(self, request: Request, campaign_id: int) -> Response:
        return Response(selectors.campaign_detail(campaign_id))
