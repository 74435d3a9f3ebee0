"""Why a target is missed, for the page of benchmarks. A row that is met again loses its line here."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "aggregate.fedavg.50x1e6": "the exact sum on int32 is bound by memory, as the peer's sum on float32 is",
    "aggregate.median.50x1e6": "the peer sorts faster on this machine (AVX-512) than on the one of the target",
    "masked.round.80k.secagg_adds": "four steps of messages, each a long poll and an agent's signature",
    "reading.netflow-csv": "parsing of text and pseudonyms by name; the profile is flat",
    "reading.suricata-json": "parsing of deep JSON; the profile is flat",
}
