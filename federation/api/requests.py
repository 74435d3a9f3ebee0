"""Request bodies: what a client may say, and nothing else."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from rest_framework import serializers

from federation.api import aggregation_methods


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not have, naming them, instead of ignoring them."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError(
                {name: [f"Unknown field. Known: {', '.join(self.fields) or 'none'}."] for name in unknown},
                code="unknown",
            )
        return super().to_internal_value(data)


class TextField(serializers.CharField):
    """A JSON string as it is: neither a number made text, nor trimmed into another name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class WholeNumberField(serializers.IntegerField):
    """A JSON integer; neither a string, nor a boolean, nor 1.0."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class Base64Field(TextField):
    """Bytes in standard base64."""

    default_error_messages = {"base64": "Not standard base64."}

    def to_internal_value(self, data: Any) -> Any:
        try:
            return base64.b64decode(super().to_internal_value(data), validate=True)
        except (binascii.Error, ValueError):
            self.fail("base64")


class EmptyRequest(StrictSerializer):
    """Nothing to say: the address says it all."""


class ReasonRequest(StrictSerializer):
    """Why an operator wants what another one has to confirm."""

    reason = TextField(
        required=False,
        allow_blank=True,
        max_length=300,
        help_text="for the operator who confirms it, and for the audit trail",
    )


class RegistrationRequest(StrictSerializer):
    """An organisation's registration."""

    org_id = TextField(max_length=64, help_text="lower-case letters, digits and dashes")
    org_name = TextField(max_length=200)
    data_sources = serializers.DictField(
        child=TextField(max_length=500), required=False, help_text="declared sources, by name"
    )
    crypto_pubkey = TextField(
        required=False,
        max_length=16_384,
        help_text="PEM, or base64 of the DER SubjectPublicKeyInfo, of an ML-DSA-65 or Ed25519 key",
    )
    key_proof = Base64Field(
        required=False, max_length=16_384, help_text="signature over the registration statement, base64"
    )
    enrolment_token = TextField(required=False, max_length=200, help_text="given out by the operator")


class RoundPrivacyRequest(StrictSerializer):
    """A round's own noise, within what the settings allow."""

    mode = TextField(
        required=False,
        max_length=16,
        help_text="none | record | organization; with FL_PRIVACY_REQUIRED nothing that protects less than "
        "FL_PRIVACY_MODE. Default: FL_PRIVACY_MODE",
    )
    epsilon_ppm = WholeNumberField(
        required=False,
        help_text="what this round alone may spend, in millionths, up to FL_PRIVACY_EPSILON. Default: noise with which "
        "FL_TRAINING_ROUNDS rounds spend FL_PRIVACY_EPSILON together",
    )
    clip_ppm = WholeNumberField(
        required=False,
        help_text="L2 bound of a record's gradient, or of the whole update in mode organization, in millionths, up to "
        "FL_PRIVACY_CLIPPING_NORM, which is the default",
    )


class _RoundParameters(StrictSerializer):
    """What a round, or every round of a campaign, may fix beside the settings' defaults."""

    model = TextField(required=False, max_length=64, help_text="default: FL_DEFAULT_MODEL")
    aggregation_method = TextField(required=False, max_length=64, help_text=aggregation_methods.METHOD_HELP)
    aggregation_params = serializers.DictField(
        child=aggregation_methods.ParameterField(), required=False, help_text=aggregation_methods.PARAMS_HELP
    )
    min_orgs_required = WholeNumberField(required=False, min_value=1, max_value=100_000)
    protection = TextField(required=False, max_length=16, help_text="default: FL_PROTECTION")
    privacy = RoundPrivacyRequest(required=False)
    weighting = TextField(required=False, max_length=16, help_text=aggregation_methods.WEIGHTING_HELP)
    local = serializers.DictField(required=False, help_text="local training: epochs, batch_size, learning_rate, ...")
    timeout = WholeNumberField(
        required=False, min_value=1, max_value=30 * 86_400, help_text="seconds; default: FL_FEDERATION_TIMEOUT"
    )


class RoundStartRequest(_RoundParameters):
    """A round to start."""

    round_number = WholeNumberField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="when given, must be the model's next"
    )


class CampaignStartRequest(_RoundParameters):
    """A campaign to start."""

    rounds = WholeNumberField(required=False, min_value=1, max_value=100_000, help_text="default: FL_TRAINING_ROUNDS")
