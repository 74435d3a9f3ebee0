"""An operator's own second factor, and what a session without it sees."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from flxdr.operators import second_factor
from flxdr.operators.errors import SecondFactorPresent
from flxdr.operators.roles import ADMINISTRATOR, VIEWER
from flxdr.platform.models import AuditEvent
from tests.operators.accounts import account, sign_in, signed_in
from tests.operators.authenticator import Authenticator, forgive

pytestmark = pytest.mark.django_db
PAGE = "/account/two-factor"
API = "/api/fl-blockchain/"


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def post(client: Client, action: str, code: str) -> str:
    return text(client.post(f"{PAGE}/{action}", {"code": code}, follow=True))


def shown_codes(page: str) -> list[str]:
    return re.findall(r"<code>([a-z2-7]{8})</code>", page)


def events(user: User) -> list[tuple[str, str]]:
    rows = AuditEvent.objects.filter(subject=user.username).exclude(kind__startswith="operator.sign").order_by("pk")
    return [(row.kind, row.actor) for row in rows]


class TestSettingUp:
    def test_a_code_of_the_secret_sets_it_up(self, kim: User, authenticator: Authenticator) -> None:
        client = signed_in(kim)
        page = text(client.get(PAGE))
        assert 'src="data:image/svg+xml' in page
        authenticator.scan(page)
        codes = shown_codes(post(client, "enrol", authenticator.fresh()))
        assert len(set(codes)) == second_factor.RECOVERY_CODES
        assert events(kim) == [("operator.second_factor_added", "operator:kim")]
        again = text(client.get(PAGE))
        assert "data:image" not in again
        assert not shown_codes(again)
        assert client.get("/").status_code == 200, "the session that set it up goes on"
        assert sign_in("kim", codes[0])[1].status_code == 302

    def test_the_secret_stays_the_same_until_then(self, kim: User, authenticator: Authenticator) -> None:
        client = signed_in(kim)
        authenticator.scan(text(client.get(PAGE)))
        key = authenticator.key
        assert "not of this secret" in post(client, "enrol", authenticator.wrong())
        authenticator.scan(text(client.get(PAGE)))
        assert authenticator.key == key
        assert not TOTPDevice.objects.exists()

    def test_every_account_gets_its_own(self, kim: User, authenticator: Authenticator) -> None:
        authenticator.scan(text(signed_in(kim).get(PAGE)))
        key = authenticator.key
        authenticator.scan(text(signed_in(account(VIEWER)).get(PAGE)))
        assert authenticator.key != key

    def test_nothing_of_it_is_kept_by_a_browser(self, kim: User) -> None:
        assert "no-store" in signed_in(kim).get(PAGE)["Cache-Control"]

    def test_the_session_gets_another_name(self, kim: User, authenticator: Authenticator) -> None:
        client = signed_in(kim)
        authenticator.scan(text(client.get(PAGE)))
        before = client.session.session_key
        post(client, "enrol", authenticator.fresh())
        assert client.session.session_key != before

    def test_there_is_one_device(self, kim: User, authenticator: Authenticator) -> None:
        client = signed_in(kim)
        authenticator.scan(text(client.get(PAGE)))
        post(client, "enrol", authenticator.fresh())
        assert not shown_codes(post(client, "enrol", authenticator.fresh()))
        with pytest.raises(SecondFactorPresent):
            authenticator.give_to(kim)
        assert TOTPDevice.objects.count() == 1

    @pytest.mark.parametrize("code", ["", "x" * 25])
    def test_no_code_is_said(self, kim: User, code: str) -> None:
        client = signed_in(kim)
        client.get(PAGE)
        assert "Enter a code." in post(client, "enrol", code)

    def test_it_is_for_staff(self) -> None:
        client = signed_in(User.objects.create_user("visitor"))
        assert client.get(PAGE)["Location"].startswith("/admin/login/")


class TestManaging:
    @pytest.fixture
    def codes(self, kim: User, authenticator: Authenticator) -> list[str]:
        return authenticator.give_to(kim)

    @pytest.fixture
    def client(self, codes: list[str], authenticator: Authenticator) -> Client:
        return sign_in("kim", authenticator.fresh())[0]

    def test_a_fresh_code_removes_it(self, kim: User, client: Client, authenticator: Authenticator) -> None:
        for refused in (authenticator.code(), authenticator.wrong(), "abcdefgh"):
            assert "was used before" in post(client, "remove", refused)
            forgive(kim)
        assert TOTPDevice.objects.count() == StaticDevice.objects.count() == 1
        assert "is removed" in post(client, "remove", authenticator.fresh())
        assert TOTPDevice.objects.count() == StaticDevice.objects.count() == 0
        assert events(kim)[-1] == ("operator.second_factor_removed", "operator:kim")
        assert sign_in("kim")[1].status_code == 302

    def test_new_recovery_codes_end_the_old(
        self, kim: User, client: Client, codes: list[str], authenticator: Authenticator
    ) -> None:
        assert not shown_codes(post(client, "recovery-codes", authenticator.wrong()))
        forgive(kim)
        new = shown_codes(post(client, "recovery-codes", authenticator.fresh()))
        assert len(new) == second_factor.RECOVERY_CODES
        assert events(kim)[-1] == ("operator.recovery_codes_renewed", "operator:kim")
        assert sign_in("kim", codes[0])[1].status_code == 200
        forgive(kim)
        assert sign_in("kim", new[0])[1].status_code == 302

    def test_a_session_of_a_recovery_code_outlives_new_ones(self, kim: User, codes: list[str]) -> None:
        client = sign_in("kim", codes[0])[0]
        assert shown_codes(post(client, "recovery-codes", codes[1]))
        assert "Recovery codes left" in text(client.get(PAGE))

    @pytest.mark.parametrize("action", ["remove", "recovery-codes"])
    def test_a_session_without_a_code_manages_nothing(self, kim: User, codes: list[str], action: str) -> None:
        response = signed_in(kim).post(f"{PAGE}/{action}", {"code": codes[0]})
        assert (response.status_code, response["Location"]) == (302, PAGE)
        assert second_factor.recovery_codes_left(kim) == second_factor.RECOVERY_CODES

    @pytest.mark.parametrize("action", ["remove", "recovery-codes"])
    def test_without_a_device_there_is_nothing_to_manage(self, action: str) -> None:
        lee = account(VIEWER, "lee")
        assert "has no second factor" in post(signed_in(lee), action, "123456")
        assert not StaticDevice.objects.exists()


class TestSessions:
    """What a session sees that has not shown what it must."""

    PAGES = ("/", "/rounds/", "/audit/", "/admin/", "/admin/federation/organization/", "/admin/password_change/")

    def shut_out(self, client: Client) -> None:
        for path in self.PAGES:
            response = client.get(path)
            assert (response.status_code, response["Location"]) == (302, PAGE), path
        assert client.post("/verify-chain")["Location"] == PAGE
        for answer in (client.get(f"{API}federation/organizations"), client.post(f"{API}federation/round/start")):
            assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_needed")
        assert client.get("/healthz").status_code == 200
        assert client.post("/admin/logout/").status_code == 200

    @pytest.mark.parametrize("address", ["192.0.2.7", "127.0.0.1"])
    def test_required_of_those_who_have_none(self, kim: User, env: Any, address: str) -> None:
        env(operator_2fa="required")
        self.shut_out(signed_in(kim, HTTP_HOST="localhost", REMOTE_ADDR=address))

    @pytest.mark.parametrize("mode", ["optional", "required"])
    def test_required_of_those_who_have_one(self, kim: User, authenticator: Authenticator, env: Any, mode: str) -> None:
        env(operator_2fa=mode)
        earlier = signed_in(kim)
        authenticator.give_to(kim)
        self.shut_out(earlier)

    def test_setting_it_up_lets_in(self, kim: User, authenticator: Authenticator, env: Any) -> None:
        env(operator_2fa="required")
        client = signed_in(kim, REMOTE_ADDR="192.0.2.7")
        page = text(client.get("/", follow=True))
        assert "before this account has a second factor" in page
        authenticator.scan(page)
        post(client, "enrol", authenticator.fresh())
        assert {path: client.get(path).status_code for path in self.PAGES} == dict.fromkeys(self.PAGES, 200)
        assert client.get(f"{API}federation/organizations").status_code == 200

    def test_a_code_lets_in(self, kim: User, authenticator: Authenticator) -> None:
        client = signed_in(kim)
        authenticator.give_to(kim)
        assert "This session was opened without a code" in text(client.get("/", follow=True))
        assert "came too soon" in post(client, "check", authenticator.wrong())
        forgive(kim)
        before = client.session.session_key
        post(client, "check", authenticator.fresh())
        assert client.session.session_key != before
        assert client.get("/").status_code == 200

    def test_optional_asks_nothing_of_those_who_have_none(self, kim: User) -> None:
        client = signed_in(kim, REMOTE_ADDR="192.0.2.7")
        assert client.get("/").status_code == 200
        assert client.get(f"{API}federation/organizations").status_code == 200

    def test_a_session_whose_device_is_gone_is_shut_out(
        self, kim: User, authenticator: Authenticator, env: Any
    ) -> None:
        env(operator_2fa="required")
        authenticator.give_to(kim)
        client = sign_in("kim", authenticator.fresh())[0]
        assert client.get("/").status_code == 200
        second_factor.reset(user=kim, actor="operator:ada")
        self.shut_out(client)


class TestResetting:
    """By somebody else, for a device that is lost."""

    def reset(self, client: Client, user: User) -> str:
        values = {"action": "reset_second_factor", "_selected_action": str(user.pk)}
        return text(client.post("/admin/auth/user/", values, follow=True))

    def test_an_administrator_resets(self, kim: User, authenticator: Authenticator) -> None:
        authenticator.give_to(kim)
        ada = signed_in(account(ADMINISTRATOR, "ada"))
        assert "has no second factor any more" in self.reset(ada, kim)
        assert TOTPDevice.objects.count() == StaticDevice.objects.count() == 0
        assert events(kim)[-1] == ("operator.second_factor_reset", "operator:ada")
        assert "has no second factor" in self.reset(ada, kim)

    def test_nobody_resets_the_own(self, authenticator: Authenticator) -> None:
        ada = account(ADMINISTRATOR, "ada")
        authenticator.give_to(ada)
        client = signed_in(ada)
        post(client, "check", authenticator.fresh())
        assert "remove your own with a code" in self.reset(client, ada)
        assert TOTPDevice.objects.exists()

    def test_nobody_else_resets(self, kim: User, authenticator: Authenticator) -> None:
        lee = account(VIEWER, "lee")
        authenticator.give_to(lee)
        values = {"action": "reset_second_factor", "_selected_action": str(lee.pk)}
        assert signed_in(kim).post("/admin/auth/user/", values).status_code == 403
        assert TOTPDevice.objects.exists()

    def test_the_command_resets(self, kim: User, authenticator: Authenticator) -> None:
        authenticator.give_to(kim)
        call_command("reset_second_factor", "kim", stdout=io.StringIO())
        assert not TOTPDevice.objects.exists()
        assert events(kim)[-1] == ("operator.second_factor_reset", "command")
        for name, says in (("kim", "has no second factor"), ("nobody", "no account")):
            with pytest.raises(CommandError, match=says):
                call_command("reset_second_factor", name, stdout=io.StringIO())

    def test_nobody_looks_at_secrets(self) -> None:
        assert not site.is_registered(TOTPDevice)
        assert not site.is_registered(StaticDevice)

    def test_an_account_with_a_device_can_be_removed(self, kim: User, authenticator: Authenticator) -> None:
        authenticator.give_to(kim)
        ada = signed_in(account(ADMINISTRATOR, "ada"))
        assert ada.post(f"/admin/auth/user/{kim.pk}/delete/", {"post": "yes"}).status_code == 302
        assert not User.objects.filter(username="kim").exists()
