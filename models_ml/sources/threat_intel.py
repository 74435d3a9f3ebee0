"""Addresses that an organisation's threat intelligence names, from STIX 2.1 bundles.

A flow is marked when one of its hosts is such an address; it is compared before hosts become pseudonyms, so that no
indicator is held in a stream. The mark is context for the organisation's own analysts and its detection. No model takes
it as an input: what one feed lists, another's does not, so that weights learnt on it would mean something else in every
organisation, and an update could tell others what a (perhaps confidential) feed holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import orjson

from models_ml.errors import UnreadableSource

_COMPARISON = re.compile(
    r"""\s*(?:ipv4-addr|ipv6-addr):value\s*(?:=|ISSUBSET)\s*'(?P<one>[0-9a-fA-F.:/]+)'\s*"""
    r"""|\s*(?:ipv4-addr|ipv6-addr):value\s+IN\s*\((?P<several>[^)]*)\)\s*"""
)
_OR = re.compile(r"\s+OR\s+")
_MAX_PATTERN = 1 << 16
_Networks = dict[int, set[int]]


@dataclass
class ThreatIntel:
    """Addresses and networks.

    Attributes:
        used: indicators that name addresses alone.
        left_out: other indicators, by why they are not used.
    """

    used: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    _networks: Mapping[int, _Networks] = field(default_factory=lambda: {4: {}, 6: {}})

    @classmethod
    def read(cls, paths: Iterable[Path], *, now: datetime) -> ThreatIntel:
        """The indicators of all bundles that hold at `now`.

        Raises:
            UnreadableSource: a file cannot be read or is no STIX bundle. A single indicator that is not understood is
                counted and left out.
        """
        intel = cls()
        for path in paths:
            for indicator in _indicators(path):
                reason = _unusable(indicator, now) or intel._add(indicator["pattern"])
                if reason:
                    intel.left_out[reason] += 1
                else:
                    intel.used += 1
        return intel

    def is_listed(self, address: str) -> bool:
        """Whether an indicator names `address`; texts that are no address never are."""
        try:
            host = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if host.version == 6 and host.ipv4_mapped is not None:
            host = host.ipv4_mapped
        bits, number = host.max_prefixlen, int(host)
        return any(number >> (bits - length) in known for length, known in self._networks[host.version].items())

    def _add(self, pattern: str) -> str | None:
        """Take the addresses of a pattern over; why not, if it says anything else than a choice of addresses."""
        try:
            networks = list(_networks_of(pattern))
        except ValueError:
            return "not a choice of IP addresses alone"
        for network in networks:
            number = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            self._networks[network.version].setdefault(network.prefixlen, set()).add(number)
        return None


def _indicators(path: Path) -> Iterator[dict[str, Any]]:
    try:
        bundle = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UnreadableSource(f"{path} cannot be read: {error.strerror or error}") from error
    except orjson.JSONDecodeError as error:
        raise UnreadableSource(f"{path} is no JSON: {error}", expected="a STIX 2.1 bundle") from error
    objects = bundle.get("objects") if isinstance(bundle, dict) and bundle.get("type") == "bundle" else None
    if not isinstance(objects, list):
        raise UnreadableSource(f"{path} is no STIX bundle", expected='{"type": "bundle", "objects": [...]}')
    return (item for item in objects if isinstance(item, dict) and item.get("type") == "indicator")


def _unusable(indicator: Mapping[str, Any], now: datetime) -> str | None:
    if indicator.get("revoked"):
        return "revoked"
    pattern = indicator.get("pattern")
    if indicator.get("pattern_type", "stix") != "stix" or not isinstance(pattern, str) or len(pattern) > _MAX_PATTERN:
        return "not a STIX pattern"
    until = indicator.get("valid_until")
    if until is None:
        return None
    try:
        moment = datetime.fromisoformat(str(until))
    except ValueError:
        return "valid_until is no time"
    return "expired" if (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) <= now else None


def _networks_of(pattern: str) -> Iterator[IPv4Network | IPv6Network]:
    """The networks of `[a OR b] OR [c]`.

    Raises:
        ValueError: it says something else: with AND, a qualifier or another kind of object, an address alone would
            match too much.
    """
    for term in _OR.split(pattern.strip()):
        match = _COMPARISON.fullmatch(term.strip().removeprefix("[").removesuffix("]"))
        if match is None:
            raise ValueError(pattern)
        for text in (match["one"] if match["several"] is None else match["several"]).split(","):
            yield ip_network(text.strip().strip("'"), strict=False)
