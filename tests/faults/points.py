"""Where a round can be interrupted: what runs at every step of it, before and after each commit."""

from __future__ import annotations

from dataclasses import dataclass

SERVICES = "federation.services"


@dataclass(frozen=True)
class Point:
    """A moment in one process, in the product's own terms.

    Args:
        at: `module:function:before|after`.
        part: which process gets there, `web` or `worker`.
    """

    name: str
    at: str
    part: str

    def __str__(self) -> str:
        return self.name

    @property
    def function(self) -> str:
        return self.at.rpartition(":")[0]


def _web(name: str, at: str) -> Point:
    return Point(name, at, "web")


def _worker(name: str, at: str) -> Point:
    return Point(name, at, "worker")


PLAIN = (
    _web("start-uncommitted", "privacy.services.budget:reserve:after"),
    _web("start-unanswered", f"{SERVICES}.rounds:start_round:after"),
    _web("update-half-written", "flxdr.platform.storage.files:flush_to_disk:before"),
    _web("update-uncommitted", f"{SERVICES}.submissions:_record:before"),
    _web("update-unanswered", f"{SERVICES}.submissions:submit:after"),
    _web("closed-uncommitted", f"{SERVICES}.rounds:enqueue:after"),
    _web("closed-message-unsent", "celery.app.base:Celery.send_task:before"),
    _worker("claimed", f"{SERVICES}.aggregation.claims:claim_round:after"),
    _worker("aggregated", f"{SERVICES}.aggregation.work:combined:after"),
    _worker("model-written", f"{SERVICES}.aggregation.release_files:write:after"),
    _worker("proposal-uncommitted", f"{SERVICES}.aggregation_scratch:discard_after_commit:after"),
    _worker("proposal-committed", f"{SERVICES}.aggregation.proposal:commit:after"),
    _worker("countersign-uncommitted", "ledger.services.approvals:_seal_if_met:before"),
    _worker("countersigned", "ledger.services.approvals:countersign:after"),
    _web("approval-uncommitted", "ledger.services.approvals:_record:after"),
    _web("approval-unanswered", "ledger.services.approvals:approve:after"),
    _web("seal-uncommitted", "ledger.services.appending:append_block:after"),
    _web("seal-settled-uncommitted", "ledger.services.approvals:conclude:after"),
)
"""A round in the clear. `enqueue` in `rounds` is the last thing that its closing transaction does."""

CAMPAIGN = (
    _worker("advance-before", f"{SERVICES}.campaigns:advance_campaign:before"),
    _worker("advance-uncommitted", "privacy.services.budget:reserve:after"),
    _worker("advance-after", f"{SERVICES}.campaigns:advance_campaign:after"),
)
"""Between two rounds of a campaign."""

MASKED = (
    *(
        _web(f"{message}-{moment}", f"{SERVICES}.masking.messages:{function}:{place}")
        for message, function in (
            ("advertise", "advertise"),
            ("shares", "share"),
            ("consistency", "confirm"),
            ("unmask", "unmask"),
        )
        for moment, place in (("untaken", "before"), ("unanswered", "after"))
    ),
    _web("step-uncommitted", f"{SERVICES}.masking.steps:_begin:after"),
    _web("masked-input-uncommitted", f"{SERVICES}.submissions:_record:before"),
    _web("masked-input-unanswered", f"{SERVICES}.submissions:submit:after"),
    _worker("sums-unmasked", f"{SERVICES}.masking.sums:unmask:after"),
    _worker("sums-uncommitted", f"{SERVICES}.masking.sums:_mean:after"),
    _worker("masked-proposal-uncommitted", f"{SERVICES}.aggregation_scratch:discard_after_commit:after"),
)
"""A round of secure aggregation."""

PAILLIER = (
    _web("opening-untaken", f"{SERVICES}.masking.messages:open_sums:before"),
    _web("opening-unanswered", f"{SERVICES}.masking.messages:open_sums:after"),
    _worker("sums-encrypted", f"{SERVICES}.masking.sums:_ask_to_open:before"),
    _worker("opening-asked", f"{SERVICES}.masking.sums:_ask_to_open:after"),
    _worker("sums-opened", f"{SERVICES}.masking.sums:_opened:after"),
)
"""What a round of Paillier encryption has beside the steps of a masked one."""

SHARDED = (
    _worker("shards-planned", f"{SERVICES}.aggregation.shards:plan:after"),
    _worker("shard-claimed", f"{SERVICES}.aggregation.claims:claim_shard:after"),
    _worker("piece-half-written", "flxdr.platform.storage.files:flush_to_disk:before"),
    _worker("shard-worked", f"{SERVICES}.aggregation.shards:run:after"),
    _worker("shard-finished", f"{SERVICES}.aggregation.shards:finish:after"),
)
"""A large round, shared among the workers."""

EVERY = tuple({point.function: point for point in (*PLAIN, *CAMPAIGN, *MASKED, *PAILLIER, *SHARDED)}.values())
