"""What `docs/operators.md` says of the roles is the table."""

from __future__ import annotations

import re

from flxdr.env import BASE_DIR, load
from flxdr.operators.roles import AUDITED, EXTRA, OPERATED, managed_permissions

DOCUMENT = (BASE_DIR / "docs" / "operators.md").read_text(encoding="utf-8")


def test_the_roles() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|$", DOCUMENT, flags=re.MULTILINE)
    yes = {True: "yes", False: "no"}
    assert rows == [
        (role, "yes", *(yes[part <= extra] for part in (OPERATED, AUDITED, set(managed_permissions()))))
        for role, extra in EXTRA.items()
    ]


def test_the_defaults_of_the_second_factor() -> None:
    defaults = re.findall(r"^\| `(\w+)`, the default of (\w+) \|", DOCUMENT, flags=re.MULTILINE)
    assert defaults == [(load({"FL_ENV": mode}).operator_2fa, mode) for mode in ("development", "production")]


def test_the_events() -> None:
    told = {name for _, name in re.findall(r"`(operator|confirmation)?\.([a-z_]+)`", DOCUMENT)}
    code = "".join(path.read_text(encoding="utf-8") for path in (BASE_DIR / "flxdr" / "operators").rglob("*.py"))
    found = re.findall(r'(?:_record|record_account)\(\s*"(\w+)"|kind="operator\.(\w+)"', code)
    recorded = {first or second for first, second in found}
    assert len(recorded) >= 7
    assert recorded <= told
