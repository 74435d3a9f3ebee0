"""One agent at work: its home, key, state and coordinator, opened together."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from federation.agent import rotation
from federation.agent.client import Backoff, Coordinator
from federation.agent.config import AgentConfig, CoordinatorSection
from federation.agent.errors import HomeInvalid
from federation.agent.home import Home
from federation.agent.keyring import Keyring
from federation.agent.output import Output
from federation.agent.state import State
from flxdr.core.clock import Clock, SystemClock
from flxdr.core.keys import PrivateKey
from flxdr.platform.auth.tokens import sign_own_token

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass
class Surroundings:
    """What an agent takes from the machine; tests replace parts of it."""

    transport: httpx.BaseTransport | None = None
    backoff: Backoff = field(default_factory=Backoff)
    pause: Callable[[float], None] = time.sleep
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True)
class Agent:
    """An opened agent."""

    home: Home
    config: AgentConfig
    keyring: Keyring
    state: State
    coordinator: Coordinator
    clock: Clock
    output: Output

    @property
    def org_id(self) -> str:
        return self.config.org_id

    @property
    def key(self) -> PrivateKey:
        """The signing key; after a rotation another one."""
        return self.keyring.current

    @property
    def chain_id(self) -> str:
        """The pinned genesis hash.

        Raises:
            HomeInvalid: the agent is not enrolled.
        """
        pinned = self.state.pin("chain_id")
        if pinned is None:
            raise HomeInvalid("this agent is not enrolled: no genesis is pinned", action="Run `flxdr-agent enrol`.")
        return pinned


@contextmanager
def open_agent(folder: Path, output: Output, surroundings: Surroundings) -> Iterator[Agent]:
    """Open the agent that lives in `folder`.

    Raises:
        HomeInvalid: the home is missing or damaged.
    """
    home = Home(folder)
    config = home.config()
    clock = surroundings.clock
    address = urlsplit(config.coordinator.url)
    if address.scheme == "http" and address.hostname not in _LOOPBACK:
        output.warn(f"{config.coordinator.url} is not encrypted: anyone on the way can read updates and tokens")
    state = State(home.state_file)
    try:
        keyring = Keyring(home, state, config.org_id)
        with Coordinator(
            url=config.coordinator.url,
            sign_token=lambda: sign_own_token(org_id=config.org_id, key=keyring.for_tokens, now=clock.now()),
            transport=surroundings.transport,
            context=_tls(config.coordinator),
            backoff=surroundings.backoff,
            pause=surroundings.pause,
            clock=clock,
        ) as coordinator:
            agent = Agent(home, config, keyring, state, coordinator, clock, output)
            coordinator.when_unknown = partial(rotation.catch_up, agent)
            yield agent
    finally:
        state.close()


def _tls(section: CoordinatorSection) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=section.ca_file or None)
        if section.client_certificate:
            context.load_cert_chain(section.client_certificate, section.client_key)
    except (OSError, ssl.SSLError) as error:
        raise HomeInvalid(
            f"the TLS files of agent.toml cannot be used: {error}", expected="PEM certificate and key files"
        ) from error
    return context
