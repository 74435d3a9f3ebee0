"""How the releases of one model continue each other, and what a withdrawal leaves standing; in constant space."""

from __future__ import annotations

from typing import Any

import msgspec

from ledger.chain.block import Provenance
from ledger.chain.entries import WithdrawRelease
from ledger.chain.failures import BlockInvalid, require

REMEMBERED = 32
"""Versions of a model, counted back from the newest, of which a verifier remembers those that stand."""


class Release(msgspec.Struct, frozen=True):
    """One release of one model."""

    version: int
    model_hash: str
    round_number: int


class Lineage(msgspec.Struct, frozen=True):
    """The releases of one model.

    Attributes:
        newest: the newest one, withdrawn or not: versions and rounds go on from it.
        standing: those of the last 32 versions that nobody withdrew, oldest first; the last one is the parent of the
            next release.
    """

    newest: Release
    standing: tuple[Release, ...]

    @property
    def current(self) -> Release | None:
        """The newest release that stands; None if all of them were withdrawn."""
        return self.standing[-1] if self.standing else None

    def as_json(self) -> dict[str, Any]:
        """A document from which `from_json` restores this lineage."""
        return {"newest": _entry(self.newest), "standing": [_entry(release) for release in self.standing]}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Lineage:
        return cls(Release(*document["newest"]), tuple(Release(*entry) for entry in document["standing"]))


def extended(lineage: Lineage | None, release: Release) -> Lineage:
    """The lineage with one more release, which `check_lineage` accepted."""
    before = lineage.standing if lineage else ()
    forgotten = 0
    while forgotten < len(before) and before[forgotten].version <= release.version - REMEMBERED:
        forgotten += 1
    return Lineage(release, (*before[forgotten:], release))


def check_lineage(lineage: Lineage | None, provenance: Provenance) -> None:
    """Check that a release continues its model.

    The first release of a model, and the first after all were withdrawn, may name any parent or none: its starting
    point is no block of this chain.

    Raises:
        BlockInvalid: another version, another parent, or a round that was released already.
    """
    version = lineage.newest.version + 1 if lineage else 1
    if provenance.model_version != version:
        raise BlockInvalid(
            "version_mismatch", "provenance.model_version", expected=version, actual=provenance.model_version
        )
    if lineage is None:
        return
    parent = lineage.current
    if parent is not None and provenance.parent_model_hash != parent.model_hash:
        raise BlockInvalid(
            "parent_mismatch",
            "provenance.parent_model_hash",
            expected=parent.model_hash,
            actual=provenance.parent_model_hash,
        )
    # Numbers only grow, so no round can be released twice; remembering every round id would cost space per block.
    if provenance.round_number <= lineage.newest.round_number:
        raise BlockInvalid(
            "round_reused",
            "provenance.round_number",
            expected=f"more than {lineage.newest.round_number}",
            actual=provenance.round_number,
        )


def withdrawn(lineage: Lineage | None, action: WithdrawRelease, where: str) -> Lineage:
    """The lineage after a release and all later ones of its model were withdrawn.

    Raises:
        BlockInvalid: no such release stands, or too many would have to be withdrawn at once.
    """
    release = next((one for one in lineage.standing if one.version == action.model_version), None) if lineage else None
    if lineage is None or release is None:
        raise BlockInvalid(
            "withdrawal_unknown",
            f"{where}.model_version",
            expected=f"a standing release among the last {REMEMBERED} versions of {action.model_name}",
            actual=action.model_version,
        )
    require(
        action.model_hash == release.model_hash,
        "withdrawal_unknown",
        f"{where}.model_hash",
        expected=release.model_hash,
        actual=action.model_hash,
    )
    standing = tuple(one for one in lineage.standing if one.version < action.model_version)
    require(
        bool(standing) or lineage.newest.version <= REMEMBERED,
        "withdrawal_too_deep",
        f"{where}.model_version",
        expected=f"one that leaves a standing release among the last {REMEMBERED} versions",
        actual=action.model_version,
    )
    return msgspec.structs.replace(lineage, standing=standing)


def _entry(release: Release) -> list[int | str]:
    return [release.version, release.model_hash, release.round_number]
