"""The example in `docs/paillier.md`, run as it stands there."""

from __future__ import annotations

import re

from tests.support.processes import REPOSITORY


def test_the_documented_example_runs() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "docs" / "paillier.md").read_text(), re.M | re.S)
    assert "assert" in example
    exec(example, {})
