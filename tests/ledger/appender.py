"""A process that releases one model a number of times, in competition with others: `appender MODEL COUNT`.

Prints the heights of its blocks as JSON on the last line.
"""

from __future__ import annotations

import json
import sys
import time

import django

django.setup()

import msgspec  # noqa: E402

from flxdr.core.clock import SystemClock  # noqa: E402
from ledger import selectors  # noqa: E402
from ledger.models import Block, Proposal  # noqa: E402
from ledger.services import approvals, proposals  # noqa: E402
from tests.ledger.chains import hash_of, provenance  # noqa: E402

PATIENCE = 60.0


def main(model_name: str, count: int) -> None:
    clock = SystemClock()
    for number in range(1, count + 1):
        deadline = time.monotonic() + PATIENCE
        parent = hash_of(f"{model_name} {number - 1}")
        release = provenance(number, model_name=model_name, round_id=f"{model_name}-{number}", parent_model_hash=parent)
        proposal = proposals.propose_release(
            provenance=msgspec.to_builtins(release),
            model_hash=hash_of(f"{model_name} {number}"),
            training_orgs=release.training_orgs,
            clock=clock,
        )
        # Whoever is open is signed, as the workers of two coordinators would: ours may wait behind others.
        while selectors.proposal_by_id(proposal.pk).status != Proposal.Status.SEALED:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{model_name} {number} was not sealed")
            for waiting in Proposal.objects.filter(status=Proposal.Status.OPEN):
                approvals.countersign(proposal_id=waiting.pk, clock=clock)
    heights = Block.objects.filter(model_name=model_name).order_by("height").values_list("height", flat=True)
    sys.stdout.write(json.dumps(list(heights)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
