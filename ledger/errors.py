"""What a client of the ledger can do wrong."""

from __future__ import annotations

from flxdr.core.errors import Conflict, FlxdrError, Forbidden, Invalid, Misconfigured, Missing, Unavailable


class ProposalMissing(Missing):
    """No proposal under that number."""

    code = "proposal_not_found"
    title = "Unknown proposal"


class BlockMissing(Missing):
    """No block at that height."""

    code = "block_not_found"
    title = "Unknown block"


class ModelUnknown(Missing):
    """No sealed release has that model hash."""

    code = "model_not_released"
    title = "Model not on the chain"


class ProposalClosed(Conflict):
    """The proposal is not open, so it takes no vote."""

    code = "proposal_not_open"
    title = "Proposal not open"


class AlreadyAnswered(Conflict):
    """The organisation gave the other answer before."""

    code = "already_answered"
    title = "Already answered"


class ProposalConflict(Conflict):
    """Something else was proposed, or sealed, for the same round or key."""

    code = "proposal_conflict"
    title = "Conflicting proposal"


class NotAVoter(Forbidden):
    """The organisation has no vote on this block."""

    code = "not_a_voter"
    title = "No vote on this proposal"


class KeyNotAdmitted(Forbidden):
    """The key is not one that the chain records for this organisation."""

    code = "key_not_admitted"
    title = "Key not on the chain"


class EntryForbidden(Forbidden):
    """An organisation proposes what is not its own to propose."""

    code = "entry_forbidden"
    title = "Not this organisation's to propose"


class ReleaseInvalid(Invalid):
    """A release that would not extend the chain."""

    code = "release_invalid"
    title = "Invalid release"


class CoordinatorKeyMismatch(Misconfigured):
    """The coordinator's key is not the one that the chain records."""

    code = "coordinator_key_mismatch"
    title = "Coordinator key differs from the chain"


class AppendOnlyRow(FlxdrError):
    """Code that tries to change what is only ever added to."""

    code = "append_only"
    title = "Append-only row"


class SizeUnknown(Missing):
    """The chain never had that many blocks, or the block lies beyond them."""

    code = "size_not_found"
    title = "Unknown size of the chain"


class NotCosigned(Missing):
    """No checkpoint that so many organisations cosigned."""

    code = "checkpoint_not_cosigned"
    title = "No such cosigned checkpoint"


class NotAWitness(Forbidden):
    """A cosignature of another organisation's witness."""

    code = "not_a_witness"
    title = "Another organisation's witness"


class TreeDamaged(Unavailable):
    """The stored tree lacks a node that the blocks below it imply."""

    code = "tree_damaged"
    title = "Merkle tree damaged"


class RestoreConflict(Conflict):
    """The export and the database contradict each other, or the database is not in a state to take it."""

    code = "restore_conflict"
    title = "Export conflicts with the database"


class ExportInvalid(Invalid):
    """An export that does not verify; `height` and `check` say where and why."""

    code = "export_invalid"
    title = "Invalid chain export"


class StatementConflict(Conflict):
    """The organisation attested another thing of the same release before."""

    code = "statement_conflict"
    title = "Another statement stands"


class NotTheSigner(Forbidden):
    """A statement that another organisation makes."""

    code = "not_the_signer"
    title = "Another organisation's statement"


class ChainUnsound(Unavailable):
    """The stored chain is damaged, so nothing should be built on it."""

    code = "chain_unsound"
    title = "Chain damaged"
