"""Shapes of what governance shows, and of what may be proposed."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ledger.api.serializers import HASH, SIGNATURE_BYTES, Base64Field

_NAME = r"\A[A-Za-z0-9_.-]{1,64}\Z"
_KEY_ID = "SHA-256 of the key's SubjectPublicKeyInfo, lower-case hex"
_REASON = 300
_LARGEST = 2**53 - 1
_METHODS = ["multisig", "operator"]


class EndorsementSerializer(serializers.Serializer[dict[str, Any]]):
    key_id = serializers.RegexField(HASH, help_text="a key in force of the organisation")
    signature = Base64Field(max_length=SIGNATURE_BYTES, help_text="its DSSE signature over the statement")


class RotateSerializer(serializers.Serializer[dict[str, Any]]):
    public_key = serializers.CharField(max_length=4096, help_text="the new key: base64 of the SPKI, or PEM")
    statement = Base64Field(
        max_length=4096, help_text="base64 of the canonical {v, org_id, key_id, retires, chain_id} that both keys sign"
    )
    proof = Base64Field(
        max_length=SIGNATURE_BYTES,
        help_text="the new key's DSSE signature over the statement, type application/vnd.flxdr.rotation+json",
    )
    endorsement = EndorsementSerializer()


class RevokeSerializer(serializers.Serializer[dict[str, Any]]):
    org_id = serializers.RegexField(_NAME, required=False, help_text="whose key; an organisation may leave it out")
    key_id = serializers.RegexField(HASH, help_text=_KEY_ID)
    compromised_since = serializers.IntegerField(
        min_value=0,
        max_value=_LARGEST,
        allow_null=True,
        default=None,
        help_text="height from which on the key's signatures are in doubt; null if none are",
    )
    reason = serializers.CharField(max_length=_REASON)


class WithdrawSerializer(serializers.Serializer[dict[str, Any]]):
    model_name = serializers.RegexField(_NAME)
    model_version = serializers.IntegerField(min_value=1, max_value=_LARGEST)
    reason = serializers.CharField(max_length=_REASON)


class PolicySerializer(serializers.Serializer[dict[str, Any]]):
    """More than numerator/denominator of the voters approve, and at least `minimum`."""

    method = serializers.ChoiceField(choices=_METHODS, help_text="operator: the coordinator seals alone")
    numerator = serializers.IntegerField(min_value=1, max_value=_LARGEST)
    denominator = serializers.IntegerField(min_value=1, max_value=_LARGEST)
    minimum = serializers.IntegerField(min_value=1, max_value=_LARGEST)


class KeySerializer(serializers.Serializer[dict[str, Any]]):
    key_id = serializers.CharField(help_text=_KEY_ID)
    algorithm = serializers.ChoiceField(choices=["ML-DSA-65", "Ed25519"])
    public_key = serializers.CharField(help_text="base64 of the DER SubjectPublicKeyInfo")
    admitted_height = serializers.IntegerField()


class MemberSerializer(serializers.Serializer[dict[str, Any]]):
    org_id = serializers.CharField()
    org_name = serializers.CharField()
    keys = KeySerializer(many=True)


class RetiredKeySerializer(KeySerializer):
    org_id = serializers.CharField()
    retired_height = serializers.IntegerField(help_text="block that rotated it away or revoked it")


class EntrySerializer(serializers.Serializer[dict[str, Any]]):
    height = serializers.IntegerField()
    timestamp = serializers.CharField()
    rule = serializers.CharField()
    action = serializers.ChoiceField(choices=["found", "admit", "rotate", "revoke", "set_policy", "withdraw_release"])
    org_id = serializers.CharField(allow_null=True)
    key_id = serializers.CharField(allow_null=True)
    model_name = serializers.CharField(allow_null=True)
    model_version = serializers.IntegerField(allow_null=True)
    retires = serializers.CharField(allow_null=True, help_text="the key that a rotation retires")
    compromised_since = serializers.IntegerField(allow_null=True)
    model_hash = serializers.CharField(allow_null=True)
    policy = PolicySerializer(allow_null=True)
    reason = serializers.CharField(allow_null=True)


class GovernancePageSerializer(serializers.Serializer[dict[str, Any]]):
    policy = PolicySerializer()
    coordinator = KeySerializer()
    members = MemberSerializer(many=True)
    retired = RetiredKeySerializer(many=True)
    entries = EntrySerializer(many=True)
    total = serializers.IntegerField(help_text="of entries")
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
