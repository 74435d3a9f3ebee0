"""The second factor of an account: a device that shows codes, and recovery codes for the day when it is lost."""

from __future__ import annotations

import base64

import segno
from django.contrib.auth.models import User
from django.db import transaction
from django_otp import verify_token
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from flxdr.operators.errors import CodeRefused, SecondFactorMissing, SecondFactorPresent
from flxdr.platform.audit import record_event

RECOVERY_CODES = 10


def device_of(user: User) -> TOTPDevice | None:
    """The device whose codes the account shows."""
    device: TOTPDevice | None = TOTPDevice.objects.filter(user=user, confirmed=True).first()
    return device


def recovery_codes_left(user: User) -> int:
    return int(StaticToken.objects.filter(device__user=user).count())


def secret_text(key: str) -> str:
    """A key (hexadecimal) as authenticators take it by hand: base32 in groups of four."""
    text = base64.b32encode(bytes.fromhex(key)).decode()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def qr_code(user: User, key: str) -> str:
    """The same as a QR code: an SVG as the address of an image."""
    address = TOTPDevice(user=user, key=key).config_url
    return str(segno.make(address, micro=False).svg_data_uri(scale=5, border=4, light="white"))


def check_code(*, user: User, code: str) -> Device:
    """Use up a code of the account's device, or one of its recovery codes; returns the device that took it.

    A wrong one makes the next wait, the longer the more there were in a row.

    Raises:
        CodeRefused
    """
    code = code.replace(" ", "").replace("-", "").lower()
    kind = TOTPDevice if code.isascii() and code.isdecimal() else StaticDevice
    device = kind.objects.filter(user=user, confirmed=True).first()
    taken = verify_token(user, device.persistent_id, code) if device is not None else None
    if taken is None:
        raise CodeRefused(
            "the code is wrong, was used before, or came too soon after wrong ones",
            action="Wait for the next code.",
        )
    return taken


def enrol(*, user: User, key: str, code: str) -> tuple[TOTPDevice, list[str]]:
    """Give an account a device, once a code shows that it holds the key.

    Returns:
        The device, and the recovery codes, which nobody sees again.

    Raises:
        SecondFactorPresent: the account has one.
        CodeRefused: the code is not of this key.
    """
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if device_of(user) is not None:
            raise SecondFactorPresent("the account has a device", action="Remove it first.")
        device = TOTPDevice(user=user, key=key, name="authenticator")
        if not device.verify_token(code.replace(" ", "")):
            raise CodeRefused("the code is not of this secret", action="Check the clock of the device, and try again.")
        codes = _new_recovery_codes(user)
        _record("second_factor_added", user, actor=f"operator:{user.username}")
        return device, codes


def renew_recovery_codes(*, user: User, code: str) -> list[str]:
    """Put new recovery codes in the place of all old ones.

    Raises:
        SecondFactorMissing, CodeRefused
    """
    _require_device(user)
    check_code(user=user, code=code)
    with transaction.atomic():
        codes = _new_recovery_codes(user)
        _record("recovery_codes_renewed", user, actor=f"operator:{user.username}")
        return codes


def remove(*, user: User, code: str) -> None:
    """Take the device and the recovery codes from one's own account; a fresh code shows that one still may.

    Raises:
        SecondFactorMissing, CodeRefused
    """
    _require_device(user)
    check_code(user=user, code=code)
    with transaction.atomic():
        _delete(user)
        _record("second_factor_removed", user, actor=f"operator:{user.username}")


def reset(*, user: User, actor: str) -> None:
    """Take the second factor from somebody else's account, whose device is lost.

    Raises:
        SecondFactorMissing
    """
    with transaction.atomic():
        _require_device(user)
        _delete(user)
        _record("second_factor_reset", user, actor=actor)


def _require_device(user: User) -> None:
    if device_of(user) is None:
        raise SecondFactorMissing(f"{user.username} has no second factor")


def _new_recovery_codes(user: User) -> list[str]:
    """The device of the codes stays: a session that signed in with one of them refers to it."""
    device, _ = StaticDevice.objects.get_or_create(user=user, defaults={"name": "recovery codes"})
    device.token_set.all().delete()
    codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def _delete(user: User) -> None:
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()


def _record(event: str, user: User, *, actor: str) -> None:
    record_event(kind=f"operator.{event}", actor=actor, subject=user.username[:128], data={})
