"""Privacy configuration and budget."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from flxdr.platform.api.parameters import strict_query
from flxdr.platform.auth.principal import caller
from privacy import selectors
from privacy.api import examples
from privacy.api.serializers import PrivacyBudgetSerializer, PrivacyConfigurationSerializer


class PrivacyViewSet(ViewSet):
    """What protects the federation's updates, and what it has cost."""

    @extend_schema(
        operation_id="privacy_config",
        summary="Get privacy configuration",
        tags=["privacy"],
        responses=PrivacyConfigurationSerializer,
        examples=[OpenApiExample("without noise", examples.CONFIGURATION, response_only=True)],
    )
    def configuration(self, request: Request) -> Response:
        """What is configured and in force; `enabled` is said of nothing that is not."""
        strict_query(request, ())
        return Response(selectors.configuration())

    @extend_schema(
        operation_id="privacy_budget",
        summary="Check privacy budget",
        tags=["privacy"],
        responses=PrivacyBudgetSerializer,
        examples=[OpenApiExample("an organisation's own", examples.BUDGET, response_only=True)],
    )
    def budget(self, request: Request) -> Response:
        """An organisation sees its own budget, an operator the largest use over organisations and everybody's."""
        strict_query(request, ())
        return Response(selectors.budget(caller(request).org_id))
