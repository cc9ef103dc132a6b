"""What can be wrong with a frame whose beginning looks right.

how           the frame
nan           its first price or size is NaN
negative      its last price or size is -1
truncated     ends in the middle
undecodable   its second half is zeros: no JSON
"""

import re
from collections.abc import Callable

_NUMBER = re.compile(rb'"[0-9]+(?:\.[0-9]+)?"')


def _nan(payload: bytes) -> bytes:
    return _NUMBER.sub(b'"NaN"', payload, count=1)


def _negative(payload: bytes) -> bytes:
    found = list(_NUMBER.finditer(payload))
    return payload[: found[-1].start()] + b'"-1"' + payload[found[-1].end() :] if found else payload


def _truncated(payload: bytes) -> bytes:
    return payload[: len(payload) // 2]


def _undecodable(payload: bytes) -> bytes:
    half = len(payload) // 2
    return payload[:half] + bytes(len(payload) - half)


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "nan": _nan,
    "negative": _negative,
    "truncated": _truncated,
    "undecodable": _undecodable,
}
"""Makes of a frame what is sent instead; one without a number stays as it is."""
