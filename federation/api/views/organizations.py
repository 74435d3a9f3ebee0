"""Organisations: registration, the list, and an operator's decisions about them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from federation import selectors
from federation.api import examples
from federation.api.parsers import received_document
from federation.api.requests import EmptyRequest, ReasonRequest, RegistrationRequest
from federation.api.responses import ConfirmationAnswer, OrganizationsAnswer, RegistrationAnswer
from federation.api.views.base import FederationViewSet, principal_of, valid
from federation.models import ConfirmationRequest, Organization
from federation.services import confirmations, enrolment
from flxdr.core.clock import SystemClock, format_timestamp
from flxdr.platform.api.parameters import LimitOffset
from flxdr.platform.api.schema import LIMIT_OFFSET, ProblemSerializer
from flxdr.platform.auth.permissions import IsOperator, IsOperatorOrOrganization

if TYPE_CHECKING:
    from rest_framework.request import Request

_TWO_PERSONS = (
    "The first operator's call is a request: 202, and nothing changes. The same call by a second operator within a "
    "day confirms it: 200. With FL_TWO_PERSON=false one operator is enough."
)


class RegistrationViewSet(FederationViewSet):
    """How an organisation comes in."""

    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="register_organization",
        summary="Register an organization",
        description="Open in development. In production the organization waits for an operator's approval, unless "
        "it brings an enrolment token. The same registration again changes nothing.",
        tags=["federation"],
        request=RegistrationRequest,
        responses={200: RegistrationAnswer, 429: ProblemSerializer},
        examples=examples.REGISTER,
    )
    def register(self, request: Request) -> Response:
        body = valid(RegistrationRequest(data=received_document(request)))
        organization = enrolment.register(
            org_id=body["org_id"],
            name=body["org_name"],
            data_sources=body.get("data_sources"),
            public_key_text=body.get("crypto_pubkey"),
            key_proof=body.get("key_proof"),
            enrolment_token=body.get("enrolment_token"),
            clock=SystemClock(),
        )
        return _rendered(organization)


class OrganizationListViewSet(FederationViewSet):
    """Who takes part."""

    permission_classes = (IsOperatorOrOrganization,)
    parameters = {"page": ("limit", "offset")}

    @extend_schema(
        operation_id="list_organizations",
        summary="Registered organizations",
        tags=["federation"],
        parameters=[*LIMIT_OFFSET],
        responses={200: OrganizationsAnswer},
        examples=examples.ORGANIZATIONS,
    )
    def page(self, request: Request) -> Response:
        bounds = LimitOffset.from_request(request)
        return Response(selectors.organizations_page(limit=bounds.limit, offset=bounds.offset))


class OrganizationDecisionViewSet(FederationViewSet):
    """What an operator decides about an organisation."""

    permission_classes = (IsOperator,)

    @extend_schema(
        operation_id="approve_organization",
        summary="Approve a pending organization",
        tags=["operation"],
        request=None,
        responses={200: RegistrationAnswer},
    )
    def approve(self, request: Request, org_id: str) -> Response:
        valid(EmptyRequest(data=request.data))
        return _rendered(enrolment.approve(org_id=org_id, actor=str(principal_of(request)), clock=SystemClock()))

    @extend_schema(
        operation_id="suspend_organization",
        summary="Suspend an active organization, effective at once",
        description=_TWO_PERSONS,
        tags=["operation"],
        request=ReasonRequest,
        responses={200: RegistrationAnswer, 202: ConfirmationAnswer},
        examples=examples.SUSPEND,
    )
    def suspend(self, request: Request, org_id: str) -> Response:
        return _wanted(request, org_id, ConfirmationRequest.Action.SUSPEND)

    @extend_schema(
        operation_id="readmit_organization",
        summary="Readmit a suspended organization",
        description=_TWO_PERSONS,
        tags=["operation"],
        request=ReasonRequest,
        responses={200: RegistrationAnswer, 202: ConfirmationAnswer},
        examples=examples.READMIT,
    )
    def readmit(self, request: Request, org_id: str) -> Response:
        return _wanted(request, org_id, ConfirmationRequest.Action.READMIT)


def _wanted(request: Request, org_id: str, action: ConfirmationRequest.Action) -> Response:
    asked = confirmations.request_or_confirm(
        action=action,
        subject=org_id,
        reason=valid(ReasonRequest(data=request.data)).get("reason", ""),
        actor=str(principal_of(request)),
        clock=SystemClock(),
    )
    if asked is not None and asked.status == ConfirmationRequest.Status.WAITING:
        return Response(selectors.confirmation_entry(asked), status=HTTPStatus.ACCEPTED)
    return _rendered(Organization.objects.get(org_id=org_id))


def _rendered(organization: Organization) -> Response:
    return Response(
        {
            "org_id": organization.org_id,
            "registered_at": format_timestamp(organization.registered_at),
            "status": organization.status,
            "key_status": organization.key_status,
        }
    )
