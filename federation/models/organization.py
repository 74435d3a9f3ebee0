"""Organisations and the tokens that let them enrol."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Organization(models.Model):
    """A security team that takes part in the federation.

    Its signing key is declared here with its proof of possession; the key becomes a *member's* key only when its
    admission is sealed on the chain (`ledger` owns that record and knows the organisation by `org_id`). From then on
    the key here follows the chain's: a rotation replaces it, a revocation takes it away.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        ACTIVE = "active"
        SUSPENDED = "suspended"

    class KeyStatus(models.TextChoices):
        NONE = "none", "no key"
        UNPROVEN = "unproven", "declared without proof of possession"
        PROVEN = "proven", "proof of possession verified"
        REVOKED = "revoked", "its last key was revoked"

    org_id = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    data_sources = models.JSONField(default=dict, blank=True)
    key_status = models.CharField(max_length=16, choices=KeyStatus, default=KeyStatus.NONE)
    public_key = models.BinaryField(null=True, blank=True, help_text="DER SubjectPublicKeyInfo")
    key_proof = models.BinaryField(null=True, blank=True, help_text="signature over the registration")
    registered_at = models.DateTimeField(db_default=Now())
    approved_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    last_update_at = models.DateTimeField(null=True, blank=True, help_text="last accepted submission")
    accepted_count = models.PositiveIntegerField(default=0)
    left_out_count = models.PositiveIntegerField(default=0)
    missed_count = models.PositiveIntegerField(default=0)
    rejected_count = models.PositiveIntegerField(default=0, help_text="updates refused for what they held")

    class Meta:
        ordering = ("org_id",)
        constraints = (
            models.CheckConstraint(
                name="organization_key_matches_status",
                condition=models.Q(key_status="none", public_key__isnull=True)
                | models.Q(key_status__in=("unproven", "proven", "revoked"), public_key__isnull=False),
            ),
            models.CheckConstraint(
                name="organization_without_its_key_is_suspended",
                condition=~models.Q(key_status="revoked") | models.Q(status="suspended"),
            ),
        )

    def __str__(self) -> str:
        return self.org_id


class EnrolmentToken(models.Model):
    """A single-use secret by which an operator lets one organisation enrol without a later approval."""

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the secret")
    org_id = models.SlugField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"enrolment of {self.org_id}"
