"""The app on an operator's telephone, with a clock that the test turns."""

from __future__ import annotations

import base64
import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp import models

from flxdr.operators import second_factor

KEY = "0123456789abcdef0123456789abcdef01234567"


class Authenticator:
    """Shows the codes of a key; each is good for half a minute."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, key: str = KEY) -> None:
        self.key = key
        self._now = 1_800_000_000
        monkeypatch.setattr(models, "time", SimpleNamespace(time=lambda: self._now))

    def scan(self, page: str) -> None:
        """Take the secret that a page shows."""
        found = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
        assert found is not None
        self.key = base64.b32decode(found.group(1).replace(" ", "")).hex()

    def code(self) -> str:
        """The code of this half minute."""
        totp = TOTP(bytes.fromhex(self.key))
        totp.time = self._now
        return f"{totp.token():06d}"

    def fresh(self) -> str:
        """The code of the next half minute: none before was it."""
        self._now += 30
        return self.code()

    def wrong(self) -> str:
        return f"{(int(self.code()) + 1) % 1_000_000:06d}"

    def give_to(self, user: User) -> list[str]:
        """Set the device up for an account; its recovery codes."""
        return second_factor.enrol(user=user, key=self.key, code=self.fresh())[1]


def forgive(user: Any) -> None:
    """Let the wait after wrong codes pass."""
    for kind in (models.TOTPDevice, StaticDevice):
        for device in kind.objects.filter(user=user):
            device.throttle_reset()
