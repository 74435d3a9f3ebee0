"""`page`: this organisation's own page at the coordinator, opened without a password."""

from __future__ import annotations

import webbrowser
from typing import Annotated
from urllib.parse import urlsplit

import typer

from federation.agent.commands.options import DEFAULT_HOME, Home, Json, opened
from federation.agent.errors import CheckFailed
from federation.agent.session import Agent

PATH = "federation/organizations/sign-in"


def page(
    context: typer.Context,
    *,
    browser: Annotated[bool, typer.Option("--open", help="Open it in this machine's browser.")] = False,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Ask for a link to this organisation's page: its rounds, budget, votes and proofs, to look at.

    The link is good for two minutes and one use. Whoever opens it sees what this organisation may see.
    """
    with opened(context, home, machine) as agent:
        answer = agent.coordinator.post(PATH, {})
        url, seconds = _at_the_coordinator(agent, answer.get("url")), answer.get("expires_in")
        agent.output.result({"url": url, "expires_in": seconds}, url, f"Good for {seconds} seconds and one use.")
        if browser and not webbrowser.open(url):
            agent.output.warn("no browser could be opened here; open the link elsewhere")


def _at_the_coordinator(agent: Agent, url: object) -> str:
    """The link at the address that this agent trusts, whatever host and scheme the coordinator thinks it has."""
    parts = urlsplit(url) if isinstance(url, str) and url.isprintable() else None
    if parts is None or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise CheckFailed("the coordinator's answer holds no link to a page", expected="a URL with a path alone")
    return agent.coordinator.url + parts.path.removeprefix(urlsplit(agent.coordinator.url).path)
