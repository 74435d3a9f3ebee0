"""The sanitiser: alerts cleaned against the same lines only parsed as JSON, and prefix-preserving addresses."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import orjson

from benchmarks.measure import Row, against_peer, alone, versions
from privacy.sanitize.crypto_pan import KEY_BYTES, CryptoPan
from privacy.sanitize.fields import SURICATA
from privacy.sanitize.pseudonyms import SECRET_BYTES, Pseudonyms
from privacy.sanitize.records import Sanitizer
from privacy.sanitize.report import Report

LINES = 10_000
ADDRESSES = 200_000
LEAST_ADDRESSES_PER_SECOND = 500_000


def rows() -> list[Row]:
    """`sanitize.alerts` beside plain parsing, and `sanitize.crypto_pan` in microseconds for a thousand addresses."""
    return [_alerts(), _crypto_pan()]


def _alerts() -> Row:
    lines = generated(LINES)
    measured = against_peer(
        "sanitize.alerts",
        ours=lambda: cleaning(lines),
        peer=lambda: lambda: [orjson.loads(line) for line in lines],
        note="",
    )
    note = (
        f"{LINES / measured.ours * 1000:,.0f} lines/s, parsed, cleaned and written; hosts and user agents all differ; "
        f"peer: orjson.loads alone; {versions('orjson', 'cryptography')}"
    )
    return Row(measured.name, measured.ours, measured.peer, measured.ratio, measured.unit, None, None, note)


def cleaning(lines: Sequence[bytes]) -> Callable[[], object]:
    """Cleans `lines` with a sanitiser that has seen nothing yet."""
    sanitizer = Sanitizer(Pseudonyms(os.urandom(SECRET_BYTES)))

    def run() -> list[bytes]:
        report = Report()
        return [orjson.dumps(sanitizer.record(orjson.loads(line), SURICATA, report)) for line in lines]

    return run


def generated(count: int) -> list[bytes]:
    """Alerts as Suricata writes them, with user agents and names of hosts that are all different."""
    rng = Random(1)
    return [
        orjson.dumps(
            {
                "timestamp": f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000000+0000",
                "flow_id": rng.getrandbits(50),
                "event_type": "alert",
                "src_ip": f"198.51.{rng.randrange(256)}.{rng.randrange(256)}",
                "dest_ip": f"192.0.2.{rng.randrange(256)}",
                "dest_port": rng.randrange(65536),
                "proto": "TCP",
                "alert": {"signature": f"ET SCAN rule {number % 50}", "severity": 2, "category": "Attempted Recon"},
                "http": {
                    "hostname": f"host{number}.corp.example",
                    "url": f"/home/user{number}/index.php",
                    "http_user_agent": f"agent/{number} (contact user{number}@corp.example)",
                },
                "flow": {"pkts_toserver": 3, "bytes_toserver": rng.randrange(5000)},
            }
        )
        for number in range(count)
    ]


def _crypto_pan() -> Row:
    addresses = np.random.default_rng(1).integers(0, 2**32, ADDRESSES, dtype=np.uint32)
    pan = CryptoPan(os.urandom(KEY_BYTES))
    measured = alone("sanitize.crypto_pan", ours=lambda: lambda: pan.ipv4(addresses), note="")
    each = measured.ours * 1e6 / ADDRESSES
    note = f"{1e9 / each / 1e6:.2f} million IPv4 addresses/s; {versions('numpy', 'cryptography')}"
    limit = 1e9 / LEAST_ADDRESSES_PER_SECOND
    return Row(measured.name, round(each, 1), None, None, "us/1000 addresses", limit, None, note)
