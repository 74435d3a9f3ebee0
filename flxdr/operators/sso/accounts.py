"""The account of a person at the identity provider: made at the first sign-in, given its roles at each."""

from __future__ import annotations

import hashlib

from django.contrib.auth.models import Group, User
from django.db import transaction

from flxdr.operators.accounts import LONGEST_SUBJECT, record_account
from flxdr.operators.errors import AccessRefused
from flxdr.operators.models import ExternalIdentity
from flxdr.platform.audit import record_event

ACTOR = "identity provider"
SUFFIX = "@sso"
"""Ends the names of these accounts, so that they are told from local ones."""


def sign_in_account(*, issuer: str, subject: str, name: str, roles: list[str]) -> User:
    """The account of this person, with exactly these roles.

    It is found by issuer and subject, never by a name or an address. Without a role nobody gets an account, and one
    that is there loses its roles.

    Raises:
        AccessRefused: the claims hold no role, or an administrator has locked the account.
    """
    with transaction.atomic():
        user = _known(issuer, subject)
        if user is not None:
            _set_roles(user, roles, issuer)
        elif roles:
            user = _new(issuer, subject, name, roles)
        if not roles:
            _record_refusal(user.username if user else name, issuer)
    if user is None or not roles:
        raise AccessRefused(
            "your account at the identity provider has no role here",
            action="Ask whoever manages the groups at the identity provider.",
        )
    if not user.is_active:
        raise AccessRefused("the account is locked", action="Ask an administrator.")
    return user


def _known(issuer: str, subject: str) -> User | None:
    identity = ExternalIdentity.objects.filter(issuer=issuer, subject=subject).first()
    return None if identity is None else User.objects.select_for_update().get(pk=identity.user_id)


def _new(issuer: str, subject: str, name: str, roles: list[str]) -> User:
    username = name + SUFFIX
    if User.objects.filter(username__iexact=username).exists():
        digest = hashlib.sha256(f"{issuer} {subject}".encode()).hexdigest()
        username = f"{name}.{digest[:8]}{SUFFIX}"
    user = User.objects.create_user(username, is_staff=True)  # without a password
    ExternalIdentity.objects.create(user=user, issuer=issuer, subject=subject)
    user.groups.set(Group.objects.filter(name__in=roles))
    record_account("added", user, actor=ACTOR, issuer=issuer)
    return user


def _set_roles(user: User, roles: list[str], issuer: str) -> None:
    if sorted(user.groups.values_list("name", flat=True)) != roles:
        user.groups.set(Group.objects.filter(name__in=roles))
        record_account("changed", user, actor=ACTOR, issuer=issuer)


def _record_refusal(name: str, issuer: str) -> None:
    record_event(
        kind="operator.sign_in_failed",
        actor=ACTOR,
        subject=name[:LONGEST_SUBJECT],
        data={"issuer": issuer, "reason": "no role"},
    )
