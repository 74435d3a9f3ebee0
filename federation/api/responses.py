"""Response bodies, as the schema documents them. The guide's fields come first; the others are additions to it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


def _status(*values: str) -> serializers.CharField:
    # Not a choice field: enumerations of the schema would collide, every resource has a `status`.
    return serializers.CharField(help_text=", ".join(values))


class Answer(serializers.Serializer[Any]):
    """Base of documented response bodies."""


class RegistrationAnswer(Answer):
    """A registered organisation."""

    org_id = serializers.CharField()
    registered_at = serializers.DateTimeField()
    status = _status("pending", "active", "suspended")
    key_status = serializers.ChoiceField(choices=("none", "unproven", "proven", "revoked"))


class ConfirmationAnswer(Answer):
    """What an operator asked for, until a second one confirms it."""

    id = serializers.IntegerField()
    action = _status("suspend", "readmit", "abort_round", "abort_campaign")
    subject = serializers.CharField(help_text="org_id, round_id, or the campaign's number")
    reason = serializers.CharField(allow_blank=True)
    status = _status("waiting", "confirmed", "cancelled", "expired")
    requested_by = serializers.CharField()
    requested_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="until then a second operator may confirm it")
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)


class OrganizationEntry(Answer):
    """An organisation in the list."""

    org_id = serializers.CharField()
    status = _status("pending", "active", "suspended")
    last_update = serializers.DateTimeField(allow_null=True, help_text="last accepted submission")
    org_name = serializers.CharField()
    key_status = serializers.ChoiceField(choices=("none", "unproven", "proven", "revoked"))
    registered_at = serializers.DateTimeField()


class OrganizationsAnswer(Answer):
    """A page of organisations."""

    organizations = OrganizationEntry(many=True)
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class SignInAnswer(Answer):
    """A link to the calling organisation's own page."""

    url = serializers.URLField(help_text="good for one sign-in")
    expires_in = serializers.IntegerField(help_text="seconds")


class RoundStartedAnswer(Answer):
    """A round that has just started."""

    round_id = serializers.CharField()
    round_number = serializers.IntegerField()
    status = serializers.CharField()
    participants = serializers.ListField(child=serializers.CharField())
    started_at = serializers.DateTimeField()
    model_name = serializers.CharField()
    config_hash = serializers.CharField(help_text="what every message of the round is bound to")
    deadline = serializers.DateTimeField()


class SubmissionAnswer(Answer):
    """An accepted update; the same bytes again get the same answer."""

    status = _status("accepted")
    gradient_id = serializers.CharField()
    received_at = serializers.DateTimeField()
    submission_digest = serializers.CharField(help_text="SHA-256 of the body as received")
    signed = serializers.BooleanField(help_text="false: recorded as unsigned")


class RoundStatusAnswer(Answer):
    """Where a round stands."""

    round_id = serializers.CharField()
    status = _status("in_progress", "aggregating", "verifying", "completed", "failed")
    orgs_submitted = serializers.IntegerField()
    orgs_expected = serializers.IntegerField()
    phase = serializers.CharField()
    step = serializers.CharField(allow_null=True, help_text="of a masked collection; null for other rounds")
    protection = serializers.CharField()
    convergence_metric = serializers.FloatField(
        allow_null=True, help_text="L2 norm of the aggregated update in model units; null before the aggregation"
    )
    round_number = serializers.IntegerField()
    model_name = serializers.CharField()
    min_orgs = serializers.IntegerField()
    missing = serializers.ListField(child=serializers.CharField(), help_text="organizations without a submission")
    unprotected = serializers.IntegerField(help_text="submissions that declared no privacy mechanism")
    unsigned = serializers.IntegerField(help_text="submissions without a signature")
    metrics = serializers.DictField(
        child=serializers.FloatField(), help_text="sample-weighted means of what participants reported"
    )
    deadline = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    failure_code = serializers.CharField(allow_blank=True)
    failure_reason = serializers.CharField(allow_blank=True)


class FederationStatusAnswer(Answer):
    """The federation, for one model."""

    current_round = serializers.IntegerField()
    total_orgs = serializers.IntegerField()
    active_orgs = serializers.IntegerField()
    global_model_version = serializers.CharField()
    last_aggregation = serializers.DateTimeField(allow_null=True)
    training_accuracy = serializers.FloatField(
        allow_null=True, help_text="sample-weighted mean of what the last release's participants reported"
    )
    privacy_budget_used = serializers.FloatField()
    model_name = serializers.CharField()
    global_model_hash = serializers.CharField(allow_null=True)


class CurrentRoundEntry(Answer):
    """An open round, for one of its participants."""

    round_id = serializers.CharField()
    round_number = serializers.IntegerField()
    model_name = serializers.CharField()
    status = serializers.CharField()
    config = serializers.CharField(help_text="canonical bytes of the round's configuration, base64")
    config_hash = serializers.CharField()
    parent_hash = serializers.CharField(allow_null=True)
    deadline = serializers.DateTimeField(help_text="of the collection, or of the step that it is at")
    submitted = serializers.BooleanField()
    step = serializers.CharField(allow_null=True, help_text="of a masked collection; null for other rounds")
    awaited = serializers.BooleanField(help_text="whether the round waits for the calling organization")


class HeadEntry(Answer):
    """The newest block."""

    chain_id = serializers.CharField()
    height = serializers.IntegerField()
    block_hash = serializers.CharField()


class CurrentRoundAnswer(Answer):
    """What waits for the calling organisation."""

    round = CurrentRoundEntry(allow_null=True)
    proposals = serializers.ListField(
        child=serializers.DictField(), help_text="open proposals that await this organisation's vote"
    )
    head = HeadEntry()


class RoundEntry(Answer):
    """A round in the list."""

    round_id = serializers.CharField()
    round_number = serializers.IntegerField()
    model_name = serializers.CharField()
    status = serializers.CharField()
    aggregation_method = serializers.CharField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    failure_code = serializers.CharField(allow_blank=True)
    failure_reason = serializers.CharField(allow_blank=True)


class RoundsAnswer(Answer):
    """A page of rounds, newest first."""

    rounds = RoundEntry(many=True)
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class ReputationEntry(Answer):
    """An organisation's updates over all rounds."""

    accepted = serializers.IntegerField(help_text="went into an aggregate")
    left_out = serializers.IntegerField(help_text="left out by an aggregation")
    missed = serializers.IntegerField(help_text="rounds without an update in time")
    rejected = serializers.IntegerField(help_text="refused for what they held")


class ParticipantEntry(Answer):
    """A participant of a round, and how its update looked beside the others."""

    org_id = serializers.CharField()
    status = _status("expected", "submitted", "left_out", "missed")
    update_norm = serializers.FloatField(allow_null=True, help_text="L2 norm of the update, in model units")
    cosine = serializers.FloatField(allow_null=True, help_text="to the mean of the others' updates")
    distance = serializers.FloatField(
        allow_null=True, help_text="L2 distance to the geometric median of the updates, in model units"
    )
    anomaly_score = serializers.FloatField(
        allow_null=True, help_text="0 like the others, above 1 suspicious; null before the aggregation"
    )
    left_out_reason = serializers.CharField(allow_null=True, help_text="why the aggregation left the update out")
    reputation = ReputationEntry()


class ParticipantsAnswer(Answer):
    """A page of a round's participants; an organisation's own row for an organisation."""

    round_id = serializers.CharField()
    participants = ParticipantEntry(many=True)
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class OwnSubmissionAnswer(Answer):
    """One's own submission and the proof that the sealed block covers it."""

    gradient_id = serializers.CharField()
    round_id = serializers.CharField()
    submission_digest = serializers.CharField()
    samples = serializers.IntegerField()
    received_at = serializers.DateTimeField()
    leaf_index = serializers.IntegerField(allow_null=True, help_text="null before the aggregation")
    tree_size = serializers.IntegerField(allow_null=True)
    proof = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="RFC 6962 audit path, hex, from the leaf upwards"
    )
    submissions_root = serializers.CharField(allow_null=True)


class ModelEntry(Answer):
    """A model version in the list."""

    model_name = serializers.CharField()
    version = serializers.IntegerField()
    model_hash = serializers.CharField()
    parent_hash = serializers.CharField(allow_null=True)
    status = _status("initial", "candidate", "released", "refused", "withdrawn")
    block_height = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class ModelsAnswer(Answer):
    """A page of model versions, newest first."""

    models = ModelEntry(many=True)
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class RegisteredTensor(Answer):
    """A tensor of a model."""

    name = serializers.CharField()
    shape = serializers.ListField(child=serializers.IntegerField())


class RegisteredModel(Answer):
    """A model that can be trained by name."""

    model_name = serializers.CharField()
    description = serializers.CharField()
    schema_version = serializers.IntegerField(help_text="of model files; part of every model hash")
    tensors = RegisteredTensor(many=True)
    parameters = serializers.IntegerField(help_text="values in all tensors")
    builds_on = serializers.ListField(child=serializers.CharField(), help_text="models whose releases it uses")
    requires = serializers.ListField(child=serializers.CharField(), help_text="those that it cannot be trained without")
    initial_hash = serializers.CharField(help_text="model hash of its starting point")
    example_unit = serializers.CharField(
        allow_null=True, help_text="what noise on single records protects; null where there is no such noise"
    )
    newest_version = serializers.IntegerField(allow_null=True, help_text="null before the first release")


class RegistryAnswer(Answer):
    """The models that can be trained by name."""

    models = RegisteredModel(many=True)


class CampaignAnswer(Answer):
    """A campaign and its rounds."""

    id = serializers.IntegerField()
    model_name = serializers.CharField()
    status = _status("running", "completed", "stopped")
    rounds_total = serializers.IntegerField()
    rounds_completed = serializers.IntegerField()
    stop_reason = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    rounds = serializers.ListField(child=serializers.CharField(), help_text="round ids, in order")


class DetectionEntry(Answer):
    """A detection that an organisation shared."""

    alert_id = serializers.CharField(help_text="the organization's own")
    org_id = serializers.CharField()
    received_at = serializers.DateTimeField()
    family = serializers.CharField()
    technique = serializers.CharField(help_text="ATT&CK id")
    score = serializers.FloatField(help_text="calibrated probability of an attack")
    flows = serializers.IntegerField()
    destinations = serializers.IntegerField()
    services = serializers.ListField(child=serializers.CharField(), help_text="protocol/port of the strongest flows")
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    action = serializers.CharField(help_text="recommended response")
    model_name = serializers.CharField()
    model_hash = serializers.CharField()
    block_height = serializers.IntegerField(allow_null=True, help_text="that released the model; null: no block did")
    note = serializers.CharField(allow_blank=True)
    statement = serializers.CharField(help_text="canonical bytes that the organization signed, base64")
    key_id = serializers.CharField()
    signature = serializers.CharField(help_text="DSSE, base64")


class DetectionsAnswer(Answer):
    """A page of shared detections."""

    detections = DetectionEntry(many=True)
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
