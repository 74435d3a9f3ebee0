"""Bounds on requests a minute: of an organisation, and of an address whose requests prove nobody.

The two never mix. An organisation's budget is spent by tokens that verify, so nobody else can burn it; an address's
budget by requests without proof, so organisations behind one address (NAT) disturb neither each other nor those that
are signed in, and nobody who forges tokens there keeps them out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse

from flxdr.core.errors import TooManyRequests
from flxdr.platform.api.problems import problem_response
from flxdr.platform.auth.mtls import PROBES
from flxdr.platform.proxy import client_address, sender_of

WINDOW_SECONDS = 60
REST_SECONDS = 5.0
"""How long nothing is counted after the counters did not answer: a dead server must not cost every request a wait."""
_log = structlog.get_logger("flxdr.throttling")
_resting_until = 0.0


def admit_organization(org_id: str) -> None:
    """Count a request of an organisation.

    Raises:
        TooManyRequests: it had its `FL_THROTTLE_ORGANIZATION` requests of this minute.
    """
    limit = settings.FLXDR.throttle_organization
    if limit and _count("organization", org_id, limit) > limit:
        raise _too_many(org_id, limit)


class AddressThrottleMiddleware:
    """Counts the requests of an address that prove nobody, and refuses more of them than `FL_THROTTLE_ADDRESS` a
    minute: before anything is done for those that show no token and no session, afterwards for those whose proof did
    not hold."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        limit = settings.FLXDR.throttle_address
        if not limit or request.path in PROBES:
            return self.get_response(request)
        sender = sender_of(client_address(request))
        if not _shows_proof(request) and _counted("address", sender) >= limit:
            return problem_response(_too_many(sender, limit))
        response = self.get_response(request)
        # The API's authentication leaves whom it found here, as Django's does.
        if request.user.is_authenticated or _count("address", sender, limit) <= limit:
            return response
        return problem_response(_too_many(sender, limit)) if response.status_code in (401, 403) else response


def _shows_proof(request: HttpRequest) -> bool:
    return "HTTP_AUTHORIZATION" in request.META or request.user.is_authenticated


def _too_many(who: str, limit: int) -> TooManyRequests:
    seconds_left = WINDOW_SECONDS - int(time.time()) % WINDOW_SECONDS
    return TooManyRequests(
        f"{who} sent more than {limit} requests within a minute",
        expected=f"at most {limit} requests a minute",
        action=f"Ask again in {seconds_left} s.",
        retry_after=seconds_left,
    )


def _key(kind: str, name: str) -> str:
    return f"throttle:{kind}:{name}:{int(time.time()) // WINDOW_SECONDS}"


def _count(kind: str, name: str, limit: int) -> int:
    """Count one; how many that makes within this minute. 0 where nothing can be counted: requests go on."""
    key = _key(kind, name)

    def add() -> int:
        try:
            return cache.incr(key)
        except ValueError:  # the first of this minute
            cache.add(key, 0, timeout=2 * WINDOW_SECONDS)
            return cache.incr(key)

    number = _answer(add)
    if number == limit + 1:
        _log.warning("throttled", kind=kind, name=name, limit=limit)
    return number


def _counted(kind: str, name: str) -> int:
    return _answer(lambda: int(cache.get(_key(kind, name), 0)))


def _answer(ask: Callable[[], int]) -> int:
    global _resting_until  # noqa: PLW0603 - one clock for all threads of this process
    if time.monotonic() < _resting_until:
        return 0
    try:
        return ask()
    except _outages() as error:
        _resting_until = time.monotonic() + REST_SECONDS
        _log.error("requests are not counted: the counters do not answer", reason=str(error))
        return 0


def _outages() -> tuple[type[Exception], ...]:
    """What counters raise that do not answer; those in Redis through its client, which is imported only where it is
    used."""
    client = sys.modules.get("redis")
    return (OSError,) if client is None else (OSError, client.RedisError)
