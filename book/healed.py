"""What is sent of a hole that is filled: each run of trades a piece for each window, then the ledger's row.

Prices and sizes have scales of their own in each piece; what no scale holds is left out, and the hole stays.
"""

from itertools import groupby

from book.depth import packed
from book.healing import Filled
from book.holes import Ledger
from book.outlet import Outlet
from book.recording import Recording
from book.scales import Refused, Scales, exact, until_exact
from book.tape import Print
from wire.messages import Healed


def send(filled: Filled, outlet: Outlet, recording: Recording, ledger: Ledger, scales: Scales) -> int:
    """Send *filled*, at scales not below *scales*; return how many of its trades no scale holds."""
    refused = 0
    for prints, effective in filled.runs:
        timed = list(zip(prints, effective, strict=True))
        for start_ns, piece in groupby(timed, key=lambda each: recording.window_of(each[1])):
            refused += _send(list(piece), start_ns, outlet, scales)
    if filled.is_whole and not refused:
        ledger.heal(filled.row)
    return refused


def _send(timed: list[tuple[Print, int]], start_ns: int, outlet: Outlet, scales: Scales) -> int:
    """Send trades of one window; in halves where their numbers do not go together."""
    prints = [each for each, _ in timed]
    prices, sizes = [each.price for each in prints], [each.size for each in prints]
    try:
        columns, fine = until_exact(scales, lambda at: exact(prices, sizes, at))
    except Refused:
        half = len(timed) // 2
        if not half:
            return 1
        return sum(_send(part, start_ns, outlet, scales) for part in (timed[:half], timed[half:]))
    outlet.emit(
        Healed,
        start_ns=start_ns,
        price_scale=fine.price,
        size_scale=fine.size,
        ids=packed([each.id for each in prints]),
        times_ns=packed([each.time_ns for each in prints]),
        effective_ns=packed([effective for _, effective in timed]),
        received_ns=packed([each.recv_ns for each in prints]),
        sides_u1=bytes(each.side for each in prints),
        prices=columns[0].tobytes(),
        sizes=columns[1].tobytes(),
    )
    return 0
