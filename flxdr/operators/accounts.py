"""Accounts of those who operate."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from flxdr.operators.errors import AccountExists, AccountInvalid
from flxdr.platform.audit import record_event

LONGEST_NAME = 64
LONGEST_SUBJECT = 128
"""Of an audit event; accounts that are made in the administration may have longer names."""


def create_operator(*, name: str, role: str, password: str, actor: str) -> User:
    """Make an account that may sign in, with one role.

    Raises:
        AccountInvalid: a name or a password that is not allowed.
        AccountExists: the name is taken, in whatever case.
    """
    user = User(username=name, is_staff=True)
    _check(user, password)
    user.set_password(password)
    try:
        with transaction.atomic():
            if User.objects.filter(username__iexact=name).exists():
                raise AccountExists(f"there is an account {name}", action="Change it in the administration.")
            user.save()
            user.groups.add(Group.objects.get(name=role))
            record_account("added", user, actor=actor)
    except IntegrityError as error:
        raise AccountExists(f"there is an account {name}", action="Change it in the administration.") from error
    return user


def record_account(event: str, user: User, *, actor: str, **data: Any) -> None:
    """Tell the audit trail what was done to an account, and what it may do now."""
    rights = {
        "roles": sorted(user.groups.values_list("name", flat=True)),
        "own_permissions": sorted(user.user_permissions.values_list("codename", flat=True)),
        "superuser": user.is_superuser,
        "signs_in": user.is_active and user.is_staff,
    }
    record_event(kind=f"operator.{event}", actor=actor, subject=user.username[:LONGEST_SUBJECT], data=rights | data)


def record_role(event: str, role: Group, *, actor: str, **data: Any) -> None:
    """Tell the audit trail what was done to a role, and what it lets its accounts do now."""
    permissions = role.permissions.values_list("content_type__app_label", "codename")
    held = {"permissions": sorted(f"{app}.{codename}" for app, codename in permissions)}
    record_event(kind=f"role.{event}", actor=actor, subject=role.name[:LONGEST_SUBJECT], data=held | data)


def _check(user: User, password: str) -> None:
    try:
        user.clean_fields(exclude={"password"})
        validate_password(password, user)
    except ValidationError as error:
        raise AccountInvalid(" ".join(error.messages)) from error
    if len(user.username) > LONGEST_NAME:
        raise AccountInvalid("the name is too long", expected=f"at most {LONGEST_NAME} characters")
