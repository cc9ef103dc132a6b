"""What ``obl`` and others may ask, over CURVE on MANAGER_PORT: one msgpack map per message.

    {"id", "command", "args": {...}}  ->  {"id", "ok": true, "result"}
                                      or  {"id", "ok": false, "error": {"code", "message"}}

command    args                                        original name
add        security | securities, every, images,      addSecurity
           orders
remove     security | securities                       removeSecurity
policy     security | securities, every, images,
           orders
list                                                   listSecurities
status
uptime                                                 elapsedRunningTime
processes                                              getThreadCount
ping                                                   connectionTest
snapshot   security | securities ("ALL")               requestOrderbookSnapshot, ...SnapShot
book       security, depth, orders                     retrieveCurrentOrderbook
reset      venue                                       resetWebSocket
restart    process (or a stage: all of its processes)
terminate                                              terminate

``every`` is ``"update"`` or milliseconds (1000, ``"1000ms"``), ``images`` seconds (600, ``"600s"``);
``orders`` is ``"full"`` or ``"noids"``, of book true or false.

code               meaning
bad_message        not such a map
unknown_command    no such command
bad_argument       an argument is missing, unknown, or of another type or range
unknown_security   not recorded, or the venue has no such symbol
unreachable        the process that should answer is not there
no_answer          it did not answer in time
refused            it answered that it cannot, or the disk did not take the change
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import msgspec

from control.registry import Change
from wire.names import BadSecurity, parse_security

MAX_MESSAGE_BYTES = 1 << 20
"""A request names at most MAX_NAMED securities: the rest is garbage, cut off by ZeroMQ."""

MAX_NAMED = 2000
MAX_DEPTH = 1_000_000
MAX_IMAGES_S = 86_400
EVERYTHING = "ALL"

_ORIGINAL_NAMES = {
    "addSecurity": "add",
    "removeSecurity": "remove",
    "listSecurities": "list",
    "requestOrderbookSnapshot": "snapshot",
    "requestOrderbookSnapShot": "snapshot",
    "retrieveCurrentOrderbook": "book",
    "resetWebSocket": "reset",
    "connectionTest": "ping",
    "getThreadCount": "processes",
    "elapsedRunningTime": "uptime",
}
_SHOWN_CHARACTERS = 60
_ORDERS = ("full", "noids")


class Call(msgspec.Struct, frozen=True):
    """A valid request; which fields count depends on the command."""

    id: Any
    command: str
    securities: tuple[str, ...] = ()
    depth: int | None = None
    orders: bool = False
    every_ms: int | None = None
    images_s: int | None = None
    order_ids: bool | None = None
    venue: str = ""
    process: str = ""

    @property
    def change(self) -> Change:
        """Return what it says of how a security is recorded."""
        return Change(self.every_ms, self.images_s, self.order_ids)


class BadCall(Exception):
    """The request cannot be taken; ``id`` is the request's, where it could be read."""

    def __init__(self, code: str, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.id = request_id


def answered(request_id: Any, result: Any) -> bytes:
    """Return the message that gives *result*."""
    return msgpack.packb({"id": request_id, "ok": True, "result": result})  # type: ignore[no-any-return]


def failed(request_id: Any, code: str, message: str) -> bytes:
    """Return the message that says what went wrong."""
    error = {"code": code, "message": message}
    return msgpack.packb({"id": request_id, "ok": False, "error": error})  # type: ignore[no-any-return]


def parse(data: bytes) -> Call:
    """Return the request in *data*.

    Raises:
        BadCall: it is none; nothing was done.
    """
    try:
        message = msgpack.unpackb(data)
    except (ValueError, OverflowError, msgpack.UnpackException) as error:
        raise BadCall("bad_message", f"not msgpack: {_shown(error)}") from error
    if not isinstance(message, dict):
        raise BadCall("bad_message", "not a map of id, command and args")
    request_id = message.get("id")
    if not isinstance(request_id, str | int | bytes | None) or len(str(request_id)) > _SHOWN_CHARACTERS:
        raise BadCall("bad_message", "id is not a short text or a number")
    name = message.get("command")
    command = _ORIGINAL_NAMES.get(name, name) if isinstance(name, str) else None
    if command not in _READERS:
        known = " ".join(_READERS)
        raise BadCall("unknown_command", f"no command {_shown(name)}: one of {known}", request_id)
    args = message.get("args")
    if args is None:
        args = {}
    if not isinstance(args, dict):
        raise BadCall("bad_argument", "args is not a map", request_id)
    try:
        return _read(request_id, command, args)
    except ValueError as error:
        raise BadCall("bad_argument", str(error), request_id) from error


def _read(request_id: Any, command: str, args: Mapping[Any, Any]) -> Call:
    readers = _READERS[command]
    for name in args:
        if name not in readers:
            takes = " ".join(readers) or "none"
            raise ValueError(f"{command} takes no {_shown(name)} (it takes: {takes})")
    fields: dict[str, Any] = {}
    for name, read in readers.items():
        if args.get(name) is not None:
            fields.update(read(args[name]))
    if "securities" in readers and not fields.get("securities") and command != "snapshot":
        raise ValueError(f"{command} needs security or securities")
    if command == "book" and len(fields.get("securities", ())) != 1:
        raise ValueError("book needs one security")
    if command == "restart" and not fields:
        raise ValueError("restart needs process: a stage or one of its processes")
    if command == "policy" and fields.keys() <= {"securities"}:
        raise ValueError("policy needs every, images or orders")
    return Call(request_id, command, **fields)


def _securities(value: Any) -> dict[str, Any]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or len(texts) > MAX_NAMED or not all(isinstance(t, str) for t in texts):
        raise ValueError(f"securities is not a list of at most {MAX_NAMED} names")
    try:
        return {"securities": tuple(dict.fromkeys(parse_security(text) for text in texts))}
    except BadSecurity as error:
        raise ValueError(str(error)) from error


def _some_or_all(value: Any) -> dict[str, Any]:
    everything = value in (EVERYTHING, [EVERYTHING])
    return {"securities": ()} if everything else _securities(value)


def _whole_number(name: str, least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{name} is {_shown(value)}: a whole number from {least} to {most}")
        return value

    return read


def _counted(value: Any, unit: str) -> Any:
    if isinstance(value, str) and value.endswith(unit) and value[: -len(unit)].isdecimal():
        return int(value[: -len(unit)][:18])
    return value


def _every(value: Any) -> dict[str, Any]:
    if value == "update":
        return {"every_ms": 0}
    return {"every_ms": _whole_number("every (update or milliseconds)", 1, 3_600_000)(_counted(value, "ms"))}


def _images(value: Any) -> dict[str, Any]:
    return {"images_s": _whole_number("images (seconds)", 1, MAX_IMAGES_S)(_counted(value, "s"))}


def _depth(value: Any) -> dict[str, Any]:
    return {"depth": _whole_number("depth", 1, MAX_DEPTH)(value)}


def _orders(value: Any) -> dict[str, Any]:
    if value is True or value is False:
        return {"orders": value}
    raise ValueError("orders is not true or false")


def _order_ids(value: Any) -> dict[str, Any]:
    if value not in _ORDERS:
        raise ValueError(f"orders is {_shown(value)}: one of {' '.join(_ORDERS)}")
    return {"order_ids": value == "full"}


def _venue(value: Any) -> dict[str, Any]:
    if not isinstance(value, str) or not value.isidentifier():
        raise ValueError(f"venue is {_shown(value)}: a venue's name, as binance")
    return {"venue": value.lower()}


def _process(value: Any) -> dict[str, Any]:
    if not isinstance(value, str) or not value.replace("-", "_").isidentifier():
        raise ValueError(f"process is {_shown(value)}: a stage or a process, as book or book-0")
    return {"process": value.lower()}


def _shown(value: Any) -> str:
    return repr(str(value))[:_SHOWN_CHARACTERS]


_NAMED: dict[str, Callable[[Any], dict[str, Any]]] = {"security": _securities, "securities": _securities}
_POLICY: dict[str, Callable[[Any], dict[str, Any]]] = {
    "every": _every,
    "images": _images,
    "orders": _order_ids,
}
_READERS: dict[str, dict[str, Callable[[Any], dict[str, Any]]]] = {
    "add": {**_NAMED, **_POLICY},
    "remove": _NAMED,
    "policy": {**_NAMED, **_POLICY},
    "list": {},
    "status": {},
    "uptime": {},
    "processes": {},
    "ping": {},
    "snapshot": {"security": _some_or_all, "securities": _some_or_all},
    "book": {**_NAMED, "depth": _depth, "orders": _orders},
    "reset": {"venue": _venue},
    "restart": {"process": _process},
    "terminate": {},
}
