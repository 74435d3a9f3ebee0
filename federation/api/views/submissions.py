"""Submissions: an organisation hands in its update and later asks for the proof that it was counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.response import Response

from federation import selectors
from federation.api import examples
from federation.api.documents import UpdateDocument
from federation.api.parsers import (
    JsonUpdateParser,
    MaskedUpdateParser,
    RawUpdateParser,
    SafetensorsUpdateParser,
    received_update,
)
from federation.api.responses import OwnSubmissionAnswer, SubmissionAnswer
from federation.api.statement_header import HEADER
from federation.api.views.base import FederationViewSet, organization_of
from federation.services import submissions
from flxdr.core.clock import SystemClock, format_timestamp
from flxdr.platform.auth.permissions import IsOperatorOrOrganization
from flxdr.platform.auth.verification import spent_at_the_end

if TYPE_CHECKING:
    from rest_framework.request import Request

    from flxdr.platform.auth.verification import VerifiedToken

_STATEMENT = OpenApiParameter(
    HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="`base64url(statement).key_id.base64url(signature)`, or the first part alone from an organization "
    "without a key. Required with a binary body.",
)


class SubmissionViewSet(FederationViewSet):
    """Handing in an update. The token is spent with what is written: one commit instead of two."""

    spends_tokens = True
    permission_classes = (IsOperatorOrOrganization,)
    parser_classes = (JsonUpdateParser, SafetensorsUpdateParser, RawUpdateParser, MaskedUpdateParser)

    @extend_schema(
        operation_id="submit_gradient",
        summary="Submit an update",
        description="Numbers as nested lists or base64 in JSON, a canonical safetensors file, or a raw "
        "little-endian vector (`application/octet-stream; dtype=f4`, or `dtype=i4`). Floats are in model units, int32 "
        "in units of 2^-24. In a masked round a vector of masked words "
        f"(`{MaskedUpdateParser.media_type}`). The same bytes again answer 200 with the same `gradient_id`; other "
        "bytes are refused.",
        tags=["federation"],
        parameters=[_STATEMENT],
        request={
            "application/json": UpdateDocument,
            "application/vnd.safetensors": OpenApiTypes.BINARY,
            "application/octet-stream": OpenApiTypes.BINARY,
            MaskedUpdateParser.media_type: OpenApiTypes.BINARY,
        },
        responses={201: SubmissionAnswer, 200: SubmissionAnswer},
        examples=examples.SUBMIT,
    )
    def submit(self, request: Request) -> Response:
        token = cast("VerifiedToken | None", request.auth)
        with spent_at_the_end(token):
            submission, created = submissions.submit(
                principal_org=organization_of(request),
                received=received_update(request),
                token=token,
                clock=SystemClock(),
            )
        answer = {
            "status": "accepted",
            "gradient_id": submission.gradient_id,
            "received_at": format_timestamp(submission.received_at),
            "submission_digest": submission.wire_digest,
            "signed": bool(submission.signature),
        }
        code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
        return Response(answer, status=code)


class OwnSubmissionViewSet(FederationViewSet):
    """One's own submission."""

    permission_classes = (IsOperatorOrOrganization,)

    @extend_schema(
        operation_id="own_submission",
        summary="One's own submission, with its inclusion proof once a block covers it",
        tags=["participation"],
        responses={200: OwnSubmissionAnswer},
    )
    def retrieve(self, request: Request, round_id: str) -> Response:
        return Response(selectors.own_submission(organization_of(request), round_id))
