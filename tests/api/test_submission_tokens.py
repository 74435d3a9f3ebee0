"""A submission spends its token in the transaction in which it is stored: once, whatever becomes of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from federation.models import Organization, Submission
from flxdr.platform.auth.tokens import ORGANIZATION, issue_token
from flxdr.platform.identity import coordinator_key
from flxdr.platform.models import UsedToken
from tests.api.callers import Caller, bearer, refuse_with
from tests.api.rounds import open_round, update

SUBMIT = "federation/round/submit-gradient"
THREADS = 4


def single_use() -> Caller:
    """One that sends the same short-lived token again and again."""
    lifetime = timedelta(minutes=2)
    return bearer(issue_token(key=coordinator_key(), subject="org-alpha", role=ORGANIZATION, lifetime=lifetime))


@pytest.mark.django_db
class TestOneAfterTheOther:
    @pytest.fixture(autouse=True)
    def _opened(self) -> None:
        self.round_id = open_round("org-alpha", "org-beta")
        self.body = update(self.round_id, "org-alpha")

    def test_the_same_token_submits_once(self) -> None:
        caller = single_use()
        assert caller.post(SUBMIT, self.body).status_code == 201
        refuse_with(caller.post(SUBMIT, self.body), 401, "token_replayed")
        assert (Submission.objects.count(), UsedToken.objects.count()) == (1, 1)

    def test_a_repetition_spends_its_own(self) -> None:
        assert single_use().post(SUBMIT, self.body).status_code == 201
        again = single_use()
        assert again.post(SUBMIT, self.body).status_code == 200
        refuse_with(again.post(SUBMIT, self.body), 401, "token_replayed")

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            pytest.param({"round_id": "round-0"}, 404, id="no such round"),
            pytest.param({"surprise": 1}, 400, id="a field too many"),
            pytest.param({"metrics": {"accuracy": 2}}, 422, id="a value out of range"),
        ],
    )
    def test_a_refused_one_spends_it_as_well(self, changes: dict[str, Any], status: int) -> None:
        caller = single_use()
        refuse_with(caller.post(SUBMIT, self.body | changes), status)
        refuse_with(caller.post(SUBMIT, self.body), 401, "token_replayed")
        assert not Submission.objects.exists()

    def test_a_refused_one_that_is_sent_again_does_not_count_again(self) -> None:
        caller, bad = single_use(), self.body | {"metrics": {"accuracy": 2}}
        for status in (422, 401, 401):
            refuse_with(caller.post(SUBMIT, bad), status)
        assert Organization.objects.get(org_id="org-alpha").rejected_count == 1


@pytest.mark.django_db(transaction=True)
def test_one_token_at_once_submits_once() -> None:
    round_id = open_round("org-alpha", "org-beta")
    caller, start = single_use(), Barrier(THREADS, timeout=30)

    def attempt(number: int) -> int:
        start.wait()
        try:
            return int(caller.post(SUBMIT, update(round_id, "org-alpha", samples_seen=1 + number)).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        assert sorted(pool.map(attempt, range(THREADS))) == [201, *[401] * (THREADS - 1)]
    assert (Submission.objects.count(), UsedToken.objects.count()) == (1, 1)
