"""HTTP to the coordinator: bounded answers, single-use tokens, retries with back-off, refusals as errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from federation.agent.errors import CheckFailed, ProtocolMismatch, Refused, Unreachable
from flxdr.core.clock import Clock, SystemClock
from flxdr.core.protocol import PROTOCOL_HEADER, PROTOCOL_VERSION

PREFIX = "/api/fl-blockchain/"
MAX_JSON_BYTES = 64 * 1024 * 1024
LONG_POLL_SECONDS = 25

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 507})

Query = Mapping[str, str | int]


@dataclass(frozen=True)
class Backoff:
    """How often and how patiently to try again: `first * 2^n` seconds up to `longest`, less at most half by jitter."""

    attempts: int = 6
    first: float = 0.5
    longest: float = 20.0

    def delay(self, attempt: int, rng: random.Random) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 0)."""
        return min(self.longest, self.first * 2.0**attempt) * rng.uniform(0.5, 1.0)

    def after(self, asked: float, rng: random.Random) -> float:
        """Seconds to wait where the coordinator asked for so many: never fewer up to `longest`, and a little more, so
        that those who were refused together do not come back together."""
        return min(asked, self.longest) * rng.uniform(1.0, 1.25)


class Coordinator:
    """The coordinator as this organisation sees it.

    Args:
        url: scheme and host, without path.
        sign_token: makes a fresh self-signed token; called once for every try, so that a retried write is never
            mistaken for a replay. `None`: ask without a token.
        transport: for the tests; the default speaks TCP.
        context: TLS: whom to trust, and the client certificate for mTLS.
        pause: waits that many seconds.
    """

    def __init__(
        self,
        *,
        url: str,
        sign_token: Callable[[], str] | None,
        transport: httpx.BaseTransport | None = None,
        context: Any = True,
        backoff: Backoff = Backoff(),
        pause: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._sign_token = sign_token
        self.when_unknown: Callable[[], bool] = lambda: False
        """Called when a token is refused (401); whether to try again with another one."""
        self._backoff = backoff
        self._pause = pause
        self._rng = rng or random.Random()  # noqa: S311 (jitter, no secret)
        self._clock = clock or SystemClock()
        self._http = httpx.Client(
            base_url=self.url + PREFIX,
            transport=transport,
            verify=context,
            timeout=httpx.Timeout(30.0, connect=10.0, read=60.0),
            headers={PROTOCOL_HEADER: str(PROTOCOL_VERSION), "Accept": "application/json", "User-Agent": "flxdr-agent"},
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._http.close()

    def check_protocol(self) -> None:
        """Ask which protocol the coordinator speaks.

        Raises:
            ProtocolMismatch: another one than this agent's, or none that it names.
        """
        spoken = self.get("info", anonymous=True).get("protocol_version")
        if str(spoken) != str(PROTOCOL_VERSION):
            named = "names no protocol version" if spoken is None else f"speaks protocol {spoken}"
            raise ProtocolMismatch(
                f"the coordinator at {self.url} {named}",
                expected=f"protocol {PROTOCOL_VERSION}",
                action="Install the agent of the coordinator's release.",
            )

    def get(self, path: str, query: Query | None = None, *, anonymous: bool = False) -> dict[str, Any]:
        """A JSON object."""
        return _json_object(path, self._send("GET", path, query=query, limit=MAX_JSON_BYTES, anonymous=anonymous))

    def poll(self, path: str, query: Query) -> dict[str, Any] | None:
        """A JSON object, or None where the coordinator had no place to wait; then this has waited as it asked."""
        try:
            return self.get(path, query)
        except _NoPlace as full:
            self._pause(self._backoff.after(full.retry_after, self._rng))
            return None

    def get_bytes(self, path: str, *, limit: int) -> bytes:
        """A body of at most `limit` bytes as it came."""
        return self._send("GET", path, limit=limit, headers={"Accept": "*/*"})

    def post(self, path: str, body: Mapping[str, Any], *, anonymous: bool = False) -> dict[str, Any]:
        """Send a JSON object, read one."""
        return self.post_bytes(path, orjson.dumps(body), {"Content-Type": "application/json"}, anonymous=anonymous)

    def post_bytes(
        self, path: str, body: bytes, headers: Mapping[str, str], *, anonymous: bool = False
    ) -> dict[str, Any]:
        """Send bytes as they are, read a JSON object."""
        answer = self._send("POST", path, body=body, headers=headers, limit=MAX_JSON_BYTES, anonymous=anonymous)
        return _json_object(path, answer)

    def _send(
        self,
        method: str,
        path: str,
        *,
        limit: int,
        query: Query | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> bytes:
        attempt, is_unknown = 0, False
        while True:
            # A new request for every try: it carries a new token over the same body.
            own = dict(headers or {})
            if self._sign_token is not None and not anonymous:
                own["Authorization"] = f"Bearer {self._sign_token()}"
            request = self._http.build_request(method, path, params=query, content=body, headers=own)
            try:
                return self._try(request, limit)
            except Refused as refusal:
                if refusal.http_status != 401 or is_unknown or anonymous or not self.when_unknown():
                    raise
                is_unknown = True
            except (httpx.TransportError, _Transient) as error:
                waited = error.retry_after if isinstance(error, _Transient) else 0.0
                attempt += 1
                if attempt >= self._backoff.attempts:
                    raise self._given_up(error, attempt) from error
                asked = self._backoff.after(waited, self._rng)
                self._pause(max(self._backoff.delay(attempt - 1, self._rng), asked))

    def _try(self, request: httpx.Request, limit: int) -> bytes:
        response = self._http.send(request, stream=True)
        try:
            content = _read_bounded(response, limit)
        finally:
            response.close()
        if response.status_code == 204:
            raise _NoPlace(request.url.path, self._retry_after(response))
        if response.is_success:
            return content
        refusal = Refused(http_status=response.status_code, problem=_problem(response, content))
        if response.status_code in _TRANSIENT:
            raise _Transient(refusal, self._retry_after(response))
        raise refusal

    def _retry_after(self, response: httpx.Response) -> float:
        text = response.headers.get("Retry-After", "")
        if text.isdigit():
            return float(text)
        try:
            return max(0.0, (parsedate_to_datetime(text) - self._clock.now()).total_seconds())
        except (ValueError, TypeError):
            return 0.0

    def _given_up(self, error: httpx.TransportError | _Transient, attempts: int) -> Refused | Unreachable:
        if isinstance(error, _Transient) and error.refusal.http_status == 429:
            return error.refusal
        reason = error.refusal.detail if isinstance(error, _Transient) else f"{type(error).__name__}: {error}"
        return Unreachable(
            f"no answer from {self.url} after {attempts} tries ({reason})",
            action="Check the coordinator's address in agent.toml, the network, and whether it runs.",
        )


class _NoPlace(CheckFailed):
    """An answer without content, which only a poll expects."""

    def __init__(self, path: str, retry_after: float) -> None:
        super().__init__(f"the coordinator's answer to {path} is empty")
        self.retry_after = retry_after


class _Transient(Exception):
    """An answer after which the same request may be sent again."""

    def __init__(self, refusal: Refused, retry_after: float) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal
        self.retry_after = retry_after


def _read_bounded(response: httpx.Response, limit: int) -> bytes:
    chunks = bytearray()
    for chunk in response.iter_bytes():
        chunks += chunk
        if len(chunks) > limit:
            raise CheckFailed(f"the coordinator's answer to {response.url.path} is longer than {limit} bytes")
    return bytes(chunks)


def _problem(response: httpx.Response, content: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    return document if isinstance(document, dict) else {"detail": response.reason_phrase or "no reason given"}


def _json_object(path: str, content: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise CheckFailed(f"the coordinator's answer to {path} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise CheckFailed(f"the coordinator's answer to {path} is no JSON object")
    return document
