"""All settings, from the environment and, for secrets, from files. An invalid value stops the start with one line.

docs/configuration.md describes them.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from cryptography.fernet import Fernet

from runtime import broker_url, setting_paths
from runtime import environment as env
from runtime.database_url import database
from runtime.renamed_settings import refuse_renamed

refuse_renamed()

# Before anything is written: databases, packages and logs are private. 007 shares them with the group.
os.umask(env.mask("UMASK", 0o077))

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = setting_paths.directory("DATA_DIR", str(BASE_DIR / "var"))

DEBUG = env.flag("DEBUG")
SECRET_KEY = env.secret("SECRET_KEY", "not-a-secret-because-debug-is-on" if DEBUG else "")
if not DEBUG and len(SECRET_KEY) < 32:
    raise env.InvalidSetting("SECRET_KEY", "must be set to at least 32 random characters (DEBUG is off)")
FIELD_ENCRYPTION_KEYS = env.split_list(
    env.secret("FIELD_ENCRYPTION_KEYS", "bm90LWEtc2VjcmV0LWJlY2F1c2UtZGVidWctaXMtb24=" if DEBUG else "")
)
if not FIELD_ENCRYPTION_KEYS:
    raise env.InvalidSetting(
        "FIELD_ENCRYPTION_KEYS", "must be set: one or more Fernet keys, newest first (manage.py field_key creates one)"
    )
for _key in FIELD_ENCRYPTION_KEYS:
    try:
        Fernet(_key)
    except ValueError:
        raise env.InvalidSetting("FIELD_ENCRYPTION_KEYS", "contains something that is not a Fernet key") from None

PUBLIC_URL = setting_paths.public_url("PUBLIC_URL", "http://127.0.0.1:8000")
ALLOWED_HOSTS = setting_paths.host_names("ALLOWED_HOSTS", "127.0.0.1 localhost [::1]")
# Addresses whose X-Forwarded-For is trusted.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES", also=("unix",))
# Private networks that callbacks may reach.
CALLBACK_ALLOWED_NETWORKS = env.networks("CALLBACK_ALLOWED_NETWORKS")
# CAs trusted in addition to the system's, for servers without a CA of their own in their settings.
TLS_CA_FILE = setting_paths.certificate_file("TLS_CA_FILE")
SECURE = PUBLIC_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "console.views.error_pages.stale_form"
if TRUSTED_PROXIES:  # access.client_ip.ForwardedMiddleware removes the header of others
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

PACKAGE_ROOT = setting_paths.directory("PACKAGE_ROOT", str(DATA_DIR / "packages"))
STORAGES = {
    # Used until a package store is configured at run time.
    "default": {"BACKEND": "integrations.storage.ConfiguredStorage", "OPTIONS": {"location": PACKAGE_ROOT}},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Workers. In seconds unless noted.
WORKER_CONCURRENCY = env.number("WORKER_CONCURRENCY", 32, 1, 1000)  # operations in one worker process
OPERATION_LEASE_SECONDS = env.number("OPERATION_LEASE_SECONDS", 15, 2, 600)  # a claim without a heartbeat expires
SWEEP_INTERVAL = env.number("SWEEP_INTERVAL", 3, 1, 600)
# Operations in flight across all workers and deployments; 0: no limit.
MAX_IN_FLIGHT = env.number("MAX_IN_FLIGHT", 0, 0, 100_000)
MAX_IN_FLIGHT_SERVICE = env.number("MAX_IN_FLIGHT_SERVICE", 0, 0, 100_000)
MAX_IN_FLIGHT_HOST = env.number("MAX_IN_FLIGHT_HOST", 4, 0, 100_000)
MAX_IN_FLIGHT_JUMP = env.number("MAX_IN_FLIGHT_JUMP", 10, 0, 100_000)
# How long an unreachable host is retried before its operation fails.
UNREACHABLE_TIMEOUT = env.number("UNREACHABLE_TIMEOUT", 3600, 10, 7 * 86400)
# Attempts of a failing delete; after that, a person decides to retry it or to forget the instance.
MAX_DELETE_ATTEMPTS = env.number("MAX_DELETE_ATTEMPTS", 12, 1, 10_000)
OUTPUT_RETENTION_DAYS = env.number(
    "OUTPUT_RETENTION_DAYS", 90, 1, 36500
)  # output of commands; steps and errors are kept
WEB_THREADS = env.number("WEB_THREADS", 32, 2, 1000)
# Event streams and waiting requests of one user in one web process.
MAX_EVENT_STREAMS_PER_USER = env.number("MAX_EVENT_STREAMS_PER_USER", max(4, WEB_THREADS // 4), 1, 1000)
MAX_UPLOADS_PER_USER = env.number("MAX_UPLOADS_PER_USER", max(4, WEB_THREADS // 4), 1, 1000)
# Limits for slow clients, in seconds, and the minimum rate of package uploads in KiB/s: gunicorn_worker.py.
REQUEST_HEADER_TIMEOUT = env.number("REQUEST_HEADER_TIMEOUT", 10, 1, 600)
REQUEST_BODY_TIMEOUT = env.number("REQUEST_BODY_TIMEOUT", 20, 1, 3600)
UPLOAD_IDLE_TIMEOUT = env.number("UPLOAD_IDLE_TIMEOUT", 30, 1, 3600)
MIN_UPLOAD_RATE = env.number("MIN_UPLOAD_RATE", 8, 1, 1024 * 1024)
MAX_CONNECTIONS_PER_ADDRESS = env.number("MAX_CONNECTIONS_PER_ADDRESS", 500, 1, 100_000)
MAX_EVENT_STREAMS = env.number(
    "MAX_EVENT_STREAMS", max(1, WEB_THREADS - 8), 1, 1000
)  # event streams in one web process

# The role of every account on services without a team, once there is a team; "": none.
DEFAULT_ROLE = env.choice("DEFAULT_ROLE", ("none", "viewer", "publisher", "deployer")).replace("none", "")

# Builds. Protocols that git may use; file allows repositories on the worker's disk.
GIT_ALLOWED_PROTOCOLS = env.subset("GIT_ALLOWED_PROTOCOLS", ("https", "ssh", "file", "http", "git"), "https ssh")
BUILD_WEBHOOK_SECRET = env.secret("BUILD_WEBHOOK_SECRET")  # verifies reports of build servers without their own secret
BUILD_TIMEOUT = env.number("BUILD_TIMEOUT", 3600, 5, 7 * 86400)
# The sandbox of git builds: the strongest that this machine has (auto), one of them, or none (off).
# Seconds without a word from the engine after which the build of an image has timed out.
BUILD_SILENCE = env.number("BUILD_SILENCE", 900, 5, 7 * 86400)
BUILD_SANDBOX = env.choice("BUILD_SANDBOX", ("auto", "bubblewrap", "namespaces", "off"))
BUILD_NETWORK = env.choice("BUILD_NETWORK", ("auto", "none"))
# The services for which git may use the worker's own ssh keys, which open repositories of several teams.
BUILD_SSH_KEYS = env.choice("BUILD_SSH_KEYS", ("unowned", "all", "none"))
BUILD_TOOLS = setting_paths.absolute_paths("BUILD_TOOLS")  # folders outside the system's that builds may read
BUILD_MEMORY = env.number("BUILD_MEMORY", 4096, 64, 1024 * 1024)  # MiB, all processes of a build together
BUILD_DISK = env.number("BUILD_DISK", 8192, 16, 100 * 1024 * 1024)  # MiB written by a build
BUILD_PROCESSES = env.number("BUILD_PROCESSES", 1024, 16, 1_000_000)  # processes and threads of a build
BUILD_CONCURRENCY = env.number("BUILD_CONCURRENCY", 2, 1, 100)  # builds in one worker process
BUILD_POLL_INTERVAL = env.number("BUILD_POLL_INTERVAL", 5, 1, 3600)  # seconds between two polls of a build server

DATABASES = {
    "default": database(
        "DATABASE_URL",
        f"sqlite://{quote(str(DATA_DIR / 'deployer.sqlite3'))}",
        env.number("DATABASE_POOL_SIZE", 16, 2, 500),
    )
}

_broker = broker_url.broker("BROKER_URL")
BROKER_URL, CELERY_BROKER_USE_SSL = _broker.url, _broker.tls
BROKER_SOCKET = "" if BROKER_URL else env.socket_path(DATA_DIR / "broker.sock")  # of the embedded broker
CELERY_BROKER_URL = BROKER_URL or f"redis+socket://{quote(str(BROKER_SOCKET))}"
CELERY_RESULT_BACKEND = "runtime.result_backend.BatchedResults"
CELERY_TASK_TRACK_STARTED = True
CELERY_RESULT_EXTENDED = True
CELERY_TASK_ACKS_LATE = False  # a message is only a wake-up: if it is lost, the sweep finds the work
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "deployer"
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = WORKER_CONCURRENCY
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = broker_url.CONNECT_TIMEOUT
CELERY_BROKER_HEARTBEAT = broker_url.HEARTBEAT
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": env.number("BROKER_VISIBILITY_TIMEOUT", 3600, 1, 86400),
    **_broker.options,
}
CELERY_WORKER_CONSUMER = "runtime.celery_consumer:ResilientConsumer"  # survives the loss of the broker
CELERY_TASK_PUBLISH_RETRY = False  # a request never waits for a broker; the sweep finds the work
CELERY_RESULT_EXPIRES = 7 * 86400
CELERY_TIMEZONE = "UTC"

# The files of /api/v1/docs, served locally. As an installed app, ninja would be loaded by every worker and command, a
# fifth of their start time and memory.
NINJA = Path(str(find_spec("ninja").origin)).parent  # type: ignore[union-attr]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_celery_results",
    "django_htmx",
    # From the lowest layer up: each imports only earlier ones (pyproject.toml, importlinter).
    "access",
    "audit",
    "asset",
    "callbacks",
    "integrations",
    "microservice",
    "builds",
    "worker",
    "api",
    "console",
    "deployer",
]
MIDDLEWARE = [
    "access.client_ip.ForwardedMiddleware",
    "access.request_id.RequestIdMiddleware",
    "access.security_log.TraceMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "console.content_security.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "api.errors.ProblemsOnlyMiddleware",
    "console.views.error_pages.ErrorPagesMiddleware",
    "api.bodies.BodyMiddleware",  # before anything that reads a body
    "django.contrib.sessions.middleware.SessionMiddleware",
    "console.language.LanguageMiddleware",
    "console.zone.ZoneMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "console.views.unavailable.UnavailableMiddleware",
]
APPEND_SLASH = False  # a POST is never redirected: the API accepts URLs with and without the slash
ROOT_URLCONF = "deployer.urls"
WSGI_APPLICATION = "deployer.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates", NINJA / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n"],  # every template has texts
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "console.views.fragment_cache.form_values",
            ],
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation." + name}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE
# Over https: cookies that no other host of the domain, and no http response, can set.
_COOKIE_PREFIX = "__Host-" if SECURE else ""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_COOKIE_PREFIX}sessionid", f"{_COOKIE_PREFIX}csrftoken"
DEVICE_COOKIE_NAME = f"{_COOKIE_PREFIX}device"  # identifies a browser to accounts: access/devices.py
SECURE_HSTS_SECONDS = env.number("HSTS_SECONDS", 365 * 86400, 0, 10 * 365 * 86400) if SECURE else 0
SESSION_COOKIE_HTTPONLY = True
SESSION_ENGINE = "access.sessions"
# Seconds. Session rows record their start and last use.
SESSION_ABSOLUTE_TIMEOUT = SESSION_COOKIE_AGE = env.number("SESSION_ABSOLUTE_TIMEOUT", 14 * 86400, 60, 366 * 86400)
SESSION_IDLE_TIMEOUT = env.number("SESSION_IDLE_TIMEOUT", 86400, 60, 366 * 86400)
TOKEN_LIFETIME_DAYS = env.number("TOKEN_LIFETIME_DAYS", 90, 1, 3650)  # default lifetime of a token
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024  # smaller limits: access/bodies.py
# Uploads stay in memory, except packages of callers who may publish: see api/uploads.py.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_AGE = 365 * 86400
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static", NINJA / "static"]
WHITENOISE_USE_FINDERS = True

LOG_LEVEL = env.choice("LOG_LEVEL", ("info", "debug", "warning", "error", "critical")).upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "runtime.logs.TextFormatter" if DEBUG else "runtime.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # Sign-ins and refusals are logged at every LOG_LEVEL: see access/security_log.py.
    "loggers": {"access": {"level": "INFO"}, "paramiko": {"level": "ERROR"}, "django.db.backends": {"level": "INFO"}},
}
