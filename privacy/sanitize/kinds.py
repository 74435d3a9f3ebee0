"""Kinds of identifiers, the one spelling of each that counts, and how a pseudonym is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from ipaddress import IPv6Address


class Kind(StrEnum):
    """What is identified. Pseudonyms of different kinds never agree."""

    EMAIL = "email"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    MAC = "mac"
    HOST = "host"
    USER = "user"
    PATH = "path"
    HASH = "hash"
    IBAN = "iban"
    PHONE = "phone"
    CARD = "card"


TOKEN = re.compile(rf"<(?:{'|'.join(Kind)}):(?:[0-9a-f]{{12}}|(?<=ipv[46]:)[0-9a-f.:]{{2,39}})>")
"""A pseudonym in sanitised text: twelve hexadecimal digits, or an address whose prefix is preserved."""


def canonical(kind: Kind, text: str) -> str:
    """One spelling for one identifier, so that it has one pseudonym however a log writes it.

    Raises:
        ValueError: an address that is none.
    """
    return _CANONICAL.get(kind, str.lower)(text)


def _ipv4(text: str) -> str:
    return ".".join(str(int(octet)) for octet in text.split("."))


def _ipv6(text: str) -> str:
    return str(IPv6Address(text.partition("%")[0]))


def _alphanumeric(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


_CANONICAL: Mapping[Kind, Callable[[str], str]] = {
    Kind.IPV4: _ipv4,
    Kind.IPV6: _ipv6,
    Kind.MAC: _alphanumeric,
    Kind.IBAN: _alphanumeric,
    Kind.PHONE: _alphanumeric,
    Kind.CARD: _alphanumeric,
    Kind.HOST: lambda text: text.lower().rstrip("."),
}
