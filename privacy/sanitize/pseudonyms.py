"""Keyed pseudonyms: the same identifier has the same one within an organisation, and an unrelated one in any other."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privacy.sanitize.crypto_pan import CryptoPan
from privacy.sanitize.kinds import Kind, canonical

SECRET_BYTES = 32
DIGITS = 12
"""Hexadecimal digits of a pseudonym: 48 bits; among a million identifiers two agree with a chance of 0.2 %."""
_PROTOCOL = b"flxdr sanitizer v1/"
_REMEMBERED = 1 << 16


class Pseudonyms:
    """HMAC-SHA256 under a key of its own for every kind, derived from the organisation's secret by HKDF (RFC 5869).

    Args:
        secret: 32 bytes that never leave the organisation.
        prefix_preserving: whether IP addresses become addresses that keep their subnets together (Crypto-PAn).

    Raises:
        ValueError: a secret of another length.
    """

    def __init__(self, secret: bytes, *, prefix_preserving: bool = False) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"the secret has {len(secret)} bytes instead of {SECRET_BYTES}")
        self._keys = {kind: _derive(secret, kind.encode()) for kind in Kind}
        self._pan = CryptoPan(_derive(secret, b"crypto-pan")) if prefix_preserving else None
        self.of: Callable[[Kind, str], str] = lru_cache(_REMEMBERED)(self._of)

    def _of(self, kind: Kind, text: str) -> str:
        """The pseudonym `<kind:...>` of an identifier, in any of its spellings.

        Raises:
            ValueError: an address that is none.
        """
        value = canonical(kind, text)
        if self._pan and kind is Kind.IPV4:
            return f"<{kind}:{_ipv4(self._pan, value)}>"
        if self._pan and kind is Kind.IPV6:
            return f"<{kind}:{_ipv6(self._pan, value)}>"
        encoded = value.encode("utf-8", "surrogatepass")
        return f"<{kind}:{hmac.digest(self._keys[kind], encoded, 'sha256').hex()[:DIGITS]}>"


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), SECRET_BYTES, salt=None, info=_PROTOCOL + purpose).derive(secret)


def _ipv4(pan: CryptoPan, text: str) -> IPv4Address:
    return IPv4Address(int(pan.ipv4(np.array([int(IPv4Address(text))], dtype=np.uint32))[0]))


def _ipv6(pan: CryptoPan, text: str) -> IPv6Address:
    octets = np.frombuffer(IPv6Address(text).packed, dtype=np.uint8).reshape(1, -1)
    return IPv6Address(pan.ipv6(octets).tobytes())
