"""What organisations attest of releases."""

from __future__ import annotations

from typing import cast

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from flxdr.core.clock import SystemClock
from flxdr.core.dsse import Envelope
from flxdr.platform.api.parameters import strict_query
from flxdr.platform.auth.permissions import IsOperatorOrOrganization, IsOrganization
from flxdr.platform.auth.principal import Principal
from ledger import documents, selectors
from ledger.api import examples, serializers
from ledger.services.statements import record_statement


class StatementViewSet(ViewSet):
    """Provenance statements (in-toto, DSSE) about the model that a block released."""

    def get_permissions(self) -> list[BasePermission]:
        """Everybody who may read the chain reads statements; only organisations make them."""
        return [IsOrganization()] if self.action == "create" else [IsOperatorOrOrganization()]

    @extend_schema(
        operation_id="release_statements",
        summary="Provenance statements about a release",
        tags=["ledger"],
        responses=serializers.StatementsSerializer,
        examples=examples.STATEMENTS,
    )
    def page(self, request: Request, height: int) -> Response:
        """One per organisation; each can be verified offline against an export of the chain."""
        strict_query(request, ())
        return Response(documents.statements_document(height, selectors.statements_about(height)))

    @extend_schema(
        operation_id="release_attest",
        summary="Attest a release",
        tags=["ledger"],
        request=serializers.DsseEnvelopeSerializer,
        responses=serializers.StatementsSerializer,
        examples=examples.ATTEST,
    )
    def create(self, request: Request, height: int) -> Response:
        """Records the caller's statement after checking it against the block; repeating it changes nothing."""
        strict_query(request, ())
        body = serializers.DsseEnvelopeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        record_statement(
            height=height,
            org_id=cast("Principal", request.user).name,
            envelope=Envelope.from_json(body.validated_data),
            clock=SystemClock(),
        )
        return Response(documents.statements_document(height, selectors.statements_about(height)))
