"""Binance's control messages: which streams a connection has, and what it is answered (protocols.md 1.3).

request              answer
SUBSCRIBE            ``{"result":null,"id":n}``, also for a stream that does not exist
UNSUBSCRIBE          the same
LIST_SUBSCRIPTIONS   ``{"result":[...],"id":n}``
SET_PROPERTY         ``{"result":null,"id":n}`` (``combined`` only)
GET_PROPERTY         ``{"result":true,"id":n}``
anything else        ``{"code":0..3,"msg":...}``
"""

from typing import Any

import msgspec

MAX_STREAMS = 1024

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")

_NO_ID = object()


class _Refused(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Streams:
    """The subscriptions of one connection."""

    def __init__(self, streams: list[str], *, combined: bool) -> None:
        self.names: dict[str, None] = dict.fromkeys(streams)
        self.combined = combined

    def answer(self, text: str) -> bytes:
        """Do what a control message asks and return the answer."""
        request_id: object = _NO_ID
        try:
            message = _decoded(text)
            request_id = _checked_id(message)
            result = self._do(message)
        except _Refused as refused:
            reply: dict[str, Any] = {"code": refused.code, "msg": str(refused)}
        else:
            reply = {"result": result}
        if request_id is not _NO_ID:
            reply["id"] = request_id
        return msgspec.json.encode(reply)

    def _do(self, message: dict[str, Any]) -> object:
        if "method" not in message:
            raise _Refused(2, "Invalid request: missing field `method`")
        method, params = message["method"], message.get("params", [])
        if method not in _METHODS:
            expected = ", ".join(f"`{name}`" for name in _METHODS)
            raise _Refused(2, f"Invalid request: unknown variant `{method}`, expected one of {expected}")
        if not isinstance(params, list):
            raise _Refused(2, "Invalid request: invalid type, expected a sequence")
        if method == "LIST_SUBSCRIPTIONS":
            return list(self.names)
        if method.endswith("_PROPERTY"):
            return self._property(method, params)
        if not params or not all(isinstance(name, str) for name in params):
            raise _Refused(2, "Invalid request: request must contain stream names")
        if method == "UNSUBSCRIBE":
            for name in params:
                self.names.pop(name, None)
            return None
        if len(self.names | dict.fromkeys(params)) > MAX_STREAMS:
            raise _Refused(2, f"Invalid request: too many streams, at most {MAX_STREAMS}")
        self.names |= dict.fromkeys(params)
        return None

    def _property(self, method: str, params: list[Any]) -> object:
        if not params or not isinstance(params[0], str):
            raise _Refused(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise _Refused(0, "Unknown property")
        if method == "GET_PROPERTY":
            return self.combined
        if len(params) != 2:
            raise _Refused(2, "Invalid request: too many parameters")
        if not isinstance(params[1], bool):
            raise _Refused(1, "Invalid value type: expected Boolean")
        self.combined = params[1]
        return None


def _decoded(text: str) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _Refused(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(message, dict):
        raise _Refused(2, "Invalid request: invalid type, expected a map")
    return message


def _checked_id(message: dict[str, Any]) -> object:
    if "id" not in message:
        return _NO_ID
    value = message["id"]
    text = isinstance(value, str) and value.isalnum() and len(value) <= 36
    number = isinstance(value, int) and not isinstance(value, bool)
    if not (value is None or text or number):
        raise _Refused(2, "Invalid request: request ID must be an unsigned integer")
    return value
