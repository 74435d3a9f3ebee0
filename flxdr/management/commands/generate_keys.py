"""`manage.py generate_keys`: secrets for a coordinator's environment."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flxdr.core.keys import PrivateKey


class Command(BaseCommand):
    help = (
        "Print a new ML-DSA-65 key pair and secrets as `export` lines, or write them as files. Nothing else is stored."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--folder",
            type=Path,
            help="write each to a file of its name there, as containers mount them; no file is overwritten",
        )

    def handle(self, *, folder: Path | None, **_: Any) -> None:
        key = PrivateKey.generate()
        values = {
            "PQC_SK_B64": base64.b64encode(key.seed).decode(),
            "PQC_PK_B64": key.public.to_base64(),
            "API_HMAC_KEY": secrets.token_hex(32),
            "SECRET_KEY": secrets.token_hex(32),
            "FL_METRICS_TOKEN": secrets.token_hex(32),
        }
        if folder is None:
            for name, value in values.items():
                self.stdout.write(f"export {name}={value}")
        else:
            _write(folder, values)
            self.stdout.write(f"{', '.join(values)} written to {folder}")


def _write(folder: Path, values: dict[str, str]) -> None:
    """Write the secrets. The folder keeps strangers out; a file may be read by the user of a container that mounts it.

    Raises:
        CommandError: the folder is open to others, a file is there already, or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            raise CommandError(f"{folder} is open to others; expected a new folder or one of mode 0700.")
        taken = [name for name in values if (folder / name).exists()]
        if taken:
            raise CommandError(f"{folder} already holds {', '.join(taken)}; nothing was written.")
        for name, value in values.items():
            path = folder / name
            path.write_text(value)
            path.chmod(0o444)
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror or error}.") from error
