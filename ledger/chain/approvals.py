"""Approvals: who signed a block, and the certificate that binds them into the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from flxdr.core import canonical
from flxdr.core.dsse import decode_base64, encode_base64
from flxdr.core.errors import Malformed

_FIELDS = ("org_id", "key_id", "signature")
# What `order=True` compares, without a call of Python per comparison.
_ORDER = attrgetter(*_FIELDS)


@dataclass(frozen=True, order=True)
class SignedApproval:
    """One signature over a block's header; the coordinator signs as `coordinator`."""

    org_id: str
    key_id: str
    signature: bytes

    def as_json(self) -> dict[str, str]:
        return {"org_id": self.org_id, "key_id": self.key_id, "signature": encode_base64(self.signature)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SignedApproval:
        """Read the exported form.

        Raises:
            Malformed: a member is missing or no base64.
        """
        try:
            org_id, key_id, signature = (document[name] for name in _FIELDS)
            if len(document) != len(_FIELDS) or not isinstance(org_id, str) or not isinstance(key_id, str):
                raise TypeError("other members, or other types")
            return cls(org_id, key_id, decode_base64(signature, "signature"))
        except (KeyError, TypeError) as error:
            raise Malformed(
                f"the document is no approval: {error!r}", expected="{org_id, key_id, signature}"
            ) from error


def certificate_hash(approvals: Iterable[SignedApproval]) -> str:
    """SHA-256 over the canonical list of the approvals, sorted by organisation and key: the next `prev_cert`."""
    ordered = sorted(approvals, key=_ORDER)
    return canonical.digest(canonical.encode_plain([approval.as_json() for approval in ordered]))


def rejection_statement(*, block_hash: str, org_id: str, reason: str) -> bytes:
    """What an organisation signs to refuse a proposal (payload type `REJECTION_TYPE`).

    Raises:
        flxdr.core.canonical.NotCanonical: the reason is not NFC.
    """
    return canonical.encode({"v": 1, "proposal": block_hash, "org": org_id, "reason": reason})
