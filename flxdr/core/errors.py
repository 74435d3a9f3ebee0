"""The one error hierarchy of flxdr.

An error class carries a machine-readable `code`, the HTTP status that it means at the API, and a title. An instance
carries what was wrong (`detail`), what was expected, what to do about it, and further data fields. The API renders it
as RFC 9457 problem details; the agent and the management commands print the same text.
"""

from __future__ import annotations

from typing import Any, ClassVar


class FlxdrError(Exception):
    """Base of every error that flxdr raises on purpose.

    Args:
        detail: what was wrong, in one sentence.
        expected: what would have been right.
        action: what the caller can do now.
        fields: JSON-serialisable data that a program can act on.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, expected: str | None = None, action: str | None = None, **fields: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.expected = expected
        self.action = action
        self.fields = fields

    def as_problem(self) -> dict[str, Any]:
        """RFC 9457 members of this error, ready for JSON."""
        problem: dict[str, Any] = {
            "type": f"urn:flxdr:error:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.expected is not None:
            problem["expected"] = self.expected
        if self.action is not None:
            problem["action"] = self.action
        return problem | self.fields

    def __str__(self) -> str:
        text = self.detail.removesuffix(".")
        if self.expected is not None:
            text += f"; expected: {self.expected.removesuffix('.')}"
        return f"{text}. {self.action}" if self.action else text


class Malformed(FlxdrError):
    """The request or document cannot be read."""

    code = "malformed"
    status = 400
    title = "Malformed input"


class Unauthenticated(FlxdrError):
    """No proof of identity, or one that does not hold."""

    code = "unauthenticated"
    status = 401
    title = "Authentication required"


class Forbidden(FlxdrError):
    """The caller is known and may not do this."""

    code = "forbidden"
    status = 403
    title = "Not permitted"


class Missing(FlxdrError):
    """The thing that the caller names does not exist (or is not for its eyes)."""

    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(FlxdrError):
    """The request is well formed and does not fit the state of the federation."""

    code = "conflict"
    status = 409
    title = "Conflict with the current state"


class LengthRequired(FlxdrError):
    """A body without a declared length."""

    code = "length_required"
    status = 411
    title = "Content-Length required"


class TooLarge(FlxdrError):
    """A body beyond the configured limit."""

    code = "too_large"
    status = 413
    title = "Body too large"


class UnsupportedMedia(FlxdrError):
    """A content type that no parser reads."""

    code = "unsupported_media_type"
    status = 415
    title = "Unsupported media type"


class Invalid(FlxdrError):
    """Readable input whose values are out of bounds."""

    code = "invalid"
    status = 422
    title = "Invalid value"


class TooManyRequests(FlxdrError):
    """The caller exceeded its rate."""

    code = "too_many_requests"
    status = 429
    title = "Too many requests"


class Unavailable(FlxdrError):
    """A part of the system that the request needs does not answer now."""

    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"


class StorageFull(FlxdrError):
    """The disk, or the database's disk, takes no more: nothing of the request was stored."""

    code = "storage_full"
    status = 507
    title = "Storage full"


class Misconfigured(FlxdrError):
    """A setting whose value stops the boot."""

    code = "misconfigured"
    status = 500
    title = "Invalid configuration"
