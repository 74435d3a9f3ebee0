"""The list of tamperings and where each is tested; `python -m tests.ledger.tampering_list` writes docs/tampering.md."""

from __future__ import annotations

from pathlib import Path

from tests.ledger.chain.test_broken_rules import SIGNED
from tests.ledger.tampering import TIP
from tests.ledger.tamperings import DIFFERENT, STORED
from tests.ledger.unseen import UNSEEN

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "tampering.md"

ITEMS: dict[str, str] = {
    "a field edited": "edit a field",
    "edited and re-hashed, one block": "edit and re-hash one block",
    "the whole suffix re-hashed": "rewrite and re-hash the suffix",
    "a column of the database edited, the header's bytes not": "ledger/test_verification.py::test_found_at_its_height",
    "two blocks swapped": "swap two blocks",
    "a block deleted": "delete a block",
    "a block deleted, the rest renumbered": "delete and renumber",
    "no blocks at all": "no blocks",
    "genesis missing": "genesis missing",
    "a height twice": "duplicate a height",
    "an old block replayed at the tip": "replay an old block at the tip",
    "a forged signature": "forged signature",
    "a stranger's approval": "a stranger approves",
    "a stranger's approval under a member's name": "a stranger under a member's name",
    "a signature of another block": "signature of another block",
    "the same approval twice": "the same approval twice",
    "two keys of one organisation": "two keys of one organisation",
    "approvals stripped below the quorum": "stripped below the quorum",
    "the coordinator's signature stripped": "without the coordinator",
    "a genuine approval added to a sealed certificate": "a genuine approval added below the tip",
    "an approval above the quorum stripped, buried": "an approval above the quorum stripped below the tip",
    "fewer than the quorum collude": "sub-quorum collusion",
    "time runs backwards": "time runs backwards",
    "a block from the future": "a block from the future",
    "`+00:00` for `Z`": "+00:00",
    "keys in another order": "key order",
    "white space": "white space",
    "`\\u` escapes": "another escape",
    "`1.0` for `1`": "1.0 for 1",
    "`1e3` for `1000`": "1e3 for 1000",
    "an integer beyond 2^53": "beyond 2^53",
    "`NaN`": "NaN",
    "a JSON key twice": "duplicate key",
    "a key beyond the basic plane": "an astral key",
    "invalid UTF-8": "invalid UTF-8",
    "a hash in upper case": "upper-case hash",
    "an unknown parent": "unknown parent",
    "a model's version twice": "version repeated",
    "a round released again": "round reused",
    "genesis replaced under the chain": "genesis replaced",
    "the quorum in genesis lowered": "genesis quorum lowered",
    "a longer fork": "a longer fork of the coordinator",
    "another chain spliced in": "another chain spliced in",
    "a signature of another algorithm under a key's id": "ML-DSA signature under an Ed25519 key's id",
    "a revoked key": "a revoked key",
    "a new key, back-dated": "a back-dated new key",
    "a revocation deleted": "a revocation deleted",
    "a revocation deleted and the gap closed": "a revocation deleted and the gap closed",
    "an admission by fewer than the quorum": "sub-quorum admission",
    "the policy lowered by fewer than the quorum": "the policy lowered by too few",
    "two views shown to two clients": "ledger/test_unseen.py::test_a_split_view_shows_when_its_halves_are_compared",
    "two that append at once": "ledger/test_concurrency.py::test_processes_that_append_at_once",
}
"""What the tests tamper with: to the name of a case, or to a test of its own."""

_HEAD = """# Tamperings and what finds them

Written from the tests by `python -m tests.ledger.tampering_list`; a test holds this file to them. Every case below is
made by somebody who has the database's password and the coordinator's key, and who keeps columns, hashes and tree
consistent with what he writes. Each is verified three times: as a database (`verify_chain`), as an export
(`verify_chain --export`, `flxdr-agent verify`) and by the stand-alone verifier, which has to stop at the same height.
`refused`: the database does not even take such rows, as long as its constraints stand. The chain has genesis, four
admissions at heights 1 to 4, and releases at 5 to {tip}.

| tampering | found at height | by the check | in a database |
|---|---|---|---|
"""
_UNSEEN_HEAD = """
## What the chain alone does not show

The signers themselves, or the operator with all of their signatures, can make chains in which everything holds. That
they verify is tested as well; so is what shows them: a checkpoint that somebody outside kept, and the pinned genesis.

| done | alone | against a checkpoint of the chain before |
|---|---|---|
"""
_TAIL = """
- A whole chain that was replaced is `genesis_mismatch` at height 0 for everybody who pinned the genesis hash.
- Approvals are not in the tree. One that was stripped above the quorum shows as soon as there is a next block, whose
  `prev_cert` is over all of them; an agent remembers that certificate, too.
- Of a split view each half agrees with its own checkpoint; against the other half's, both are
  `checkpoint_root_mismatch`. So checkpoints help those who compare them.
- `restore_chain --checkpoint` refuses to put such a chain into a database.
"""


def case(name: str) -> tuple[int, str]:
    """Height and check of a case."""
    if name in STORED:
        _, height, code = STORED[name]
        return height, code
    _, code, _ = SIGNED[name]
    return TIP + 1, code


def render() -> str:
    """The document."""
    rows = []
    for item, name in ITEMS.items():
        if "::" in name:
            rows.append(f"| {item} | | | `tests/{name}` |")
            continue
        height, code = case(name)
        there = DIFFERENT.get(name, code)
        rows.append(f"| {item} | {height} | `{code}` | {'refused' if there == 'refused' else f'`{there}`'} |")
    unseen = [
        f"| {name} | valid | {f'`{expected[1]}` at height {expected[0]}' if expected else 'valid'} |"
        for name, (_, expected) in UNSEEN.items()
    ]
    return _HEAD.format(tip=TIP) + "\n".join(rows) + "\n" + _UNSEEN_HEAD + "\n".join(unseen) + "\n" + _TAIL


if __name__ == "__main__":
    DOCUMENT.write_text(render())
