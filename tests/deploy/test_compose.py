"""docker-compose.yml as a document: valid, complete, hardened, and in step with the settings and the Dockerfile."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flxdr.checks import check_unknown_variables
from flxdr.env import Env
from flxdr.platform.configuration import variables_of
from tests.deploy import compose
from tests.support.dockerfile import parse
from tests.support.processes import REPOSITORY

FILES = ("docker-compose.yml", "deploy/agent-compose.yml")
COORDINATOR = ("migrate", "web", "worker", "beat", "backup")
VARIABLES = {"FL_ALLOWED_HOSTS": "fl.example.org", "FLOW_RECORDS": "/var/log/zeek"}
NOT_SETTINGS = {"FLXDR_IMAGE", "FLXDR_WEB_PROCESSES"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return compose.read(REPOSITORY / "docker-compose.yml", VARIABLES)


@pytest.mark.parametrize("name", FILES)
def test_it_follows_the_compose_specification(name: str) -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*checker, str(REPOSITORY / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", FILES)
def test_every_service_is_confined(name: str) -> None:
    services = compose.read(REPOSITORY / name, VARIABLES)["services"]
    for service in services.values():
        assert "no-new-privileges:true" in service["security_opt"]
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() >= {"memory", "cpus"}
        assert service["logging"] == {"driver": "local", "options": {"max-size": "20m", "max-file": "5"}}
    for name_of, service in services.items():
        if name_of not in ("postgres", "redis"):  # their images start as root and step down themselves
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]


def test_a_missing_host_name_is_asked_for() -> None:
    with pytest.raises(compose.Missing, match="set FL_ALLOWED_HOSTS"):
        compose.read(REPOSITORY / "docker-compose.yml", {})


def test_every_variable_is_one_of_the_coordinators(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    known = {declared.name for declared in variables_of(Env).values()}
    files = {f"{declared.name}_FILE" for declared in variables_of(Env).values() if declared.secret}
    for name in COORDINATOR:
        environment = document["services"][name]["environment"]
        assert environment.keys() <= known | files
        for variable, value in environment.items():
            monkeypatch.setenv(variable, str(value))
    assert check_unknown_variables(None) == []
    assert compose.variables_named(REPOSITORY / "docker-compose.yml") <= known | NOT_SETTINGS


def test_commented_settings_are_known_too() -> None:
    known = {declared.name for declared in variables_of(Env).values()}
    commented = re.findall(r"^\s*# ([A-Z_]+): ", (REPOSITORY / "docker-compose.yml").read_text(), flags=re.MULTILINE)
    assert commented
    assert set(commented) <= known


def test_no_secret_stands_in_the_environment(document: dict[str, Any]) -> None:
    secret = {declared.name for declared in variables_of(Env).values() if declared.secret} - {"REDIS_URL"}
    for service in document["services"].values():
        assert not secret & service.get("environment", {}).keys()
        assert "POSTGRES_PASSWORD" not in service.get("environment", {})


def test_every_secret_file_is_mounted_and_declared(document: dict[str, Any]) -> None:
    for service in document["services"].values():
        named = {value for variable, value in service.get("environment", {}).items() if variable.endswith("_FILE")} - {
            "/tmp/flxdr-alive"
        }
        assert named == set(compose.mounted_secrets(service))
        assert set(service.get("secrets", ())) <= document["secrets"].keys()
    for name, secret in document["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}


def test_what_an_operator_puts_beside_the_file_is_no_part_of_the_project(document: dict[str, Any]) -> None:
    """Secrets, certificates, backups and .env: neither committed nor sent to the builder, which takes a list."""
    ignored = set((REPOSITORY / ".gitignore").read_text().split())
    mounted = {source for service in document["services"].values() for source, _, _ in compose.bind_mounts(service)}
    own = {source.removeprefix("./") for source in mounted if source.startswith("./") and "deploy/" not in source}
    assert own == {"backups", "certs"}
    assert {".env", "/secrets/", *(f"/{name}/" for name in own)} <= ignored


def test_every_volume_and_network_is_declared_and_used(document: dict[str, Any]) -> None:
    services = document["services"].values()
    used = {source for service in services for source, _, _ in compose.bind_mounts(service)}
    assert {source for source in used if not source.startswith(".")} == document["volumes"].keys()
    networks = {network for service in services for network in service["networks"]}
    assert networks == {*document["networks"], "default"}
    assert document["networks"]["backend"] == {"internal": True}


def test_only_the_proxy_listens_outside_and_it_reaches_no_database(document: dict[str, Any]) -> None:
    assert [name for name, service in document["services"].items() if "ports" in service] == ["nginx"]
    assert document["services"]["nginx"]["networks"] == ["default"]
    assert document["services"]["postgres"]["networks"] == document["services"]["redis"]["networks"] == ["backend"]


def test_the_proxy_gets_the_template_and_may_enter_the_sockets_folder(document: dict[str, Any]) -> None:
    nginx, web = document["services"]["nginx"], document["services"]["web"]
    mounts = {target: source for source, target, _ in compose.bind_mounts(nginx)}
    template = REPOSITORY / mounts["/etc/nginx/templates/flxdr.conf.template"]
    text = template.read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) <= nginx["environment"].keys()
    (bound,) = (word.removeprefix("--bind=") for word in web["command"] if word.startswith("--bind=unix:"))
    assert f"server {bound} " in text
    assert mounts["/run/flxdr"] == "sockets"
    options = document["volumes"]["sockets"]["driver_opts"]["o"].split(",")
    assert nginx["user"].split(":")[1] == next(option for option in options if option.startswith("gid="))[4:]
    assert "mode=0750" in options
    ports = {port.split(":")[1] for port in nginx["ports"]}
    assert set(re.findall(r"^\s*listen (\d+)", text, flags=re.MULTILINE)) == ports
    certificates = {Path(path) for path in re.findall(r"/etc/nginx/certs/\S+(?=;)", text)}
    assert {path.parent for path in certificates} == {Path("/etc/nginx/certs")}
    assert mounts["/etc/nginx/certs"] == "./certs"


def test_the_largest_body_is_the_same_in_front_and_behind(document: dict[str, Any]) -> None:
    settings = [document["services"][name]["environment"]["FL_MAX_SUBMISSION_BYTES"] for name in ("nginx", "web")]
    default = next(v.default for v in variables_of(Env).values() if v.name == "FL_MAX_SUBMISSION_BYTES")
    assert settings == [default, default]


def test_pg_dump_is_not_older_than_the_server(document: dict[str, Any]) -> None:
    server = re.fullmatch(r"postgres:(\d+)-alpine", document["services"]["postgres"]["image"])
    client = re.search(r"postgresql-client-(\d+)", (REPOSITORY / "Dockerfile").read_text())
    assert server is not None
    assert client is not None
    assert int(client[1]) >= int(server[1])


def test_the_built_stage_exists(document: dict[str, Any]) -> None:
    stages = parse(REPOSITORY / "Dockerfile")
    assert {document["services"][name]["build"]["target"] for name in COORDINATOR} <= stages.keys()
    assert next(reversed(stages)) == "coordinator"  # what `docker build .` makes
