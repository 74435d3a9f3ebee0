"""`manage.py rotate_coordinator_key`: another key for the coordinator, if the members agree."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError
from flxdr.platform.identity import coordinator_keys, make_next_coordinator_key
from ledger import selectors
from ledger.services.governance import propose_coordinator_rotation


class Command(BaseCommand):
    help = (
        "Propose that a new key takes the place of the coordinator's. The new one is PQC_NEXT_SK_B64, else it is made "
        "in FL_DATA_DIR/keys: back it up. The coordinator uses it by itself once the members have approved; asking "
        "again proposes the same key again."
    )

    def handle(self, **_: Any) -> None:
        try:
            recorded = selectors.key_set().coordinator.key_id
            unused = [
                key
                for key in coordinator_keys()
                if key.public.key_id != recorded and not selectors.is_retired(key.public.key_id)
            ]
            new = unused[0] if unused else make_next_coordinator_key()
            proposal = propose_coordinator_rotation(new_key=new, actor="command", clock=SystemClock())
        except FlxdrError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Key in force: {recorded}")
        self.stderr.write(f"Next key:     {new.public.key_id}: tell the members, who compare it before they approve")
        self.stderr.write(f"Proposal {proposal.pk} is {proposal.status}; both keys are needed until it is sealed.")
        self.stdout.write(str(proposal.pk))
