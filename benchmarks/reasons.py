"""Why a target is missed, for the page of benchmarks. A row that is met again loses its line here."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "aggregate.fedavg.50x1e6": "ours 56 ms, where the prototype behind the target took 18 to 36 ms on another machine",
    "aggregate.krum.50x1e6": "10.4 and 9.6 in two runs of one afternoon",
    "aggregate.median.50x1e6": "the peer takes 1,022 ms on this machine, and took 1,868 ms on the one of the target",
    "api.submit.1MB.postgresql": "16 statements through an ORM, two signatures and an exact check of every value, "
    "where the peer has one fsync",
    "api.submit.1MB.sqlite": "the same, and one writer at a time",
    "ledger.lineage.10000": "this machine runs Python at less than half the speed of the one where it took 0.23 s",
    "ledger.verify.mldsa65": "0.78 to 0.89 in four runs on this machine, 0.90 on an earlier one",
    "ledger.verify.structure": "the code that took 21.6 us on an earlier machine takes 49 on this one; today's took 45 "
    "to 73 in five runs here",
    "masked.round.80k.secagg_adds": "four steps of messages, each a long poll and an agent's signature",
    "metrics.scrape.crowd": "67 ms on an earlier machine, 109 and 127 on this one",
    "polling.status_p99": "the 300 agents ran on the same two cores; the median is 18 ms",
    "reading.suricata-json": "parsing of deep JSON; the profile is flat",
    "tgnn.epoch": "PyTorch takes 3.2 s on this machine and took 5.2 s on an earlier one, ours 2.7 and 2.3",
}
