"""Frames that simply follow, those of a whole group by one call: what mostly comes.

Each security that is as usual has a *follower*: its place in the book and on the tape, as they were when it
was last touched.  A frame that goes on from there is applied and kept there, in a table of the follower; the
rest of the security hears of it, and sends it, only when something touches the security: a tick, each second,
or a frame that is not as usual.  So a frame costs what its levels cost, however many securities share a
group.

event                                      outcome
a frame that follows                       it is applied and waits with those before it
the first of a later window                the same, with the book's hash as it was, unless an image is due or
                                           another policy rules there
one that does not, of a security           it and what comes after it in the group take the long way
  (``Security.frames``)
anything that looks at the security        what waits is written down first (``Security.settle``)
somebody watches the security              the same after each group

Where nothing was compiled there are no followers: all takes the long way, to the same end.
"""

from journal.group import Group
from venue.columns import Columns

try:
    from book.follow_loops import BookPlace, Clock, Follower, TapePlace, follow
except ImportError:
    COMPILED = False
else:
    COMPILED = True

__all__ = ["COMPILED", "BookPlace", "Clock", "Followed", "Follower", "Printed", "TapePlace", "take"]

Followed = tuple[int, list[tuple[tuple[int, int] | None, int, int, int, int, list[bytes]]]]
"""How many deletions were of nothing, and window by window: the sums of the book's hash before it (None: it
was open), first and last id of the updates that followed, exchange and effective time of the last, and the
columns of wire.runs.Changes from ``first_ids`` on."""

Printed = list[tuple[bool, int, int, int, int, list[bytes]]]
"""The same of trades: whether it was not open, ..., and the columns of wire.runs.Trades from ``ids`` on."""

NEVER_NS = 2**63 - 1
"""Later than any time of an exchange."""


def take(group: Group, rows: list[int], followers: "list[Follower | None]", columns: Columns) -> list[int]:
    """Give each follower of the group's names its frames among *rows*, of which *columns* tells.

    Return the rows that did not follow, and those after them of the same securities.
    """
    depth, trade = columns.depth, columns.trade
    return follow(
        followers,
        group.route_column(),
        rows,
        group.first,
        group.recv_column(),
        group.connection_column(),
        columns.depth_at,
        (depth.first_ids, depth.last_ids, depth.times_ns),
        depth.counts,
        depth.decimals,
        depth.prices,
        depth.sizes,
        columns.trade_at,
        (trade.ids, trade.times_ns),
        trade.sides_u1,
        trade.decimals,
        trade.prices,
        trade.sizes,
    )
