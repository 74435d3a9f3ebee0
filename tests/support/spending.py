"""Budget entries as many rounds leave them, written at once: for pages and reads that must not grow with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from flxdr.core.clock import Clock
from privacy.dp.accountant import Release
from privacy.dp.composition import PPM
from privacy.mechanism import SAMPLED_GAUSSIAN
from privacy.models import BudgetAccount, BudgetEntry

SAMPLED = Release(PPM, 9 * PPM, PPM // 10, 10)
Kind = BudgetEntry.Kind


def spend(org_ids: Sequence[str], *, rounds: int, clock: Clock, release: Release = SAMPLED) -> None:
    """Reserve and spend `rounds` rounds; the organisations sat out some of them, no two neighbours the same number."""
    BudgetAccount.objects.bulk_create([BudgetAccount(org_id=name) for name in org_ids], ignore_conflicts=True)
    now = clock.now()
    columns = {"mechanism": SAMPLED_GAUSSIAN, **asdict(release), "delta_ppt": 10**7}
    reserved = BudgetEntry.objects.bulk_create(
        [
            BudgetEntry(
                account_id=name,
                round_id=f"spent-{number:05}",
                kind=Kind.RESERVED,
                recorded_at=now + timedelta(hours=number),
                **columns,
            )
            for number in range(rounds)
            for index, name in enumerate(org_ids)
            if number >= index % rounds
        ],
        batch_size=2_000,
    )
    BudgetEntry.objects.bulk_create(
        [
            BudgetEntry(
                account_id=entry.account_id,
                round_id=entry.round_id,
                kind=Kind.SPENT,
                reservation=entry,
                recorded_at=entry.recorded_at + timedelta(minutes=9),
                **columns,
            )
            for entry in reserved
        ],
        batch_size=2_000,
    )
