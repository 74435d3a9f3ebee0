"""`manage.py demo`: a whole federation on this machine, from nothing to a verified chain."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from flxdr.core.errors import FlxdrError
from flxdr.demo.run import SIGHT, Options, run_demo
from flxdr.demo.screen import Screen


class Command(BaseCommand):
    help = (
        "Run a coordinator and five organisations' agents as separate processes, train together, verify the chain. "
        "The options' defaults are the variables DATA, KEEP, PROTECTION and DEMO_EXIT."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        data = os.environ.get("DATA")
        parser.add_argument("--data", type=Path, default=Path(data) if data else None, help="folder with real captures")
        parser.add_argument("--keep", action="store_true", default=_is_set("KEEP"), help="go on where it ended")
        parser.add_argument(
            "--protection",
            choices=sorted(SIGHT),
            default=os.environ.get("PROTECTION") or "secagg",
            help="of the updates: what the coordinator sees of them",
        )
        parser.add_argument(
            "--exit", dest="leave", action="store_true", default=_is_set("DEMO_EXIT"), help="end, with 0 if all held"
        )

    def handle(self, *, data: Path | None, keep: bool, protection: str, leave: bool, **_: Any) -> None:
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
        logging.getLogger("httpx").setLevel(logging.WARNING)  # one line a request is not for this screen
        options = Options(
            folder=settings.FLXDR.data_dir / "demo",
            data=data,
            keep=keep,
            protection=protection,
            leave=leave,
            port=settings.FLXDR.backend_port,
            project=settings.BASE_DIR,
        )
        try:
            held = run_demo(options, Screen())
        except FlxdrError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted") from None
        if not held:
            raise CommandError("a check failed")


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() not in ("", "0", "false", "no")
