"""Reads of the chain."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from flxdr.core.clock import SystemClock
from flxdr.platform.api.parameters import LARGEST_OFFSET, LimitOffset, strict_query, truth, whole_number
from flxdr.platform.api.schema import LIMIT_OFFSET
from flxdr.platform.auth.permissions import IsOperatorOrOrganization
from flxdr.platform.auth.principal import caller
from ledger import documents, selectors
from ledger.api import examples, serializers
from ledger.chain.record import ChainRecord
from ledger.services.recomputation import recompute_releases
from ledger.services.verification import newest_height
from ledger.services.verified import WHOLE_UP_TO, verify_stored

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
            ),
            OpenApiParameter(
                "full",
                bool,
                description="operators only: a full pass now, or in the background if there are more than "
                f"{WHOLE_UP_TO} blocks",
            ),
        ],
        responses=serializers.VerificationSerializer,
        examples=examples.VERIFIED,
    )
    def verify(self, request: Request) -> Response:
        """Whether the stored chain is valid, and if not, which block is the first bad one and why.

        A chain of up to 10,000 blocks is verified whole, now or (where that takes long) a moment ago. On a longer one
        the last full pass is continued: the blocks from `verified_from` on are verified now, those below it stand as
        earlier passes found them, up to height `full_pass_to` the full pass at `full_pass_at`. So damage below
        `verified_from` shows at the next full pass; one is made every `FL_VERIFY_INTERVAL` seconds, and for `full=true`
        (`full_pass`: `requested`, `running`, or `ended` if none is due). `chain_valid` is null as long as no full pass
        has ended, and stays false after one that failed until another one succeeds.

        An invalid chain is a 200 as well: `first_bad` names the height, the check, the field and both values. What the
        coordinator says of its own chain proves nothing to others: `flxdr-agent verify` checks an export itself.
        """
        query = strict_query(request, {"recompute", "full"})
        recompute, full = truth(query, "recompute"), truth(query, "full")
        principal = caller(request)
        if recompute and not principal.is_operator:
            raise PermissionDenied("only an operator may have releases recomputed")
        if full and not principal.is_operator:
            raise PermissionDenied("only an operator may ask for a full pass")
        verified = verify_stored(clock=SystemClock(), actor=str(principal), full=full)
        answer = verified.as_json()
        if recompute and verified.chain_valid:
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
        operation_id="ledger_block_envelope",
        summary="Block as a DSSE envelope",
        tags=["ledger"],
        responses=serializers.DsseEnvelopeSerializer,
        examples=examples.ENVELOPE,
    )
    def envelope(self, request: Request, height: int) -> Response:
        """The block's bytes with every signature over them, as any DSSE 1.0 tool takes it.

        The payload is the header, the key ids are those of the chain; who a key belonged to, governance blocks say.
        """
        strict_query(request, ())
        block = selectors.block_at(height)
        approvals = selectors.approvals_of([block.block_hash])[block.block_hash]
        return Response(ChainRecord(bytes(block.header), approvals).envelope().as_json())

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
