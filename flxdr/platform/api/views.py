"""Health and information of the coordinator."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from flxdr.core.clock import SystemClock, format_timestamp
from flxdr.core.protocol import PROTOCOL_VERSION
from flxdr.core.version import VERSION
from flxdr.platform.api.parameters import strict_query

CONTRACT_PREFIX = "contract-"
COMPONENTS = {
    "FederationOrchestrator": "federation",
    "PrivacyLayer": "privacy",
    "BlockchainLedger": "ledger",
    "FederatedModels": "models_ml",
}


class HealthSerializer(serializers.Serializer[dict[str, Any]]):
    status = serializers.CharField()
    timestamp = serializers.CharField()


class InfoSerializer(serializers.Serializer[dict[str, Any]]):
    system = serializers.CharField()
    version = serializers.CharField()
    components = serializers.ListField(child=serializers.CharField())
    api_endpoints = serializers.IntegerField()
    protocol_version = serializers.IntegerField(help_text="what agents and coordinators say to each other")


class SystemViewSet(ViewSet):
    """What anyone may know about the coordinator."""

    permission_classes = [AllowAny]
    authentication_classes = []

    @extend_schema(
        operation_id="health",
        summary="Health check",
        tags=["system"],
        responses=HealthSerializer,
        examples=[OpenApiExample("healthy", {"status": "healthy", "timestamp": "2026-01-15T10:30:00.000000Z"})],
    )
    def health(self, request: Request) -> Response:
        """The web process answers; `/readyz` tells whether everything behind it does."""
        strict_query(request, ())
        return Response({"status": "healthy", "timestamp": format_timestamp(SystemClock().now())})

    @extend_schema(
        operation_id="info",
        summary="System information",
        tags=["system"],
        responses=InfoSerializer,
        examples=[
            OpenApiExample(
                "information",
                {
                    "system": "FL+Blockchain XDR",
                    "version": "1.0.0",
                    "components": list(COMPONENTS),
                    "api_endpoints": 14,
                    "protocol_version": PROTOCOL_VERSION,
                },
            )
        ],
    )
    def info(self, request: Request) -> Response:
        """Version, installed components and the number of the guide's endpoints that are routed."""
        strict_query(request, ())
        return Response(
            {
                "system": "FL+Blockchain XDR",
                "version": VERSION,
                "components": [
                    name
                    for name, module in COMPONENTS.items()
                    if apps.is_installed(module) or find_spec(module) is not None
                ],
                "api_endpoints": len(set(contract_routes())),
                "protocol_version": PROTOCOL_VERSION,
            }
        )


def contract_routes() -> Iterator[str]:
    """The names of the guide's routes in the URL configuration."""
    yield from _contract_routes(get_resolver().url_patterns)


def _contract_routes(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _contract_routes(pattern.url_patterns)
        elif pattern.name and pattern.name.startswith(CONTRACT_PREFIX):
            yield pattern.name
