"""Group 1: every module of the product can be imported."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from flxdr.installation.outcome import require

PACKAGES = ("flxdr", "federation", "ledger", "privacy", "models_ml")
_PARTS = {
    "federation.orchestrator": "get_federation_orchestrator",
    "privacy.services.budget": "settle",
    "ledger.chain.verify": "verify_chain",
    "models_ml.registry": "MODELS",
}
"""The guide's four components, and a name that each of them has to have."""
_PROGRAMS = {"flxdr.gunicorn_config", "flxdr.wsgi"}
"""Of the web server, in its own process: that it serves is shown by the coordinator that is started here."""


def imports(packages: tuple[str, ...] = PACKAGES) -> str:
    """Import all of them; the pure ones of the agent have their own test without Django."""
    names = [
        info.name
        for package in packages
        for info in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
        if info.name not in _PROGRAMS and not info.name.endswith("__main__")
    ]
    for name in names:
        importlib.import_module(name)
    for name, member in _PARTS.items():
        require(hasattr(sys.modules[name], member), f"{name} has no {member}")
    return f"{len(names)} modules of {', '.join(packages)}"
