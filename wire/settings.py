"""The settings: one typed object, read from the environment.

``USE_ENV_FILE=True`` also reads ``vars.env`` of the working directory, which never overrides the
environment.  A secret may also lie in a file, named by the variable with ``_FILE`` added.  An empty
variable counts as unset.  Attribute names are the variables' names in lower case.

The fields' descriptions are the README's configuration table and what ``obl config`` prints.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from string import ascii_lowercase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from wire.allowed import (
    Base64,
    Certificates,
    Database,
    Day,
    Endpoint,
    Folder,
    Frequency,
    Level,
    Lines,
    Port,
    Securities,
    Site,
    Socket,
    Switch,
    Window,
    Workers,
    lines_of,
    switch,
)
from wire.names import VENUES

ENV_FILE = "vars.env"
PIPELINE_PORTS = 640
"""Ports that ``PIPELINE_TRANSPORT=tcp`` takes from PIPELINE_PORT on (wire.endpoints)."""

_GIB = 1 << 30
_L3_IMAGE_S = 3600
"""Order books are forty times as large as level books and change as little between images."""
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


class Settings(BaseModel):
    """Every setting, its default and its meaning."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    loglevel: Level = Field("Info", description="Least severity that is logged.")
    as_service: Switch = Field(
        False, description="Log for journald: a priority in front of each line instead of the time."
    )
    use_env_file: Switch = Field(False, description="Also read vars.env; it never overrides the environment.")
    securities: Securities = Field(
        ("binance:BTCUSDT", "coinbase:BTC-USD"),
        description="What the first start logs; afterwards the persisted set rules (obl add, obl remove).",
    )
    data_dir: Folder = Field(
        Path("data"),
        validate_default=True,
        description="Journals, checkpoints, embedded database, secrets, logs.",
    )
    disk_reserve_bytes: int | None = Field(
        None, ge=0, description="Bytes of DATA_DIR's disk left free (unset: the larger of 2 GiB and 5 %)."
    )

    manager_host: str = Field("127.0.0.1", description="Address that control listens on for obl.")
    manager_port: Port = Field(6634, description="Port that control listens on for obl.")
    manager_authkey: SecretStr | None = Field(
        None,
        description="Key that obl and control share (unset: made at the first start, in "
        "DATA_DIR/secrets/manager_key; `secret` on loopback only).",
    )

    mongodb_endpoint: Endpoint | None = Field(
        None,
        description="host:port[,host:port] or a mongodb:// URI of the database (unset: the embedded server).",
    )
    mongodb_database: Database = Field("orderbook&trades", description="Name of the database.")
    mongodb_username: str | None = Field(None, description="User of the external database.")
    mongodb_password: SecretStr | None = Field(None, description="The user's password.")
    mongodb_authsource: str = Field("admin", description="Database that knows the user.")
    mongodb_tls: Switch = Field(False, description="Speak TLS with the external database.")
    mongodb_tls_ca_file: Certificates | None = Field(
        None, description="Certificate authorities for that (unset: the system's)."
    )
    mongodb_embedded_port: Port = Field(27117, description="Port of the embedded server, on loopback.")

    binance_ws_url: Socket = Field("wss://stream.binance.com:9443", description="Binance's websocket.")
    binance_rest_url: Site = Field(
        "https://api.binance.com",
        description="Binance's REST interface (where it answers 451: https://data-api.binance.vision).",
    )
    coinbase_ws_url: Socket = Field(
        "wss://ws-feed.exchange.coinbase.com", description="Coinbase Exchange's websocket."
    )
    coinbase_rest_url: Site = Field(
        "https://api.exchange.coinbase.com", description="Coinbase Exchange's REST interface."
    )
    coinbase_api_key: SecretStr | None = Field(
        None, description="With secret and passphrase: every order (L3) instead of level 2."
    )
    coinbase_api_secret: Base64 | None = Field(None, description="See COINBASE_API_KEY.")
    coinbase_api_passphrase: SecretStr | None = Field(None, description="See COINBASE_API_KEY.")
    orderbook_updatefrequency: Frequency = Field(
        1000, description="Milliseconds between Binance's depth updates: 1000 or 100."
    )

    ingest_lines: Lines = Field(
        "1",
        description="Ingesters per venue that record the same twice: 1 or 2, or as `binance=2,coinbase=1`.",
    )
    book_workers: Workers = Field(1, description="Book maintainers; each takes its share of the securities.")
    condition_workers: Workers = Field(1, description="Conditioners; likewise.")
    store_writers: Workers = Field(1, description="Writers to the database; any takes any document.")

    window_seconds: Window = Field(
        10, description="Length of a stored window; divides 3600 and is fixed with the database."
    )
    compact_seconds: Day = Field(
        3600,
        description="Span of time whose blocks are merged into few (obl compact); a multiple of "
        "WINDOW_SECONDS that divides 86400, fixed with the database; 0: never.",
    )
    compact_after: int = Field(
        7200,
        ge=0,
        description="Seconds behind the newest stored data of a security after which a span is merged.",
    )
    base_image_seconds: int = Field(
        600, ge=1, description="Seconds between whole-book images (default 3600 where orders are recorded)."
    )
    change_interval_ms: int = Field(
        0, ge=0, description="0: every update; else net changes per this many ms (divides the window)."
    )
    audit_seconds: int = Field(
        600, ge=0, description="Seconds between comparisons of a book with a fresh REST snapshot; 0: none."
    )
    rotate_seconds: int = Field(
        82800, ge=1, description="Age at which a connection is replaced before the venue cuts it."
    )
    checkpoint_seconds: int = Field(60, ge=1, le=60, description="Seconds between checkpoints of a book.")
    journal_sync_ms: int = Field(100, ge=0, description="Milliseconds between fsyncs of the journal.")
    publish_linger_ms: int = Field(
        5, ge=0, le=1000, description="Milliseconds that frames are gathered before they are published."
    )
    journal_segment_bytes: int = Field(67108864, ge=65536, description="Size at which a segment is closed.")
    journal_keep_seconds: int = Field(900, ge=0, description="Least age at which a segment may be dropped.")
    journal_archive_dir: Folder | None = Field(
        None, description="Where dropped segments are moved to (unset: they are deleted)."
    )

    pipeline_transport: Literal["ipc", "tcp"] = Field(
        "ipc", description="How the stages speak to one another: Unix sockets or tcp."
    )
    pipeline_host: str = Field("127.0.0.1", description="Address of the stages when tcp.")
    pipeline_port: Annotated[int, Field(ge=1, le=65536 - PIPELINE_PORTS)] = Field(
        6700, description=f"First of {PIPELINE_PORTS} ports of the stages when tcp."
    )

    @model_validator(mode="after")
    def _agree(self) -> "Settings":
        if self.change_interval_ms and self.window_seconds * 1000 % self.change_interval_ms:
            raise _disagree("CHANGE_INTERVAL_MS", self.change_interval_ms, "0 or a divisor of WINDOW_SECONDS")
        if self.compact_seconds % self.window_seconds:
            raise _disagree("COMPACT_SECONDS", self.compact_seconds, "0 or a multiple of WINDOW_SECONDS")
        keys = (self.coinbase_api_key, self.coinbase_api_secret, self.coinbase_api_passphrase)
        if any(keys) and not all(keys):
            names = "COINBASE_API_KEY, COINBASE_API_SECRET and COINBASE_API_PASSPHRASE"
            raise _disagree("COINBASE_API_KEY", "***", f"all of {names}, or none")
        if bool(self.mongodb_username) != bool(self.mongodb_password):
            name = "MONGODB_USERNAME" if self.mongodb_username else "MONGODB_PASSWORD"
            raise _disagree(name, "***", "both MONGODB_USERNAME and MONGODB_PASSWORD, or neither")
        key = self.manager_authkey.get_secret_value() if self.manager_authkey else ""
        if key == "secret" and not is_loopback(self.manager_host):
            allowed = "a key of your own: `secret` is accepted on loopback only, and MANAGER_HOST is not"
            raise _disagree("MANAGER_AUTHKEY", "***", allowed)
        if self.pipeline_transport == "tcp":
            self._ports_apart()
        return self

    def _ports_apart(self) -> None:
        taken = range(self.pipeline_port, self.pipeline_port + PIPELINE_PORTS)
        for name, port in (
            ("MANAGER_PORT", self.manager_port),
            ("MONGODB_EMBEDDED_PORT", self.mongodb_embedded_port),
        ):
            if port in taken:
                raise _disagree(name, port, f"a port outside {taken.start}..{taken.stop - 1} (PIPELINE_PORT)")

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
        if book == "l3" and "base_image_seconds" not in self.model_fields_set:
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
        if self.manager_authkey and self.manager_authkey.get_secret_value() == "secret":
            found.append("MANAGER_AUTHKEY is the well-known `secret`: anybody on this host may command")
        if self.pipeline_transport == "tcp" and not is_loopback(self.pipeline_host):
            found.append("PIPELINE_HOST is not loopback and the stages' sockets have no authentication")
        return found

    def shown(self) -> dict[str, Any]:
        """Return the settings in force by variable name, secrets as ``***``."""
        values: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = _redacted(name, value)
            elif isinstance(value, Path):
                value = str(value)
            elif isinstance(value, tuple):
                value = ",".join(value)
            values[name.upper()] = value
        return values


def _redacted(name: str, value: SecretStr) -> str:
    """Return *value* as it may be seen: only an endpoint, and of that not its user and password."""
    if name != "mongodb_endpoint":
        return "***"
    without_user = re.sub(r"//.*@", "//***@", value.get_secret_value())
    return _SECRET_OPTIONS.sub(r"\1***", without_user)


def is_loopback(host: str) -> bool:
    """Whether only this host can reach *host*."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of *environ* (and of ``vars.env``, if it says so).

    Raises:
        BadSetting: one of them cannot be used.
    """
    given = {name: value for name, value in environ.items() if value != ""}
    if _says_yes(given.get("USE_ENV_FILE", "")):
        given = {**_env_file(), **given}
    values: dict[str, Any] = {}
    for field in Settings.model_fields:
        name = field.upper()
        if name in given:
            values[field] = given[name]
        elif name in _SECRETS and f"{name}_FILE" in given:
            values[field] = _from_file(f"{name}_FILE", given[f"{name}_FILE"])
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise BadSetting(_one_sentence(error, values)) from None


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


class _Disagree(ValueError):
    """Carries a whole sentence through pydantic."""


def _disagree(name: str, value: object, allowed: str) -> _Disagree:
    return _Disagree(f"{name}={value}: allowed is {allowed}")


def _one_sentence(error: ValidationError, values: Mapping[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    reason = (first.get("ctx") or {}).get("error")
    if isinstance(reason, _Disagree):
        return str(reason)
    field = str(first["loc"][0])
    name = field.upper()
    value = "***" if name in _SECRETS else repr(values.get(field))
    return f"{name}={value}: allowed is {reason or _allowed(first['msg'])}"


def _allowed(message: str) -> str:
    """Return what one of pydantic's own checks allows, of its *message*."""
    allowed = message.removeprefix("Input should be ").partition(", unable")[0]
    is_bound = allowed.startswith(("greater", "less"))
    return f"a number {allowed}" if is_bound else allowed[0].lower() + allowed[1:]
