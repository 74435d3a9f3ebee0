"""What authentication, storage and the API's frame refuse."""

from __future__ import annotations

from flxdr.core.errors import Forbidden, Malformed, Missing, TooLarge, Unauthenticated, Unavailable


class TokenInvalid(Unauthenticated):
    code = "token_invalid"
    title = "Invalid token"


class TokenExpired(Unauthenticated):
    code = "token_expired"
    title = "Token expired"


class TokenReplayed(Unauthenticated):
    code = "token_replayed"
    title = "Token used before"


class UnknownOrganization(Unauthenticated):
    code = "unknown_organization"
    title = "Unknown organisation"


class OrganizationSuspended(Forbidden):
    code = "organization_suspended"
    title = "Organisation suspended"


class OrganizationNotActive(Forbidden):
    code = "organization_not_active"
    title = "Organisation not active"


class CertificateRequired(Forbidden):
    code = "client_certificate_required"
    title = "Client certificate required"


class CertificateRefused(Forbidden):
    code = "client_certificate_refused"
    title = "Client certificate refused"


class UnknownParameter(Malformed):
    code = "unknown_parameter"
    title = "Unknown query parameter"


class InvalidParameter(Malformed):
    code = "invalid_parameter"
    title = "Invalid query parameter"


class BlobMissing(Missing):
    code = "blob_not_found"
    title = "File not found"


class BlobTooLarge(TooLarge):
    code = "too_large"
    title = "Body too large"


class BlobDamaged(Unavailable):
    """A stored file whose bytes no longer have the digest that names it."""

    code = "blob_damaged"
    title = "Stored file damaged"


class StorageUnavailable(Unavailable):
    """The store of the files cannot be reached, or refuses; unlike a missing or damaged file, this may pass."""

    code = "storage_unavailable"
    title = "Files not reachable"


class SecondFactorNeeded(Forbidden):
    """A browser's session that has not shown the second factor that it must have."""

    code = "second_factor_needed"
    title = "Second factor needed"
