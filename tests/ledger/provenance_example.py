"""The example of docs/provenance.md; `python -m tests.ledger.provenance_example` writes it into the file."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ledger.chain.statement import sign_statement, statement_of
from tests.ledger.attested import own_part, release_of
from tests.ledger.chains import federation

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "provenance.md"
ORGS = ("org-a", "org-b", "org-c")
_BLOCK = re.compile(r"```json\n.*?```\n", re.DOTALL)


def example() -> str:
    """The payload of a statement, indented."""
    chain = federation(*ORGS)
    chain.append(chain.release_header(release_of(ORGS)))
    statement = statement_of(chain.tip.header, own_part("org-a", ORGS), chain_id=chain.chain_id)
    return json.dumps(json.loads(sign_statement(statement, chain.keys["org-a"]).payload), indent=2)


def rendered(text: str) -> str:
    """The document with the example in its place."""
    block = f"```json\n{example()}\n```\n"
    return _BLOCK.sub(lambda _: block, text)


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(DOCUMENT.read_text()))
