"""Why a target is missed, for the page of benchmarks. A row that is met again loses its line here."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "aggregate.fedavg.50x1e6": "ours 49 ms, where the prototype behind the target took 18 to 36 ms on another machine",
    "aggregate.median.50x1e6": "the peer takes 681 ms on this machine, and took 1,868 ms on the one of the target",
    "api.submit.1MB.postgresql": "16 statements through an ORM, two signatures and an exact check of every value, "
    "where the peer has one fsync",
    "api.submit.1MB.sqlite": "the same, and one writer at a time",
    "masked.round.80k.secagg_adds": "four steps of messages, each a long poll and an agent's signature",
    "polling.status_p99": "the 300 agents and their signatures ran on the same two cores; the median is 18 ms",
    "reading.netflow-csv": "parsing of text and pseudonyms by name; the profile is flat",
    "reading.suricata-json": "parsing of deep JSON; the profile is flat",
}
