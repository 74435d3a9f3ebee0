"""One token, many threads: one write."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection

from flxdr.platform.auth.principal import Principal
from flxdr.platform.auth.verification import VerifiedToken, spend
from flxdr.platform.errors import TokenReplayed

THREADS = 6


@pytest.mark.django_db(transaction=True)
def test_a_token_is_spent_once_whatever_the_timing() -> None:
    token = VerifiedToken(
        Principal("organization", "org-a"), "org-a", "j", datetime.now(UTC) + timedelta(minutes=1), single_use=True
    )
    start = Barrier(THREADS, timeout=30)

    def attempt(_: int) -> bool:
        start.wait()
        try:
            spend(token)
        except TokenReplayed:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert sorted(pool.map(attempt, range(THREADS))) == [False] * (THREADS - 1) + [True]
