"""A production coordinator, as it runs: who has the password alone operates nothing."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from django_otp.oath import TOTP

from tests.support.processes import API, REPOSITORY, Coordinator, clean_environment

PASSWORD = "correct horse battery"
PAGE = "/account/two-factor"
ORGANIZATIONS = f"{API}/federation/organizations"


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    """With the secrets that `generate_keys` prints, and an account that `create_operator` made."""
    folder = tmp_path_factory.mktemp("production")
    manage = [sys.executable, str(REPOSITORY / "manage.py")]
    keys = subprocess.run(
        [*manage, "generate_keys"],
        env=clean_environment({"FL_DATA_DIR": str(folder / "keys")}),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    environment = dict(re.findall(r"^export (\w+)=(.*)$", keys.stdout, flags=re.MULTILINE))
    environment |= {"FL_ENV": "production", "FL_ALLOWED_HOSTS": "127.0.0.1", "FL_BEHIND_PROXY": "true"}
    with Coordinator(folder / "state", environment) as coordinator:
        subprocess.run(
            [*manage, "create_operator", "kim", "--password-stdin"],
            env=coordinator.environment,
            cwd=REPOSITORY,
            input=f"{PASSWORD}\n",
            text=True,
            capture_output=True,
            check=True,
        )
        yield coordinator


class Browser:
    """Behind a proxy that speaks TLS; keeps cookies, which are for TLS only, and answers the forms that it is shown."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._url = coordinator.url
        self._headers = {"X-Forwarded-Proto": "https", "Referer": coordinator.url.replace("http:", "https:")}
        self._cookies: dict[str, str] = {}
        self._form_token = ""

    def get(self, path: str) -> httpx.Response:
        return self._send("GET", path)

    def post(self, path: str, **values: str) -> httpx.Response:
        return self._send("POST", path, {"csrfmiddlewaretoken": self._form_token, **values})

    def sign_in(self, code: str = "") -> httpx.Response:
        self.get("/admin/login/")
        return self.post("/admin/login/", username="kim", password=PASSWORD, code=code, next="/")

    def _send(self, method: str, path: str, values: dict[str, str] | None = None) -> httpx.Response:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {**self._headers, "Cookie": cookies}
        response = httpx.request(
            method, f"{self._url}{path}", data=values, headers=headers, timeout=30, trust_env=False
        )
        for header in response.headers.get_list("set-cookie"):
            assert "Secure" in header
            name, _, value = header.partition(";")[0].partition("=")
            self._cookies[name] = value
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', response.text)
        self._form_token = found.group(1) if found else self._form_token
        return response


def test_a_second_factor_is_set_up_before_anything_else(coordinator: Coordinator) -> None:
    browser = Browser(coordinator)
    assert browser.sign_in().headers["Location"] == "/"
    assert browser.get("/").headers["Location"] == PAGE
    refused = browser.get(ORGANIZATIONS)
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_needed")

    shown = re.search(r"<code>([A-Z2-7 ]+)</code>", browser.get(PAGE).text)
    assert shown is not None
    totp = TOTP(base64.b32decode(shown.group(1).replace(" ", "")))
    set_up = browser.post(f"{PAGE}/enrol", code=f"{totp.token():06d}")
    assert len(re.findall(r"<code>[a-z2-7]{8}</code>", set_up.text)) == 10
    assert browser.get("/").status_code == browser.get("/admin/").status_code == 200
    assert browser.get(ORGANIZATIONS).status_code == 200

    other = Browser(coordinator)
    assert "This account asks for a code as well." in other.sign_in().text
    assert other.get("/").headers["Location"].startswith("/admin/login/")
    totp.time = time.time() + 30  # the next code: this one was used
    assert other.sign_in(f"{totp.token():06d}").headers["Location"] == "/"
    assert other.get("/").status_code == 200
