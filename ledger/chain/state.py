"""What a verifier remembers between two blocks: enough to check the next one, in constant space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from flxdr.core.errors import Malformed
from flxdr.core.keys import PublicKey
from ledger.chain.entries import PolicyEntry
from ledger.chain.lineage import Lineage
from ledger.chain.membership import KeySet

VERSION = 2
"""Of the remembered form; another one is no state, and the chain is verified from genesis again."""


class ChainState(msgspec.Struct, frozen=True):
    """The chain after its last verified block.

    `cert_hash` is over the approvals of that block, so it names the `prev_cert` of the next one. The space grows with
    the members and the models, not with the blocks.
    """

    chain_id: str
    height: int
    block_hash: str
    cert_hash: str
    timestamp: str
    keys: KeySet
    releases: Mapping[str, Lineage] = msgspec.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """A document from which `from_json` restores this state."""
        keys = self.keys
        return {
            "v": VERSION,
            "chain_id": self.chain_id,
            "height": self.height,
            "block_hash": self.block_hash,
            "cert_hash": self.cert_hash,
            "timestamp": self.timestamp,
            "coordinator": keys.coordinator.to_base64(),
            "policy": msgspec.to_builtins(keys.policy),
            "bootstrap_over": keys.bootstrap_over,
            "retired": sorted(keys.retired),
            "members": {
                org_id: sorted(key.to_base64() for key in own.values()) for org_id, own in sorted(keys.members.items())
            },
            "releases": {name: lineage.as_json() for name, lineage in sorted(self.releases.items())},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ChainState:
        """Restore a remembered state.

        Raises:
            Malformed: the document is no state that `as_json` wrote.
        """
        try:
            if document["v"] != VERSION:
                raise Malformed(f"a remembered chain state of version {document['v']}", expected=f"version {VERSION}")
            members = {
                org_id: {key.key_id: key for key in map(PublicKey.from_text, texts)}
                for org_id, texts in document["members"].items()
            }
            keys = KeySet(
                coordinator=PublicKey.from_text(document["coordinator"]),
                policy=msgspec.convert(document["policy"], PolicyEntry),
                members=members,
                bootstrap_over=bool(document["bootstrap_over"]),
                retired=frozenset(map(str, document["retired"])),
            )
            return cls(
                chain_id=str(document["chain_id"]),
                height=int(document["height"]),
                block_hash=str(document["block_hash"]),
                cert_hash=str(document["cert_hash"]),
                timestamp=str(document["timestamp"]),
                keys=keys,
                releases={name: Lineage.from_json(entry) for name, entry in document["releases"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, msgspec.ValidationError) as error:
            raise Malformed(
                f"the remembered chain state cannot be read: {error!r}", action="Verify the whole chain from genesis."
            ) from error
