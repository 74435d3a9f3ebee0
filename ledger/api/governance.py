"""Keys, policy and withdrawals: what is in force, and proposals to change it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import ViewSet

from flxdr.core.clock import SystemClock
from flxdr.core.keys import PublicKey
from flxdr.platform.api.parameters import LimitOffset, strict_query
from flxdr.platform.api.schema import LIMIT_OFFSET
from flxdr.platform.auth.permissions import IsOperator, IsOperatorOrOrganization, IsOrganization
from flxdr.platform.auth.principal import caller
from ledger import documents, selectors
from ledger.api import examples, serializers
from ledger.api import governance_serializers as shapes
from ledger.models import Proposal
from ledger.services import governance

_PERMISSIONS: dict[str | None, type[BasePermission]] = {"rotate": IsOrganization, "policy": IsOperator}


class GovernanceViewSet(ViewSet):
    """Nothing changes here: every answer to a POST is a proposal, on which the members vote."""

    def get_permissions(self) -> list[BasePermission]:
        """Everybody who may read the chain; a key is rotated by its organisation alone."""
        return [_PERMISSIONS.get(self.action, IsOperatorOrOrganization)()]

    @extend_schema(
        operation_id="governance",
        summary="Policy, keys and entries",
        tags=["ledger"],
        parameters=[*LIMIT_OFFSET],
        responses=shapes.GovernancePageSerializer,
        examples=examples.GOVERNANCE,
    )
    def page(self, request: Request) -> Response:
        """The policy and the keys in force, the retired keys, and a page of entries, newest first."""
        page = LimitOffset.from_request(request)
        blocks, total = selectors.governance_page(page.limit, page.offset)
        document = documents.governance_document(blocks)
        return Response(document | page.envelope("entries", document["entries"], total))

    @extend_schema(
        operation_id="governance_rotate",
        summary="Propose a new key for one's own",
        tags=["ledger"],
        request=shapes.RotateSerializer,
        responses=serializers.ProposalSerializer,
        examples=examples.ROTATE,
    )
    def rotate(self, request: Request) -> Response:
        """The caller's new key takes the place of one of its keys, once the members have approved.

        The new key and a key in force sign the same statement. Repeating it gives the same proposal.
        """
        body = _body(request, shapes.RotateSerializer)
        endorsement = body["endorsement"]
        proposal = governance.propose_rotation(
            org_id=caller(request).name,
            public_key=PublicKey.from_text(body["public_key"]),
            statement=body["statement"],
            proof=body["proof"],
            endorsement=(endorsement["key_id"], endorsement["signature"]),
            clock=SystemClock(),
        )
        return _proposed(proposal)

    @extend_schema(
        operation_id="governance_revoke",
        summary="Propose the end of a key",
        tags=["ledger"],
        request=shapes.RevokeSerializer,
        responses=serializers.ProposalSerializer,
        examples=examples.REVOKE,
    )
    def revoke(self, request: Request) -> Response:
        """An organisation asks for the end of its own keys, an operator for that of any organisation's.

        The organisation has no vote on it. With its last key it stops being a member.
        """
        body, who = _body(request, shapes.RevokeSerializer), caller(request)
        org_id = body.pop("org_id", who.org_id)
        if org_id is None:
            raise ValidationError({"org_id": "an operator names the organisation"})
        proposal = governance.propose_revocation(
            org_id=org_id, proposer=who.org_id, actor=who.name, clock=SystemClock(), **body
        )
        return _proposed(proposal)

    @extend_schema(
        operation_id="governance_withdraw",
        summary="Propose the withdrawal of a release",
        tags=["ledger"],
        request=shapes.WithdrawSerializer,
        responses=serializers.ProposalSerializer,
        examples=examples.WITHDRAW,
    )
    def withdraw(self, request: Request) -> Response:
        """The release and every later one of its model are to be used no more; members and operators may ask."""
        body, who = _body(request, shapes.WithdrawSerializer), caller(request)
        proposal = governance.propose_withdrawal(proposer=who.org_id, actor=who.name, clock=SystemClock(), **body)
        return _proposed(proposal)

    @extend_schema(
        operation_id="governance_policy",
        summary="Propose another approval policy",
        tags=["ledger"],
        request=shapes.PolicySerializer,
        responses=serializers.ProposalSerializer,
        examples=examples.SET_POLICY,
    )
    def policy(self, request: Request) -> Response:
        """Who must approve what is recorded on the chain: only the members' quorum changes it."""
        body = _body(request, shapes.PolicySerializer)
        proposal = governance.propose_policy(actor=caller(request).name, clock=SystemClock(), **body)
        return _proposed(proposal)


def _body(request: Request, kind: type[Serializer[dict[str, Any]]]) -> dict[str, Any]:
    strict_query(request, ())
    body = kind(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _proposed(proposal: Proposal) -> Response:
    return Response(documents.proposal_document(proposal))
