"""The settings: one typed object, read from the environment.

``USE_ENV_FILE=True`` also reads ``vars.env`` of the working directory, which never overrides the
environment.  A secret may also lie in a file, named by the variable with ``_FILE`` added.  An empty
variable counts as unset.  Attribute names are the variables' names in lower case.

The fields' descriptions are the README's configuration table and what ``obl config`` prints.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase
from typing import Annotated, Any

from wire import allowed
from wire.allowed import Secret, lines_of, switch
from wire.names import VENUES

ENV_FILE = "vars.env"
PIPELINE_PORTS = 640
"""Ports that ``PIPELINE_TRANSPORT=tcp`` takes from PIPELINE_PORT on (wire.endpoints)."""

_GIB = 1 << 30
_L3_IMAGE_S = 3600
"""Order books are forty times as large as level books and change as little between images."""
_DATA_DIR = Path("data")
_SECRETS = (
    "MANAGER_AUTHKEY",
    "MONGODB_ENDPOINT",
    "MONGODB_PASSWORD",
    "COINBASE_API_KEY",
    "COINBASE_API_SECRET",
    "COINBASE_API_PASSPHRASE",
)
"""Never shown, and each also as ``..._FILE``; an endpoint may be a URI that holds a password."""


_SECRET_OPTIONS = re.compile(
    r"([?&;][^=&;]*(?:password|secret|token|key|properties)[^=&;]*=)[^&;]*", re.IGNORECASE
)
"""Of a mongodb:// URI."""


class BadSetting(ValueError):
    """A setting cannot be used: its name, its value (never a secret's) and what is allowed, in one line."""


def _refused(name: str, value: object, can_be: str) -> BadSetting:
    return BadSetting(f"{name}={value}: allowed is {can_be}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting: its type, its check, its meaning and its default."""

    loglevel: Annotated[str, allowed.level, "Least severity that is logged."] = "Info"
    as_service: Annotated[
        bool, allowed.switch, "Log for journald: a priority in front of each line instead of the time."
    ] = False
    use_env_file: Annotated[
        bool, allowed.switch, "Also read vars.env; it never overrides the environment."
    ] = False
    securities: Annotated[
        tuple[str, ...],
        allowed.securities,
        "What the first start logs; afterwards the persisted set rules (obl add, obl remove).",
    ] = ("binance:BTCUSDT", "coinbase:BTC-USD")
    data_dir: Annotated[Path, allowed.folder, "Journals, checkpoints, embedded database, secrets, logs."] = (
        _DATA_DIR
    )
    disk_reserve_bytes: Annotated[
        int | None,
        allowed.number(0),
        "Bytes of DATA_DIR's disk left free (unset: the larger of 2 GiB and 5 %).",
    ] = None

    manager_host: Annotated[str, allowed.plain, "Address that control listens on for obl."] = "127.0.0.1"
    manager_port: Annotated[int, allowed.port, "Port that control listens on for obl."] = 6634
    manager_authkey: Annotated[
        Secret | None,
        Secret,
        "Key that obl and control share (unset: made at the first start, in "
        "DATA_DIR/secrets/manager_key; `secret` on loopback only).",
    ] = None

    mongodb_endpoint: Annotated[
        Secret | None,
        allowed.endpoint,
        "host:port[,host:port] or a mongodb:// URI of the database (unset: the embedded server).",
    ] = None
    mongodb_database: Annotated[str, allowed.database, "Name of the database."] = "orderbook&trades"
    mongodb_username: Annotated[str | None, allowed.plain, "User of the external database."] = None
    mongodb_password: Annotated[Secret | None, Secret, "The user's password."] = None
    mongodb_authsource: Annotated[str, allowed.plain, "Database that knows the user."] = "admin"
    mongodb_tls: Annotated[bool, allowed.switch, "Speak TLS with the external database."] = False
    mongodb_tls_ca_file: Annotated[
        Path | None, allowed.certificates, "Certificate authorities for that (unset: the system's)."
    ] = None
    mongodb_embedded_port: Annotated[int, allowed.port, "Port of the embedded server, on loopback."] = 27117

    binance_ws_url: Annotated[str, allowed.socket, "Binance's websocket."] = "wss://stream.binance.com:9443"
    binance_rest_url: Annotated[
        str, allowed.site, "Binance's REST interface (where it answers 451: https://data-api.binance.vision)."
    ] = "https://api.binance.com"
    coinbase_ws_url: Annotated[str, allowed.socket, "Coinbase Exchange's websocket."] = (
        "wss://ws-feed.exchange.coinbase.com"
    )
    coinbase_rest_url: Annotated[str, allowed.site, "Coinbase Exchange's REST interface."] = (
        "https://api.exchange.coinbase.com"
    )
    coinbase_api_key: Annotated[
        Secret | None, Secret, "With secret and passphrase: every order (L3) instead of level 2."
    ] = None
    coinbase_api_secret: Annotated[Secret | None, allowed.base64_secret, "See COINBASE_API_KEY."] = None
    coinbase_api_passphrase: Annotated[Secret | None, Secret, "See COINBASE_API_KEY."] = None
    orderbook_updatefrequency: Annotated[
        int, allowed.frequency, "Milliseconds between Binance's depth updates: 1000 or 100."
    ] = 1000

    ingest_lines: Annotated[
        str,
        allowed.lines,
        "Ingesters per venue that record the same twice: 1 or 2, or as `binance=2,coinbase=1`.",
    ] = "1"
    book_workers: Annotated[
        int, allowed.workers, "Book maintainers; each takes its share of the securities."
    ] = 1
    condition_workers: Annotated[int, allowed.workers, "Conditioners; likewise."] = 1
    store_writers: Annotated[int, allowed.workers, "Writers to the database; any takes any document."] = 1

    window_seconds: Annotated[
        int, allowed.window, "Length of a stored window; divides 3600 and is fixed with the database."
    ] = 10
    compact_seconds: Annotated[
        int,
        allowed.span,
        "Span of time whose blocks are merged into few (obl compact); a multiple of "
        "WINDOW_SECONDS that divides 86400, fixed with the database; 0: never.",
    ] = 3600
    compact_after: Annotated[
        int,
        allowed.number(0),
        "Seconds behind the newest stored data of a security after which a span is merged.",
    ] = 7200
    base_image_seconds: Annotated[
        int, allowed.number(1), "Seconds between whole-book images (default 3600 where orders are recorded)."
    ] = 600
    change_interval_ms: Annotated[
        int, allowed.number(0), "0: every update; else net changes per this many ms (divides the window)."
    ] = 0
    audit_seconds: Annotated[
        int, allowed.number(0), "Seconds between comparisons of a book with a fresh REST snapshot; 0: none."
    ] = 600
    rotate_seconds: Annotated[
        int, allowed.number(1), "Age at which a connection is replaced before the venue cuts it."
    ] = 82800
    checkpoint_seconds: Annotated[int, allowed.number(1, 60), "Seconds between checkpoints of a book."] = 60
    journal_sync_ms: Annotated[int, allowed.number(0), "Milliseconds between fsyncs of the journal."] = 100
    publish_linger_ms: Annotated[
        int, allowed.number(0, 1000), "Milliseconds that frames are gathered before they are published."
    ] = 5
    journal_segment_bytes: Annotated[int, allowed.number(65536), "Size at which a segment is closed."] = (
        67108864
    )
    journal_keep_seconds: Annotated[
        int, allowed.number(0), "Least age at which a segment may be dropped."
    ] = 900
    journal_archive_dir: Annotated[
        Path | None, allowed.folder, "Where dropped segments are moved to (unset: they are deleted)."
    ] = None

    pipeline_transport: Annotated[
        str, allowed.one_of("ipc", "tcp"), "How the stages speak to one another: Unix sockets or tcp."
    ] = "ipc"
    pipeline_host: Annotated[str, allowed.plain, "Address of the stages when tcp."] = "127.0.0.1"
    pipeline_port: Annotated[
        int,
        allowed.number(1, 65536 - PIPELINE_PORTS),
        f"First of {PIPELINE_PORTS} ports of the stages when tcp.",
    ] = 6700

    given: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    """Names of those that were not left to their default."""

    def __post_init__(self) -> None:
        """Refuse values that do not go together."""
        if self.change_interval_ms and self.window_seconds * 1000 % self.change_interval_ms:
            raise _refused("CHANGE_INTERVAL_MS", self.change_interval_ms, "0 or a divisor of WINDOW_SECONDS")
        if self.compact_seconds % self.window_seconds:
            raise _refused("COMPACT_SECONDS", self.compact_seconds, "0 or a multiple of WINDOW_SECONDS")
        keys = (self.coinbase_api_key, self.coinbase_api_secret, self.coinbase_api_passphrase)
        if any(keys) and not all(keys):
            names = "COINBASE_API_KEY, COINBASE_API_SECRET and COINBASE_API_PASSPHRASE"
            raise _refused("COINBASE_API_KEY", "***", f"all of {names}, or none")
        if bool(self.mongodb_username) != bool(self.mongodb_password):
            name = "MONGODB_USERNAME" if self.mongodb_username else "MONGODB_PASSWORD"
            raise _refused(name, "***", "both MONGODB_USERNAME and MONGODB_PASSWORD, or neither")
        key = self.manager_authkey.reveal() if self.manager_authkey else ""
        if key == "secret" and not is_loopback(self.manager_host):
            own = "a key of your own: `secret` is accepted on loopback only, and MANAGER_HOST is not"
            raise _refused("MANAGER_AUTHKEY", "***", own)
        if self.pipeline_transport == "tcp":
            self._ports_apart()

    def _ports_apart(self) -> None:
        taken = range(self.pipeline_port, self.pipeline_port + PIPELINE_PORTS)
        for name, port in (
            ("MANAGER_PORT", self.manager_port),
            ("MONGODB_EMBEDDED_PORT", self.mongodb_embedded_port),
        ):
            if port in taken:
                raise _refused(name, port, f"a port outside {taken.start}..{taken.stop - 1} (PIPELINE_PORT)")

    @property
    def embedded(self) -> bool:
        """Whether the database is the embedded server."""
        return self.mongodb_endpoint is None

    def lines(self) -> list[str]:
        """Return the lines that this installation runs: ``binance/a``, ``binance/b``, ..."""
        counts = lines_of(self.ingest_lines)
        return [f"{venue}/{letter}" for venue in VENUES for letter in ascii_lowercase[: counts[venue]]]

    def lines_of_venue(self, venue: str) -> int:
        """Return how many lines *venue* has."""
        return lines_of(self.ingest_lines)[venue]

    def journal_folder(self, line: str) -> Path:
        """Return the folder of *line*'s journal."""
        return self.data_dir / "journal" / line.replace("/", "-")

    def image_seconds(self, book: str) -> int:
        """Return the seconds between base images of a *book* (``l2`` or ``l3``) without a policy."""
        if book == "l3" and "base_image_seconds" not in self.given:
            return _L3_IMAGE_S
        return self.base_image_seconds

    def reserve_bytes(self) -> int:
        """Return how many bytes of the disk of DATA_DIR stay free (asks the file system)."""
        if self.disk_reserve_bytes is not None:
            return self.disk_reserve_bytes
        disk = os.statvfs(self.data_dir if self.data_dir.exists() else ".")
        return max(2 * _GIB, disk.f_blocks * disk.f_frsize // 20)

    def recorder_id(self) -> str:
        """Return this recorder's random id, made with DATA_DIR."""
        from wire.secrets import made_once

        return made_once(self.data_dir / "recorder_id", 16)

    def warnings(self) -> list[str]:
        """Return what is allowed but unwise, one line each."""
        found = []
        if self.manager_authkey and self.manager_authkey.reveal() == "secret":
            found.append("MANAGER_AUTHKEY is the well-known `secret`: anybody on this host may command")
        if self.pipeline_transport == "tcp" and not is_loopback(self.pipeline_host):
            found.append("PIPELINE_HOST is not loopback and the stages' sockets have no authentication")
        return found

    def shown(self) -> dict[str, Any]:
        """Return the settings in force by variable name, secrets as ``***``."""
        values: dict[str, Any] = {}
        for name in SETTINGS:
            value = getattr(self, name)
            if isinstance(value, Secret):
                value = _redacted(name, value)
            elif isinstance(value, Path):
                value = str(value)
            elif isinstance(value, tuple):
                value = ",".join(value)
            values[name.upper()] = value
        return values


def _redacted(name: str, value: Secret) -> str:
    """Return *value* as it may be seen: only an endpoint, and of that not its user and password."""
    if name != "mongodb_endpoint":
        return "***"
    without_user = re.sub(r"//.*@", "//***@", value.reveal())
    return _SECRET_OPTIONS.sub(r"\1***", without_user)


def is_loopback(host: str) -> bool:
    """Whether only this host can reach *host*."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_CHECKS: dict[str, Callable[[str], Any]] = {}
SETTINGS: dict[str, str] = {}
"""What each attribute means; its variable is its name in upper case."""

for _name, _type in Settings.__annotations__.items():
    if _told := getattr(_type, "__metadata__", None):
        _CHECKS[_name], SETTINGS[_name] = _told


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of *environ* (and of ``vars.env``, if it says so).

    Raises:
        BadSetting: one of them cannot be used.
    """
    given = {name: value for name, value in environ.items() if value != ""}
    if _says_yes(given.get("USE_ENV_FILE", "")):
        given = {**_env_file(), **given}
    values = {}
    for setting, check in _CHECKS.items():
        name = setting.upper()
        if name in given:
            values[setting] = _checked(name, given[name], check)
        elif name in _SECRETS and f"{name}_FILE" in given:
            values[setting] = _checked(name, _from_file(f"{name}_FILE", given[f"{name}_FILE"]), check)
    return Settings(**{"data_dir": _DATA_DIR.absolute(), **values}, given=frozenset(values))


def _checked(name: str, text: str, check: Callable[[str], Any]) -> Any:
    try:
        return check(text)
    except ValueError as error:
        raise _refused(name, "***" if name in _SECRETS else repr(text), str(error)) from None


def _says_yes(text: str) -> bool:
    try:
        return bool(text) and bool(switch(text))
    except ValueError:
        return False


def _env_file() -> dict[str, str]:
    from dotenv import dotenv_values

    path = Path(ENV_FILE)
    if not path.is_file():
        raise BadSetting(f"USE_ENV_FILE=True: there is no {ENV_FILE} in {Path.cwd()}")
    try:
        return {name: value for name, value in dotenv_values(path).items() if value}
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"USE_ENV_FILE=True: cannot read {ENV_FILE}: {error}") from error


def _from_file(name: str, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise BadSetting(
            f"{name}={path!r}: allowed is a file with it (this cannot be read: {reason})"
        ) from None
    if not text:
        raise BadSetting(f"{name}={path!r}: allowed is a file with it (this is empty)")
    return text
