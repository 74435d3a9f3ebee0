"""What can be wrong with a request before any service looks at it."""

from __future__ import annotations

from flxdr.core.errors import Invalid, Malformed, TooManyRequests, Unavailable, UnsupportedMedia


class EmptyBody(Malformed):
    """A request that needs a body came without one."""

    code = "empty_body"
    title = "Empty body"


class BodyTruncated(Malformed):
    """Fewer bytes arrived than Content-Length declared."""

    code = "body_truncated"
    title = "Body shorter than declared"


class MalformedJson(Malformed):
    """A body that is no JSON, or JSON nested beyond any meaning."""

    code = "malformed_json"
    title = "Malformed JSON"


class MalformedTensors(Malformed):
    """A binary body that is no tensor file of the declared form."""

    code = "malformed_tensors"
    title = "Malformed tensor file"


class UnreadableBody(Malformed):
    """JSON whose fields are not those of the request."""

    code = "invalid_body"
    title = "Invalid request body"


class ShapeMismatch(Invalid):
    """The numbers do not fill the declared shape."""

    code = "wrong_shape"
    title = "Wrong shape"


class EncodedBody(UnsupportedMedia):
    """A compressed body: digests are of the bytes as received, so nothing is unpacked."""

    code = "content_encoding_refused"
    title = "Content-Encoding not accepted"


class TooManyPolls(TooManyRequests):
    """An organisation waits in more requests at once than it needs."""

    code = "too_many_polls"
    title = "Too many polls at once"


class TooManyUpdates(Unavailable):
    """More large updates wait to be checked than this process gets through in time."""

    code = "too_many_updates"
    title = "Too many updates at once"
