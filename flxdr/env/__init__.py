"""Every environment variable of the coordinator, read once: a module for each group.

`docs/settings.md` is written from this package by `manage.py settings_doc`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flxdr.env.aggregation import Aggregation
from flxdr.env.federation import Federation
from flxdr.env.ledger import Ledger
from flxdr.env.modes import BASE_DIR, DEVELOPMENT, PRODUCTION
from flxdr.env.network import Network
from flxdr.env.notifications import Notifications
from flxdr.env.operators import Operators
from flxdr.env.privacy import Privacy
from flxdr.env.secrets import Secrets
from flxdr.env.site import Site
from flxdr.env.state import State
from flxdr.env.telemetry import Telemetry
from flxdr.env.training import Training
from flxdr.platform.configuration import InvalidEnvironment, Problem, read
from flxdr.platform.storage.files import ensure_private_folder

__all__ = ["BASE_DIR", "DEVELOPMENT", "PRODUCTION", "Env", "ensure_state_folders", "load"]


@dataclass(frozen=True)
class Env(  # a dataclass takes the fields of its last base first
    State,
    Network,
    Notifications,
    Telemetry,
    Secrets,
    Federation,
    Ledger,
    Training,
    Aggregation,
    Privacy,
    Operators,
    Site,
):
    """The coordinator's configuration. Attributes are the variables in lower case, without the prefix `FL_`."""

    @property
    def is_production(self) -> bool:
        return self.env == PRODUCTION

    @property
    def database_path(self) -> Path:
        """Where the SQLite database is."""
        return self.blockchain_db_path or self.data_dir / "fl_blockchain.db"


def load(environ: Mapping[str, str]) -> Env:
    """Read all variables.

    Raises:
        InvalidEnvironment: naming each bad variable, its value, and what is allowed.
    """
    mode = environ.get("FL_ENV", "").strip() or DEVELOPMENT
    if mode not in (DEVELOPMENT, PRODUCTION):
        message = f"FL_ENV: {mode!r} is not allowed. Allowed: {DEVELOPMENT} | {PRODUCTION}."
        raise InvalidEnvironment([Problem("flxdr.E001", "FL_ENV", message)])
    return read(Env, environ, mode=mode)


def ensure_state_folders(env: Env) -> None:
    """Make the folders of the state and of the SQLite database.

    Raises:
        InvalidEnvironment: naming each variable whose folder cannot be made or written.
    """
    folders = {"FL_DATA_DIR": env.data_dir}
    if not env.database_url:
        folders["FL_BLOCKCHAIN_DB_PATH"] = env.database_path.parent
    problems = []
    for name, folder in folders.items():
        try:
            ensure_private_folder(folder)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError("no permission to write")
        except OSError as error:
            message = f"{name}: the folder {str(folder)!r} cannot be used ({error.strerror or error})."
            problems.append(Problem("flxdr.E003", name, f"{message} Allowed: a path that this user may write."))
    if problems:
        raise InvalidEnvironment(problems)
