"""Signing in with a name, a password and a code."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User

from flxdr.operators.roles import VIEWER
from flxdr.platform.models import AuditEvent
from tests.operators.accounts import PASSWORD, account, sign_in
from tests.operators.authenticator import Authenticator, forgive

pytestmark = pytest.mark.django_db


def entered(answer: Any) -> bool:
    if answer.status_code == 302:
        return bool(answer["Location"] == "/admin/")
    assert answer.status_code == 200
    return False


def events(kind: str) -> list[tuple[str, str, Any]]:
    rows = AuditEvent.objects.filter(kind=f"operator.{kind}").order_by("pk")
    return [(row.actor, row.subject, row.data) for row in rows]


def test_without_a_device_the_password_is_enough(kim: User) -> None:
    _, answer = sign_in("kim")
    assert entered(answer)
    assert events("signed_in") == [("operator:kim", "kim", {"second_factor": False})]


def test_with_a_device_a_code_is_asked_for(kim: User, authenticator: Authenticator) -> None:
    authenticator.give_to(kim)
    client, answer = sign_in("kim")
    assert not entered(answer)
    assert "This account asks for a code as well." in answer.content.decode()
    assert client.get("/").status_code == 302
    client, answer = sign_in("kim", authenticator.fresh())
    assert entered(answer)
    assert client.get("/").status_code == 200
    assert events("signed_in") == [("operator:kim", "kim", {"second_factor": True})]


def test_no_answer_repeats_the_password(kim: User, authenticator: Authenticator) -> None:
    authenticator.give_to(kim)
    assert PASSWORD not in sign_in("kim")[1].content.decode()


def test_a_code_is_good_once(kim: User, authenticator: Authenticator) -> None:
    authenticator.give_to(kim)
    code = authenticator.fresh()
    assert entered(sign_in("kim", code)[1])
    assert not entered(sign_in("kim", code)[1])


def test_a_code_does_not_make_up_for_the_password(kim: User, authenticator: Authenticator) -> None:
    authenticator.give_to(kim)
    assert not entered(sign_in("kim", authenticator.fresh(), password="another")[1])


def test_a_code_is_of_the_own_device(kim: User, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator.give_to(kim)
    other = Authenticator(monkeypatch, key="f" * 40)
    codes = other.give_to(account(VIEWER, "lee"))
    assert not entered(sign_in("kim", other.fresh())[1])
    forgive(kim)
    assert not entered(sign_in("kim", codes[0])[1])


def test_after_a_wrong_code_a_right_one_waits(kim: User, authenticator: Authenticator) -> None:
    authenticator.give_to(kim)
    assert not entered(sign_in("kim", authenticator.wrong())[1])
    assert not entered(sign_in("kim", authenticator.fresh())[1])
    forgive(kim)
    assert entered(sign_in("kim", authenticator.code())[1])


def test_a_recovery_code_is_good_once(kim: User, authenticator: Authenticator) -> None:
    first, second = authenticator.give_to(kim)[:2]
    client, answer = sign_in("kim", first)
    assert entered(answer)
    assert client.get("/").status_code == 200
    assert not entered(sign_in("kim", first)[1])
    forgive(kim)
    assert entered(sign_in("kim", f" {second[:4].upper()}-{second[4:]} ")[1])


def test_wrong_codes_lock_as_wrong_passwords_do(kim: User, authenticator: Authenticator) -> None:
    authenticator.give_to(kim)
    answers = []
    for _ in range(6):
        answers.append(sign_in("kim", authenticator.wrong())[1].status_code)
        forgive(kim)
    assert answers == [200, 200, 200, 200, 429, 429]
    assert sign_in("kim", authenticator.fresh())[1].status_code == 429


def test_a_good_recovery_code_beside_a_wrong_password_is_kept_nowhere(kim: User, authenticator: Authenticator) -> None:
    code = authenticator.give_to(kim)[0]
    sign_in("kim", code, password="mistyped")
    assert AccessAttempt.objects.count() == 1
    assert code not in str(AccessAttempt.objects.values().get())
    assert entered(sign_in("kim", code)[1])


def test_the_setting_off_asks_nobody(kim: User, authenticator: Authenticator, env: Any) -> None:
    authenticator.give_to(kim)
    env(operator_2fa="off")
    client, answer = sign_in("kim")
    assert entered(answer)
    assert client.get("/").status_code == 200
    for path in ("", "/enrol", "/check", "/recovery-codes", "/remove"):
        page = client.post(f"/account/two-factor{path}") if path else client.get("/account/two-factor")
        assert "asks nobody for a second factor" in page.content.decode()


def test_failures_are_told_of_accounts_that_exist_until_they_are_locked(kim: User) -> None:
    for _ in range(8):
        sign_in("kim", password="guess")
    sign_in("nobody", password="guess")
    assert events("sign_in_failed") == [("anonymous", "kim", {})] * 5


def test_a_lock_is_told_once_and_ends_though_somebody_goes_on_guessing(kim: User) -> None:
    for _ in range(9):
        sign_in("kim", password="guess")
    for _ in range(9):
        sign_in("nobody", password="guess")
    assert events("locked_out") == [("anonymous", "kim", {"address": "127.0.0.1"})]
    assert sign_in("kim")[1].status_code == 429
    begun = AccessAttempt.objects.get(username="kim").attempt_time
    sign_in("kim", password="guess")
    attempt = AccessAttempt.objects.get(username="kim")
    assert (attempt.attempt_time, attempt.failures_since_start) == (begun, 5)
    AccessAttempt.objects.update(attempt_time=begun - timedelta(minutes=15, seconds=1))
    assert entered(sign_in("kim")[1])
