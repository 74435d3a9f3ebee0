"""Reads of the chain."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from flxdr.core.clock import SystemClock, format_timestamp
from flxdr.platform.api.parameters import LARGEST_OFFSET, LimitOffset, strict_query, truth, whole_number
from flxdr.platform.api.schema import LIMIT_OFFSET
from flxdr.platform.auth.permissions import IsOperatorOrOrganization
from flxdr.platform.auth.principal import caller
from ledger import documents, selectors
from ledger.api import examples, serializers
from ledger.services.recomputation import recompute_releases
from ledger.services.shared_verification import shared
from ledger.services.verification import newest_height

# A request checks the signatures of so many blocks at most; `verify_chain` and an export check all of them.
SIGNATURES_PER_REQUEST = 10_000
RECORDS_PER_EXPORT = 500
RECOMPUTED_PER_REQUEST = 20


class BlockViewSet(ViewSet):
    """Blocks, their verification, lineage and export."""

    permission_classes = [IsOperatorOrOrganization]

    @extend_schema(
        operation_id="ledger_blocks",
        summary="Blocks, newest first",
        tags=["ledger"],
        parameters=[*LIMIT_OFFSET],
        responses=serializers.BlockPageSerializer,
        examples=examples.BLOCKS,
    )
    def page(self, request: Request) -> Response:
        """One page of blocks with their signatures."""
        page = LimitOffset.from_request(request)
        blocks, total = selectors.blocks_page(page.limit, page.offset)
        return Response(page.envelope("blocks", documents.block_documents(blocks), total))

    @extend_schema(
        operation_id="ledger_block",
        summary="Block by height",
        tags=["ledger"],
        responses=serializers.BlockSerializer,
        examples=examples.BLOCK,
    )
    def retrieve(self, request: Request, height: int) -> Response:
        """One block with its provenance and signatures."""
        strict_query(request, ())
        return Response(documents.block_documents([selectors.block_at(height)])[0])

    @extend_schema(
        operation_id="ledger_verify",
        summary="Verify the chain",
        tags=["ledger"],
        parameters=[
            OpenApiParameter(
                "recompute",
                bool,
                description=f"operators only: also recompute the releases among the newest {RECOMPUTED_PER_REQUEST} "
                "blocks from their submissions; `verify_chain --recompute` does all of them",
            )
        ],
        responses=serializers.VerificationSerializer,
        examples=examples.VERIFIED,
    )
    def verify(self, request: Request) -> Response:
        """A pass over every stored block; `covers` says from which height signatures were checked.

        On a long chain a pass takes seconds; its report is then given again for a while, unless a block was added.
        `verification_timestamp` is the time at which the pass began.

        An invalid chain is a 200 as well: `first_bad` names the height, the check, the field and both values. What the
        coordinator says of its own chain proves nothing to others: `flxdr-agent verify` checks an export itself.
        """
        recompute = truth(strict_query(request, {"recompute"}), "recompute")
        if recompute and not caller(request).is_operator:
            raise PermissionDenied("only an operator may have releases recomputed")
        verified = shared.verify(clock=SystemClock(), signatures=SIGNATURES_PER_REQUEST)
        answer = verified.report.as_json() | {"verification_timestamp": format_timestamp(verified.began_at)}
        if recompute and verified.report.chain_valid:
            tip = newest_height()
            first = max(0, tip + 1 - RECOMPUTED_PER_REQUEST)
            found = recompute_releases(first=first, last=tip)
            answer["recomputation"] = {"from": first, "to": tip, **found.as_json()}
        return Response(answer)

    @extend_schema(
        operation_id="ledger_provenance",
        summary="Lineage of a model",
        tags=["ledger"],
        parameters=[*LIMIT_OFFSET],
        responses=serializers.LineageSerializer,
        examples=examples.LINEAGE,
    )
    def provenance(self, request: Request, model_hash: str) -> Response:
        """A released model and its ancestors, newest first."""
        page = LimitOffset.from_request(request)
        blocks, total = selectors.lineage(model_hash, page.limit, page.offset)
        entries = documents.lineage_documents(blocks)
        return Response({"model_hash": model_hash, **page.envelope("lineage", entries, total)})

    @extend_schema(
        operation_id="ledger_head",
        summary="Newest block",
        tags=["ledger"],
        responses=serializers.HeadSerializer,
        examples=examples.HEAD,
    )
    def head(self, request: Request) -> Response:
        """The chain's id (its genesis hash) and its newest block."""
        strict_query(request, ())
        return Response(documents.head_document())

    @extend_schema(
        operation_id="ledger_export",
        summary="Blocks as a verifier needs them",
        tags=["ledger"],
        parameters=[
            OpenApiParameter("from", int, description="first height; 0 if left out"),
            OpenApiParameter("limit", int, description=f"number of blocks, {RECORDS_PER_EXPORT} at most"),
        ],
        responses=serializers.ExportSerializer,
        examples=examples.EXPORT,
    )
    def export(self, request: Request) -> Response:
        """Header bytes and approvals in ascending order: all that verification takes."""
        query = strict_query(request, {"from", "limit"})
        first = whole_number(query, "from", default=0, at_least=0, at_most=LARGEST_OFFSET)
        limit = whole_number(query, "limit", default=RECORDS_PER_EXPORT, at_least=1, at_most=LARGEST_OFFSET)
        head = documents.head_document()
        last = min(head["height"], first + min(limit, RECORDS_PER_EXPORT) - 1)
        records = enumerate(selectors.chain_records(first, last), start=first)
        return Response({"head": head, "records": [record.as_json(height) for height, record in records]})
