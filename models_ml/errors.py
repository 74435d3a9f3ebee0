"""What can be wrong with a model, an update, or a file of flow records."""

from __future__ import annotations

from flxdr.core.errors import Invalid, Malformed, Missing


class NotCanonicalModel(Malformed):
    """Bytes that are no model file, or are one in another than the canonical spelling."""

    code = "not_canonical_model"
    title = "Not a canonical model file"


class SchemaMismatch(Invalid):
    """Tensors whose names, shapes or type are not those of the model."""

    code = "schema_mismatch"
    title = "Tensors do not fit the model"


class OutOfRange(Invalid):
    """A number that the fixed-point range cannot hold: not finite, or beyond the bound of an update."""

    code = "out_of_range"
    title = "Value out of range"


class FileTruncated(OSError):
    """A file that ends before the values that were to be read of it; it was whole when it was opened."""


class UnknownModel(Missing):
    """A model name that this installation has no training task for."""

    code = "unknown_model"
    title = "Unknown model"


class UnreadableFlows(Malformed):
    """A file of flow records in no format that an adapter reads."""

    code = "unreadable_flows"
    title = "Flow records cannot be read"


class UnreadableSource(Malformed):
    """A file of threat intelligence that is none."""

    code = "unreadable_source"
    title = "Source cannot be read"


class TooFewFlows(Invalid):
    """Flow records that leave nothing to train on or to evaluate."""

    code = "too_few_flows"
    title = "Too few flow records"


class NotCanonicalState(Malformed):
    """Bytes that are no state file of the server optimiser in question, or a state that is not finite."""

    code = "not_canonical_state"
    title = "Not a canonical state file"


class BasisMissing(Invalid):
    """A model that another one cannot do without was not given."""

    code = "basis_missing"
    title = "A model to build on is missing"


class RecordNoiseNotOffered(Invalid):
    """Training with noise on single records, of a model that cannot be trained so."""

    code = "record_noise_not_offered"
    title = "No noise on single records for this model"
