"""The ledger in the admin: to look at, never to change, for superusers either. An operator may propose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError
from flxdr.platform.admin import ReadOnlyAdmin
from flxdr.platform.auth.principal import actor_of
from ledger import selectors
from ledger.models import (
    Approval,
    Block,
    Cosignature,
    GovernanceEntry,
    LateApproval,
    Proposal,
    ReleaseStatement,
    SignerKey,
    VerificationPass,
    WitnessKey,
)
from ledger.services import governance


class WithdrawalForm(forms.Form):
    """Why a release is to be withdrawn."""

    reason = forms.CharField(max_length=300, help_text="on the chain for everybody to read")


class RevocationForm(WithdrawalForm):
    """Why a key is to be revoked, and from which height on its signatures are in doubt."""

    compromised_since = forms.IntegerField(
        min_value=0, required=False, help_text="height from which on its signatures are in doubt; empty: none are"
    )


class ProposingAdmin(ReadOnlyAdmin):
    """Rows about which an operator may propose something: asked for a reason first, then the members vote."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"ledger.change_{self.opts.model_name}")

    def propose(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        form_type: type[forms.Form],
        what: str,
        act: Callable[..., Proposal],
    ) -> HttpResponse | None:
        """Show the form; once it is filled in, propose and say which proposal came of it."""
        if rows.count() != 1:
            self.message_user(request, "Choose exactly one.", messages.ERROR)
            return None
        row = rows.get()
        form = form_type(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "title": f"Propose to {what}",
                "opts": self.opts,
                "row": row,
                "form": form,
                "action": request.POST["action"],
            }
            return TemplateResponse(request, "admin/propose.html", context)
        try:
            proposal = act(
                row,
                **form.cleaned_data,
                proposer=None,
                actor=actor_of(request),
                clock=SystemClock(),
            )
        except FlxdrError as error:
            self.message_user(request, f"{row}: {error}", messages.ERROR)
        else:
            self.message_user(request, f"{row}: proposal {proposal.pk} is {proposal.status}.", messages.SUCCESS)
        return None


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
class BlockAdmin(AnsweredAdmin, ProposingAdmin):
    page = ("ledger:block", "height")
    actions = ("withdraw",)
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
    list_filter = ("type", "model_name", "timestamp")
    search_fields = ("block_hash", "model_hash", "round_id")
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

    @admin.action(description="Propose the withdrawal of a release", permissions=["operate"])
    def withdraw(self, request: HttpRequest, rows: QuerySet[Block]) -> HttpResponse | None:
        def act(block: Block, **values: Any) -> Proposal:
            return governance.propose_withdrawal(
                model_name=block.model_name or "", model_version=block.model_version or 0, **values
            )

        return self.propose(request, rows, WithdrawalForm, "withdraw this release and all later ones of its model", act)


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
    list_filter = ("verdict",)


@admin.register(LateApproval)
class LateApprovalAdmin(SignatureAdmin):
    list_display = ("id", "org_id", "short_hash", "short_key", "created_at")


@admin.register(Cosignature)
class CosignatureAdmin(ReadOnlyAdmin):
    list_display = ("size", "org_id", "created_at")
    exclude = ("signature",)


@admin.register(WitnessKey)
class WitnessKeyAdmin(ReadOnlyAdmin):
    list_display = ("org_id", "verifier_key", "key_id", "created_at")
    exclude = ("statement", "signature")


@admin.register(ReleaseStatement)
class ReleaseStatementAdmin(ReadOnlyAdmin):
    page = ("ledger:block", "height")
    list_display = ("height", "org_id", "key_id", "created_at")
    search_fields = ("org_id", "key_id")
    readonly_fields = ("statement_text",)
    exclude = ("payload", "signature")

    @admin.display(description="in-toto statement")
    def statement_text(self, statement: ReleaseStatement) -> str:
        return bytes(statement.payload).decode(errors="backslashreplace")


@admin.register(SignerKey)
class SignerKeyAdmin(ProposingAdmin):
    page = ("ledger:block", "admitted_height")
    actions = ("revoke",)
    list_display = ("org_id", "org_name", "algorithm", "key_id", "admitted_height", "revoked_height")
    list_filter = ("algorithm",)
    search_fields = ("org_id", "org_name", "key_id")
    exclude = ("spki",)

    @admin.action(description="Propose the revocation of a key", permissions=["operate"])
    def revoke(self, request: HttpRequest, rows: QuerySet[SignerKey]) -> HttpResponse | None:
        def act(key: SignerKey, **values: Any) -> Proposal:
            return governance.propose_revocation(org_id=key.org_id, key_id=key.key_id, **values)

        return self.propose(request, rows, RevocationForm, "take this key from its organisation", act)


@admin.register(GovernanceEntry)
class GovernanceEntryAdmin(ReadOnlyAdmin):
    page = ("ledger:block", "height")
    list_display = ("height", "action", "org_id", "key_id", "model_name", "model_version")
    list_filter = ("action",)
    search_fields = ("org_id", "key_id", "model_name")


@admin.register(Proposal)
class ProposalAdmin(AnsweredAdmin):
    page = ("ledger:proposals",)
    list_display = (
        "id",
        "type",
        "status",
        "round_id",
        "subject",
        "rule",
        "threshold",
        "answer_count",
        "deadline",
        "end_reason",
    )
    list_filter = ("status", "type", "rule")
    search_fields = ("round_id", "subject", "block_hash", "model_hash")
    readonly_fields = ("votes",)
    exclude = ("header",)

    @admin.display(description="answers")
    def votes(self, proposal: Proposal) -> str:
        answers = selectors.answers_to([proposal]).get(proposal.block_hash or "", [])
        return ", ".join(f"{answer.org_id}: {answer.verdict}" for answer in answers)


@admin.register(VerificationPass)
class VerificationPassAdmin(ReadOnlyAdmin):
    page = ("ledger:index",)
    list_display = ("status", "source", "actor", "began_at", "ended_at", "valid", "tip", "verified_to", "blocks_done")
    search_fields = ("actor",)
    exclude = ("token", "lease_until")
