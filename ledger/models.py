"""The ledger's rows. Header bytes and signatures are the truth; every other column is an index over them."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ledger.errors import AppendOnlyRow

CHAIN_STREAM = "chain"
"""The stream of the events of blocks that belong to no round."""
_Row = TypeVar("_Row", bound=models.Model)


class AppendOnlyQuerySet(models.QuerySet[_Row]):
    """Refuses what a query set would change in place; the two `bulk_` forms end here as well."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnlyRow(f"rows of {self.model._meta.db_table} are never changed")

    def delete(self) -> NoReturn:
        raise AppendOnlyRow(f"rows of {self.model._meta.db_table} are never deleted")


class AppendOnly(models.Model):
    """Rows that are written once. Triggers of the database say the same to whoever goes around this class."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyRow(f"{self} is never changed")
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyRow(f"{self} is never deleted")


class Block(AppendOnly):
    """A sealed block. `header` holds the bytes that were hashed and signed; the columns index them."""

    class Type(models.TextChoices):
        GENESIS = "genesis"
        RELEASE = "release"
        GOVERNANCE = "governance"

    height = models.PositiveBigIntegerField(primary_key=True)
    type = models.CharField(max_length=16, choices=Type)
    timestamp = models.DateTimeField()
    block_hash = models.CharField(max_length=64, unique=True)
    prev_hash = models.CharField(max_length=64, unique=True)
    model_hash = models.CharField(max_length=64, null=True)
    model_name = models.CharField(max_length=64, null=True)
    model_version = models.PositiveBigIntegerField(null=True)
    parent_model_hash = models.CharField(max_length=64, null=True)
    round_id = models.CharField(max_length=64, null=True, unique=True)
    header = models.BinaryField()
    sealed_at = models.DateTimeField(db_default=Now())

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        db_table = "blocks"
        ordering = ("-height",)
        indexes = (
            models.Index(fields=("model_hash", "height"), name="blocks_model_hash_height"),
            models.Index(fields=("type", "height"), name="blocks_type_height"),
            models.Index(fields=("model_name", "height"), name="blocks_model_name_height"),
            models.Index(fields=("timestamp",), name="blocks_timestamp"),
        )
        constraints = (
            models.UniqueConstraint(fields=("model_name", "model_version"), name="one_block_per_model_version"),
            models.CheckConstraint(
                name="only_releases_carry_a_model",
                condition=Q(type="release", model_hash__isnull=False, model_name__isnull=False, round_id__isnull=False)
                | (~Q(type="release") & Q(model_hash__isnull=True, model_name__isnull=True, round_id__isnull=True)),
            ),
        )

    def __str__(self) -> str:
        return f"block {self.height} {self.block_hash[:16]}"

    @property
    def stream(self) -> str:
        """Whose telemetry its events belong to: its round's, or the chain's."""
        return self.round_id or CHAIN_STREAM


class TreeNode(AppendOnly):
    """The hash of a complete subtree of the tree over the blocks' headers; `ledger.chain.tree` numbers them."""

    position = models.PositiveBigIntegerField(primary_key=True)
    hash = models.BinaryField(max_length=32)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        db_table = "tree_nodes"
        ordering = ("position",)

    def __str__(self) -> str:
        return f"tree node {self.position} {bytes(self.hash).hex()[:16]}"


class Approval(AppendOnly):
    """One organisation's signed answer to one header; `coordinator` signs under that name.

    An answer names the header by its hash, so the same row serves the proposal and the block that it becomes.
    """

    class Verdict(models.TextChoices):
        APPROVE = "approve"
        REJECT = "reject"

    block_hash = models.CharField(max_length=64)
    org_id = models.CharField(max_length=64)
    key_id = models.CharField(max_length=64)
    verdict = models.CharField(max_length=8, choices=Verdict, default=Verdict.APPROVE)
    reason = models.CharField(max_length=500, blank=True)
    signature = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        db_table = "approvals"
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("block_hash", "org_id"), name="one_answer_per_organization"),
            models.CheckConstraint(name="only_rejections_give_a_reason", condition=Q(reason="") | Q(verdict="reject")),
        )

    def __str__(self) -> str:
        return f"{self.org_id}: {self.verdict} {self.block_hash[:16]}"


class LateApproval(AppendOnly):
    """A voter's approval that came after the block was sealed: outside the certificate, and counted nowhere."""

    block_hash = models.CharField(max_length=64)
    org_id = models.CharField(max_length=64)
    key_id = models.CharField(max_length=64)
    signature = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        db_table = "late_approvals"
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("block_hash", "org_id"), name="one_late_approval_per_organization"),
        )

    def __str__(self) -> str:
        return f"{self.org_id}: approve {self.block_hash[:16]}, late"


class WitnessKey(AppendOnly):
    """The key of an organisation's witness, and the organisation's signed statement that it is."""

    org_id = models.CharField(max_length=64)
    verifier_key = models.CharField(max_length=300, help_text="C2SP verifier key of kind 0x04")
    key_id = models.CharField(max_length=64, help_text="the organisation's key that signed the statement")
    statement = models.BinaryField()
    signature = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        db_table = "witness_keys"
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("org_id", "verifier_key", "key_id"), name="one_statement_per_witness_key"),
        )

    def __str__(self) -> str:
        return f"witness key of {self.org_id}"


class Cosignature(AppendOnly):
    """A witness's signature over the log's checkpoint of the first `size` blocks."""

    size = models.PositiveBigIntegerField()
    org_id = models.CharField(max_length=64)
    witness = models.ForeignKey(WitnessKey, on_delete=models.PROTECT)
    signature = models.BinaryField(help_text="the time in eight bytes, the Ed25519 signature")
    created_at = models.DateTimeField(db_default=Now())

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        db_table = "cosignatures"
        ordering = ("size", "org_id")
        constraints = (
            models.UniqueConstraint(fields=("size", "org_id"), name="one_cosignature_per_organization_and_size"),
        )

    def __str__(self) -> str:
        return f"{self.org_id}: checkpoint of {self.size}"


class ReleaseStatement(AppendOnly):
    """What one organisation attests of one release: the payload of an in-toto envelope, and its signature."""

    height = models.PositiveBigIntegerField()
    org_id = models.CharField(max_length=64)
    key_id = models.CharField(max_length=64)
    payload = models.BinaryField()
    signature = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        db_table = "release_statements"
        ordering = ("height", "org_id")
        constraints = (
            models.UniqueConstraint(fields=("height", "org_id"), name="one_statement_per_organization_and_release"),
        )

    def __str__(self) -> str:
        return f"{self.org_id} on block {self.height}"


class SignerKey(models.Model):
    """A key that the chain admitted: an index over governance blocks (`coordinator` holds the coordinator's key)."""

    key_id = models.CharField(max_length=64, unique=True)
    org_id = models.CharField(max_length=64, db_index=True)
    org_name = models.CharField(max_length=200)
    algorithm = models.CharField(max_length=16)
    spki = models.BinaryField()
    admitted_height = models.PositiveBigIntegerField()
    revoked_height = models.PositiveBigIntegerField(null=True)

    class Meta:
        ordering = ("admitted_height", "org_id")

    def __str__(self) -> str:
        return f"{self.org_id} {self.key_id[:16]}"


class GovernanceEntry(models.Model):
    """What a block changed of keys, policy or the standing of releases: an index over governance blocks."""

    height = models.PositiveBigIntegerField(primary_key=True)
    action = models.CharField(max_length=20, db_index=True)
    org_id = models.CharField(max_length=64, null=True)
    key_id = models.CharField(max_length=64, null=True)
    model_name = models.CharField(max_length=64, null=True)
    model_version = models.PositiveBigIntegerField(null=True)

    class Meta:
        db_table = "governance_entries"
        ordering = ("height",)
        verbose_name_plural = "governance entries"

    def __str__(self) -> str:
        return f"block {self.height}: {self.action} {self.org_id or self.model_name or ''}".rstrip()


class Proposal(models.Model):
    """A block that waits: queued (content only), open (header fixed, collects approvals), then sealed or ended."""

    class Type(models.TextChoices):
        RELEASE = "release"
        GOVERNANCE = "governance"

    class Status(models.TextChoices):
        QUEUED = "queued"
        OPEN = "open"
        SEALED = "sealed"
        REJECTED = "rejected"
        EXPIRED = "expired"
        WITHDRAWN = "withdrawn"

    type = models.CharField(max_length=16, choices=Type)
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    content = models.JSONField(help_text="what the header is built from when the proposal opens")
    content_hash = models.CharField(max_length=64, help_text="tells a repeated proposal from a different one")
    subject = models.CharField(max_length=160, null=True, help_text="what a governance entry is about; null: a release")
    model_hash = models.CharField(max_length=64, null=True)
    round_id = models.CharField(max_length=64, null=True)
    org_id = models.CharField(max_length=64, null=True)
    key_id = models.CharField(max_length=64, null=True, help_text="the key that an entry brings to the chain")
    header = models.BinaryField(null=True)
    block_hash = models.CharField(max_length=64, null=True, unique=True)
    height = models.PositiveBigIntegerField(null=True)
    rule = models.CharField(max_length=20, blank=True)
    voters = models.JSONField(default=list)
    threshold = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    opened_at = models.DateTimeField(null=True)
    deadline = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("status", "id"), name="proposals_status"),)
        constraints = (
            models.UniqueConstraint(fields=("status",), condition=Q(status="open"), name="one_open_proposal"),
            models.UniqueConstraint(
                fields=("round_id",),
                condition=Q(status__in=("queued", "open", "sealed")),
                name="one_live_proposal_per_round",
            ),
            models.UniqueConstraint(
                fields=("key_id",),
                condition=Q(status__in=("queued", "open", "sealed")),
                name="one_live_proposal_per_key",
            ),
            models.UniqueConstraint(
                fields=("subject",), condition=Q(status__in=("queued", "open")), name="one_waiting_proposal_per_subject"
            ),
            models.CheckConstraint(
                name="header_is_fixed_when_open",
                condition=~Q(status__in=("open", "sealed"))
                | Q(header__isnull=False, block_hash__isnull=False, height__isnull=False, deadline__isnull=False),
            ),
            models.CheckConstraint(
                name="ended_proposal_has_time",
                condition=Q(status__in=("queued", "open"), ended_at__isnull=True)
                | Q(status__in=("sealed", "rejected", "expired", "withdrawn"), ended_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"proposal {self.pk} ({self.type}, {self.status})"

    @property
    def stream(self) -> str:
        """Whose telemetry its events belong to: its round's, or the chain's."""
        return self.round_id or CHAIN_STREAM


class VerificationPass(models.Model):
    """A full pass over the chain: the one that is due, and the outcome of the last one that ended.

    `memory` is the chain after the last good block of a pass that succeeded, or of a later one that continued it: the
    next needs to verify only the blocks above. It proves nothing to others: who can write here can write anything.
    """

    class Status(models.TextChoices):
        DUE = "due"
        ENDED = "ended"

    class Source(models.TextChoices):
        BEAT = "beat"
        REQUEST = "request"
        COMMAND = "command"

    status = models.CharField(max_length=8, choices=Status, unique=True)
    source = models.CharField(max_length=8, choices=Source)
    actor = models.CharField(max_length=200)
    token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True)
    blocks_done = models.PositiveBigIntegerField(default=0, help_text="of a running pass")
    began_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    tip = models.BigIntegerField(null=True, help_text="height of the newest block when the pass began; -1: no block")
    tip_hash = models.CharField(max_length=64, blank=True)
    valid = models.BooleanField(null=True)
    report = models.JSONField(null=True)
    memory = models.JSONField(null=True)
    verified_to = models.BigIntegerField(null=True, help_text="height of the last good block, later passes included")

    class Meta:
        db_table = "verification_passes"
        constraints = (
            models.CheckConstraint(
                name="ended_pass_has_an_outcome",
                condition=Q(status="due")
                | Q(
                    status="ended",
                    began_at__isnull=False,
                    ended_at__isnull=False,
                    tip__isnull=False,
                    valid__isnull=False,
                    report__isnull=False,
                    verified_to__isnull=False,
                ),
            ),
        )

    def __str__(self) -> str:
        return f"full pass of the {self.source} by {self.actor}, {self.status}"
