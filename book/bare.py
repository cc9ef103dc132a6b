"""A state without its book: small enough to lie in a checkpoint's index beside each body.

Where no body of a security can be read and the journal no longer reaches back to its beginning, it goes on
from here: ids, windows, trades and ledger are known, the book is not.  What comes until the next snapshot
is a row of the ledger, cause ``disk``.
"""

from typing import Any

from book.audit import Auditor
from book.depth import Depth
from book.orderflow import OrderFlow
from book.scales import Scales
from book.sync import State


def bare(state: dict[str, Any]) -> dict[str, Any]:
    """Return what ``Security.load`` takes for *state*, a ``Security.dump``, with its book lost."""
    joined, trades = state["joined"], state["trades"]
    sync = {**joined["sync"], "state": State.WAITING.value}
    if "kept" in sync:
        sync["kept"] = []
    joined = {**joined, "sync": sync, "book": _bare_book(joined["book"]), "base_at": {}}
    joined["is_bare"] = state["state"] != "removed"
    return {**state, "joined": joined, "trades": {**trades, "healing": []}}


def _bare_book(state: dict[str, Any]) -> dict[str, Any]:
    recording, book = state["recording"], state["book"]
    if recording["entry_open"] and state["in_chain"]:
        first_id, last_id, image_id, _ = recording["chains"][-1]
        ended = (first_id, last_id, image_id, state["hash"])
        recording = {**recording, "chains": [*recording["chains"][:-1], ended], "entry_open": False}
    lost: dict[str, Any] = {
        "starting": None,
        "in_chain": False,
        "image_wanted": False,
        "image_id": None,
        "held": [],
    }
    return {
        **state,
        **lost,
        "book": _empty(state["kind"], book),
        "recording": recording,
        "auditor": Auditor().dump(),
    }


def _empty(kind: str, book: dict[str, Any]) -> dict[str, Any]:
    if kind == "l3":
        flow = OrderFlow()
        flow.rescale(Scales(*book["scales"]))
        return {**flow.dump(), "mode": book["mode"], "may_cross": book["may_cross"]}
    depth = Depth()
    depth.rescale(Scales(*book["levels"]["scales"]))
    return depth.dump()
