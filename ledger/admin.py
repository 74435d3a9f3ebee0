"""The ledger in the admin: to look at, never to change, for superusers either."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from flxdr.platform.admin import ReadOnlyAdmin
from ledger import selectors
from ledger.models import (
    Approval,
    Block,
    Cosignature,
    LateApproval,
    Proposal,
    ReleaseStatement,
    SignerKey,
    VerificationPass,
    WitnessKey,
)


class AnsweredAdmin(ReadOnlyAdmin):
    """Rows with a header that organisations answer to; the list counts the answers in its own query."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        same_header = Approval.objects.filter(block_hash=OuterRef("block_hash")).order_by().values("block_hash")
        counts = Subquery(same_header.annotate(count=Count("pk")).values("count"))
        rows: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = rows.annotate(answer_count=Coalesce(counts, 0))
        return counted

    @admin.display(description="answers", ordering="answer_count")
    def answer_count(self, row: Any) -> int:
        return int(row.answer_count)


@admin.register(Block)
class BlockAdmin(AnsweredAdmin):
    list_display = (
        "height",
        "type",
        "timestamp",
        "model_name",
        "model_version",
        "round_id",
        "short_hash",
        "answer_count",
    )
    list_filter = ("type", "model_name")
    search_fields = ("block_hash", "model_hash", "round_id")
    date_hierarchy = "timestamp"
    readonly_fields = ("header_text", "signers")
    exclude = ("header",)

    @admin.display(description="block hash")
    def short_hash(self, block: Block) -> str:
        return block.block_hash[:16]

    @admin.display(description="approved by")
    def signers(self, block: Block) -> str:
        approvals = selectors.approvals_of([block.block_hash])[block.block_hash]
        return ", ".join(sorted(approval.org_id for approval in approvals))

    @admin.display(description="header (the bytes that are hashed and signed)")
    def header_text(self, block: Block) -> str:
        return bytes(block.header).decode(errors="backslashreplace")


class SignatureAdmin(ReadOnlyAdmin):
    """Rows that hold one organisation's signature over one header."""

    search_fields = ("block_hash", "key_id", "org_id")
    readonly_fields = ("signature_hex",)
    exclude = ("signature",)

    @admin.display(description="block hash")
    def short_hash(self, row: Approval | LateApproval) -> str:
        return row.block_hash[:16]

    @admin.display(description="key")
    def short_key(self, row: Approval | LateApproval) -> str:
        return row.key_id[:16]

    @admin.display(description="signature")
    def signature_hex(self, row: Approval | LateApproval) -> str:
        return bytes(row.signature).hex()


@admin.register(Approval)
class ApprovalAdmin(SignatureAdmin):
    list_display = ("id", "org_id", "verdict", "short_hash", "short_key", "created_at", "reason")
    list_filter = ("verdict", "org_id")


@admin.register(LateApproval)
class LateApprovalAdmin(SignatureAdmin):
    list_display = ("id", "org_id", "short_hash", "short_key", "created_at")
    list_filter = ("org_id",)


@admin.register(Cosignature)
class CosignatureAdmin(ReadOnlyAdmin):
    list_display = ("size", "org_id", "created_at")
    list_filter = ("org_id",)
    exclude = ("signature",)


@admin.register(WitnessKey)
class WitnessKeyAdmin(ReadOnlyAdmin):
    list_display = ("org_id", "verifier_key", "key_id", "created_at")
    exclude = ("statement", "signature")


@admin.register(ReleaseStatement)
class ReleaseStatementAdmin(ReadOnlyAdmin):
    list_display = ("height", "org_id", "key_id", "created_at")
    list_filter = ("org_id",)
    search_fields = ("org_id", "key_id")
    readonly_fields = ("statement_text",)
    exclude = ("payload", "signature")

    @admin.display(description="in-toto statement")
    def statement_text(self, statement: ReleaseStatement) -> str:
        return bytes(statement.payload).decode(errors="backslashreplace")


@admin.register(SignerKey)
class SignerKeyAdmin(ReadOnlyAdmin):
    list_display = ("org_id", "org_name", "algorithm", "key_id", "admitted_height", "revoked_height")
    list_filter = ("algorithm",)
    search_fields = ("org_id", "org_name", "key_id")
    exclude = ("spki",)


@admin.register(Proposal)
class ProposalAdmin(AnsweredAdmin):
    list_display = (
        "id",
        "type",
        "status",
        "round_id",
        "org_id",
        "rule",
        "threshold",
        "answer_count",
        "deadline",
        "end_reason",
    )
    list_filter = ("status", "type", "rule")
    search_fields = ("round_id", "org_id", "block_hash", "model_hash")
    readonly_fields = ("votes",)
    exclude = ("header",)

    @admin.display(description="answers")
    def votes(self, proposal: Proposal) -> str:
        answers = selectors.answers_to([proposal]).get(proposal.block_hash or "", [])
        return ", ".join(f"{answer.org_id}: {answer.verdict}" for answer in answers)


@admin.register(VerificationPass)
class VerificationPassAdmin(ReadOnlyAdmin):
    list_display = ("status", "source", "actor", "began_at", "ended_at", "valid", "tip", "verified_to", "blocks_done")
    search_fields = ("actor",)
    exclude = ("token", "lease_until")
