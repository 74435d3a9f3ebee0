"""What a verification warns of, counted on the way; a later run goes on counting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flxdr.core.errors import Malformed
from ledger.chain.block import Header
from ledger.chain.entries import Revoke

_WHY = {
    "coordinator-only": "sealed by the coordinator alone, before the federation had enough members",
    "operator": "sealed by the coordinator alone, as the policy on the chain says",
}


@dataclass
class Tally:
    """Valid blocks that deserve a second look.

    Attributes:
        unvouched: blocks that no organisation vouches for, by the rule that sealed them: how many, the first and the
            last height.
        doubts: what the chain says about keys that somebody else may have used.
    """

    unvouched: dict[str, list[int]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """A document from which `from_json` makes this tally again."""
        return {"unvouched": self.unvouched, "doubts": self.doubts}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Tally:
        """A tally of its own that goes on counting.

        Raises:
            Malformed: the document is no tally that `as_json` wrote.
        """
        try:
            unvouched = {str(rule): [int(number) for number in entry] for rule, entry in document["unvouched"].items()}
            return cls(unvouched, [str(doubt) for doubt in document["doubts"]])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Malformed(f"the tally of an earlier pass cannot be read: {error!r}") from error

    def add(self, header: Header) -> None:
        """Count a block that is part of the chain."""
        height, rule = header.height, header.governance.rule
        for action in header.governance.actions:
            if isinstance(action, Revoke) and action.compromised_since is not None:
                self.doubts.append(
                    f"key {action.key_id[:16]} of {action.org_id} counts as compromised since height "
                    f"{action.compromised_since}: its approvals up to height {height - 1} are in doubt"
                )
        if rule in _WHY:
            entry = self.unvouched.setdefault(rule, [0, height, height])
            entry[0] += 1
            entry[2] = height

    def warnings(self) -> list[str]:
        """What a report says of it."""
        unvouched = [
            f"{count} block(s) {_heights(first, last)} {_WHY[rule]}: no organisation vouches for them"
            for rule, (count, first, last) in self.unvouched.items()
        ]
        return unvouched + self.doubts


def _heights(first: int, last: int) -> str:
    return f"at height {first}" if first == last else f"between heights {first} and {last}"
