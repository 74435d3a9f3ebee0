"""The commands that make keys and tokens."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from flxdr.core.keys import Algorithm, PrivateKey, PublicKey
from flxdr.env import load
from flxdr.management.commands.settings_doc import settings_document
from flxdr.platform.models import AuditEvent
from tests.platform.directories import MemoryDirectory, registered


@pytest.fixture(autouse=True)
def organizations() -> Iterator[MemoryDirectory]:
    directory = MemoryDirectory(active={"org-a"}, suspended={"org-suspended"})
    with registered(directory):
        yield directory


def run(*arguments: Any) -> list[str]:
    output = io.StringIO()
    call_command(*arguments, stdout=output, stderr=io.StringIO())
    return output.getvalue().splitlines()


@pytest.mark.django_db
@pytest.mark.urls("tests.platform.routes")
@pytest.mark.parametrize(
    ("arguments", "kind", "name"),
    [
        (["org-a"], "organization", "org-a"),
        (["org-a", "--days", "1"], "organization", "org-a"),
        (["ada", "--role", "operator"], "operator", "ada"),
    ],
)
def test_issued_token_works(outsider: APIClient, arguments: list[str], kind: str, name: str) -> None:
    token = run("issue_token", *arguments)[-1]
    for _ in range(2):
        response = outsider.post("/api/who/either", {}, format="json", headers={"Authorization": f"Bearer {token}"})
        assert (response.json()["kind"], response.json()["name"]) == (kind, name)
    event = AuditEvent.objects.get(kind="token.issued")
    assert (event.subject, event.data["role"]) == (name, kind)
    assert token not in str(event.data)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["org-nobody"], "not an active organisation"),
        (["org-suspended"], "suspended"),
        (["org-a", "--days", "0"], "allowed: 1 to 400"),
        (["org-a", "--days", "401"], "allowed: 1 to 400"),
        (["x" * 65, "--role", "operator"], "64 characters"),
        (["org-a", "--role", "root"], "invalid choice"),
    ],
)
def test_tokens_that_are_not_issued(arguments: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        run("issue_token", *arguments)
    assert not AuditEvent.objects.filter(kind="token.issued").exists()


def test_generated_keys_are_a_pair_that_the_environment_takes() -> None:
    lines = run("generate_keys")
    assert all(line.startswith("export ") for line in lines)
    environ = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    assert set(environ) == {"PQC_SK_B64", "PQC_PK_B64", "API_HMAC_KEY", "SECRET_KEY", "FL_METRICS_TOKEN"}
    key = PrivateKey(Algorithm.ML_DSA_65, base64.b64decode(environ["PQC_SK_B64"], validate=True))
    assert key.public == PublicKey.from_text(environ["PQC_PK_B64"])
    env = load(environ)
    assert (env.pqc_sk_b64, env.pqc_pk_b64) == (key.seed, key.public.spki)
    assert run("generate_keys") != lines


def test_keys_as_files_are_what_the_environment_takes(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    run("generate_keys", "--folder", folder)
    env = load({f"{path.name}_FILE": str(path) for path in folder.iterdir()})
    assert env.pqc_sk_b64 is not None
    assert env.pqc_pk_b64 == PrivateKey(Algorithm.ML_DSA_65, env.pqc_sk_b64).public.spki
    assert (len(env.secret_key or ""), len(env.api_hmac_key or "")) == (64, 64)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


def test_key_files_are_never_overwritten_or_put_where_others_look(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    run("generate_keys", "--folder", folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(CommandError, match="already holds PQC_SK_B64"):
        run("generate_keys", "--folder", folder)
    folder.chmod(0o750)
    with pytest.raises(CommandError, match="open to others"):
        run("generate_keys", "--folder", folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(CommandError, match="exists"):
        run("generate_keys", "--folder", next(iter(before)))


def test_settings_document_is_written_and_compared(tmp_path: Path) -> None:
    target = tmp_path / "settings.md"
    with pytest.raises(CommandError, match="out of date"):
        run("settings_doc", "--output", target, "--check")
    run("settings_doc", "--output", target)
    assert target.read_text(encoding="utf-8") == settings_document()
    run("settings_doc", "--output", target, "--check")
