"""Shapes of the privacy answers, for the API's documentation."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

STATE = ("enabled", "disabled")


class DifferentialPrivacySerializer(serializers.Serializer[dict[str, Any]]):
    epsilon = serializers.FloatField(help_text="total budget")
    delta = serializers.FloatField()
    clipping_norm = serializers.FloatField()
    status = serializers.ChoiceField(STATE)
    mode = serializers.ChoiceField(("none", "organization", "record"))
    sampling_rate = serializers.FloatField(
        allow_null=True, help_text="probability of each record to be drawn in a step; null where records are not drawn"
    )
    calibration = serializers.ChoiceField(("analytic", "classic"))
    mechanism_required = serializers.BooleanField(help_text="rounds and updates without a mechanism are refused")
    note = serializers.CharField()


class SanitizationSerializer(serializers.Serializer[dict[str, Any]]):
    update_checks = serializers.ListField(child=serializers.CharField(), help_text="what every update is checked for")
    largest_value = serializers.FloatField(help_text="bound of every value of an update, in model units")
    norm_bound = serializers.FloatField(allow_null=True, help_text="L2 bound of an update; null: none")
    norm_clipping = serializers.ChoiceField(STATE)
    metadata_checks = serializers.ListField(
        child=serializers.CharField(), help_text="what beside an update is refused if it holds an identifier"
    )
    note = serializers.CharField()


class PrivacyConfigurationSerializer(serializers.Serializer[dict[str, Any]]):
    differential_privacy = DifferentialPrivacySerializer()
    homomorphic_encryption = serializers.ChoiceField(STATE)
    secure_aggregation = serializers.ChoiceField(STATE)
    gradient_sanitization = serializers.ChoiceField(STATE)
    protection = serializers.CharField(help_text="of rounds that name none: plain, secagg or paillier")
    gradient_sanitization_details = SanitizationSerializer()


class BudgetFiguresSerializer(serializers.Serializer[dict[str, Any]]):
    org_id = serializers.CharField()
    epsilon_total = serializers.FloatField()
    epsilon_used = serializers.FloatField()
    epsilon_remaining = serializers.FloatField()
    rounds_trained = serializers.IntegerField()


class PrivacyBudgetSerializer(serializers.Serializer[dict[str, Any]]):
    epsilon_total = serializers.FloatField()
    epsilon_used = serializers.FloatField(help_text="of the caller; for operators the largest over organisations")
    epsilon_remaining = serializers.FloatField()
    rounds_trained = serializers.IntegerField(help_text="rounds that used an update")
    rounds_until_budget_exhausted = serializers.IntegerField(
        allow_null=True, help_text="at the settings of now; null: rounds cost nothing (`unlimited`)"
    )
    unlimited = serializers.BooleanField(help_text="rounds declare no noise, charge nothing and guarantee nothing")
    rounds_unprotected = serializers.IntegerField(help_text="rounds that used an update without noise")
    delta = serializers.FloatField()
    mode = serializers.ChoiceField(("none", "organization", "record"))
    note = serializers.CharField()
    org_id = serializers.CharField(required=False, help_text="whose figures these are")
    organizations = BudgetFiguresSerializer(many=True, required=False, help_text="for operators")
