"""Opens the database that the settings name, and says in one line what is wrong with it.

MONGODB_ENDPOINT                     server                                        user
unset                                the embedded one, 127.0.0.1, its own port     ``obl``, random password
``host:port[,host:port]``            that server or replica set                    MONGODB_USERNAME (SCRAM)
``mongodb://`` ``mongodb+srv://``    what the URI says                             the same, or the URI's own

No password appears in an error.
"""

from typing import Any
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    InvalidURI,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from store.documents import READING
from store.login import EMBEDDED_HOST, EMBEDDED_USER, embedded_password
from store.outcome import one_line
from wire.settings import BadSetting, Settings

DEFAULT_PORT = 27017

SELECT_MS = 3_000
"""How long a call looks for a server: shorter than what anybody waits at a terminal."""
CONNECT_MS = 3_000
ANSWER_MS = 30_000
"""How long a server may think: a majority that is slow is not a dead server."""
HEARTBEAT_MS = 1_000
"""After a change of primary the driver may wait this long before it looks again (else 10 s)."""

_ALLOWED = "MONGODB_ENDPOINT=***: allowed is host:port[,host:port] or a mongodb:// URI"
_UNAUTHORIZED = frozenset({13, 18})
_FULL = frozenset({14031})


class NoDatabase(Exception):
    """The database cannot be used; the text is one line that says what to do."""


def connect(settings: Settings, **options: Any) -> MongoClient[dict[str, Any]]:
    """Return a client of the database's server; it connects at the first use.

    Raises:
        BadSetting: MONGODB_ENDPOINT cannot be read.
        CannotKeep: the embedded server's password cannot be read.
    """
    whole: dict[str, Any] = {
        "serverSelectionTimeoutMS": SELECT_MS,
        "connectTimeoutMS": CONNECT_MS,
        "socketTimeoutMS": ANSWER_MS,
        "heartbeatFrequencyMS": HEARTBEAT_MS,
        "appname": "obl",
        "document_class": dict,
        "datetime_conversion": READING.datetime_conversion,
    }
    if settings.mongodb_endpoint is None:
        whole |= {
            "host": EMBEDDED_HOST,
            "port": settings.mongodb_embedded_port,
            "directConnection": True,
            "username": EMBEDDED_USER,
            "password": embedded_password(settings),
            "authSource": "admin",
        }
    else:
        whole |= _external(settings, settings.mongodb_endpoint.reveal())
    try:
        return MongoClient(**(whole | options))
    except (ConfigurationError, InvalidURI, ValueError):  # (their texts may quote the password)
        raise BadSetting(_ALLOWED) from None
    except OSError as error:
        name = "MONGODB_TLS_CA_FILE"
        raise BadSetting(
            f"{name}={settings.mongodb_tls_ca_file}: cannot be read ({error.strerror})"
        ) from None


def where(settings: Settings) -> str:
    """Return the server's address for people, without user and password."""
    if settings.mongodb_endpoint is None:
        return f"{EMBEDDED_HOST}:{settings.mongodb_embedded_port}"
    return address(settings.mongodb_endpoint.reveal())


def address(endpoint: str) -> str:
    """Return the hosts of a MONGODB_ENDPOINT.

    >>> address("mongodb://me:secret@db1:27017,db2:27017/?replicaSet=rs")
    'db1:27017,db2:27017'
    """
    hosts = endpoint.partition("://")[2] or endpoint
    return hosts.partition("/")[0].rpartition("@")[2]


def describe(error: PyMongoError, server: str) -> str:
    """Return one line that says what *error* of *server* means and what to do."""
    if isinstance(error, OperationFailure) and error.code in _UNAUTHORIZED:
        return (
            f"the database at {server} refuses this user: check MONGODB_USERNAME, MONGODB_PASSWORD and "
            "MONGODB_AUTHSOURCE (the user needs readWrite)"
        )
    if isinstance(error, OperationFailure) and error.code in _FULL:
        return f"the database at {server} is out of disk space ({one_line(error)}): free some there"
    if isinstance(error, NotPrimaryError):
        return f"the database at {server} has no primary now ({one_line(error)}): is its majority up?"
    if isinstance(error, ServerSelectionTimeoutError | AutoReconnect):
        reason = one_line(error)
        return f"no database answers at {server} ({reason}): is it running, is MONGODB_ENDPOINT right?"
    return f"the database at {server} says: {one_line(error)}"


def _external(settings: Settings, endpoint: str) -> dict[str, Any]:
    options: dict[str, Any] = {"host": endpoint if "://" in endpoint else _hosts(endpoint)}
    if settings.mongodb_username and settings.mongodb_password:
        options |= {
            "username": settings.mongodb_username,
            "password": settings.mongodb_password.reveal(),
            "authSource": settings.mongodb_authsource,
        }
    if settings.mongodb_tls:
        options["tls"] = True
    if settings.mongodb_tls_ca_file is not None:
        options |= {"tls": True, "tlsCAFile": str(settings.mongodb_tls_ca_file)}
    return options


def _hosts(endpoint: str) -> list[str]:
    hosts = [host.strip() for host in endpoint.split(",")]
    for host in hosts:
        try:
            parts = urlsplit(f"//{host}")
            sound = bool(parts.hostname) and not (parts.username or parts.path) and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise BadSetting(_ALLOWED)
    return [host if urlsplit(f"//{host}").port else f"{host}:{DEFAULT_PORT}" for host in hosts]
