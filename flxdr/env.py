"""Every environment variable of the coordinator, read once.

`docs/settings.md` is written from this file by `manage.py settings_doc`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from federation.aggregation.registry import METHODS, ROBUST_METHODS
from flxdr.core.keys import SEED_BYTES
from flxdr.operators.roles import ROLES
from flxdr.platform.configuration import (
    InvalidEnvironment,
    Problem,
    address,
    base64_bytes,
    boolean,
    choice,
    fraction,
    integer,
    integers,
    matching,
    path,
    properties,
    read,
    real,
    text,
    url,
    variable,
    words,
)
from flxdr.platform.storage.files import ensure_private_folder

BASE_DIR = Path(__file__).resolve().parent.parent
DEVELOPMENT = "development"
PRODUCTION = "production"

SITE = "Site"
OPERATORS = "Operators"
PRIVACY = "Privacy"
AGGREGATION = "Aggregation"
TRAINING = "Training"
LEDGER = "Blockchain ledger"
FEDERATION = "Federation"
SECRETS = "Keys and secrets"
TELEMETRY = "Telemetry"
NOTIFICATIONS = "Notifications"
NETWORK = "Network"
STATE = "State and services"


@dataclass(frozen=True)
class Env:
    """The coordinator's configuration. Attributes are the variables in lower case, without the prefix `FL_`."""

    env: str = variable(
        "FL_ENV",
        choice(DEVELOPMENT, PRODUCTION),
        DEVELOPMENT,
        "`development` opens registration and lets the machine's own user operate without a token; `production` "
        "refuses to start without real secrets",
        group=SITE,
    )
    allowed_hosts: tuple[str, ...] | None = variable(
        "FL_ALLOWED_HOSTS",
        words(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\]", "host names, separated by commas"),
        {DEVELOPMENT: "localhost,127.0.0.1,[::1]", PRODUCTION: ""},
        "host names under which the site answers; required in production",
        group=SITE,
    )
    backend_port: int = variable(
        "BACKEND_PORT", integer(1, 65535), "8000", "port on which `manage.py up` serves", group=SITE
    )
    backend_host: str = variable(
        "BACKEND_HOST",
        matching(r"[A-Za-z0-9.:-]+", "an address"),
        "127.0.0.1",
        "address on which `manage.py up` serves; `0.0.0.0` opens it to the network",
        group=SITE,
    )
    log_level: str = variable(
        "FL_LOG_LEVEL",
        choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
        "DEBUG adds submissions and aggregation steps, INFO shows rounds and registrations, ERROR only failures",
        group=SITE,
    )

    two_person: bool = variable(
        "FL_TWO_PERSON",
        boolean(),
        "true",
        "suspending and readmitting an organisation, and aborting a round or a campaign, take a second operator's "
        "confirmation (docs/operators.md)",
        group=OPERATORS,
    )

    operator_2fa: str = variable(
        "FL_OPERATOR_2FA",
        choice("off", "optional", "required"),
        {DEVELOPMENT: "optional", PRODUCTION: "required"},
        "second factor of operators who sign in: not asked for, asked of those who have set one up, or of everybody",
        group=OPERATORS,
    )

    oidc_issuer: str | None = variable(
        "FL_OIDC_ISSUER",
        address(
            r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(/[!-~]*)?", "an https:// (or http://) address"
        ),
        "",
        "identity provider at which operators may sign in (OpenID Connect), as it names itself; unset: none. "
        "Production takes https alone",
        group=OPERATORS,
    )
    oidc_client_id: str | None = variable(
        "FL_OIDC_CLIENT_ID", text(), "", "name of this coordinator at the identity provider", group=OPERATORS
    )
    oidc_client_secret: str | None = variable(
        "FL_OIDC_CLIENT_SECRET", text(), "", "its secret there", group=OPERATORS, secret=True
    )
    oidc_scopes: str = variable(
        "FL_OIDC_SCOPES",
        matching(r"openid( [!-~]+)*", "`openid` and further scopes, separated by spaces"),
        "openid profile",
        "what it asks the identity provider for",
        group=OPERATORS,
    )
    oidc_role_claim: str = variable(
        "FL_OIDC_ROLE_CLAIM",
        text(),
        "groups",
        "claim that lists somebody's groups; `a.b` is also the member `b` of the claim `a`",
        group=OPERATORS,
    )
    oidc_roles: tuple[str, ...] | None = variable(
        "FL_OIDC_ROLES",
        words(rf".+:({'|'.join(ROLES)})", f"`group:role`, separated by commas; roles: {', '.join(ROLES)}"),
        "",
        "roles of the groups, such as `fl-admins:administrator,soc:operator`. Who is in none has no access",
        group=OPERATORS,
    )
    oidc_second_factor: str = variable(
        "FL_OIDC_SECOND_FACTOR",
        choice("ask", "amr", "trust"),
        "ask",
        "whether a sign-in at the identity provider is a second factor as well: no, the coordinator asks for one as "
        "`FL_OPERATOR_2FA` says; where the token's `amr` claim has `mfa`; or always",
        group=OPERATORS,
    )
    oidc_session_minutes: int = variable(
        "FL_OIDC_SESSION_MINUTES",
        integer(1, 1440),
        "60",
        "minutes until such a session ends and the identity provider is asked again",
        group=OPERATORS,
    )

    privacy_epsilon: float = variable(
        "FL_PRIVACY_EPSILON",
        real(above=0, at_most=1000),
        "1.0",
        "total differential-privacy budget (lower is stronger)",
        group=PRIVACY,
    )
    privacy_delta: float = variable(
        "FL_PRIVACY_DELTA", real(above=0, below=1), "1e-5", "failure probability of the guarantee", group=PRIVACY
    )
    privacy_clipping_norm: float = variable(
        "FL_PRIVACY_CLIPPING_NORM",
        real(above=0, at_most=1e6),
        "1.0",
        "L2 clipping threshold: of a record's gradient in mode `record`, of a whole update in mode `organization`",
        group=PRIVACY,
    )
    privacy_sampling_rate: float = variable(
        "FL_PRIVACY_SAMPLING_RATE",
        real(above=0.001, at_most=1),
        "0.1",
        "probability of each record to be drawn in a step of training in mode `record`; an epoch is 1/rate steps",
        group=PRIVACY,
    )
    privacy_mode: str = variable(
        "FL_PRIVACY_MODE",
        choice("none", "organization", "record"),
        {DEVELOPMENT: "none", PRODUCTION: "record"},
        "what the noise of a round protects: nothing, single records, or an organisation's whole update; the last one "
        "destroys the model where few organisations take part (docs/privacy.md has the figures)",
        group=PRIVACY,
    )
    privacy_calibration: str = variable(
        "FL_PRIVACY_CALIBRATION",
        choice("analytic", "classic"),
        "analytic",
        "how the noise of mode `organization` is calibrated: Balle & Wang 2018, or sqrt(2 ln(1.25/delta))/epsilon",
        group=PRIVACY,
    )
    privacy_required: bool = variable(
        "FL_PRIVACY_REQUIRED",
        boolean(),
        {DEVELOPMENT: "false", PRODUCTION: "true"},
        "refuse updates that declare no privacy mechanism",
        group=PRIVACY,
    )
    protection: str = variable(
        "FL_PROTECTION",
        choice("plain", "secagg", "paillier"),
        "plain",
        "what the coordinator sees of updates: each one (`plain`), or their sum alone (`secagg`, or `paillier`, which "
        "encrypts the masked updates as well; both for three or more organisations)",
        group=PRIVACY,
    )
    paillier_modulus_bits: str = variable(
        "FL_PAILLIER_MODULUS_BITS",
        choice("2048", "3072", "4096"),
        "3072",
        "size of the keys of `paillier` rounds",
        group=PRIVACY,
    )
    masking_step_timeout: int = variable(
        "FL_MASKING_STEP_TIMEOUT",
        integer(1, 86400),
        "60",
        "seconds for each step of a masked collection after the first; who has not answered by then has dropped out",
        group=PRIVACY,
    )

    aggregation_method: str = variable(
        "FL_AGGREGATION_METHOD",
        choice(*METHODS),
        "FedProx",
        "aggregation of a round that names none",
        group=AGGREGATION,
    )
    aggregation_robust_method: str = variable(
        "FL_AGGREGATION_ROBUST_METHOD",
        choice(*ROBUST_METHODS),
        "trimmed_mean",
        "what `RobustAggregator` runs",
        group=AGGREGATION,
    )
    proximal_parameter: float = variable(
        "FL_PROXIMAL_PARAMETER", real(at_least=0, at_most=1), "0.01", "lambda of FedProx", group=AGGREGATION
    )
    aggregation_params: Mapping[str, int] | None = variable(
        "FL_AGGREGATION_PARAMS",
        integers(),
        "",
        "parameters of the method that is set above, such as `byzantine=2`; other methods keep their own defaults. "
        "Names and ranges: `round/start` at `/docs`",
        group=AGGREGATION,
    )

    aggregation_shard_values: int = variable(
        "FL_AGGREGATION_SHARD_VALUES",
        integer(2**10, 2**40),
        str(2**26),
        "values (organisations x coordinates) that one worker aggregates at a time; rounds with more are shared among "
        "the workers by ranges of coordinates, with the same result",
        group=AGGREGATION,
    )

    training_rounds: int = variable(
        "FL_TRAINING_ROUNDS", integer(1, 100_000), "10", "rounds of a campaign", group=TRAINING
    )
    batch_size: int = variable(
        "FL_BATCH_SIZE", integer(1, 1_000_000), "32", "local batch size of an organisation", group=TRAINING
    )
    learning_rate: float = variable(
        "FL_LEARNING_RATE", real(above=0, at_most=100), "0.01", "local learning rate", group=TRAINING
    )
    default_model: str = variable(
        "FL_DEFAULT_MODEL",
        matching(r"[a-z0-9][a-z0-9-]{0,63}", "a model's name: lower-case letters, digits and dashes"),
        {DEVELOPMENT: "global", PRODUCTION: "edge-classifier"},
        "model of a round or status request that names none; `global` is for one's own programs, whose updates carry "
        "no noise of training",
        group=TRAINING,
    )

    blockchain_db_path: Path | None = variable(  # noqa: RUF009 - it makes a field
        "FL_BLOCKCHAIN_DB_PATH",
        path(),
        "",
        "SQLite database with the ledger; unset: `fl_blockchain.db` in `FL_DATA_DIR`. Not used with `DATABASE_URL`",
        group=LEDGER,
    )
    blockchain_verification_method: str = variable(
        "FL_BLOCKCHAIN_VERIFICATION_METHOD",
        choice("multisig", "operator"),
        "multisig",
        "who approves a block: a quorum of organisations, or the operator. Read once, at genesis",
        group=LEDGER,
    )
    blockchain_quorum: Fraction = variable(  # noqa: RUF009 - it makes a field
        "FL_BLOCKCHAIN_QUORUM",
        fraction(),
        "2/3",
        "more than this fraction of the voters must approve. Read once, at genesis",
        group=LEDGER,
    )
    blockchain_quorum_min: int = variable(
        "FL_BLOCKCHAIN_QUORUM_MIN",
        integer(1, 1000),
        "2",
        "organisations that must approve at least. Read once, at genesis",
        group=LEDGER,
    )
    blockchain_predecessor: str | None = variable(
        "FL_BLOCKCHAIN_PREDECESSOR",
        matching(r"[0-9a-f]{64}", "64 lower-case hex digits"),
        "",
        "genesis hash of the chain that this one replaces, where a quorum was lost for good. Read once, at genesis",
        group=LEDGER,
    )
    approval_timeout: int = variable(
        "FL_APPROVAL_TIMEOUT", integer(1, 30 * 86400), "300", "seconds until a proposal lapses", group=LEDGER
    )
    verify_interval: int = variable(
        "FL_VERIFY_INTERVAL",
        integer(60, 30 * 86400),
        "3600",
        "seconds between two verifications of the whole chain in the background",
        group=LEDGER,
    )

    federation_timeout: int = variable(
        "FL_FEDERATION_TIMEOUT",
        integer(1, 30 * 86400),
        "600",
        "seconds until a round's collection ends",
        group=FEDERATION,
    )
    max_org_failure_rate: float = variable(
        "FL_MAX_ORG_FAILURE_RATE",
        real(at_least=0, at_most=1),
        "0.3",
        "share of a round's organisations that may miss it",
        group=FEDERATION,
    )
    update_retention_days: int = variable(
        "FL_UPDATE_RETENTION_DAYS",
        integer(0, 36500),
        "0",
        "days for which an ended round's updates are kept, so that its release can be recomputed. 0: for ever",
        group=FEDERATION,
    )
    detections_per_hour: int = variable(
        "FL_DETECTIONS_PER_HOUR",
        integer(1, 1_000_000),
        "120",
        "detections that one organisation may share within an hour",
        group=FEDERATION,
    )
    max_submission_bytes: int = variable(
        "FL_MAX_SUBMISSION_BYTES",
        integer(1024, 16 * 2**30),
        str(256 * 2**20),
        "largest accepted body of a submission",
        group=FEDERATION,
    )

    secret_key: str | None = variable(
        "SECRET_KEY",
        text(),
        "",
        "Django's secret for sessions; required in production. In development one is made in `FL_DATA_DIR/keys`",
        group=SECRETS,
        secret=True,
    )
    api_hmac_key: str | None = variable(
        "API_HMAC_KEY",
        text(),
        "",
        "shared secret of HS256 tokens; required in production. Unset: such tokens are refused",
        group=SECRETS,
        secret=True,
    )
    pqc_sk_b64: bytes | None = variable(
        "PQC_SK_B64",
        base64_bytes(SEED_BYTES),
        "",
        "the coordinator's ML-DSA-65 key: base64 of its 32-byte seed. Unset: made once in `FL_DATA_DIR/keys`",
        group=SECRETS,
        secret=True,
    )
    pqc_next_sk_b64: bytes | None = variable(
        "PQC_NEXT_SK_B64",
        base64_bytes(SEED_BYTES),
        "",
        "the key that `rotate_coordinator_key` puts in the place of `PQC_SK_B64`, used once the chain records it. "
        "Unset: the command makes one in `FL_DATA_DIR/keys`",
        group=SECRETS,
        secret=True,
    )
    metrics_token: str | None = variable(
        "FL_METRICS_TOKEN",
        matching(r"[A-Za-z0-9._~+/-]+=*", "a bearer token: letters, digits and -._~+/"),
        "",
        "bearer token of whoever scrapes `/metrics`. Unset: in development programs on this machine read it, in "
        "production nobody does",
        group=SECRETS,
        secret=True,
    )
    pqc_pk_b64: bytes | None = variable(
        "PQC_PK_B64",
        base64_bytes(),
        "",
        "the public half: base64 of the DER SubjectPublicKeyInfo; must belong to `PQC_SK_B64`",
        group=SECRETS,
        secret=True,
    )

    telemetry_backend: str = variable(
        "TELEMETRY_BACKEND",
        choice("local", "kafka", "roma"),
        "local",
        "where telemetry events go: files under `FL_DATA_DIR/telemetry`, Kafka, or Huawei ROMA MQ. The guide prints "
        "`kafka`; the default here needs no broker",
        group=TELEMETRY,
    )
    telemetry_kafka_brokers: tuple[str, ...] = variable(
        "TELEMETRY_KAFKA_BROKERS",
        words(r"[A-Za-z0-9._-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", "`host:port`, separated by commas"),
        "localhost:9092",
        "Kafka bootstrap brokers, for `TELEMETRY_BACKEND=kafka`",
        group=TELEMETRY,
    )
    telemetry_kafka_properties: Mapping[str, str] | None = variable(
        "TELEMETRY_KAFKA_PROPERTIES",
        properties(
            r"security\.protocol|client\.id|compression\.type|message\.max\.bytes|(ssl|sasl)\.[a-z0-9_.]+",
            "lines `name=value` of librdkafka's properties security.protocol, ssl.*, sasl.*, client.id, "
            "compression.type and message.max.bytes",
        ),
        "",
        "TLS and SASL of Kafka, as librdkafka's properties, one a line; as a rule a file, named by the variable with "
        "`_FILE` (docs/telemetry.md)",
        group=TELEMETRY,
        secret=True,
    )
    telemetry_topic: str = variable(
        "TELEMETRY_TOPIC",
        matching(r"[A-Za-z0-9._-]{1,249}", "a topic's name: letters, digits, dots, dashes and underscores"),
        "flxdr.events",
        "topic of the events at Kafka and ROMA MQ",
        group=TELEMETRY,
    )
    roma_mq_url: str | None = variable(
        "ROMA_MQ_URL", url("https", "http"), "", "address for `TELEMETRY_BACKEND=roma`", group=TELEMETRY
    )
    roma_mq_token: str | None = variable(
        "ROMA_MQ_TOKEN", text(), "", "bearer token for `TELEMETRY_BACKEND=roma`", group=TELEMETRY, secret=True
    )

    public_url: str | None = variable(
        "FL_PUBLIC_URL",
        address(
            r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?", "an address such as https://fl.example.org"
        ),
        "",
        "the site's address in links that leave it; unset: messages name only paths",
        group=NOTIFICATIONS,
    )
    notify_level: str = variable(
        "FL_NOTIFY_LEVEL",
        choice("info", "warning", "critical"),
        "info",
        "the lowest severity that leaves the site; the pages show every one",
        group=NOTIFICATIONS,
    )
    notify_rounds_left: int = variable(
        "FL_NOTIFY_ROUNDS_LEFT",
        integer(0, 1000),
        "3",
        "rounds that an organisation's privacy budget still pays for when operators are told that it is low",
        group=NOTIFICATIONS,
    )
    notify_silent_after: int = variable(
        "FL_NOTIFY_SILENT_AFTER",
        integer(120, 30 * 86400),
        "900",
        "seconds for which an active organisation was not heard of when operators are told",
        group=NOTIFICATIONS,
    )
    notify_email: tuple[str, ...] | None = variable(
        "FL_NOTIFY_EMAIL",
        words(r"[^\s@,<>\"]+@[A-Za-z0-9.-]+", "e-mail addresses, separated by commas"),
        "",
        "who gets notifications by e-mail; needs `FL_NOTIFY_SMTP_URL` and `FL_NOTIFY_FROM`",
        group=NOTIFICATIONS,
    )
    notify_smtp_url: str | None = variable(
        "FL_NOTIFY_SMTP_URL",
        address(
            r"(smtp|submission|smtps)://([^\s:@/]+:[^\s:@/]+@)?([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?",
            "`smtps://user:password@host:port` (TLS), `submission://...` (STARTTLS) or `smtp://...` (in the clear); "
            "special characters of user and password percent-encoded",
        ),
        "",
        "the mail server. User, password and port (465, 587, 25) may be left out",
        group=NOTIFICATIONS,
        secret=True,
    )
    notify_from: str | None = variable(
        "FL_NOTIFY_FROM",
        matching(r"[^\s@,<>\"]+@[A-Za-z0-9.-]+", "an e-mail address"),
        "",
        "sender of the e-mails",
        group=NOTIFICATIONS,
    )
    notify_webhook_url: str | None = variable(
        "FL_NOTIFY_WEBHOOK_URL",
        address(
            r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(/[!-~]*)?", "an https:// (or http://) address"
        ),
        "",
        "where notifications are posted as JSON; production takes https alone",
        group=NOTIFICATIONS,
        secret=True,
    )
    notify_webhook_secret: str | None = variable(
        "FL_NOTIFY_WEBHOOK_SECRET",
        text(),
        "",
        "signs what is posted: `X-Flxdr-Signature` is the HMAC-SHA256 of the body under it",
        group=NOTIFICATIONS,
        secret=True,
    )

    dev_allowed_origins: tuple[str, ...] | None = variable(
        "DEV_ALLOWED_ORIGINS",
        words(
            r"https?://[A-Za-z0-9.-]+(:\d{1,5})?",
            "origins such as http://localhost:5173, as a quoted list or separated by commas",
        ),
        {DEVELOPMENT: "['http://localhost:5173']", PRODUCTION: ""},
        "origins of browser applications that may call the API",
        group=NETWORK,
    )
    mtls_required: bool = variable(
        "JARVIS_MTLS_REQUIRED",
        boolean(),
        "false",
        "refuse requests without a client certificate that gunicorn's own TLS socket verified, or nginx in front of "
        "its unix socket (docs/security.md)",
        group=NETWORK,
    )
    mtls_allowed_fingerprints: tuple[str, ...] | None = variable(
        "JARVIS_MTLS_ALLOWED_FINGERPRINTS",
        words(r"(sha256:)?[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}", "SHA-256 fingerprints in hex, separated by commas"),
        "",
        "certificates that are let in; unset: every one that the TLS server's authority signed",
        group=NETWORK,
    )
    behind_proxy: bool = variable(
        "FL_BEHIND_PROXY",
        boolean(),
        "false",
        "believe the proxy in front: the scheme in `X-Forwarded-Proto`, the client's address in the last entry of "
        "`X-Forwarded-For`, and over a unix socket the client certificate. Only where nobody else reaches the port",
        group=NETWORK,
    )

    throttle_organization: int = variable(
        "FL_THROTTLE_ORGANIZATION",
        integer(0, 10_000_000),
        "6000",
        "requests a minute of one organisation, by tokens that hold; an agent needs a few dozen. 0: unbounded",
        group=NETWORK,
    )
    throttle_address: int = variable(
        "FL_THROTTLE_ADDRESS",
        integer(0, 10_000_000),
        "1200",
        "requests a minute from one address that prove nobody: without token or session, or with one that is refused. "
        "0: unbounded",
        group=NETWORK,
    )
    hsts: str = variable(
        "FL_HSTS",
        choice("off", "host", "subdomains", "preload"),
        {DEVELOPMENT: "off", PRODUCTION: "subdomains"},
        "what browsers are told never to visit without TLS again, for a year: nothing, this host, the hosts below its "
        "name as well, or all of it for the lists that browsers are shipped with",
        group=NETWORK,
    )

    data_dir: Path = variable(  # noqa: RUF009 - it makes a field
        "FL_DATA_DIR", path(), str(BASE_DIR / "var"), "state: database, keys, files, queue, logs", group=STATE
    )
    heartbeat_file: Path | None = variable(  # noqa: RUF009 - it makes a field
        "FL_HEARTBEAT_FILE",
        path(),
        "",
        "file whose time a worker and the beat renew every few seconds while they work, for a container's probe "
        "(`deploy/healthcheck.py`); each needs its own",
        group=STATE,
    )
    database_url: str | None = variable(
        "DATABASE_URL",
        url("postgres", "postgresql"),
        "",
        "PostgreSQL instead of SQLite",
        group=STATE,
        secret=True,
    )
    database_pool: int = variable(
        "FL_DATABASE_POOL",
        integer(1, 1000),
        "16",
        "connections to PostgreSQL that one process opens at most; all processes together must stay below the server's "
        "`max_connections` (docs/scaling.md)",
        group=STATE,
    )
    redis_url: str | None = variable(
        "REDIS_URL",
        url("redis", "rediss"),
        "",
        "Redis as the task queue instead of files under `FL_DATA_DIR/broker`",
        group=STATE,
        secret=True,
    )
    blobs_s3_bucket: str | None = variable(
        "FL_BLOBS_S3_BUCKET",
        matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name: 3 to 63 lower-case letters, digits, `.`, `-`"),
        "",
        "S3 bucket for updates and models, instead of `FL_DATA_DIR/blobs` (docs/scaling.md)",
        group=STATE,
    )
    blobs_s3_endpoint: str | None = variable(
        "FL_BLOBS_S3_ENDPOINT",
        address(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?", "an https:// (or http://) address"),
        "",
        "address of an S3-compatible server; unset: Amazon's. Production takes https alone, except on this machine",
        group=STATE,
    )
    blobs_s3_region: str | None = variable(
        "FL_BLOBS_S3_REGION",
        matching(r"[a-z0-9-]{1,63}", "a region's name, such as eu-central-1"),
        "",
        "region of the bucket; unset: as the AWS tools find it",
        group=STATE,
    )
    blobs_s3_prefix: str | None = variable(
        "FL_BLOBS_S3_PREFIX",
        matching(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", "letters, digits, `-`, `_`, with `/` between parts"),
        "",
        "what the objects' names begin with, so that a bucket serves several coordinators",
        group=STATE,
    )
    blobs_s3_access_key_id: str | None = variable(
        "FL_BLOBS_S3_ACCESS_KEY_ID",
        text(),
        "",
        "access key of the bucket; unset: as the AWS tools find one (environment, profile, role of the machine)",
        group=STATE,
        secret=True,
    )
    blobs_s3_secret_access_key: str | None = variable(
        "FL_BLOBS_S3_SECRET_ACCESS_KEY",
        text(),
        "",
        "the secret that belongs to `FL_BLOBS_S3_ACCESS_KEY_ID`",
        group=STATE,
        secret=True,
    )
    blobs_cache_bytes: int = variable(
        "FL_BLOBS_CACHE_BYTES",
        integer(0, 2**50),
        str(10 * 2**30),
        "bytes of copies of the bucket's files that a machine keeps in `FL_DATA_DIR/cache`; what an aggregation works "
        "with stays beyond that",
        group=STATE,
    )

    @property
    def is_production(self) -> bool:
        return self.env == PRODUCTION

    @property
    def database_path(self) -> Path:
        """Where the SQLite database is."""
        return self.blockchain_db_path or self.data_dir / "fl_blockchain.db"


def load(environ: Mapping[str, str]) -> Env:
    """Read all variables.

    Raises:
        InvalidEnvironment: naming each bad variable, its value, and what is allowed.
    """
    mode = environ.get("FL_ENV", "").strip() or DEVELOPMENT
    if mode not in (DEVELOPMENT, PRODUCTION):
        message = f"FL_ENV: {mode!r} is not allowed. Allowed: {DEVELOPMENT} | {PRODUCTION}."
        raise InvalidEnvironment([Problem("flxdr.E001", "FL_ENV", message)])
    return read(Env, environ, mode=mode)


def ensure_state_folders(env: Env) -> None:
    """Make the folders of the state and of the SQLite database.

    Raises:
        InvalidEnvironment: naming each variable whose folder cannot be made or written.
    """
    folders = {"FL_DATA_DIR": env.data_dir}
    if not env.database_url:
        folders["FL_BLOCKCHAIN_DB_PATH"] = env.database_path.parent
    problems = []
    for name, folder in folders.items():
        try:
            ensure_private_folder(folder)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError("no permission to write")
        except OSError as error:
            message = f"{name}: the folder {str(folder)!r} cannot be used ({error.strerror or error})."
            problems.append(Problem("flxdr.E003", name, f"{message} Allowed: a path that this user may write."))
    if problems:
        raise InvalidEnvironment(problems)
