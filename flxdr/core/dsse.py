"""DSSE: signatures over typed bytes (Dead Simple Signing Envelope 1.0.2, secure-systems-lab/dsse, protocol.md)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flxdr.core.errors import Malformed
from flxdr.core.keys import PrivateKey, PublicKey

# All that anybody signs here, side by side: a signature over one type is none over another.
BLOCK_TYPE = "application/vnd.flxdr.block+json"
REJECTION_TYPE = "application/vnd.flxdr.rejection+json"
REGISTRATION_TYPE = "application/vnd.flxdr.registration+json"
ROTATION_TYPE = "application/vnd.flxdr.rotation+json"
SUBMISSION_TYPE = "application/vnd.flxdr.submission+json"
ADVERTISEMENT_TYPE = "application/vnd.flxdr.advertisement+json"
ROUND_KEY_TYPE = "application/vnd.flxdr.round-key+json"
SURVIVORS_TYPE = "application/vnd.flxdr.survivors+json"
WITNESS_KEY_TYPE = "application/vnd.flxdr.witness-key+json"
LOG_KEY_TYPE = "application/vnd.flxdr.log-key+json"
IN_TOTO_TYPE = "application/vnd.in-toto+json"
DETECTION_TYPE = "application/vnd.flxdr.detection+json"
NO_NOISE_TYPE = "application/vnd.flxdr.no-noise+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding: the bytes that a DSSE signature covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(key: PrivateKey, payload_type: str, payload: bytes) -> bytes:
    """Sign `payload` as `payload_type`."""
    return key.sign(pae(payload_type, payload))


def verify(key: PublicKey, signature: bytes, payload_type: str, payload: bytes) -> None:
    """Check one signature.

    Raises:
        flxdr.core.keys.SignatureInvalid: it does not verify under `key`.
    """
    key.verify(signature, pae(payload_type, payload))


def decode_base64(text: str, what: str) -> bytes:
    """Read standard padded base64 in its only spelling.

    Raises:
        Malformed: another alphabet, missing padding, or bits that decode to nothing.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{what} is no base64", expected="standard base64 with padding") from error
    if encode_base64(data) != text:
        raise Malformed(f"{what} is base64 in another than its canonical spelling", expected=encode_base64(data))
    return data


def encode_base64(data: bytes) -> str:
    """Standard padded base64."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


@dataclass(frozen=True)
class Envelope:
    """A payload with any number of signatures, each named by its key id."""

    payload_type: str
    payload: bytes
    signatures: Sequence[tuple[str, bytes]]

    def as_json(self) -> dict[str, Any]:
        """The standard JSON form."""
        return {
            "payloadType": self.payload_type,
            "payload": encode_base64(self.payload),
            "signatures": [{"keyid": key_id, "sig": encode_base64(sig)} for key_id, sig in self.signatures],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Envelope:
        """Read the standard JSON form.

        Raises:
            Malformed: a member is missing or has another type.
        """
        try:
            signatures = [(str(item["keyid"]), decode_base64(item["sig"], "sig")) for item in document["signatures"]]
            return cls(str(document["payloadType"]), decode_base64(document["payload"], "payload"), signatures)
        except (KeyError, TypeError) as error:
            raise Malformed(
                f"the document is no DSSE envelope: {error!r}", expected="{payloadType, payload, signatures}"
            ) from error
