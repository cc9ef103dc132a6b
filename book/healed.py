"""What is sent of a hole that is done with: its trades, a piece for each run and window, then ledger rows.

Prices and sizes have scales of their own in each piece; what no scale holds is left out.

what came             the row of the hole                       other rows
all of it             ``healed``
the first id, not all ``healed`` up to where ids are missing    one for each run of ids that is missing
not the first id      open, only the first ids                  one for each further run that is missing
nothing               as it is
"""

from itertools import groupby

from book.depth import packed
from book.healing import Filled, Row
from book.holes import Ledger
from book.outlet import Outlet
from book.recording import Recording
from book.scales import Refused, Scales, exact, until_exact
from book.tape import Print
from wire.runs import Healed


def send(filled: Filled, outlet: Outlet, recording: Recording, ledger: Ledger, scales: Scales) -> int:
    """Send *filled*, at scales not below *scales*; return how many of its trades no scale holds."""
    sent: list[tuple[Print, int]] = []
    for prints, effective in filled.runs:
        timed = list(zip(prints, effective, strict=True))
        for start_ns, piece in groupby(timed, key=lambda each: recording.window_of(each[1])):
            sent += _send(list(piece), start_ns, outlet, scales)
    row = filled.row
    missing = _missing(row, sent, recording)
    if not missing:
        ledger.heal(row)
    elif sent and missing[0].first_id == row.first_id:
        ledger.shorten(missing[0])
    elif sent:
        ledger.heal(row._replace(last_id=missing[0].first_id - 1))
    for each in missing:
        if each.first_id != row.first_id:
            ledger.split(each)
    return sum(len(prints) for prints, _ in filled.runs) - len(sent)


def _missing(row: Row, sent: list[tuple[Print, int]], recording: Recording) -> list[Row]:
    """Return a row for each run of ids of *row* that is not among *sent*."""
    missing: list[Row] = []
    rest = row
    for each, effective_ns in sent:
        if each.id > rest.first_id:
            missing.append(rest._replace(last_id=each.id - 1, to_ns=each.time_ns))
        start_ns = recording.window_of(effective_ns)
        rest = rest._replace(first_id=each.id + 1, from_ns=each.time_ns, start_ns=start_ns)
    return [*missing, rest] if rest.first_id <= row.last_id else missing


def _send(
    timed: list[tuple[Print, int]], start_ns: int, outlet: Outlet, scales: Scales
) -> list[tuple[Print, int]]:
    """Send trades of one window, in halves where their numbers do not go together; return what was sent."""
    prints = [each for each, _ in timed]
    prices, sizes = [each.price for each in prints], [each.size for each in prints]
    try:
        columns, fine = until_exact(scales, lambda at: exact(prices, sizes, at))
    except Refused:
        half = len(timed) // 2
        if not half:
            return []
        return [
            each for part in (timed[:half], timed[half:]) for each in _send(part, start_ns, outlet, scales)
        ]
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
    return timed
