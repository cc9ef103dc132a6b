"""Small builders that the journal's tests share."""

import contextlib
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st

from journal.group import Kind, pack_group
from journal.rows import Row
from journal.writer import Writer
from wire.names import position_at

UNHURRIED = settings(deadline=None)
"""A busy machine makes no property false."""

LINE = "binance/a"
CLOCK_NS = 1_723_161_600_000_000_000
SECURITIES = ("binance:BTCUSDT", "binance:ETHUSDT", "binance:DOTUSDT", "")

rows = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.sampled_from(SECURITIES),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=60),
    ),
    min_size=1,
    max_size=20,
)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def frame(text: str, security: str = "binance:BTCUSDT") -> Row:
    return (1_723_161_600_000_000_000, security, 1, text.encode())


def open_writer(
    folder: Path, *, segment_bytes: int = 1 << 20, now_ns: Callable[[], int] | None = None
) -> Writer:
    return Writer(folder, LINE, segment_bytes=segment_bytes, now_ns=now_ns or Clock())


def group_at(number: int, texts: list[str], epoch: int = 1) -> bytes:
    return pack_group(LINE, Kind.FRAME, position_at(epoch, number), CLOCK_NS, [frame(text) for text in texts])


def flipped(data: bytes, bit: int) -> bytes:
    """Return *data* with one bit turned over."""
    byte, mask = bit // 8, 1 << bit % 8
    return data[:byte] + bytes([data[byte] ^ mask]) + data[byte + 1 :]


@contextlib.contextmanager
def no_file_larger_than(limit_bytes: int) -> Iterator[None]:
    """Let the operating system refuse every write past *limit_bytes* of a file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
