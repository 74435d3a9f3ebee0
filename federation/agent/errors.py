"""What can go wrong in an agent, and the exit code that each kind of failure means to a script."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar

from flxdr.core.errors import FlxdrError


class ExitCode(IntEnum):
    """Exit codes of `flxdr-agent`; they are part of its interface."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    LOCAL_STATE = 5
    CHAIN_CONTRADICTS = 6
    PROTOCOL = 7
    DATA = 8
    LOCKED = 9


EXIT_CODES_HELP = (
    "Exit codes: 0 done; 1 a check failed; 2 usage; 3 the coordinator cannot be reached; 4 the coordinator refused; "
    "5 local configuration, keys or state; 6 the coordinator's chain contradicts the one remembered here (rollback, "
    "fork, other genesis); 7 protocol version; 8 flow records; 9 another agent runs on this home."
)


class AgentError(FlxdrError):
    """Base of the agent's own failures; `exit_code` is what the process ends with."""

    code = "agent_error"
    title = "The agent stopped"
    exit_code: ClassVar[ExitCode] = ExitCode.CHECK_FAILED


class CheckFailed(AgentError):
    """Something that the coordinator sent does not hold."""

    code = "check_failed"
    title = "A check failed"


class UsageInvalid(AgentError):
    """Options that do not go together."""

    code = "usage"
    title = "Wrong use"
    exit_code = ExitCode.USAGE


class Unreachable(AgentError):
    """No answer from the coordinator within the limits of retrying."""

    code = "unreachable"
    title = "Coordinator not reachable"
    exit_code = ExitCode.UNREACHABLE


class Refused(AgentError):
    """The coordinator answered and said no; carries its problem details."""

    code = "refused"
    title = "Refused by the coordinator"
    exit_code = ExitCode.REFUSED

    def __init__(self, *, http_status: int, problem: dict[str, Any]) -> None:
        detail = str(problem.get("detail") or problem.get("title") or "no reason given")
        super().__init__(
            f"the coordinator refused ({http_status}): {detail}",
            expected=_text(problem.get("expected")),
            action=_text(problem.get("action")),
            http_status=http_status,
            problem_code=str(problem.get("code", "")),
        )
        self.http_status = http_status
        self.problem_code = str(problem.get("code", ""))


class HomeInvalid(AgentError):
    """The home folder, its configuration, keys or state cannot be used."""

    code = "home_invalid"
    title = "Agent home not usable"
    exit_code = ExitCode.LOCAL_STATE


class ChainContradiction(AgentError):
    """The coordinator shows a chain that does not continue the one this agent remembers."""

    code = "chain_contradiction"
    title = "The chain contradicts what this agent remembers"
    exit_code = ExitCode.CHAIN_CONTRADICTS


class ProtocolMismatch(AgentError):
    """Coordinator and agent speak different versions of the protocol."""

    code = "protocol_mismatch"
    title = "Protocol version"
    exit_code = ExitCode.PROTOCOL


class DataInvalid(AgentError):
    """The organisation's flow records cannot be used."""

    code = "data_invalid"
    title = "Flow records not usable"
    exit_code = ExitCode.DATA


class HomeLocked(AgentError):
    """Another agent process works on the same home."""

    code = "home_locked"
    title = "Agent already running"
    exit_code = ExitCode.LOCKED


class PrivacyLimitReached(AgentError):
    """A round would spend more of the organisation's privacy than its own limit allows."""

    code = "privacy_limit_reached"
    title = "Own privacy limit reached"


class StopRequested(BaseException):
    """SIGTERM or SIGINT arrived. No `Exception`: nothing on the way may swallow it.

    What the agent keeps is written by transactions and by rename, so stopping anywhere is as safe as a power cut.
    """


def exit_code_of(error: FlxdrError) -> ExitCode:
    """The exit code for any error of the hierarchy."""
    return error.exit_code if isinstance(error, AgentError) else ExitCode.CHECK_FAILED


def _text(value: object) -> str | None:
    return None if value is None else str(value)
