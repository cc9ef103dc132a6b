"""What a setting may be: the types of wire.settings, each with its check.

A check raises ValueError with what is allowed; wire.settings puts the variable and its value before it.
"""

import base64
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from wire.names import BUCKETS, MOST_LINES, VENUES, BadSecurity, parse_security, venue_of

_HOUR_S = 3600
_DAY_S = 86400
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_LEVELS = ("Debug", "Info", "Warning", "Error", "Critical")
_DATABASE_BYTES = 63
"""MongoDB's limit of a database's name."""

_HOST_AND_PORT = re.compile(r"[A-Za-z0-9._\-\[\]:]+")
_ENDPOINTS = "host:port[,host:port] or a mongodb:// URI"
_URI = re.compile(r"mongodb(\+srv)?://.")


def _level(text: Any) -> Any:
    return str(text).capitalize() if str(text).capitalize() in _LEVELS else text


def switch(text: Any) -> bool:
    """Return whether *text* means yes.

    Raises:
        ValueError: neither yes nor no.
    """
    word = str(text).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("True or False")


def _number(text: Any) -> Any:
    return int(text) if str(text).isdecimal() else text


def _full_path(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(f"a folder, {path.parts[0]} of which exists") from error


def _securities(text: Any) -> Any:
    names = text.split(",") if isinstance(text, str) else text
    try:
        securities = tuple(dict.fromkeys(parse_security(name) for name in names if name.strip()))
    except BadSecurity as error:
        raise ValueError(f"a comma-separated list of venue:SYMBOL ({error})") from error
    if any(venue_of(security) not in VENUES for security in securities):
        raise ValueError(f"securities of {' and '.join(VENUES)}")
    return securities


def lines_of(text: str) -> dict[str, int]:
    """Return how many lines each venue has: ``2`` of every one, or ``binance=2``, where others have 1.

    Raises:
        ValueError: neither.
    """
    counts = {str(count): count for count in range(1, MOST_LINES + 1)}
    if text.strip() in counts:
        return dict.fromkeys(VENUES, counts[text.strip()])
    named = [[word.strip() for word in part.split("=")] for part in text.split(",")]
    given = {each[0]: counts[each[1]] for each in named if len(each) == 2 and each[1] in counts}
    if len(given) < len(named) or not set(given) <= set(VENUES):
        example = ",".join(f"{venue}={count}" for venue, count in zip(VENUES, counts, strict=False))
        raise ValueError(f"1 or 2, or as {example}")
    return {**dict.fromkeys(VENUES, 1), **given}


def _lines(text: Any) -> str:
    lines_of(str(text))
    return str(text).strip()


def _address(schemes: tuple[str, ...]) -> AfterValidator:
    allowed = " or ".join(f"{scheme}://host[:port]" for scheme in schemes)

    def check(text: str) -> str:
        try:
            parts = urlsplit(text)
            sound = parts.scheme in schemes and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            sound = False
        if not sound or parts.path.strip("/") or not _HOST_AND_PORT.fullmatch(parts.netloc):
            raise ValueError(f"{allowed} without a path")
        return f"{parts.scheme}://{parts.netloc}"

    return AfterValidator(check)


def _divides_hour(seconds: int) -> int:
    if _HOUR_S % seconds:
        raise ValueError("a whole number of seconds that divides 3600")
    return seconds


def _divides_day(seconds: int) -> int:
    if seconds and _DAY_S % seconds:
        raise ValueError("0 or a whole number of seconds that divides 86400")
    return seconds


def _database(name: str) -> str:
    if not name or len(name.encode()) > _DATABASE_BYTES or any(c in '/\\. "$*<>:|?\0' for c in name):
        raise ValueError('1 to 63 bytes without / \\ . " $ * < > : | ? and spaces')
    return name


def _endpoint(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    is_uri = _URI.match(text) is not None
    hosts = (text.partition("://")[2] if is_uri else text).partition("/")[0].rpartition("@")[2].split(",")
    if not is_uri and not all(_HOST_AND_PORT.fullmatch(each.strip()) for each in text.split(",")):
        raise ValueError(_ENDPOINTS)
    if not all(_has_sound_port(host.strip()) for host in hosts):
        raise ValueError(f"{_ENDPOINTS}, with ports from 1 to 65535")
    return value


def _has_sound_port(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").port != 0
    except ValueError:
        return False


def _base64(value: SecretStr) -> SecretStr:
    try:
        sound = bool(base64.b64decode(value.get_secret_value(), validate=True))
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("the secret as Coinbase gives it, which is base64")
    return value


def _certificates(path: Path) -> Path:
    try:
        with path.expanduser().open("rb"):
            return path.expanduser()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "no such path"
        raise ValueError(f"a file that can be read ({reason})") from error


Level = Annotated[Literal["Debug", "Info", "Warning", "Error", "Critical"], BeforeValidator(_level)]
Switch = Annotated[bool, BeforeValidator(switch)]
Securities = Annotated[tuple[str, ...], BeforeValidator(_securities)]
Port = Annotated[int, Field(ge=1, le=65535)]
Workers = Annotated[int, Field(ge=1, le=BUCKETS)]
Lines = Annotated[str, BeforeValidator(_lines)]
Frequency = Annotated[Literal[100, 1000], BeforeValidator(_number)]
Day = Annotated[int, Field(ge=0, le=_DAY_S), AfterValidator(_divides_day)]
Window = Annotated[int, Field(ge=1, le=_HOUR_S), AfterValidator(_divides_hour)]
Folder = Annotated[Path, AfterValidator(_full_path)]
Database = Annotated[str, AfterValidator(_database)]
Endpoint = Annotated[SecretStr, AfterValidator(_endpoint)]
Base64 = Annotated[SecretStr, AfterValidator(_base64)]
Certificates = Annotated[Path, AfterValidator(_certificates)]
Socket = Annotated[str, _address(("ws", "wss"))]
Site = Annotated[str, _address(("http", "https"))]
