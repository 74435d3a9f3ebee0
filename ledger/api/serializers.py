"""Shapes of the ledger's requests and answers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from flxdr.core.dsse import decode_base64
from flxdr.platform.api.parameters import LARGEST_OFFSET

HASH = r"\A[0-9a-f]{64}\Z"


# ML-DSA-65 signatures have 3309 bytes, Ed25519 ones 64.
SIGNATURE_BYTES = 4096
COSIGNATURE_CHARACTERS = 400


class Base64Field(serializers.CharField):
    """Bytes in standard padded base64; `max_length` counts the bytes."""

    def to_internal_value(self, data: Any) -> bytes:  # type: ignore[override]
        return decode_base64(super().to_internal_value(data), self.field_name or "value")


class ApproveSerializer(serializers.Serializer[dict[str, Any]]):
    key_id = serializers.RegexField(HASH, help_text="SHA-256 of the key's SubjectPublicKeyInfo, lower-case hex")
    signature = Base64Field(
        max_length=SIGNATURE_BYTES, help_text="DSSE signature over the header, type application/vnd.flxdr.block+json"
    )


class RejectSerializer(serializers.Serializer[dict[str, Any]]):
    key_id = serializers.RegexField(HASH, help_text="SHA-256 of the key's SubjectPublicKeyInfo, lower-case hex")
    signature = Base64Field(
        max_length=SIGNATURE_BYTES,
        help_text="DSSE signature over the canonical {v, proposal, org, reason}, type "
        "application/vnd.flxdr.rejection+json",
    )
    reason = serializers.CharField(max_length=500, trim_whitespace=False)


class BlockProvenanceSerializer(serializers.Serializer[dict[str, Any]]):
    round_id = serializers.CharField(allow_null=True)
    round_number = serializers.IntegerField(required=False)
    config_hash = serializers.CharField(required=False, help_text="SHA-256 of the round's configuration")
    model_name = serializers.CharField(required=False)
    model_version = serializers.CharField(allow_null=True)
    parent_model_hash = serializers.CharField(required=False, allow_null=True)
    aggregation_method = serializers.CharField(allow_null=True)
    aggregation_params = serializers.DictField(required=False)
    weighting = serializers.CharField(required=False, help_text="samples, equal or capped")
    optimizer_state_hash = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="SHA-256 of the server optimiser's state after the round; null for methods that keep none",
    )
    protection = serializers.CharField(required=False)
    training_orgs = serializers.ListField(child=serializers.CharField())
    samples_total = serializers.IntegerField(required=False)
    submissions_root = serializers.CharField(required=False)
    privacy = serializers.DictField(required=False)
    metrics_ppm = serializers.DictField(required=False, child=serializers.IntegerField())


class GovernanceSerializer(serializers.Serializer[dict[str, Any]]):
    rule = serializers.ChoiceField(choices=["genesis", "coordinator-only", "operator", "quorum"])
    voters = serializers.ListField(child=serializers.CharField())
    threshold = serializers.IntegerField()
    actions = serializers.ListField(child=serializers.DictField())


class SignedApprovalSerializer(serializers.Serializer[dict[str, Any]]):
    org_id = serializers.CharField()
    key_id = serializers.CharField()
    signature = serializers.CharField()


class BlockSerializer(serializers.Serializer[dict[str, Any]]):
    height = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["genesis", "release", "governance"])
    timestamp = serializers.CharField()
    block_hash = serializers.CharField()
    prev_hash = serializers.CharField()
    prev_cert = serializers.CharField(help_text="hash of the approvals that sealed the block before")
    model_hash = serializers.CharField(allow_null=True)
    signatures = serializers.DictField(child=serializers.CharField(), help_text="organisation to base64 signature")
    late_approvals = SignedApprovalSerializer(
        many=True, help_text="of voters, made after the block was sealed: in no certificate, counted nowhere"
    )
    provenance = BlockProvenanceSerializer()
    governance = GovernanceSerializer()


class BlockPageSerializer(serializers.Serializer[dict[str, Any]]):
    blocks = BlockSerializer(many=True)
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class FirstBadSerializer(serializers.Serializer[dict[str, Any]]):
    height = serializers.IntegerField()
    code = serializers.CharField()
    field = serializers.CharField()
    expected = serializers.CharField()
    actual = serializers.CharField()


class CoversSerializer(serializers.Serializer[dict[str, Any]]):
    to = serializers.IntegerField(allow_null=True)
    signatures_from = serializers.IntegerField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {"from": serializers.IntegerField(), **super().get_fields()}


class StatsSerializer(serializers.Serializer[dict[str, Any]]):
    seconds = serializers.FloatField()
    blocks_per_s = serializers.FloatField()


class RecomputationSerializer(serializers.Serializer[dict[str, Any]]):
    """What recomputing releases from their submissions found, over the blocks `from` to `to`."""

    to = serializers.IntegerField()
    holds = serializers.BooleanField()
    matched = serializers.IntegerField()
    matched_with_conversions_on_trust = serializers.IntegerField()
    differing = serializers.ListField(child=serializers.DictField())
    not_recomputable = serializers.ListField(child=serializers.DictField())

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.IntegerField(), **super().get_fields()}


class VerificationSerializer(serializers.Serializer[dict[str, Any]]):
    chain_valid = serializers.BooleanField(allow_null=True, help_text="null: no full pass has ended yet")
    blocks_verified = serializers.IntegerField()
    last_block_hash = serializers.CharField(allow_null=True)
    verification_timestamp = serializers.CharField()
    first_bad = FirstBadSerializer(allow_null=True)
    suspect_range = serializers.ListField(child=serializers.IntegerField(), allow_null=True)
    last_good_checkpoint = serializers.DictField(allow_null=True)
    unanchored = serializers.IntegerField()
    warnings = serializers.ListField(child=serializers.CharField())
    covers = CoversSerializer()
    verified_from = serializers.IntegerField(
        help_text="the blocks below this height stand as earlier passes found them"
    )
    full_pass = serializers.ChoiceField(choices=["ended", "requested", "running"])
    full_pass_at = serializers.CharField(allow_null=True, help_text="when the last full pass began")
    full_pass_to = serializers.IntegerField(allow_null=True, help_text="height of the last block that it found good")
    stats = StatsSerializer()
    recomputation = RecomputationSerializer(required=False, help_text="only where `recompute=true` was asked for")


class LineageEntrySerializer(serializers.Serializer[dict[str, Any]]):
    block_height = serializers.IntegerField()
    model_hash = serializers.CharField()
    model_name = serializers.CharField()
    model_version = serializers.CharField()
    parent_model_hash = serializers.CharField(allow_null=True)
    training_orgs = serializers.ListField(child=serializers.CharField())
    round_id = serializers.CharField()
    aggregation_method = serializers.CharField()
    timestamp = serializers.CharField()


class LineageSerializer(serializers.Serializer[dict[str, Any]]):
    model_hash = serializers.CharField()
    lineage = LineageEntrySerializer(many=True)
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class HeadSerializer(serializers.Serializer[dict[str, Any]]):
    chain_id = serializers.CharField()
    height = serializers.IntegerField()
    block_hash = serializers.CharField()


class RecordSerializer(serializers.Serializer[dict[str, Any]]):
    height = serializers.IntegerField()
    header = serializers.CharField(help_text="base64 of the exact bytes that are hashed and signed")
    approvals = SignedApprovalSerializer(many=True)


class ExportSerializer(serializers.Serializer[dict[str, Any]]):
    head = HeadSerializer()
    records = RecordSerializer(many=True)


class DsseSignatureSerializer(serializers.Serializer[dict[str, str]]):
    keyid = serializers.CharField()
    sig = serializers.CharField()


class DsseEnvelopeSerializer(serializers.Serializer[dict[str, Any]]):
    payloadType = serializers.CharField()  # noqa: N815  (DSSE's spelling)
    payload = serializers.CharField(help_text="base64")
    signatures = DsseSignatureSerializer(many=True)


class WitnessSerializer(serializers.Serializer[dict[str, Any]]):
    org_id = serializers.CharField()
    witness_key = serializers.CharField(help_text="C2SP verifier key of the organisation's witness")
    witness_key_statement = DsseEnvelopeSerializer(
        help_text="names that key; signed by the organisation's key that the chain recorded then"
    )


class CheckpointSerializer(serializers.Serializer[dict[str, Any]]):
    origin = serializers.CharField(help_text="the log's name: flxdr/ and the genesis hash")
    size = serializers.IntegerField(help_text="number of blocks")
    root_hash = serializers.CharField(help_text="RFC 6962 tree head over the header bytes")
    note = serializers.CharField(help_text="the signed note, as text/plain answers it")
    log_key = serializers.CharField(help_text="C2SP verifier key of the log")
    log_key_statement = DsseEnvelopeSerializer(
        help_text="names the log's key; signed by the coordinator's key that the chain records"
    )
    witnesses = WitnessSerializer(many=True, help_text="who cosigned it; the cosignatures are lines of the note")


class CosignSerializer(serializers.Serializer[dict[str, Any]]):
    size = serializers.IntegerField(min_value=1, max_value=LARGEST_OFFSET, help_text="number of blocks")
    cosignature = serializers.CharField(
        max_length=COSIGNATURE_CHARACTERS, help_text="the note's signature line: C2SP cosignature/v1, Ed25519"
    )
    witness_key_statement = DsseEnvelopeSerializer(
        help_text="names the witness's key; signed by the organisation's key that the chain records, "
        "type application/vnd.flxdr.witness-key+json"
    )


class InclusionSerializer(serializers.Serializer[dict[str, Any]]):
    height = serializers.IntegerField()
    size = serializers.IntegerField()
    leaf_hash = serializers.CharField(help_text="SHA-256 over 0x00 and the header bytes")
    root_hash = serializers.CharField()
    proof = serializers.ListField(child=serializers.CharField())


class ConsistencySerializer(serializers.Serializer[dict[str, Any]]):
    to = serializers.IntegerField()
    from_root_hash = serializers.CharField()
    to_root_hash = serializers.CharField()
    proof = serializers.ListField(child=serializers.CharField())

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {"from": serializers.IntegerField(), **super().get_fields()}


class RejectionSerializer(serializers.Serializer[dict[str, str]]):
    org_id = serializers.CharField()
    key_id = serializers.CharField()
    reason = serializers.CharField()
    signature = serializers.CharField(help_text="base64, over the rejection statement")


class ProposalSerializer(serializers.Serializer[dict[str, Any]]):
    id = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["release", "governance"])
    status = serializers.ChoiceField(choices=["queued", "open", "sealed", "rejected", "expired", "withdrawn"])
    header = serializers.CharField(allow_null=True)
    block_hash = serializers.CharField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    model_hash = serializers.CharField(allow_null=True)
    round_id = serializers.CharField(allow_null=True)
    org_id = serializers.CharField(allow_null=True)
    subject = serializers.CharField(allow_null=True, help_text="what a governance entry is about; null: a release")
    rule = serializers.CharField(allow_null=True)
    voters = serializers.ListField(child=serializers.CharField())
    threshold = serializers.IntegerField(help_text="distinct voters that must approve; of two voters, both")
    approvals = serializers.ListField(child=serializers.CharField())
    late_approvals = serializers.ListField(
        child=serializers.CharField(), help_text="voters whose approval came after the seal; not counted"
    )
    rejections = RejectionSerializer(many=True)
    deadline = serializers.CharField(allow_null=True)
    end_reason = serializers.CharField(allow_null=True)


class ProposalPageSerializer(serializers.Serializer[dict[str, Any]]):
    proposals = ProposalSerializer(many=True)
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class StatementSerializer(serializers.Serializer[dict[str, Any]]):
    org_id = serializers.CharField()
    envelope = DsseEnvelopeSerializer(help_text="payload: an in-toto Statement v1 about the released model")


class StatementsSerializer(serializers.Serializer[dict[str, Any]]):
    height = serializers.IntegerField()
    statements = StatementSerializer(many=True)
