"""`flxdr-agent`, the command of an organisation."""

from __future__ import annotations

import os
from importlib import import_module


def main() -> None:
    """Run the command line.

    The matrices of local training are small: BLAS threads would only wait for each other. Numpy reads the variable
    when it is imported, so everything else is imported after this.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import_module("federation.agent.commands.app").app()
