"""A coordinator's tables as they lie in its database, read past the product."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any

import psycopg

from tests.support.processes import Coordinator, eventually


class Books:
    """The committed rows of a coordinator's database."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._url = coordinator.environment.get("DATABASE_URL")
        self._file = coordinator.data_dir / "fl_blockchain.db"

    def rows(self, question: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        """Ask in SQL, with `?` for every value, as often as it takes: the database may be what a test has broken."""
        found: list[Sequence[tuple[Any, ...]]] = []

        def ask() -> bool:
            with suppress(psycopg.OperationalError, sqlite3.OperationalError):
                found.append(self._ask(question, values))
            return bool(found)

        eventually(ask, what="the database answers the test", timeout=120, every=0.2)
        return found[0]

    def _ask(self, question: str, values: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        if self._url:
            with psycopg.connect(self._url, autocommit=True) as connection:
                return connection.execute(question.replace("?", "%s"), values).fetchall()
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=20)) as connection:
            return connection.execute(question, values).fetchall()

    def rounds(self, model: str) -> list[tuple[int, str, str]]:
        """Number, id and status of a model's rounds, in order."""
        question = "SELECT number, round_id, status FROM federation_traininground WHERE model_name = ? ORDER BY number"
        return [(number, round_id, status) for number, round_id, status in self.rows(question, model)]

    def status(self, round_id: str) -> str:
        ((status,),) = self.rows("SELECT status FROM federation_traininground WHERE round_id = ?", round_id)
        return str(status)

    def model(self, round_id: str) -> str:
        """The name of the model that a round trains."""
        ((name,),) = self.rows("SELECT model_name FROM federation_traininground WHERE round_id = ?", round_id)
        return str(name)

    def protection(self, round_id: str) -> str:
        ((protection,),) = self.rows("SELECT protection FROM federation_traininground WHERE round_id = ?", round_id)
        return str(protection)

    def transitions(self, round_id: str) -> list[str]:
        """Where a round went, as the audit trail says."""
        question = "SELECT data FROM platform_auditevent WHERE subject = ? AND kind = 'round.transition' ORDER BY id"
        return [_json(data)["to"] for (data,) in self.rows(question, round_id)]

    def blocks(self, round_id: str) -> int:
        """How many blocks release a round's model."""
        ((count,),) = self.rows("SELECT count(*) FROM blocks WHERE round_id = ?", round_id)
        return int(count)

    def charges(self, round_id: str) -> dict[str, list[str]]:
        """The entries of the privacy budget that name a round, by organisation."""
        found: dict[str, list[str]] = {}
        question = "SELECT org_id, kind FROM privacy_budgetentry WHERE round_id = ? ORDER BY id"
        for org_id, kind in self.rows(question, round_id):
            found.setdefault(org_id, []).append(kind)
        return found

    def submissions(self, round_id: str) -> dict[str, str]:
        """Digest of what each organisation submitted, as it came."""
        question = (
            "SELECT o.org_id, s.wire_digest FROM federation_submission s "
            "JOIN federation_organization o ON o.id = s.organization_id "
            "JOIN federation_traininground r ON r.id = s.training_round_id WHERE r.round_id = ?"
        )
        return dict(self.rows(question, round_id))

    def versions(self, model: str) -> list[int]:
        """The released versions of a model."""
        question = (
            "SELECT version FROM federation_modelversion WHERE model_name = ? AND status = 'released' ORDER BY version"
        )
        return [version for (version,) in self.rows(question, model)]


def _json(value: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return decoded
