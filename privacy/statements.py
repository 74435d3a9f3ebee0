"""The one statement that gives budget back: an organisation signs that it drew no noise for a round.

Signed as DSSE 1.0.2 (secure-systems-lab/dsse, protocol.md), like everything that organisations sign. Pure: the agent
builds and signs, the coordinator rebuilds and compares.
"""

from __future__ import annotations

from flxdr.core import canonical
from flxdr.core.keys import PrivateKey, PublicKey

NO_NOISE_TYPE = "application/vnd.flxdr.no-noise+json"
VERSION = 1


def no_noise(*, round_id: str, org_id: str) -> bytes:
    """Canonical bytes of "this organisation drew no noise in this round and will not"."""
    return canonical.encode({"v": VERSION, "round_id": round_id, "org": org_id, "no_noise_drawn": True})


def sign(key: PrivateKey, statement: bytes) -> bytes:
    """Sign the statement."""
    return key.sign(_encoded(statement))


def verify(key: PublicKey, statement: bytes, signature: bytes) -> None:
    """Check the statement's signature.

    Raises:
        SignatureInvalid: it does not verify under `key`.
    """
    key.verify(signature, _encoded(statement))


def _encoded(statement: bytes) -> bytes:
    """DSSE pre-authentication encoding."""
    kind = NO_NOISE_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(statement), statement)
