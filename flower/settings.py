"""Django's settings. What people set comes from flower/env.py; the rest is decided here, with its reason."""

from __future__ import annotations

import os
import sys
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from core import logs
from flower import env

BASE_DIR = env.BASE_DIR
TESTING = "pytest" in sys.modules  # the suite must not read the .env of the checkout that it runs in

try:
    FLOWER = env.read(os.environ) if TESTING else env.load()
except env.BadSetting as error:
    raise ImproperlyConfigured(str(error)) from error

SECRET_KEY = FLOWER.secret_key
DEBUG = FLOWER.debug
ALLOWED_HOSTS = FLOWER.allowed_hosts
CSRF_TRUSTED_ORIGINS = [FLOWER.public_url]
_https = FLOWER.public_url.startswith("https://")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "channels",
    "flower",
    "briefs",
    "transcripts",
    "daemons",
    "worktrees",
    "dispatch",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "flower.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "flower.middleware.LoginRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "flower.middleware.Identify",
    "flower.middleware.ShowRefusals",
]

ROOT_URLCONF = "flower.urls"
ASGI_APPLICATION = "flower.asgi.application"
WSGI_APPLICATION = None

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
                "core.changes.context",
            ],
            "builtins": ["briefs.templatetags.flower"],
        },
    }
]

# --- database -------------------------------------------------------------------------------------------------------

_SQLITE: dict[str, Any] = {
    # IMMEDIATE: a transaction takes the write lock when it begins, so that it can never fail half-way with
    # "database is locked" after it has read (measured: 27 of 500 racing claims failed with the default).
    "transaction_mode": "IMMEDIATE",
    "timeout": 10,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=134217728; "
        "PRAGMA journal_size_limit=27103364; PRAGMA cache_size=-16000; PRAGMA temp_store=MEMORY; "
        # every 16 MB instead of 4: a commit that checkpoints waits for the disk, which blocks of a log often made it do
        "PRAGMA wal_autocheckpoint=4000;"
    ),
}
_MYSQL: dict[str, Any] = {
    "charset": "utf8mb4",
    "isolation_level": "read committed",
    # A lock is waited for as long as SQLite's: who waited for the default of 50 s has given up meanwhile.
    "init_command": "SET sql_mode='STRICT_TRANS_TABLES', innodb_lock_wait_timeout=10",
}

_EMBEDDED: dict[str, Any] = {  # not by way of a URL, in which a folder's #, ? or % would mean something else
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": str(FLOWER.home / "flower.sqlite3"),
}
DATABASES: dict[str, Any] = {
    "default": dict(dj_database_url.parse(FLOWER.database_url)) if FLOWER.database_url else _EMBEDDED
}
_sqlite = DATABASES["default"]["ENGINE"].endswith("sqlite3")
DATABASES["default"]["OPTIONS"] = {**DATABASES["default"].get("OPTIONS", {}), **(_SQLITE if _sqlite else _MYSQL)}
# Connections live as long as their (few, long-lived) threads: see core/threads.py.
DATABASES["default"]["CONN_MAX_AGE"] = None if _sqlite else 600
DATABASES["default"]["CONN_HEALTH_CHECKS"] = not _sqlite
DATABASES["default"]["TEST"] = {"NAME": str(FLOWER.home / "test.sqlite3")} if _sqlite else {"CHARSET": "utf8mb4"}
DATABASE_THREADS = 2 if _sqlite else 4
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LLM_PRICES = FLOWER.prices
LLM_WINDOWS = FLOWER.windows

# --- broker: one Redis (or the embedded Valkey) for wake-ups and for live pages -------------------------------------

BROKER_SOCKET = FLOWER.broker_socket
_redis = FLOWER.redis_url or f"unix://{BROKER_SOCKET}"
CHANNEL_LAYERS: dict[str, Any] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [_redis], "prefix": "flower"},
    }
}
if TESTING and not FLOWER.redis_url:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

CELERY_BROKER_URL = FLOWER.celery_broker_url
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    # kombu's defaults look for lost tasks every 100 s; with these a killed worker's task is back 2 s after its timeout
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "global_keyprefix": "flower:",
    # one that hangs must not hold up whoever kicks a task (core/live.py); the worker only reads what is there
    "socket_timeout": 1.0,
    "socket_connect_timeout": 1.0,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "flower"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_TASK_ALWAYS_EAGER = False
SWEEP_SECONDS = 3.0

# --- people and pages -------------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "board"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_NAME = f"flower_session_{FLOWER.cookie_suffix}"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_AGE = 30 * 24 * 3600
CSRF_COOKIE_NAME = f"flower_csrf_{FLOWER.cookie_suffix}"
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "flower.middleware.csrf_failure"
# The names are Django 6's, so that its own middleware can take over from flower/middleware.py.
SECURE_CSP = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000  # bytes: a longer body is refused with a sentence

STATIC_URL = "static/"
STATIC_ROOT = FLOWER.home / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
if not (DEBUG or TESTING):
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }

LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = logs.configuration(debug=DEBUG)
logs.configure()
