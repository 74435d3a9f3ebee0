"""`python -m federation.agent`: the agent where no entry point is installed, as in the container."""

from __future__ import annotations

from federation.agent.cli import main

if __name__ == "__main__":
    main()
