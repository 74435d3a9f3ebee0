"""The messages of masked rounds: what each step takes from an organisation, and what it gives it to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from federation import selectors
from federation.api import examples
from federation.api.masking_serializers import (
    ConsistencyAnswer,
    RevealRequest,
    RosterAnswer,
    SharesAnswer,
    SharesRequest,
    SignedStatementRequest,
    SurvivorsAnswer,
    TakenAnswer,
    UnmaskRequest,
)
from federation.api.parsers import BytesParser, received_bytes, received_document
from federation.api.views.base import FederationViewSet, organization_of, valid
from federation.selectors import masking
from federation.services.masking import messages
from federation.services.masking.messages import SignedDocument
from flxdr.core.clock import SystemClock
from flxdr.platform.api.schema import ProblemSerializer
from flxdr.platform.auth.permissions import IsOperatorOrOrganization
from flxdr.platform.storage.blobs import blobs
from privacy.secagg.shares import UnmaskShares

if TYPE_CHECKING:
    from rest_framework.request import Request

_REFUSALS = {409: ProblemSerializer, 422: ProblemSerializer}


class MaskingViewSet(FederationViewSet):
    """Taking part in a masked round. Every message may be repeated; other content for the same step is refused."""

    permission_classes = (IsOperatorOrOrganization,)

    @extend_schema(
        operation_id="masking_advertise",
        summary="Masked round, step 1: advertise keys for the round",
        tags=["masked rounds"],
        request=SignedStatementRequest,
        responses={200: TakenAnswer, **_REFUSALS},
        examples=examples.MASKING_ADVERTISE,
    )
    def advertise(self, request: Request, round_id: str) -> Response:
        org_id = organization_of(request)
        messages.advertise(org_id=org_id, round_id=round_id, signed=_signed(request), clock=SystemClock())
        return _taken(round_id)

    @extend_schema(
        operation_id="masking_reveal",
        summary="Bucketed round: open the number from which the buckets are drawn",
        tags=["masked rounds"],
        request=RevealRequest,
        responses={200: TakenAnswer, **_REFUSALS},
        examples=examples.MASKING_REVEAL,
    )
    def reveal(self, request: Request, round_id: str) -> Response:
        org_id = organization_of(request)
        nonce = bytes.fromhex(valid(RevealRequest(data=received_document(request)))["nonce"])
        messages.reveal(org_id=org_id, round_id=round_id, nonce=nonce, clock=SystemClock())
        return _taken(round_id)

    @extend_schema(
        operation_id="masking_roster",
        summary="Masked round, step 2: the signed advertisements of all who take part",
        tags=["masked rounds"],
        responses={200: RosterAnswer, 409: ProblemSerializer},
    )
    def roster(self, request: Request, round_id: str) -> Response:
        return Response(masking.roster_document(round_id, organization_of(request)))

    @extend_schema(
        operation_id="masking_share",
        summary="Masked round, step 2: share the secrets, sealed for each other member of the group",
        tags=["masked rounds"],
        request=SharesRequest,
        responses={200: TakenAnswer, **_REFUSALS},
        examples=examples.MASKING_SHARE,
    )
    def share(self, request: Request, round_id: str) -> Response:
        org_id = organization_of(request)
        body = valid(SharesRequest(data=received_document(request)))
        key = body.pop("round_key", None)
        round_key = None if key is None else SignedDocument(**key)
        messages.share(org_id=org_id, round_id=round_id, round_key=round_key, clock=SystemClock(), **body)
        return _taken(round_id)

    @extend_schema(
        operation_id="masking_shares",
        summary="Masked round, step 3: the shares that were sealed for the caller",
        tags=["masked rounds"],
        responses={200: SharesAnswer, 409: ProblemSerializer},
    )
    def shares(self, request: Request, round_id: str) -> Response:
        return Response(masking.shares_document(round_id, organization_of(request)))

    @extend_schema(
        operation_id="masking_survivors",
        summary="Masked round, step 4: whose masked updates arrived",
        tags=["masked rounds"],
        responses={200: SurvivorsAnswer, 409: ProblemSerializer},
    )
    def survivors(self, request: Request, round_id: str) -> Response:
        return Response(masking.survivors_document(round_id, organization_of(request)))

    @extend_schema(
        operation_id="masking_confirm",
        summary="Masked round, step 4: confirm whose masked updates arrived",
        tags=["masked rounds"],
        request=SignedStatementRequest,
        responses={200: TakenAnswer, **_REFUSALS},
        examples=examples.MASKING_CONFIRM,
    )
    def confirm(self, request: Request, round_id: str) -> Response:
        org_id = organization_of(request)
        messages.confirm(org_id=org_id, round_id=round_id, signed=_signed(request), clock=SystemClock())
        return _taken(round_id)

    @extend_schema(
        operation_id="masking_confirmations",
        summary="Masked round, step 5: the survivors' confirmations",
        tags=["masked rounds"],
        responses={200: ConsistencyAnswer, 409: ProblemSerializer},
    )
    def confirmations(self, request: Request, round_id: str) -> Response:
        return Response(masking.consistency_document(round_id, organization_of(request)))

    @extend_schema(
        operation_id="masking_unmask",
        summary="Masked round, step 5: reveal what unmasks the sum",
        description="Of a survivor the share of its self-mask seed, of a drop-out that of its mask key; never both.",
        tags=["masked rounds"],
        request=UnmaskRequest,
        responses={200: TakenAnswer, **_REFUSALS},
        examples=examples.MASKING_UNMASK,
    )
    def unmask(self, request: Request, round_id: str) -> Response:
        org_id = organization_of(request)
        shares = UnmaskShares.from_json(valid(UnmaskRequest(data=received_document(request))))
        messages.unmask(org_id=org_id, round_id=round_id, shares=shares, clock=SystemClock())
        return _taken(round_id)


class SumsViewSet(FederationViewSet):
    """The encrypted sums of Paillier rounds, and their openings."""

    permission_classes = (IsOperatorOrOrganization,)
    parser_classes = (BytesParser,)

    @extend_schema(
        operation_id="masking_sums",
        summary="Paillier round, step 6: the encrypted sums, without masks",
        description="Ciphertexts of all groups, one after the other, big-endian, each twice as long as the modulus.",
        tags=["masked rounds"],
        responses={(200, BytesParser.media_type): OpenApiTypes.BINARY, 409: ProblemSerializer},
    )
    def sums(self, request: Request, round_id: str) -> HttpResponse:
        return _file(masking.opened_file(round_id, organization_of(request), openings=False))

    @extend_schema(
        operation_id="masking_openings",
        summary="Paillier round: the openings of its sums, which everybody can verify",
        description="m and r of each ciphertext c = (1 + m n) r^n mod n^2, big-endian, each as long as the modulus.",
        tags=["masked rounds"],
        responses={(200, BytesParser.media_type): OpenApiTypes.BINARY, 409: ProblemSerializer},
    )
    def openings(self, request: Request, round_id: str) -> HttpResponse:
        return _file(masking.opened_file(round_id, organization_of(request), openings=True))

    @extend_schema(
        operation_id="masking_open",
        summary="Paillier round, step 6: open the sums",
        tags=["masked rounds"],
        request={BytesParser.media_type: OpenApiTypes.BINARY},
        responses={200: TakenAnswer, **_REFUSALS},
        examples=examples.MASKING_OPEN,
    )
    def open(self, request: Request, round_id: str) -> Response:
        org_id = organization_of(request)
        messages.open_sums(org_id=org_id, round_id=round_id, openings=received_bytes(request), clock=SystemClock())
        return _taken(round_id)


def _file(digest: str) -> HttpResponse:
    return HttpResponse(blobs().verify(digest).read_bytes(), content_type=BytesParser.media_type)


def _signed(request: Request) -> SignedDocument:
    body: dict[str, Any] = valid(SignedStatementRequest(data=received_document(request)))
    return SignedDocument(**body)


def _taken(round_id: str) -> Response:
    return Response({"status": "accepted", "step": selectors.round_by_id(round_id).step or None})
