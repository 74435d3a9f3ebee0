"""What the agent makes of a governance entry that already holds under the chain's rules."""

from __future__ import annotations

from federation.agent.errors import CheckFailed
from federation.agent.session import Agent
from ledger.chain.entries import (
    COORDINATOR,
    Action,
    Admit,
    KeyEntry,
    Revoke,
    Rotate,
    SetPolicy,
    WithdrawRelease,
    index_entry,
)


class OwnKeyInDanger(CheckFailed):
    """Somebody else replaces or revokes this organisation's key: the key, or the home, may be in foreign hands."""

    code = "own_key_in_danger"
    title = "Somebody goes after this organisation's key"


def check_own_keys(agent: Agent, action: Action) -> None:
    """Refuse what concerns this organisation's own keys and did not come from this home.

    Raises:
        OwnKeyInDanger: it did not.
    """
    if isinstance(action, Rotate) and action.statement.org_id == agent.org_id:
        following = agent.home.next_key()
        if following is None or following.public.key_id != action.key.key_id:
            raise OwnKeyInDanger(
                f"it replaces this organisation's key by {action.key.key_id}, which this home did not make: whoever "
                "proposed it has this organisation's key; tell the other members, and have the key revoked"
            )
    if isinstance(action, Revoke) and action.org_id == agent.org_id and not was_asked(agent, action.key_id):
        raise OwnKeyInDanger(
            f"it revokes this organisation's key {action.key_id} ({action.reason}), for which this home did not ask; "
            "if that is wrong, tell the other members: they decide"
        )


def note_asked(agent: Agent, key_id: str) -> None:
    """Remember that this home asks for the end of its organisation's key."""
    agent.state.set_pin(_asked(key_id), "yes")


def was_asked(agent: Agent, key_id: str) -> bool:
    """Whether this home asked for the end of that key."""
    return agent.state.pin(_asked(key_id)) is not None


def check_entry(agent: Agent, action: Action, steps: list[str]) -> tuple[bool, str]:
    """Whether an entry is approved without a person, and why not.

    New keys of others follow the policy for admissions. This organisation's own rotation, and the end of its own key,
    were decided where the command was given. All else is for people: who else loses a key, the policy, a release.
    """
    manual = False, f"a person decides on the entry {index_entry(action)['action']}"
    match action:
        case Admit():
            steps.append(f"4. The key proves possession: {action.org_id} ({action.key.key_id[:16]}).")
            return (
                _by_admissions(agent, action.key, action.org_id) if action.org_id != agent.org_id else _further(action)
            )
        case Rotate():
            holder = action.statement.org_id
            steps.append(f"4. {holder} replaces its key by {action.key.key_id[:16]}, and both keys signed that.")
            if holder == agent.org_id:
                return True, ""
            return _by_admissions(agent, action.key, holder) if holder != COORDINATOR else manual
        case Revoke():
            since = "" if action.compromised_since is None else f", in doubt since height {action.compromised_since}"
            steps.append(f"4. {action.org_id} loses its key {action.key_id[:16]}{since}: {action.reason}")
            return (True, "") if action.org_id == agent.org_id else manual
        case SetPolicy():
            policy = action.policy
            steps.append(
                f"4. From the next block on ({policy.method}) more than {policy.numerator}/{policy.denominator} of the "
                f"voters must approve, at least {policy.minimum}."
            )
        case WithdrawRelease():
            steps.append(
                f"4. {action.model_name} version {action.model_version} ({action.model_hash[:16]}) and all later ones "
                f"are used no more: {action.reason}"
            )
    return manual


def _asked(key_id: str) -> str:
    return f"asked to revoke {key_id}"


def is_further_own_key(agent: Agent, action: Action) -> bool:
    """Whether an entry gives this organisation one more key: with its old one, somebody else could ask for that."""
    return isinstance(action, Admit) and action.org_id == agent.org_id


def _further(action: Admit) -> tuple[bool, str]:
    return False, (
        f"it gives this organisation the further key {action.key.key_id}, which this home did not make; if nobody here "
        "did, whoever proposed it has this organisation's key: reject it, tell the other members, have the key revoked"
    )


def _by_admissions(agent: Agent, key: KeyEntry, holder: str) -> tuple[bool, str]:
    policy = agent.config.policy.admissions
    if policy == "pinned":
        return key.key_id in agent.home.pinned_peers(), f"not in the peers file: {holder} {key.key_id}"
    return policy == "auto", "admissions = manual"
