"""Which key this organisation signs with: the one in force, until the verified chain records the next one."""

from __future__ import annotations

from federation.agent.home import Home
from federation.agent.state import State
from flxdr.core.keys import PrivateKey
from ledger.chain.state import ChainState


class Keyring:
    """The home's keys: `current` signs, and `for_tokens` shows the coordinator who asks.

    Whichever process of the home verifies the rotation's block first moves the key file; the others read it again.

    Raises:
        HomeInvalid: a key file is missing or damaged.
    """

    def __init__(self, home: Home, state: State, org_id: str) -> None:
        self._home, self._state, self._org_id = home, state, org_id
        self.current = self.for_tokens = home.key()
        chain = state.chain()
        if chain is not None:
            self.follow(chain)

    def follow(self, chain: ChainState) -> bool:
        """Switch to the key that the verified chain records, if this home holds it; whether that is another one.

        The order makes a crash harmless: votes on blocks that are sealed are moot already, and the old key goes in the
        very step that puts the new one in its place.
        """
        if self._is_in_force(chain, self.current):
            return False
        following = self._home.next_key()
        if following is not None and self._is_in_force(chain, following):
            self._state.close_votes(chain.height)
            with self._state.transaction():  # one process of this home at a time
                waiting = self._home.next_key()
                if waiting is not None and waiting.public == following.public:
                    self._home.adopt_next_key()
        held = self._home.key()
        if held.public == self.current.public or not self._is_in_force(chain, held):
            return False
        self.current = self.for_tokens = held
        return True

    def untried(self) -> PrivateKey | None:
        """A key of this home that the coordinator may know instead of the current one."""
        if self.for_tokens is not self.current:
            return None
        held = self._home.key()
        return held if held.public != self.current.public else self._home.next_key()

    def _is_in_force(self, chain: ChainState, key: PrivateKey) -> bool:
        return chain.keys.key(self._org_id, key.public.key_id) is not None
