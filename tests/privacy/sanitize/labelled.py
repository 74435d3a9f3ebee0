"""A labelled set: lines of logs made from a seed, with what in them identifies somebody, and traps that do not.

Every form has its own share of lines, so that figures by form say what the patterns catch and what they miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from random import Random
from uuid import UUID

from stdnum import iban, luhn

EACH = 200
_FRAMES = (
    "Connection from {} refused",
    "audit: object={} result=ok",
    'GET /login?next=/ 200 "{}"',
    "[{}] closed after 3 s",
    "see ({}), then retry",
)
_FIRST = ("alice", "bruno", "chen", "dora", "emeka", "farid", "gita", "hugo")
_LAST = ("smith", "garcia", "okafor", "novak", "tanaka", "haddad", "rossi", "kumar")


@dataclass(frozen=True)
class Line:
    """A line and the text in it that the form made."""

    text: str
    value: str


def _name(rng: Random) -> str:
    return f"{rng.choice(_FIRST)}.{rng.choice(_LAST)}{rng.randrange(100)}"


def _account(rng: Random) -> str:
    return f"{rng.choice(_FIRST)}{rng.randrange(1000)}"


def _host(rng: Random) -> str:
    domain = rng.choice(("corp.example.com", "ad.local", "lab.example.de"))
    return f"srv-{rng.randrange(1000)}.{domain}"


def _card(rng: Random) -> str:
    digits = f"4{rng.randrange(10**14):014}"
    digits += luhn.calc_check_digit(digits)
    return " ".join(digits[start : start + 4] for start in range(0, 16, 4)) if rng.random() < 0.5 else digits


def _iban(rng: Random) -> str:
    account = f"{rng.randrange(10**18):018}"
    return f"DE{iban.calc_check_digits(f'DE00{account}')}{account}"


def _hexadecimal(rng: Random, digits: int) -> str:
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


IDENTIFIERS: Mapping[str, Callable[[Random], str]] = {
    "e-mail": lambda rng: f"{_name(rng)}@{_host(rng)}",
    "IPv4": lambda rng: str(IPv4Address(rng.getrandbits(32))),
    "IPv6": lambda rng: str(IPv6Address(rng.getrandbits(128))),
    "defanged IPv4": lambda rng: str(IPv4Address(rng.getrandbits(32))).replace(".", "[.]"),
    "MAC": lambda rng: rng.randbytes(6).hex(rng.choice(":-")),
    "host with a domain": _host,
    "DOMAIN\\user": lambda rng: f"CORP\\{_account(rng)}",
    "labelled user": lambda rng: f"user={_account(rng)}",
    "user's folder": lambda rng: rng.choice(("C:\\Users\\{}\\a.txt", "/home/{}/a.txt")).format(_account(rng)),
    "hash": lambda rng: _hexadecimal(rng, rng.choice((32, 40, 64))),
    "IBAN": _iban,
    "card": _card,
    "international phone": lambda rng: f"+49 {rng.randrange(100, 1000)} {rng.randrange(10**6, 10**7)}",
    "bare host name": lambda rng: f"WS{rng.randrange(1000)}",
    "bare user name": _account,
    "person's name": lambda rng: f"{rng.choice(_FIRST).title()} {rng.choice(_LAST).title()}",
    "national phone": lambda rng: f"0{rng.randrange(30, 100)} {rng.randrange(10**6, 10**7)}",
    "host in a file name": lambda rng: f"{_host(rng)}.log",
}

TRAPS: Mapping[str, Callable[[Random], str]] = {
    "version x.y.z": lambda rng: ".".join(str(rng.randrange(20)) for _ in range(3)),
    "v1.2.3.4": lambda rng: "v" + ".".join(str(rng.randrange(20)) for _ in range(4)),
    "product/1.2.3.4": lambda rng: "agent/" + ".".join(str(rng.randrange(20)) for _ in range(4)),
    "OID": lambda rng: "1.3.6.1.4.1." + ".".join(str(rng.randrange(1000)) for _ in range(3)),
    "time": lambda rng: (
        f"2026-01-{rng.randrange(1, 29):02}T{rng.randrange(24):02}:{rng.randrange(60):02}:07.123456+0200"
    ),
    "UUID": lambda rng: str(UUID(int=rng.getrandbits(128))),
    "epoch, microseconds": lambda rng: str(
        rng.randrange(1_600_000_000, 1_800_000_000) * 1_000_000 + rng.randrange(10**6)
    ),
    "16 digits": lambda rng: str(rng.randrange(2 * 10**15, 7 * 10**15)),
    "file name": lambda rng: f"module{rng.randrange(100)}.{rng.choice(('dll', 'exe', 'php', 'tar.gz'))}",
    "system path": lambda rng: f"C:\\Windows\\System32\\mod{rng.randrange(100)}.sys",
    "registry key": lambda rng: f"HKLM\\SOFTWARE\\Vendor{rng.randrange(100)}\\Run",
    "class name": lambda rng: f"System.Net.Client{rng.randrange(100)}",
    "class name, letters only": lambda rng: (
        f"System.{rng.choice(('Net', 'Web', 'Text'))}.{rng.choice(('Client', 'Encoder'))}"
    ),
    "relative path": lambda rng: f"Temp\\part{rng.randrange(100)}",
}


def lines(form: Callable[[Random], str], seed: int) -> list[Line]:
    """`EACH` lines of one form."""
    rng = Random(seed)
    values = [form(rng) for _ in range(EACH)]
    return [Line(rng.choice(_FRAMES).format(value), value) for value in values]
