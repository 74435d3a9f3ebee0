"""What makes a block bad, in a form that names the check, the field and both values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from flxdr.core.errors import Invalid


class BlockInvalid(Invalid):
    """A block that does not extend the chain. `check` is the code of the check that refused it.

    `height` is given where what was refused is not at the block at hand.
    """

    code = "block_invalid"
    title = "Invalid block"

    def __init__(self, check: str, field: str, *, expected: object, actual: object, height: int | None = None) -> None:
        super().__init__(
            f"{check}: {field} is {actual}", expected=str(expected), check=check, field=field, actual=str(actual)
        )
        self.check = check
        self.field = field
        self.height = height
        self.expected_value = str(expected)
        self.actual_value = str(actual)


@dataclass(frozen=True)
class FirstBad:
    """The first block that a verification refused."""

    height: int
    code: str
    field: str
    expected: str
    actual: str

    @classmethod
    def at(cls, height: int, error: BlockInvalid) -> FirstBad:
        """The failure of the block at `height`, unless the error names another one."""
        at = height if error.height is None else error.height
        return cls(at, error.check, error.field, error.expected_value, error.actual_value)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def require(holds: bool, check: str, field: str, *, expected: object, actual: object) -> None:
    """Refuse the block unless `holds`.

    Raises:
        BlockInvalid: it does not hold.
    """
    if not holds:
        raise BlockInvalid(check, field, expected=expected, actual=actual)
