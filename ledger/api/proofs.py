"""What the log commits itself to, and its proofs."""

from __future__ import annotations

from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from flxdr.core.clock import SystemClock
from flxdr.core.dsse import Envelope
from flxdr.platform.api.parameters import LARGEST_OFFSET, strict_query, whole_number
from flxdr.platform.api.schema import ProblemSerializer
from flxdr.platform.auth.permissions import IsOperatorOrOrganization, IsOrganization
from flxdr.platform.auth.principal import Principal
from flxdr.platform.errors import InvalidParameter
from ledger import selectors
from ledger.api import examples, serializers
from ledger.chain.merkle import leaf_hash
from ledger.services import checkpoints
from ledger.services.witnesses import newest_cosigned_size, record_cosignature

TEXT = "text/plain"
_SIZE = OpenApiParameter("size", int, description="number of blocks of the tree; all if left out")


class TextRenderer(BaseRenderer):
    """Text as it is."""

    media_type = TEXT
    format = "text"

    def render(self, data: Any, *_: Any) -> bytes:
        return str(data).encode()


class CheckpointViewSet(ViewSet):
    """The signed checkpoint: as a note for archives, as JSON for programs that know the genesis hash only."""

    renderer_classes = [TextRenderer, JSONRenderer]

    def get_permissions(self) -> list[BasePermission]:
        """Everybody who may read the chain reads checkpoints; only organisations are witnesses."""
        return [IsOrganization()] if self.action == "cosign" else [IsOperatorOrOrganization()]

    @extend_schema(
        operation_id="ledger_checkpoint",
        summary="Signed checkpoint",
        tags=["ledger"],
        parameters=[
            _SIZE,
            OpenApiParameter("cosigned", int, description="the newest one that so many organisations cosigned"),
        ],
        responses={
            (200, TEXT): OpenApiTypes.STR,
            (200, "application/json"): serializers.CheckpointSerializer,
            404: ProblemSerializer,
        },
        examples=examples.CHECKPOINT,
    )
    def retrieve(self, request: Request) -> Response:
        """A C2SP signed note: the chain's name, its size, the RFC 6962 tree head over its header bytes, signatures.

        Keep it: it shows later whether the chain was rewritten, shortened or forked. With `Accept: application/json`
        the answer also holds the log's key and the statement by which the coordinator's key on the chain names it,
        and the same of every organisation whose witness cosigned.
        """
        query = strict_query(request, {"size", "cosigned"})
        size = _number(query, "size", at_least=1)
        witnesses = _number(query, "cosigned", at_least=1)
        if witnesses is not None:
            if size is not None:
                raise InvalidParameter("size and cosigned exclude each other", expected="one", parameter="cosigned")
            size = newest_cosigned_size(witnesses)
        signed = checkpoints.checkpoint(size=size)
        if isinstance(request.accepted_renderer, TextRenderer):
            return Response(signed.encode().decode())
        return Response(checkpoints.checkpoint_document(signed))

    @extend_schema(
        operation_id="ledger_checkpoint_cosign",
        summary="Cosign a checkpoint",
        tags=["ledger"],
        request=serializers.CosignSerializer,
        responses=serializers.CheckpointSerializer,
        examples=examples.COSIGN,
    )
    def cosign(self, request: Request) -> Response:
        """Records the cosignature of the caller's own witness; repeating it changes nothing."""
        strict_query(request, ())
        body = serializers.CosignSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        signed = record_cosignature(
            org_id=cast("Principal", request.user).name,
            size=body.validated_data["size"],
            line=body.validated_data["cosignature"],
            statement=Envelope.from_json(body.validated_data["witness_key_statement"]),
            clock=SystemClock(),
        )
        return Response(checkpoints.checkpoint_document(signed))


class TlogProofViewSet(ViewSet):
    """One block's proof as a file."""

    permission_classes = [IsOperatorOrOrganization]
    renderer_classes = [TextRenderer]

    @extend_schema(
        operation_id="ledger_tlog_proof",
        summary="Block's proof as a file",
        tags=["ledger"],
        parameters=[_SIZE],
        responses={(200, TEXT): OpenApiTypes.STR},
        examples=examples.TLOG_PROOF,
    )
    def retrieve(self, request: Request, height: int) -> Response:
        """`c2sp.org/tlog-proof@v1`: the block's height, its inclusion proof, and the checkpoint that it leads to."""
        size = _number(strict_query(request, {"size"}), "size", at_least=1)
        return Response(checkpoints.tlog_proof(height=height, size=size).encode().decode())


class ProofViewSet(ViewSet):
    """Merkle proofs (RFC 6962), in hex, in the order in which they are hashed."""

    permission_classes = [IsOperatorOrOrganization]

    @extend_schema(
        operation_id="ledger_inclusion_proof",
        summary="Inclusion proof",
        tags=["ledger"],
        parameters=[OpenApiParameter("height", int, required=True, description="the block's height"), _SIZE],
        responses={200: serializers.InclusionSerializer, 404: ProblemSerializer},
        examples=examples.INCLUSION,
    )
    def inclusion(self, request: Request) -> Response:
        """That a block is one of the first `size`: name the size of the checkpoint that you hold."""
        query = strict_query(request, {"height", "size"})
        height = _required(query, "height", at_least=0)
        found = checkpoints.prove_inclusion(height=height, size=_number(query, "size", at_least=1))
        return Response(
            {
                "height": found.height,
                "size": found.size,
                "leaf_hash": leaf_hash(bytes(selectors.block_at(height).header)).hex(),
                "root_hash": found.root.hex(),
                "proof": [node.hex() for node in found.proof],
            }
        )

    @extend_schema(
        operation_id="ledger_consistency_proof",
        summary="Consistency proof",
        tags=["ledger"],
        parameters=[
            OpenApiParameter("from", int, required=True, description="size of the checkpoint that you hold"),
            OpenApiParameter("to", int, description="size of a later one; of the whole chain if left out"),
        ],
        responses={200: serializers.ConsistencySerializer, 404: ProblemSerializer},
        examples=examples.CONSISTENCY,
    )
    def consistency(self, request: Request) -> Response:
        """That nothing was changed, removed or put in between: the later tree begins with the earlier one."""
        query = strict_query(request, {"from", "to"})
        old = _required(query, "from", at_least=1)
        found = checkpoints.prove_consistency(old=old, new=_number(query, "to", at_least=1))
        return Response(
            {
                "from": found.old,
                "to": found.new,
                "from_root_hash": found.old_root.hex(),
                "to_root_hash": found.new_root.hex(),
                "proof": [node.hex() for node in found.proof],
            }
        )


def _required(query: dict[str, str], name: str, *, at_least: int) -> int:
    number = _number(query, name, at_least=at_least)
    if number is None:
        raise InvalidParameter(
            f"the query parameter {name!r} is missing",
            expected=f"{name}=<a whole number of at least {at_least}>",
            parameter=name,
        )
    return number


def _number(query: dict[str, str], name: str, *, at_least: int) -> int | None:
    if name not in query:
        return None
    return whole_number(query, name, default=at_least, at_least=at_least, at_most=LARGEST_OFFSET)
