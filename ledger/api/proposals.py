"""Proposals, and the votes of organisations on them."""

from __future__ import annotations

from typing import cast

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from flxdr.core.clock import SystemClock
from flxdr.platform.api.parameters import LimitOffset, strict_query
from flxdr.platform.api.schema import LIMIT_OFFSET
from flxdr.platform.auth.permissions import IsOperatorOrOrganization, IsOrganization
from flxdr.platform.auth.principal import Principal
from flxdr.platform.errors import InvalidParameter
from ledger import documents, selectors
from ledger.api import examples, serializers
from ledger.services import approvals


class ProposalViewSet(ViewSet):
    """What waits to become a block. An organisation votes for itself, with its own key on the chain."""

    def get_permissions(self) -> list[BasePermission]:
        """Everybody who may read the chain reads proposals; only organisations vote."""
        votes = self.action in ("approve", "reject")
        return [IsOrganization()] if votes else [IsOperatorOrOrganization()]

    @extend_schema(
        operation_id="proposals",
        summary="Proposals, newest first",
        tags=["ledger"],
        parameters=[*LIMIT_OFFSET, OpenApiParameter("open", bool, description="true: the open one only")],
        responses=serializers.ProposalPageSerializer,
        examples=examples.PROPOSALS,
    )
    def page(self, request: Request) -> Response:
        """One page of proposals with the answers given so far."""
        page = LimitOffset.from_request(request, allowed={"open"})
        open_only = _flag(request.query_params.get("open", "false"))
        proposals, total = selectors.proposals_page(page.limit, page.offset, open_only=open_only)
        return Response(page.envelope("proposals", documents.proposal_documents(proposals), total))

    @extend_schema(
        operation_id="proposal",
        summary="Proposal by number",
        tags=["ledger"],
        responses=serializers.ProposalSerializer,
        examples=examples.PROPOSAL,
    )
    def retrieve(self, request: Request, proposal_id: int) -> Response:
        """One proposal; `header` holds the bytes that an approval signs."""
        strict_query(request, ())
        return Response(documents.proposal_document(selectors.proposal_by_id(proposal_id)))

    @extend_schema(
        operation_id="proposal_approve",
        summary="Approve a proposal",
        tags=["ledger"],
        request=serializers.ApproveSerializer,
        responses=serializers.ProposalSerializer,
        examples=examples.APPROVE,
    )
    def approve(self, request: Request, proposal_id: int) -> Response:
        """Records the caller's approval; repeating it changes nothing.

        An approval of a block that is sealed already is kept as a late one: shown, and counted nowhere.
        """
        strict_query(request, ())
        body = serializers.ApproveSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        proposal = approvals.approve(
            proposal_id=proposal_id, org_id=_caller(request), clock=SystemClock(), **body.validated_data
        )
        return Response(documents.proposal_document(proposal))

    @extend_schema(
        operation_id="proposal_reject",
        summary="Reject a proposal",
        tags=["ledger"],
        request=serializers.RejectSerializer,
        responses=serializers.ProposalSerializer,
        examples=examples.REJECT,
    )
    def reject(self, request: Request, proposal_id: int) -> Response:
        """Records the caller's refusal and its reason; repeating it changes nothing."""
        strict_query(request, ())
        body = serializers.RejectSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        proposal = approvals.reject(
            proposal_id=proposal_id, org_id=_caller(request), clock=SystemClock(), **body.validated_data
        )
        return Response(documents.proposal_document(proposal))


def _caller(request: Request) -> str:
    return cast("Principal", request.user).name


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidParameter(f"open={text!r} is not allowed", expected="true or false", parameter="open")
    return text == "true"
