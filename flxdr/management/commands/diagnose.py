"""`manage.py diagnose`: what is wrong, and which paragraph says what to do."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from flxdr.core.clock import SystemClock
from flxdr.core.terminal import printable
from flxdr.diagnosis.diagnosis import diagnose
from flxdr.diagnosis.finding import Finding
from flxdr.diagnosis.locks import PATIENCE


class Command(BaseCommand):
    help = (
        "Look at settings, database, migrations, queue, worker, chain, rounds, budgets, telemetry, disk, bucket and "
        "backups; change nothing. Exit code 1 if something is wrong; the line names the paragraph that says what to do."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="answer with one JSON document")

    def handle(self, *, json: bool, **_: Any) -> None:
        if connection.vendor == "sqlite":
            connection.settings_dict["OPTIONS"]["timeout"] = PATIENCE  # who asks what is wrong waits no 20 seconds
        findings = []
        for finding in diagnose(SystemClock().now()):
            findings.append(finding)
            if not json:
                self._tell(finding)
        troubles = [finding for finding in findings if finding.state == "trouble"]
        if json:
            self.stdout.write(_document(findings))
        elif troubles:
            self.stdout.write(self.style.ERROR(f"{len(troubles)} trouble(s)"))
        else:
            self.stdout.write(self.style.SUCCESS("no trouble"))
        if troubles:
            raise SystemExit(1)

    def _tell(self, finding: Finding) -> None:
        line = f"{finding.state:<8}{finding.part}: {printable(finding.text)}"
        if finding.state != "ok":
            line = (self.style.ERROR if finding.state == "trouble" else self.style.WARNING)(line)
        self.stdout.write(line)
        if finding.where:
            self.stdout.write(f"        see {finding.where}")


def _document(findings: list[Finding]) -> str:
    return json.dumps({"findings": [asdict(finding) | {"see": finding.where} for finding in findings]})
