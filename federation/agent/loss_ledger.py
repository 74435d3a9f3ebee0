"""The organisation's own account of its privacy: what its records were spent on, whatever the coordinator says.

A row of `privacy_loss` is committed before any noise of a round is drawn, and never changed or deleted. What happens
afterwards gives nothing back: an agent that dies after the row and trains again draws fresh noise, which is another
release, and another row. A round that fails so again and again is given up before it has spent everything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass

from federation.agent.config import PrivacySection
from federation.agent.errors import PrivacyLimitReached
from privacy.dp.accountant import Release, epsilon_ppm
from privacy.dp.composition import PPM

MOST_CHARGES = 3
"""Of one round: the first, and one again after each of two crashes."""

SCHEMA = (
    """
    CREATE TABLE privacy_loss (
        number INTEGER PRIMARY KEY,
        round_id TEXT NOT NULL,
        sensitivity_ppm INTEGER NOT NULL CHECK (sensitivity_ppm > 0),
        sigma_ppm INTEGER NOT NULL CHECK (sigma_ppm > 0),
        sampling_ppm INTEGER NOT NULL CHECK (sampling_ppm BETWEEN 1 AND 1000000),
        steps INTEGER NOT NULL CHECK (steps > 0),
        reserved_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE TRIGGER privacy_loss_never_changes BEFORE UPDATE ON privacy_loss"
    " BEGIN SELECT RAISE(ABORT, 'privacy_loss is append-only'); END",
    "CREATE TRIGGER privacy_loss_never_goes BEFORE DELETE ON privacy_loss"
    " BEGIN SELECT RAISE(ABORT, 'privacy_loss is append-only'); END",
)


@dataclass(frozen=True)
class Loss:
    """One release of noise, reserved for a round at a time."""

    round_id: str
    release: Release
    reserved_at: str


class LossLedger:
    """Reserves releases against the organisation's own limit.

    Args:
        transaction: of the state file; all or nothing, and nobody else writes in between.
    """

    def __init__(self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]) -> None:
        self._db = db
        self._transaction = transaction

    def reserve(self, round_id: str, release: Release, *, limit: PrivacySection, at: str) -> None:
        """Charge a release before its noise is drawn.

        Raises:
            PrivacyLimitReached: as `require_room`.
        """
        with self._transaction():
            self.require_room(round_id, release, limit=limit)
            self._db.execute(
                "INSERT INTO privacy_loss (round_id, sensitivity_ppm, sigma_ppm, sampling_ppm, steps, reserved_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (round_id, *astuple(release), at),
            )

    def require_room(self, round_id: str, release: Release, *, limit: PrivacySection) -> None:
        """Refuse a release that could not be charged.

        Raises:
            PrivacyLimitReached: all releases so far and this one cost more than the organisation allows, or the round
                was charged `MOST_CHARGES` times already.
        """
        losses = self.losses()
        if sum(loss.round_id == round_id for loss in losses) >= MOST_CHARGES:
            raise PrivacyLimitReached(
                f"round {round_id} was charged {MOST_CHARGES} times and has no update",
                expected="an update after its noise was charged",
                action="See why training failed before; the round goes on without this organisation.",
            )
        releases = [loss.release for loss in losses]
        spent = epsilon_ppm(releases, limit.delta)
        after = epsilon_ppm([*releases, release], limit.delta)
        if after > limit.epsilon * PPM:
            raise PrivacyLimitReached(
                f"round {round_id} would bring this organisation's epsilon from {spent / PPM:g} to {after / PPM:g}",
                expected=f"at most {limit.epsilon:g} at delta {limit.delta:g} ([privacy] in agent.toml)",
                action="Stop training on these records, or raise epsilon knowing that it weakens their protection.",
            )

    def losses(self) -> list[Loss]:
        """Everything that was ever reserved, the oldest first."""
        rows = self._db.execute(
            "SELECT round_id, reserved_at, sensitivity_ppm, sigma_ppm, sampling_ppm, steps FROM privacy_loss"
            " ORDER BY number"
        )
        return [Loss(round_id, Release(*numbers), reserved_at) for round_id, reserved_at, *numbers in rows]
