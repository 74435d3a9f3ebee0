"""The Kubernetes manifests as documents: valid, hardened, and in step with each other, the settings and the image.

The pods' commands run in `test_running_images`. No cluster is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from django.urls import resolve

from flxdr.checks import SHORTEST_SECRET
from flxdr.env import Env, load
from flxdr.platform.api.probes import healthz, readyz
from flxdr.platform.configuration import variables_of
from tests.deploy import compose
from tests.deploy.manifests import (
    ALL_FILES,
    EXAMPLES,
    FILES,
    Pod,
    matches,
    named,
    of_kind,
    pod,
    pods,
    resources,
    settings,
)
from tests.support.dockerfile import parse
from tests.support.processes import REPOSITORY

PODS = pods()
LONG_RUNNING = ("web", "worker", "beat")
each_pod = pytest.mark.parametrize("pod_of", PODS, ids=[found.component for found in PODS])


@pytest.mark.parametrize("version", ["1.35.0", "1.37.0"])
@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: path.name)
def test_they_follow_the_schema(path: Path, version: str) -> None:
    for resource in resources([path]):
        kubernetes_validate.validate(resource, version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    resource = named("Service", "fl-blockchain-orchestrator")
    resource["spec"]["selectors"] = resource["spec"].pop("selector")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(resource, "1.37.0", strict=True)


def test_the_guides_names_stand() -> None:
    guides = {"fl-blockchain-orchestrator-deployment.yaml", "fl-blockchain-service.yaml", "configmap.yaml", "pvc.yaml"}
    assert guides <= {path.name for path in FILES}
    (port,) = named("Service", "fl-blockchain-orchestrator")["spec"]["ports"]
    assert port["port"] == 8000


def test_the_kustomization_names_every_manifest_and_every_image() -> None:
    document = yaml.safe_load((REPOSITORY / "deploy" / "kustomization.yaml").read_text())
    assert document["resources"] == [f"kubernetes/{path.name}" for path in FILES]
    images = {container["image"] for found in PODS for container in found.containers()}
    assert {image.partition(":")[0] for image in images} == {image["name"] for image in document["images"]}


@each_pod
def test_pods_are_confined(pod_of: Pod) -> None:
    assert pod_of.spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod_of.spec["automountServiceAccountToken"] is False
    assert named("ServiceAccount", pod_of.spec["serviceAccountName"])["automountServiceAccountToken"] is False
    for container in pod_of.containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys() == {"cpu", "memory"}
    user = parse(REPOSITORY / "Dockerfile")["coordinator"].last("USER")
    assert user is not None
    assert user.text == "10001:10001"


@each_pod
def test_no_variable_of_a_service_looks_like_a_setting(pod_of: Pod) -> None:
    """The cluster would set FL_BLOCKCHAIN_ORCHESTRATOR_PORT and more."""
    assert pod_of.spec["enableServiceLinks"] is False


@each_pod
def test_what_is_mounted_is_declared_and_what_is_referred_to_exists(pod_of: Pod) -> None:
    volumes = {volume["name"]: volume for volume in pod_of.spec["volumes"]}
    for container in pod_of.containers():
        assert container["envFrom"] == [{"configMapRef": {"name": "fl-blockchain-config"}}]
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounted.keys() <= volumes.keys()
        assert {"/data", "/tmp", "/run/secrets/flxdr"} <= set(mounted.values())
    assert volumes.keys() == {mount["name"] for container in pod_of.containers() for mount in container["volumeMounts"]}
    for volume in volumes.values():
        if "persistentVolumeClaim" in volume:
            named("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
    assert volumes["secrets"]["secret"]["secretName"] == _example_secret()["metadata"]["name"]


def _example_secret() -> dict[str, Any]:
    (secret,) = resources([EXAMPLES / "secret.yaml"])
    return secret


def test_every_setting_is_one_of_the_coordinators_and_every_secret_is_mounted() -> None:
    declared = {variable.name: variable for variable in variables_of(Env).values()}
    plain = {name: value for name, value in settings().items() if not name.endswith("_FILE")}
    files = {name.removesuffix("_FILE"): path for name, path in settings().items() if name.endswith("_FILE")}
    assert plain.keys() <= declared.keys()
    assert not any(declared[name].secret for name in plain)
    assert all(declared[name].secret for name in files)
    assert files == {name: f"/run/secrets/flxdr/{name}" for name in _example_secret()["stringData"]}
    assert load(plain).is_production


def test_every_value_of_the_settings_is_text_also_to_kubernetes() -> None:
    """Kubernetes reads YAML 1.2, where 1e-5 is a number; Python's reader takes it for text."""
    lines = (REPOSITORY / "deploy/kubernetes/configmap.yaml").read_text().partition("\ndata:\n")[2].splitlines()
    for line in lines:
        value = line.partition(": ")[2].partition("  #")[0]
        assert value.startswith('"') or not re.fullmatch(r"[-+.\d].*|true|false|yes|no|on|off|null|~|", value), line


def test_the_example_of_the_secret_would_be_refused() -> None:
    values = _example_secret()["stringData"]
    assert all(len(values[name]) < SHORTEST_SECRET for name in ("SECRET_KEY", "API_HMAC_KEY"))
    assert {path.name for path in EXAMPLES.iterdir()} & {path.name for path in FILES} == set()


def test_selectors_find_their_pods_and_no_others() -> None:
    for deployment in of_kind("Deployment"):
        selector = deployment["spec"]["selector"]["matchLabels"]
        assert [found.owner["metadata"]["name"] for found in PODS if matches(selector, found.labels)] == [
            deployment["metadata"]["name"]
        ]
    for kind, components in (("Service", {"web"}), ("PodDisruptionBudget", {"web", "worker"})):
        selected = set()
        for resource in of_kind(kind):
            selector = resource["spec"]["selector"]
            selected |= {
                found.component for found in PODS if matches(selector.get("matchLabels", selector), found.labels)
            }
        assert selected == components
    for component in ("web", "worker"):
        (spread,) = pod(component).spec["topologySpreadConstraints"]
        assert spread["labelSelector"]["matchLabels"] == pod(component).labels


def test_ports_lead_from_the_ingress_to_gunicorn() -> None:
    (rule,) = named("Ingress", "fl-blockchain-orchestrator")["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = named("Service", backend["name"])
    (port,) = service["spec"]["ports"]
    assert port["name"] == backend["port"]["name"]
    web = pod("web").main
    assert {"name": port["targetPort"], "containerPort": 8000} in web["ports"]
    assert "--bind=0.0.0.0:8000" in web["command"]
    for policy in of_kind("NetworkPolicy"):
        for rule in policy["spec"]["ingress"]:
            assert rule["ports"] == [{"port": port["targetPort"], "protocol": "TCP"}]


def test_the_ingress_answers_under_the_name_that_the_coordinator_serves() -> None:
    ingress = named("Ingress", "fl-blockchain-orchestrator")
    (rule,) = ingress["spec"]["rules"]
    hosts = settings()["FL_ALLOWED_HOSTS"].split(",")
    assert hosts == [rule["host"], "localhost"]
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    assert settings()["FL_PUBLIC_URL"] == f"https://{rule['host']}"
    size = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert size == next(v.default for v in variables_of(Env).values() if v.name == "FL_MAX_SUBMISSION_BYTES")


def test_only_the_ingress_and_the_monitoring_reach_a_pod() -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind("NetworkPolicy")}
    everybody = policies["flxdr"]
    assert everybody["ingress"] == []
    assert set(everybody["policyTypes"]) == {"Ingress", "Egress"}
    assert all(matches(everybody["podSelector"]["matchLabels"], found.labels) for found in PODS)
    web = policies["fl-blockchain-orchestrator"]
    assert [found.component for found in PODS if matches(web["podSelector"]["matchLabels"], found.labels)] == ["web"]


def test_probes_ask_what_is_served() -> None:
    probes = {"healthz": healthz, "readyz": readyz}
    web = pod("web").main
    for name, path in (("startupProbe", "healthz"), ("livenessProbe", "healthz"), ("readinessProbe", "readyz")):
        probe = web[name]["httpGet"]
        assert probe["path"] == f"/{path}"
        assert resolve(f"/{path}").func is probes[path]
        (header,) = probe["httpHeaders"]
        assert header["value"] in settings()["FL_ALLOWED_HOSTS"].split(",")
    for component in ("worker", "beat"):
        for name in ("startupProbe", "livenessProbe"):
            assert pod(component).main[name]["exec"]["command"] == ["python", "deploy/healthcheck.py", component]


def test_more_than_one_replica_shares_its_files() -> None:
    for deployment in of_kind("Deployment"):
        for volume in deployment["spec"]["template"]["spec"]["volumes"]:
            if "persistentVolumeClaim" in volume and deployment["spec"]["replicas"] > 1:
                claim = named("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
                assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    beat = named("Deployment", "fl-blockchain-beat")["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})


@pytest.mark.parametrize("component", LONG_RUNNING)
def test_pods_wait_for_the_migrations(component: str) -> None:
    (waiting,) = pod(component).spec["initContainers"]
    assert waiting["command"] == ["python", "manage.py", "migrate", "--check"]


@pytest.mark.parametrize("component", ["worker", "beat", "migrate", "backup"])
def test_commands_are_those_that_the_compose_file_runs(component: str) -> None:
    services: Mapping[str, Any] = compose.read(REPOSITORY / "docker-compose.yml", {"FL_ALLOWED_HOSTS": "x"})["services"]
    assert pod(component).main["command"] == services[component]["command"]


def test_what_the_coordinator_needs_outside_is_let_out() -> None:
    egress = next(policy for policy in of_kind("NetworkPolicy") if policy["metadata"]["name"] == "flxdr")["spec"][
        "egress"
    ]
    ports = {port["port"] for rule in egress for port in rule["ports"]}
    for name in ("DATABASE_URL", "REDIS_URL"):
        assert int(re.findall(r":(\d+)/", _example_secret()["stringData"][name])[0]) in ports
