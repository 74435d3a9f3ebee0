"""The Dockerfile as a document. That it builds and what it makes runs is in `test_running_images`."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.support.dockerfile import lineage, parse
from tests.support.processes import REPOSITORY

DOCKERFILE = REPOSITORY / "Dockerfile"
STAGES = parse(DOCKERFILE)
SHIPPED = ("agent", "coordinator")


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_runs_as_nobody_in_particular(name: str) -> None:
    user = STAGES[name].last("USER")
    assert user is not None
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user.text)  # numbers: Kubernetes' runAsNonRoot reads no names
    made = "\n".join(run.text for stage in lineage(STAGES, name) for run in stage.all("RUN"))
    assert f"--uid {user.text.partition(':')[0]} " in made


@pytest.mark.parametrize("name", SHIPPED)
def test_packages_are_pinned_by_hash(name: str) -> None:
    (installed,) = STAGES[f"{name}-packages"].all("RUN")
    assert "--require-hashes" in installed.text
    (copied,) = STAGES[f"{name}-packages"].all("COPY")
    assert copied.text.startswith(f"requirements/{name}.txt ")


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_is_shipped_of_what_only_builds(name: str) -> None:
    copies = [copy.text for stage in lineage(STAGES, name) for copy in stage.all("COPY") if "--from" in copy.text]
    assert copies == [f"--from={name}-packages /opt/flxdr /opt/flxdr"]


def test_every_copied_file_exists_and_reaches_the_builder() -> None:
    allowed = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().split() if line.startswith("!")}
    assert {name for name in allowed if not (REPOSITORY / name).exists()} == set()
    for stage in STAGES.values():
        for copy in stage.all("COPY"):
            if not copy.text.startswith("--from="):
                *sources, _ = copy.text.split()
                assert set(sources) <= {*allowed, "."}


def test_no_secret_and_no_state_reaches_the_builder() -> None:
    allowed = (REPOSITORY / ".dockerignore").read_text().split()
    assert allowed[0] == "*"
    assert not {"!.", "!var", "!secrets", "!certs", "!.env"} & set(allowed)
