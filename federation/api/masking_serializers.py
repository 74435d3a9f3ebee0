"""Bodies of the messages of masked rounds."""

from __future__ import annotations

from rest_framework import serializers

from federation.api.requests import Base64Field, StrictSerializer, TextField
from federation.api.responses import Answer


class SignedStatementRequest(StrictSerializer):
    """A canonical statement and the organisation's DSSE signature over it."""

    statement = Base64Field(max_length=16_384)
    key_id = TextField(max_length=64)
    signature = Base64Field(max_length=16_384)


class RevealRequest(StrictSerializer):
    """The number to which an organisation committed."""

    nonce = serializers.RegexField(r"\A[0-9a-f]{64}\Z", help_text="32 bytes, lower-case hex")


class SharesRequest(StrictSerializer):
    """The shares of an organisation's secrets."""

    roster_hash = TextField(max_length=64)
    shares = serializers.DictField(child=TextField(max_length=2048), help_text="by receiver, sealed for it, base64")
    round_key = SignedStatementRequest(required=False, help_text="of a Paillier round, from those who make its keys")


class UnmaskRequest(StrictSerializer):
    """Shares of what unmasks a sum: of each organisation one kind alone."""

    self_seeds = serializers.DictField(child=TextField(max_length=66), help_text="of survivors, by organization, hex")
    mask_keys = serializers.DictField(child=TextField(max_length=66), help_text="of drop-outs, by organization, hex")


class TakenAnswer(Answer):
    """A message that the round has taken, now or before."""

    status = serializers.CharField(help_text="accepted")
    step = serializers.CharField(allow_null=True, help_text="at which the round is now")


class SignedStatementEntry(Answer):
    """A signed statement of one organisation."""

    org_id = serializers.CharField()
    statement = serializers.CharField(help_text="canonical bytes, base64")
    key_id = serializers.CharField()
    signature = serializers.CharField(help_text="DSSE, base64")


class RosterAnswer(Answer):
    """Who takes part, with the keys that each advertised."""

    round_id = serializers.CharField()
    roster_hash = serializers.CharField(allow_null=True, help_text="null while numbers are still revealed")
    advertisements = SignedStatementEntry(many=True)
    nonces = serializers.DictField(child=serializers.CharField(), help_text="of a bucketed round, by organization, hex")


class SharesAnswer(Answer):
    """Who shared its secrets, and what was sealed for the caller."""

    round_id = serializers.CharField()
    sharers = serializers.ListField(child=serializers.CharField())
    shares = serializers.DictField(child=serializers.CharField(), help_text="by sender, base64")
    round_key = SignedStatementEntry(allow_null=True, help_text="of a Paillier round: the key that counts")


class SurvivorsAnswer(Answer):
    """Whose masked updates arrived."""

    round_id = serializers.CharField()
    survivors = serializers.ListField(child=serializers.CharField())


class ConsistencyAnswer(Answer):
    """The survivors' signatures over who they are."""

    round_id = serializers.CharField()
    confirmations = SignedStatementEntry(many=True)
