"""A block as it leaves the coordinator: header bytes and approvals, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flxdr.core.dsse import BLOCK_TYPE, Envelope, decode_base64, encode_base64
from flxdr.core.errors import Malformed
from ledger.chain.approvals import SignedApproval


@dataclass(frozen=True)
class ChainRecord:
    """One block to verify. `columns` are a database's index over the header, where there is one."""

    header: bytes
    approvals: Sequence[SignedApproval]
    columns: Mapping[str, str | int | None] | None = None

    def as_json(self, height: int) -> dict[str, Any]:
        """The exported form; the height is a convenience for readers and is never trusted."""
        return {
            "height": height,
            "header": encode_base64(self.header),
            "approvals": [approval.as_json() for approval in sorted(self.approvals)],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ChainRecord:
        """Read the exported form.

        Raises:
            Malformed: a member is missing or no base64.
        """
        try:
            return cls(
                decode_base64(document["header"], "header"),
                [SignedApproval.from_json(item) for item in document["approvals"]],
            )
        except (KeyError, TypeError) as error:
            raise Malformed(f"the document is no block: {error!r}", expected="{height, header, approvals}") from error

    def envelope(self) -> Envelope:
        """The block as a standard multi-signature DSSE envelope."""
        return Envelope(BLOCK_TYPE, self.header, [(a.key_id, a.signature) for a in sorted(self.approvals)])
