"""A whole round with every secret set and everything logged: none of them, in no form, is in anything that is written
for people or for other systems to read.

Real processes: a coordinator on PostgreSQL and Redis with passwords, two organisations' agents, and a telemetry broker
and a webhook that see what is sent to them. What commonly betrays secrets happens as well: refused tokens and headers,
a wrong password, a link that is opened the wrong way, a request that crashes, bad settings, a queue that goes down.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import psycopg
import pytest
import redis

from flxdr.core.keys import PrivateKey
from flxdr.demo.federation import AGENT
from flxdr.demo.processes import Processes, run
from models_ml import synthetic
from models_ml.adapters.writing import write_conn_log
from models_ml.registry import EDGE_NORMALISER
from tests.notifications.servers import Hook, serving
from tests.support.leaks import Secrets
from tests.support.processes import API, Coordinator, clean_environment, eventually, free_port
from tests.support.services import own_redis_server, postgres_database

MEMBERS = 2
KEPT_SECRET = {"keys", "blobs", "redis", "services", "homes"}
"""Folders that nobody reads as a log: keys and files of the coordinator, the servers' own, the agents' homes."""


def random_text() -> str:
    return secrets.token_urlsafe(32)


@pytest.mark.parametrize("prefix", [b"", b"a", b"ab"])
def test_a_secret_is_found_in_every_form(prefix: bytes) -> None:
    """The search itself: what it would not find, no test below could miss."""
    hidden = Secrets()
    hidden.add("key", bytes(range(200, 232)))
    value = hidden.known["key"]
    texts = [
        value,
        value.hex().encode(),
        quote(value).encode(),
        repr({"key": value}).encode(),
        base64.b64encode(prefix + value + b"more"),
        base64.urlsafe_b64encode(prefix + value + b"more"),
    ]
    assert all(hidden.found_in(b"before " + text + b" after") for text in texts)
    assert not hidden.found_in(base64.b64encode(bytes(range(100, 132))))


class Browser:
    """An operator's browser: keeps cookies, and answers the forms that it is shown."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def close(self) -> None:
        self.http.close()

    def submit(self, path: str, **values: str) -> httpx.Response:
        shown = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.http.get(path).text)
        assert shown is not None, path
        return self.http.post(path, data={"csrfmiddlewaretoken": shown.group(1), **values}, headers={"Referer": path})


@dataclass
class Stage:
    """What runs, and what is known of it."""

    folder: Path
    coordinator: Coordinator
    hidden: Secrets
    password: str
    telemetry: Hook
    webhook: Hook
    agents: Processes

    def keep(self, name: str, output: str) -> None:
        """What a command wrote, to be searched with the logs."""
        with (self.folder / f"{name}.out").open("a") as file:
            file.write(output)

    def manage(self, *arguments: str, typed: str | None = None, **environment: str) -> None:
        done = self.coordinator.manage(*arguments, check=False, typed=typed, environment=environment)
        self.keep(arguments[0], done.stdout + done.stderr)

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Everything that was written or sent for others to read, and where."""
        for path in self.folder.rglob("*"):
            place = path.relative_to(self.folder)
            if path.is_file() and not KEPT_SECRET & set(place.parts):
                yield str(place), path.read_bytes()
        for name, server in (("telemetry", self.telemetry), ("webhook", self.webhook)):
            for number, posted in enumerate(server.posted):
                yield f"{name} {number}", posted.body
        with psycopg.connect(self.coordinator.environment["DATABASE_URL"]) as database:
            for table in ("platform_auditevent", "platform_outboxevent", "notifications_notification"):
                rows = database.execute(
                    psycopg.sql.SQL("SELECT t::text FROM {} t").format(psycopg.sql.Identifier(table))
                )
                yield table, "\n".join(row[0] for row in rows.fetchall()).encode()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    hidden = Secrets()
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(postgres_database(tmp_path / "services"))
        queue = stack.enter_context(own_redis_server(tmp_path / "redis", free_port()))
        telemetry, webhook = stack.enter_context(serving(Hook())), stack.enter_context(serving(Hook()))
        names = ("SECRET_KEY", "API_HMAC_KEY", "ROMA_MQ_TOKEN", "FL_METRICS_TOKEN", "FL_NOTIFY_WEBHOOK_SECRET")
        texts = {name: random_text() for name in names}
        seed = PrivateKey.generate().seed
        passwords = {"DATABASE_URL": urlsplit(postgres).password or random_text(), "REDIS_URL": random_text()}
        with redis.Redis.from_url(queue) as client:
            client.config_set("requirepass", passwords["REDIS_URL"])
        environment = texts | {
            "PQC_SK_B64": base64.b64encode(seed).decode(),
            "DATABASE_URL": with_password(postgres, passwords["DATABASE_URL"]),
            "REDIS_URL": with_password(queue, passwords["REDIS_URL"]),
            "TELEMETRY_BACKEND": "roma",
            "ROMA_MQ_URL": telemetry.url,
            "FL_NOTIFY_WEBHOOK_URL": webhook.url,
            "FL_LOG_LEVEL": "DEBUG",
            "FL_OPERATOR_2FA": "off",
        }
        for name, value in texts.items() | {(f"password of {name}", value) for name, value in passwords.items()}:
            hidden.add(name, value)
        hidden.add("PQC_SK_B64", seed)
        coordinator = stack.enter_context(Coordinator(tmp_path / "state", environment))
        agents = stack.enter_context(Processes(tmp_path / "agents"))
        password = random_text()
        hidden.add("operator's password", password)
        made = Stage(tmp_path, coordinator, hidden, password, telemetry, webhook, agents)
        made.manage("create_operator", "kim", "--password-stdin", typed=f"{password}\n")
        yield made


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:{password}@{host}"))


def test_no_secret_is_written_anywhere(stage: Stage) -> None:
    with contextlib.closing(Browser(stage.coordinator.url)) as browser:
        sign_in(stage, browser)
        homes = [enrol(stage, browser, *organization) for organization in organizations(stage.folder)]
        round_id = one_round(stage)
        crash_with_secrets_at_hand(stage, browser)
    for home in homes:
        open_link_the_wrong_way(stage, home)
    refuse_what_is_no_token(stage)
    misconfigure(stage)
    stop_the_queue(stage)

    written = dict(stage.written())
    everything = b"".join(written.values())
    for marker in (round_id, "CSRF cookie not set", "UndefinedTable", "operator.sign_in_failed", "is not allowed"):
        assert marker.encode() in everything, f"what is searched tells what happened: {marker}"
    logs = {"state.log", "state/backend.log", "agents/org-0.log", "check.out", "platform_auditevent", "telemetry 0"}
    assert logs <= {name for name, text in written.items() if text}
    assert b"/member/sign-in/[hidden]" in written["state/backend.log"]
    betrayed = {name: found for name, text in written.items() if (found := stage.hidden.found_in(text))}
    assert betrayed == {}


def sign_in(stage: Stage, browser: Browser) -> None:
    """With another password first."""
    refused = browser.submit("/admin/login/", username="kim", password=f"{stage.password}x", next="/")
    assert refused.status_code == 200
    assert browser.submit("/admin/login/", username="kim", password=stage.password, next="/").status_code == 302
    stage.hidden.add("cookie of the session", browser.http.cookies["sessionid"])


def organizations(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names and records."""
    for number, partition in enumerate(list(synthetic.generate(7, records=300).values())[:MEMBERS]):
        records = folder / "homes" / f"records-{number}.log"
        records.parent.mkdir(exist_ok=True)
        write_conn_log(partition.train, records)
        yield f"org-{number}", records


def enrol(stage: Stage, browser: Browser, name: str, records: Path) -> Path:
    """An organisation with a token from the operator's page; its agent runs from here on."""
    shown = browser.submit("/enrolment/", org_id=name, days="7").text
    found = re.search(r"enrol --token ([A-Za-z0-9_-]+)", shown)
    assert found is not None
    stage.hidden.add(f"enrolment token of {name}", found.group(1))
    home = stage.folder / "homes" / name
    environment = clean_environment({})
    init = ["--org-id", name, "--name", name, "--coordinator", stage.coordinator.url, "--data", str(records)]
    stage.keep("init", run([AGENT, "init", "--home", str(home), *init, "--admissions", "auto"], environment))
    stage.keep("enrol", run([AGENT, "enrol", "--home", str(home), "--token", found.group(1)], environment))
    for file in ("key.json", "witness.json"):
        if (home / file).exists():
            seed = json.loads((home / file).read_text())["seed"]
            stage.hidden.add(f"{file} of {name}", base64.b64decode(seed))
    stage.agents.start(name, [AGENT, "run", "--home", str(home)], environment)
    return home


def one_round(stage: Stage) -> str:
    """Start a round as soon as both are members, and see it through."""
    url = f"{stage.coordinator.url}{API}/federation/round"
    wanted = {"model": EDGE_NORMALISER, "aggregation_method": "FedAvg", "min_orgs_required": MEMBERS}

    def start() -> str | None:
        stage.agents.require_alive()
        response = httpx.post(f"{url}/start", json=wanted, timeout=30)
        return str(response.json()["round_id"]) if response.is_success else None

    round_id = eventually(start, what=f"a round starts\n{stage.coordinator.tail()}", timeout=90, every=0.5)
    ended = eventually(
        lambda: (
            (status := httpx.get(f"{url}/{round_id}/status", timeout=30).json()["status"]) in ("completed", "failed")
            and status
        ),
        what=f"{round_id} ends\n{stage.coordinator.tail()}",
        timeout=120,
        every=0.2,
    )
    assert ended == "completed"
    return round_id


def open_link_the_wrong_way(stage: Stage, home: Path) -> None:
    """A link that is still good is refused for how it is opened, and refused again once it was used."""
    link = json.loads(run([AGENT, "page", "--home", str(home), "--json"], clean_environment({})))["url"]
    stage.hidden.add(f"link to the page of {home.name}", urlsplit(link).path.split("/")[3])
    with contextlib.closing(Browser(stage.coordinator.url)) as browser:
        assert browser.http.put(link).status_code == 403
        assert browser.submit(urlsplit(link).path).status_code == 302
        assert browser.http.get(link).status_code == 403


def refuse_what_is_no_token(stage: Stage) -> None:
    """Secrets where they do not belong, in headers that are refused on several levels."""
    url = stage.coordinator.url
    for name in ("API_HMAC_KEY", "FL_METRICS_TOKEN"):
        secret = stage.hidden.known[name].decode()
        for header in (f"Bearer {secret}", f"Basic {secret}", secret):
            refused = httpx.get(f"{url}{API}/federation/organizations", headers={"Authorization": header})
            assert refused.status_code == 401
        for line in (f"Authorization : Bearer {secret}", f"Authorization: {secret}\x01", f"X: {secret}{'x' * 20_000}"):
            answer = answer_to(url, f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n".encode())
            assert b" 4" in answer.partition(b"\r\n")[0]
    assert httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {random_text()}"}).status_code == 401
    token = stage.hidden.known["FL_METRICS_TOKEN"].decode()
    figures = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"})
    assert figures.status_code == 200
    assert set(re.findall(r"^flxdr_source_up.* (\S+)$", figures.text, flags=re.MULTILINE)) == {"1.0"}, figures.text
    stage.keep("metrics", figures.text)


def answer_to(url: str, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 80), timeout=30) as connection:
        connection.sendall(request)
        return connection.recv(4096)


def crash_with_secrets_at_hand(stage: Stage, browser: Browser) -> None:
    """Requests whose bodies, headers and cookies hold secrets, and whose table is gone."""
    with psycopg.connect(stage.coordinator.environment["DATABASE_URL"], autocommit=True) as database:
        database.execute("ALTER TABLE federation_enrolmenttoken RENAME TO gone")
        token = random_text()
        stage.hidden.add("enrolment token of a request that crashed", token)
        body = {"org_id": "org-9", "org_name": "Nine", "enrolment_token": token, "data_sources": {"logs": "zeek"}}
        crashed = httpx.post(f"{stage.coordinator.url}{API}/federation/register", json=body, timeout=30)
        assert crashed.status_code == 500
        page = browser.http.get("/enrolment/")
        assert page.status_code == 500
        stage.keep("crash", crashed.text + page.text)
        database.execute("ALTER TABLE gone RENAME TO federation_enrolmenttoken")


def misconfigure(stage: Stage) -> None:
    """Settings that are refused are told with their names, and secret ones without their values."""
    good = stage.coordinator.environment
    stage.manage("check")
    stage.manage("check", "--deploy", FL_ENV="production", FL_ALLOWED_HOSTS="fl.example.org")
    stage.manage("check", FL_ENV="production", DATABASE_URL=good["DATABASE_URL"].replace("postgresql", "mysql", 1))
    stage.manage("check", PQC_SK_B64=good["PQC_SK_B64"] + "!", REDIS_URL=good["REDIS_URL"].replace("redis", "http", 1))
    stage.manage("check", FL_BATCH_SIZE="many")
    nowhere = urlsplit(good["DATABASE_URL"])
    nobody = f"{nowhere.netloc.rpartition('@')[0]}@127.0.0.1:{free_port()}"
    stage.manage("migrate", "--check", DATABASE_URL=f"postgresql://{nobody}/nothing")


def stop_the_queue(stage: Stage) -> None:
    """The worker and the web say that they cannot reach it."""
    with (
        contextlib.suppress(redis.ConnectionError),
        redis.Redis.from_url(stage.coordinator.environment["REDIS_URL"]) as client,
    ):
        client.shutdown(nosave=True)
    log = stage.coordinator.log
    eventually(lambda: "Cannot connect to redis" in log.read_text(), what="the worker misses its queue", timeout=60)
    httpx.get(f"{stage.coordinator.url}/readyz", timeout=30)
