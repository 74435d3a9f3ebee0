"""What the setting `FL_OPERATOR_2FA` asks of an operator's session."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django_otp.plugins.otp_totp.models import TOTPDevice

OFF = "off"
OPTIONAL = "optional"
REQUIRED = "required"
MODES = (OFF, OPTIONAL, REQUIRED)


def has_device(user: Any) -> bool:
    """Whether an account has a device whose codes it must show."""
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def is_asked_of(user: Any) -> bool:
    """Whether an account must show a code to sign in. One that must have a device and has none gets one afterwards."""
    return settings.FLXDR.operator_2fa != OFF and has_device(user)


def is_satisfied(user: Any) -> bool:
    """Whether the session of this signed-in user may do what its role may.

    Args:
        user: as `OTPMiddleware` made it, so that it knows whether a code was shown in this session.
    """
    mode = settings.FLXDR.operator_2fa
    return mode == OFF or user.is_verified() or (mode == OPTIONAL and not has_device(user))
