"""The Kubernetes manifests as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.support.processes import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "kubernetes"
EXAMPLES = FOLDER / "examples"
FILES = sorted(FOLDER.glob("*.yaml"))
ALL_FILES = [*FILES, *sorted(EXAMPLES.glob("*.yaml"))]


@dataclass(frozen=True)
class Pod:
    """A pod that a resource makes: the labels it gets and its specification."""

    owner: Mapping[str, Any]
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def component(self) -> str:
        return self.labels["app.kubernetes.io/component"]

    def containers(self) -> list[Mapping[str, Any]]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def main(self) -> Mapping[str, Any]:
        (container,) = self.spec["containers"]
        return dict(container)


def resources(files: list[Any] | None = None) -> Iterator[dict[str, Any]]:
    for path in FILES if files is None else files:
        yield from yaml.safe_load_all(path.read_text())


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [resource for resource in resources() if resource["kind"] == kind]


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (resource for resource in of_kind(kind) if resource["metadata"]["name"] == name)
    return found


def pods() -> list[Pod]:
    """Those of the coordinator, in the order of the files."""
    found = []
    for resource in resources():
        spec = resource.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        template = spec.get("template")
        if template is not None:
            found.append(Pod(resource, template["metadata"]["labels"], template["spec"]))
    return found


def pod(component: str) -> Pod:
    (found,) = (pod for pod in pods() if pod.component == component)
    return found


def settings() -> dict[str, str]:
    """What the ConfigMap gives to every container."""
    data: dict[str, str] = named("ConfigMap", "fl-blockchain-config")["data"]
    return data


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()
