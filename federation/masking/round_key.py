"""The signed document by which an organisation hands out the Paillier key that it made for a round."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import msgspec

from federation.errors import StatementMalformed
from flxdr.core import canonical
from flxdr.core.dsse import decode_base64

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=100_000)]


class RoundKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A public key, and the private one wrapped for each other holder; bytes in base64."""

    v: Literal[1]
    round_id: str
    roster_hash: str
    org: str
    public: _Text
    wrapped: dict[str, _Text]

    @classmethod
    def parse(cls, statement: bytes) -> Self:
        """Read a statement.

        Raises:
            StatementMalformed: not canonical, or a field is missing, unknown or of another form.
        """
        try:
            return msgspec.convert(canonical.decode(statement), cls)
        except (canonical.NotCanonical, msgspec.ValidationError) as error:
            raise StatementMalformed(f"the round key cannot be used: {error}") from error

    @property
    def public_bytes(self) -> bytes:
        """The public key's bytes.

        Raises:
            Malformed: no base64.
        """
        return decode_base64(self.public, "the public key")
