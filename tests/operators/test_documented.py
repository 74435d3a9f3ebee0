"""What `docs/operators.md` says of the roles is the table."""

from __future__ import annotations

import re

from flxdr.env import BASE_DIR
from flxdr.operators.roles import AUDITED, EXTRA, OPERATED, managed_permissions

DOCUMENT = (BASE_DIR / "docs" / "operators.md").read_text(encoding="utf-8")


def test_the_roles() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|$", DOCUMENT, flags=re.MULTILINE)
    yes = {True: "yes", False: "no"}
    assert rows == [
        (role, "yes", *(yes[part <= extra] for part in (OPERATED, AUDITED, set(managed_permissions()))))
        for role, extra in EXTRA.items()
    ]
