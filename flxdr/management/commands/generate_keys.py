"""`manage.py generate_keys`: secrets for a coordinator's environment."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from django.core.management.base import BaseCommand

from flxdr.core.keys import PrivateKey


class Command(BaseCommand):
    help = "Print a new ML-DSA-65 key pair and secrets as `export` lines. Nothing is stored."
    requires_system_checks = ()

    def handle(self, **_: Any) -> None:
        key = PrivateKey.generate()
        values = {
            "PQC_SK_B64": base64.b64encode(key.seed).decode(),
            "PQC_PK_B64": key.public.to_base64(),
            "API_HMAC_KEY": secrets.token_hex(32),
            "SECRET_KEY": secrets.token_hex(32),
        }
        for name, value in values.items():
            self.stdout.write(f"export {name}={value}")
