"""Rows of the operators: who an account belongs to at an identity provider."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models
from django.db.models.functions import Now


class ExternalIdentity(models.Model):
    """The person at an identity provider whom an account belongs to. Names and e-mail addresses say nothing of it."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="external_identity")
    issuer = models.CharField(max_length=200)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "external identities"
        constraints = (models.UniqueConstraint(fields=("issuer", "subject"), name="one_account_per_identity"),)

    def __str__(self) -> str:
        return f"{self.user.get_username()} of {self.issuer}"
