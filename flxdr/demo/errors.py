"""Why a demo stops."""

from __future__ import annotations

from flxdr.core.errors import FlxdrError


class DemoFailed(FlxdrError):
    """A part of the demo ended or did not do in time what it had to do."""

    code = "demo_failed"
    title = "The demo failed"
