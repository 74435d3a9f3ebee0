"""What organisations, rounds and submissions refuse, each with its own code."""

from __future__ import annotations

from flxdr.core.errors import Conflict, Forbidden, Invalid, Malformed, Missing, TooManyRequests


class OrganizationMissing(Missing):
    code = "organization_not_found"
    title = "Unknown organization"


class RegistrationInvalid(Invalid):
    code = "invalid_registration"
    title = "Invalid registration"


class RegistrationConflict(Conflict):
    """The name is taken by a registration with other data."""

    code = "registration_conflict"
    title = "Registered with other data"


class TooManyRegistrations(TooManyRequests):
    """So many organisations wait for the operator that no further one is taken."""

    code = "too_many_registrations"
    title = "Too many registrations wait"


class EnrolmentRefused(Forbidden):
    """An enrolment token that is unknown, used, expired, or another organisation's."""

    code = "enrolment_token_refused"
    title = "Enrolment token refused"


class EnrolmentTokenMissing(Missing):
    code = "enrolment_token_not_found"
    title = "Unknown enrolment token"


class EnrolmentTokenUsed(Conflict):
    """A token that its organisation has enrolled with."""

    code = "enrolment_token_used"
    title = "The enrolment token is used up"


class OrganizationStateConflict(Conflict):
    code = "organization_state"
    title = "Not possible in the organization's state"


class OrganizationInactive(Forbidden):
    code = "organization_inactive"
    title = "Organization is not active"


class SignInRefused(Forbidden):
    """A link to an organisation's page that is none, too old or used, or whose organisation is not active."""

    code = "sign_in_refused"
    title = "The link signs nobody in"


class NotYourOrganization(Forbidden):
    code = "not_your_organization"
    title = "Another organization's data"


class RoundMissing(Missing):
    code = "round_not_found"
    title = "Unknown round"


class RoundParametersInvalid(Invalid):
    code = "invalid_round_parameters"
    title = "Invalid round parameters"


class RoundOpen(Conflict):
    """The model has a round that has not ended yet."""

    code = "round_open"
    title = "A round of this model is open"


class WrongRoundNumber(Conflict):
    code = "wrong_round_number"
    title = "Not the next round number"


class TooFewOrganizations(Conflict):
    """The minimum cannot be reached with the organisations that would take part."""

    code = "too_few_organizations"
    title = "Too few organizations"


class IncompatibleProtection(Conflict):
    code = "incompatible_protection"
    title = "Protection and aggregation do not go together"


class IncompatibleAggregation(Conflict):
    """A way of aggregating that the model's meaning does not stand."""

    code = "incompatible_aggregation"
    title = "The model cannot be aggregated in this way"


class BasisMissing(Conflict):
    """A model that the round's model cannot do without has no release."""

    code = "basis_missing"
    title = "A model that this one builds on has no release"


class PrivacyRequired(Conflict):
    """The coordinator requires a privacy mechanism and none is declared."""

    code = "privacy_required"
    title = "Privacy mechanism required"


class RoundClosed(Conflict):
    code = "round_closed"
    title = "The round takes no submissions"


class RoundStateConflict(Conflict):
    code = "round_state"
    title = "Not possible in the round's state"


class CampaignMissing(Missing):
    code = "campaign_not_found"
    title = "Unknown campaign"


class CampaignRunning(Conflict):
    code = "campaign_running"
    title = "A campaign of this model is running"


class CampaignStateConflict(Conflict):
    code = "campaign_state"
    title = "Not possible in the campaign's state"


class ConfirmationMissing(Missing):
    code = "confirmation_not_found"
    title = "Unknown request for a confirmation"


class ConfirmationWaiting(Conflict):
    """Another operator has asked for the same action."""

    code = "confirmation_waiting"
    title = "Asked for already"


class ConfirmationClosed(Conflict):
    """A request that was confirmed, cancelled, or that nobody decided in time."""

    code = "confirmation_closed"
    title = "The request waits no more"


class SecondPersonNeeded(Forbidden):
    """Who asked for an action cannot confirm it."""

    code = "second_person_needed"
    title = "A second operator is needed"


class ReasonInvalid(Invalid):
    code = "invalid_reason"
    title = "Invalid reason"


class ModelMissing(Missing):
    code = "model_not_found"
    title = "Unknown model"


class SubmissionMissing(Missing):
    code = "submission_not_found"
    title = "No such submission"


class NotAParticipant(Forbidden):
    code = "not_a_participant"
    title = "Not a participant of the round"


class AlreadySubmitted(Conflict):
    """The organisation submitted other bytes in this round before."""

    code = "already_submitted"
    title = "Already submitted"


class StatementMalformed(Malformed):
    code = "malformed_statement"
    title = "Malformed submission statement"


class StatementMismatch(Invalid):
    """The signed statement speaks of another round, organisation or body."""

    code = "statement_mismatch"
    title = "The statement does not match the submission"


class SignatureRequired(Forbidden):
    code = "signature_required"
    title = "Signature required"


class UnknownKey(Invalid):
    """The statement names a key that is not the organisation's proven key."""

    code = "unknown_key"
    title = "Unknown signing key"


class SamplesInvalid(Invalid):
    code = "invalid_samples"
    title = "Sample count out of bounds"


class MetricsInvalid(Invalid):
    code = "invalid_metrics"
    title = "Invalid metrics"


class PrivacyMismatch(Invalid):
    """The declared privacy parameters are not the round's."""

    code = "privacy_mismatch"
    title = "Not the round's privacy parameters"


class SubmissionDamaged(Conflict):
    """A stored update whose bytes are not those that were accepted."""

    code = "submission_damaged"
    title = "Stored submission damaged"


class RosterInvalid(Invalid):
    """Advertisements that make no roster of the round."""

    code = "invalid_roster"
    title = "Invalid roster"


class StepClosed(Conflict):
    """A message of a masked round that comes before or after its step."""

    code = "step_closed"
    title = "Not asked for at this step of the round"


class ProtectionMismatch(Conflict):
    """An update in another form than the round's protection asks for."""

    code = "protection_mismatch"
    title = "Not the round's protection"


class AlreadyAnswered(Conflict):
    """The organisation answered this step of the round with other content before."""

    code = "already_answered"
    title = "Already answered"


class SumOutOfRange(Conflict):
    """A sum that no updates within the round's bounds can have: somebody masked something else."""

    code = "sum_out_of_range"
    title = "The sum of the masked updates is out of range"


class DetectionInvalid(Invalid):
    """Facts of a shared detection that are out of bounds, or contradict each other or the chain."""

    code = "invalid_detection"
    title = "Invalid detection"


class DetectionHoldsIdentifiers(Invalid):
    """A shared detection in which somebody's address, host or account stands."""

    code = "detection_holds_identifiers"
    title = "The detection holds identifiers"


class DetectionConflict(Conflict):
    """The organisation told another thing under the same id before."""

    code = "detection_conflict"
    title = "Shared with other facts before"


class DetectionMissing(Missing):
    """No shared detection of that number."""

    code = "detection_not_found"
    title = "Detection not found"


class ReviewUnchanged(Conflict):
    """A review that says what the newest one says already."""

    code = "review_unchanged"
    title = "Nothing new in the review"


class TooManyDetections(TooManyRequests):
    """An organisation has shared as many detections as it may within an hour."""

    code = "too_many_detections"
    title = "Too many detections shared"
