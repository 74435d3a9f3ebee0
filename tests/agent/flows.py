"""Small Zeek connection logs with labels, made from a seed."""

from __future__ import annotations

import random
from pathlib import Path

COLUMNS = (
    "ts", "uid", "src_ip", "src_port", "dst_ip", "dst_port", "proto", "service", "duration", "orig_bytes",
    "resp_bytes", "conn_state", "missed_bytes", "history", "orig_pkts", "orig_ip_bytes", "resp_pkts",
    "resp_ip_bytes", "label", "detail", "capture", "family",
)  # fmt: skip


def write_flows(path: Path, *, seed: int, records: int = 240, broken: int = 0) -> Path:
    """Benign web traffic and DDoS floods, alternating; `broken` lines are no records."""
    rng = random.Random(seed)
    lines = [",".join(COLUMNS)]
    for number in range(records):
        attack = number % 2 == 1
        out, back = (40, 0) if attack else (rng.randrange(300, 900), rng.randrange(2000, 90000))
        record = {
            "ts": 1700000000 + number * 5,
            "uid": f"C{number}",
            "src_ip": f"10.0.{seed % 250}.{rng.randrange(2, 250)}",
            "src_port": 40000 + number,
            "dst_ip": "192.0.2.1",
            "dst_port": 81 if attack else 443,
            "proto": "tcp",
            "duration": "" if attack else round(rng.uniform(0.1, 9), 3),
            "orig_bytes": out,
            "resp_bytes": back,
            "conn_state": "S0" if attack else "SF",
            "orig_pkts": 1 if attack else 9,
            "resp_pkts": 0 if attack else 12,
            "capture": f"net-{seed}",
            "family": "DDoS" if attack else "Benign",
        }
        lines.append(",".join(str(record.get(column, "")) for column in COLUMNS))
    lines += ["not a record"] * broken
    path.write_text("\n".join(lines) + "\n")
    return path
