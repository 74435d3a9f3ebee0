"""The requirement files pin everything by hash, name no registry, and follow pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.processes import REPOSITORY

FOLDER = REPOSITORY / "requirements"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = {
    "agent.txt": PROJECT["dependencies"],
    "coordinator.txt": [*PROJECT["dependencies"], *EXTRAS["coordinator"]],
    "bench.txt": [*PROJECT["dependencies"], *EXTRAS["coordinator"], *EXTRAS["bench"]],
    "dev.txt": [*PROJECT["dependencies"], *EXTRAS["coordinator"], *EXTRAS["dev"]],
}


def entries(path: Path) -> list[str]:
    """One text for each requirement, its hashes included."""
    return path.read_text().replace("\\\n", " ").strip().splitlines()


def pinned(path: Path) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for entry in entries(path):
        requirement = Requirement(entry.split(" --hash", 1)[0].strip())
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_every_set_has_its_file() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(DECLARED)


@pytest.mark.parametrize("name", DECLARED)
def test_everything_is_one_version_with_hashes_and_no_address(name: str) -> None:
    for entry in entries(FOLDER / name):
        assert re.fullmatch(r"[a-z0-9.-]+==[^\s;]+( ; [^-]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", entry), (
            f"{name}: {entry[:120]}"
        )


@pytest.mark.parametrize("name", DECLARED)
def test_what_is_declared_is_pinned_within_its_bounds(name: str) -> None:
    pins = pinned(FOLDER / name)
    for text in DECLARED[name]:
        declared = Requirement(text)
        found = pins[canonicalize_name(declared.name)]
        for pin in found:
            (specifier,) = pin.specifier
            assert declared.specifier.contains(specifier.version), f"{name}: {pin} is outside of {declared}"


@pytest.mark.parametrize("name", ["agent.txt", "coordinator.txt"])
def test_the_smaller_sets_pin_what_the_whole_one_pins(name: str) -> None:
    whole = {str(pin) for pins in pinned(FOLDER / "dev.txt").values() for pin in pins}
    assert {str(pin) for pins in pinned(FOLDER / name).values() for pin in pins} <= whole


def test_what_benchmarks_compare_with_is_in_no_other_set() -> None:
    """Flower bounds its requirements so tightly that it would take the others' back."""
    assert {name for name in DECLARED if "flwr" in pinned(FOLDER / name)} == {"bench.txt"}


def test_the_agent_needs_no_django() -> None:
    assert not {"django", "djangorestframework", "celery"} & set(pinned(FOLDER / "agent.txt"))
