"""Django settings; every value that an operator may choose comes from `flxdr.env`."""

from __future__ import annotations

import os
import secrets
import socket
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF

from flxdr.env import BASE_DIR, ensure_state_folders, load
from flxdr.platform.logging import logging_configuration
from flxdr.platform.storage.files import create_once, ensure_private_folder

FLXDR = load(os.environ)
ensure_state_folders(FLXDR)
DEBUG = False
ALLOWED_HOSTS = list(FLXDR.allowed_hosts or ())

# A production start without SECRET_KEY is refused by the system checks; the key below never serves there.
SECRET_KEY = (
    FLXDR.secret_key
    or create_once(FLXDR.data_dir / "keys" / "development_secret_key", secrets.token_urlsafe(50).encode).decode()
)

INSTALLED_APPS = [
    "flxdr.apps.SiteConfig",
    "flxdr.operators.apps.OperatorsConfig",
    "federation.apps.FederationConfig",
    "ledger.apps.LedgerConfig",
    "privacy.apps.PrivacyConfig",
    "flxdr.platform.apps.PlatformConfig",
    "flxdr.notifications.apps.NotificationsConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "csp",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
]

# What adds headers to answers stands outside of what may answer by itself.
MIDDLEWARE = [
    "flxdr.platform.request_id.RequestIdMiddleware",
    "flxdr.platform.metrics.requests.RequestMetricsMiddleware",
    "flxdr.platform.security_headers.SecurityHeadersMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "flxdr.platform.auth.mtls.ClientCertificateMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "flxdr.platform.api.throttling.AddressThrottleMiddleware",
    "flxdr.operators.sso.session.SingleSignOnMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "flxdr.operators.middleware.SecondFactorMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "flxdr.urls"
WSGI_APPLICATION = "flxdr.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "flxdr.notifications.context.open_notifications",
                "flxdr.dashboard.confirmations.context.waiting",
            ],
            "libraries": {"pages": "flxdr.dashboard.tags"},
        },
    }
]

# Without WAL and IMMEDIATE a good part of concurrent write transactions fails with "database is locked".
DATABASES: dict[str, Any]
if FLXDR.database_url:
    # Checked when a request or a task takes a connection: after a restart of the server all of the pool's are dead.
    DATABASES = {"default": dict(dj_database_url.parse(FLXDR.database_url, conn_max_age=0, conn_health_checks=True))}
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": FLXDR.database_pool,
        "timeout": 20,
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "flxdr.platform.sqlite",
            "NAME": FLXDR.database_path,
            "CONN_MAX_AGE": 300,  # opening one takes longer than what most requests ask it
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Counters of requests. Without Redis every web process counts for itself.
CACHES: dict[str, Any]
if FLXDR.redis_url:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": FLXDR.redis_url,
            "KEY_PREFIX": "flxdr",
            "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 20_000},  # beyond it the oldest third is dropped
        }
    }

# The queue is a hint only: the rows say what is due, so results are kept nowhere and lost messages do no harm.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE_FILENAME = str(FLXDR.data_dir / "run" / "beat-schedule")
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any]
if FLXDR.redis_url:
    CELERY_BROKER_URL = FLXDR.redis_url
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 900,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
        # A request that has committed its work waits no longer than this for a queue that is silent.
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
    }
else:
    CELERY_BROKER_URL = "filesystem://localhost//"
    _broker = ensure_private_folder(FLXDR.data_dir / "broker")
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(ensure_private_folder(_broker / "messages")),
        "data_folder_out": str(_broker / "messages"),
        "processed_folder": str(ensure_private_folder(_broker / "processed")),
        "control_folder": str(ensure_private_folder(_broker / "control")),
        "polling_interval": 0.1,
    }
ensure_private_folder(FLXDR.data_dir / "run")
# Of this machine or container; prometheus_client reads the variable when it is imported, which is after this.
METRICS_FOLDER = FLXDR.data_dir / "run" / "metrics" / socket.gethostname()
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_FOLDER)
CELERY_BEAT_SCHEDULE = {
    "reconcile": {"task": "federation.tasks.reconcile", "schedule": 5.0, "options": {"expires": 5}},
    "drain-outbox": {"task": "flxdr.platform.tasks.drain_outbox", "schedule": 5.0, "options": {"expires": 5}},
    "notify": {"task": "flxdr.notifications.tasks.notify", "schedule": 30.0, "options": {"expires": 30}},
    "verify-chain": {"task": "ledger.tasks.verify_whole", "schedule": 30.0, "options": {"expires": 30}},
    "discard-updates": {
        "task": "federation.tasks.discard_updates",
        "schedule": 3600.0,
        "options": {"expires": 600},
    },
    "purge-outbox": {"task": "flxdr.platform.tasks.purge_outbox", "schedule": 3600.0, "options": {"expires": 600}},
    "discard-pieces": {"task": "federation.tasks.discard_pieces", "schedule": 300.0, "options": {"expires": 60}},
    "purge-tokens": {"task": "flxdr.platform.tasks.purge_tokens", "schedule": 3600.0, "options": {"expires": 600}},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "flxdr.platform.auth.authentication.BearerAuthentication",
        "flxdr.platform.auth.authentication.OperatorSessionAuthentication",
        "flxdr.platform.auth.authentication.DevelopmentLoopbackAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["flxdr.platform.auth.permissions.IsOperatorOrOrganization"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "flxdr.platform.api.schema.ProblemSchema",
    "EXCEPTION_HANDLER": "flxdr.platform.api.problems.problem_handler",
    "UNAUTHENTICATED_USER": "flxdr.platform.auth.principal.Anonymous",
    "UNAUTHENTICATED_TOKEN": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "flxdr",
    "DESCRIPTION": "Federated threat detection with a multi-signed, offline-verifiable model ledger.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    # The development operator sends nothing, so there is no scheme to describe.
    "AUTHENTICATION_WHITELIST": [
        "flxdr.platform.auth.authentication.BearerAuthentication",
        "flxdr.platform.auth.authentication.OperatorSessionAuthentication",
    ],
    "ENUM_NAME_OVERRIDES": {"LayerStateEnum": "privacy.api.serializers.STATE"},
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/fl-blockchain",
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "flxdr.operators.sso.backend.SingleSignOnBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # else a guess now and then keeps an account locked for ever
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "flxdr.platform.proxy.client_address"
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["code"]  # a recovery code beside a mistyped password is still good
OTP_TOTP_ISSUER = "flxdr"
LOGIN_URL = "admin:login"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = FLXDR.is_production
CSRF_COOKIE_SECURE = FLXDR.is_production
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = FLXDR.is_production
# Asked by whatever runs the site, from inside and without TLS; they tell nothing and take nothing secret.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 0 if FLXDR.hsts == "off" else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = FLXDR.hsts in ("subdomains", "preload")
SECURE_HSTS_PRELOAD = FLXDR.hsts == "preload"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if FLXDR.behind_proxy else None
# W021 asks for `preload`: browsers' lists take whole domains, which only their owner can commit, for long. W005 asks
# for `subdomains`, which is the default here: an operator who set `host` has decided. docs/security.md says so.
SILENCED_SYSTEM_CHECKS = ["security.W021", *(["security.W005"] if FLXDR.hsts == "host" else [])]
CORS_ALLOWED_ORIGINS = list(FLXDR.dev_allowed_origins or ())
CORS_URLS_REGEX = r"^/api/.*$"
CORS_EXPOSE_HEADERS = ["ETag", "X-Request-Id"]

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # served from where the apps keep them: nothing to collect before a start
WHITENOISE_AUTOREFRESH = False
LANGUAGE_CODE = "en"
USE_I18N = True
FORMAT_MODULE_PATH = ["flxdr.formats"]
USE_TZ = True
TIME_ZONE = "UTC"

LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = logging_configuration(
    level=FLXDR.log_level,
    file=FLXDR.data_dir / "backend.log",
    secret_paths=("/member/sign-in/",),  # whoever has the link is signed in
)
