"""docs/deployment.md and docs/upgrading.md name what is there, and their commands do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands

from flxdr.env import Env, load
from flxdr.platform.configuration import variables_of
from tests.deploy import compose, manifests
from tests.support.processes import REPOSITORY

DOCUMENTS = {name: (REPOSITORY / "docs" / name).read_text() for name in ("deployment.md", "upgrading.md")}
DEPLOYMENT = DOCUMENTS["deployment.md"]
EVERYTHING = "\n".join(DOCUMENTS.values())
each_document = pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)


@each_document
def test_links_lead_to_documents(text: str) -> None:
    linked = re.findall(r"\]\(([\w-]+\.md)", text)
    assert linked
    assert [name for name in linked if not (REPOSITORY / "docs" / name).exists()] == []


def test_every_named_file_is_there() -> None:
    named = set(re.findall(r"(?<![\w/])(?:deploy|tests|flxdr|requirements)/[\w./-]+\.\w+", EVERYTHING))
    assert len(named) > 8
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
    assert set(re.findall(r"`([\w-]+\.yaml)`", DEPLOYMENT)) <= {path.name for path in manifests.ALL_FILES}


def test_every_command_exists() -> None:
    assert set(re.findall(r"manage\.py ([a-z_]+)", EVERYTHING)) <= get_commands().keys()
    targets = set(re.findall(r"`make ([a-z-]+)`", EVERYTHING))
    assert targets <= set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE))
    assert "build-agent" in targets
    services = compose.read(REPOSITORY / "docker-compose.yml", {"FL_ALLOWED_HOSTS": "x"})["services"]
    assert set(re.findall(r"docker compose (?:run --rm|up) (\w+)", EVERYTHING)) <= services.keys()
    for kind, name in (("CronJob", "fl-blockchain-backup"), ("Job", "fl-blockchain-migrate")):
        assert name in EVERYTHING
        manifests.named(kind, name)


def test_every_setting_is_known() -> None:
    known = {declared.name for declared in variables_of(Env).values()} | {"FL_BLOCKCHAIN_ORCHESTRATOR_PORT"}
    assert set(re.findall(r"\b(?:FL|JARVIS|PQC)_[A-Z0-9_]*[A-Z0-9]\b", EVERYTHING)) <= known


def test_the_secrets_are_made_as_it_says(tmp_path: Path) -> None:
    """The block of commands, run by a shell; what it leaves is what every container reads."""
    (commands,) = (block for block in re.findall(r"```sh\n(.*?)```", DEPLOYMENT, flags=re.DOTALL) if "secrets" in block)
    (tmp_path / "manage.py").symlink_to(REPOSITORY / "manage.py")
    subprocess.run(
        ["bash", "-euc", commands],
        cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "FL_DATA_DIR": str(tmp_path / "state")},
        check=True,
        capture_output=True,
        timeout=120,
    )
    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    made = {path.name for path in folder.iterdir()}
    declared = compose.read(REPOSITORY / "docker-compose.yml", {"FL_ALLOWED_HOSTS": "x"})["secrets"]
    pods = {name.removesuffix("_FILE") for name in manifests.settings() if name.endswith("_FILE")}
    assert made == declared.keys() | pods
    env = load({f"{name}_FILE": str(folder / name) for name in made - {"POSTGRES_PASSWORD"}})
    assert env.database_url is not None
    assert (folder / "POSTGRES_PASSWORD").read_text() in env.database_url


def test_the_listed_rules_are_those_that_the_test_knows() -> None:
    assert "tests/deploy/test_migrations.py" in DOCUMENTS["upgrading.md"]
    for word in ("null=True", "db_default", "AddIndexConcurrently", "NOT VALID"):
        assert word in DOCUMENTS["upgrading.md"]
