"""A life of the logger: it starts, has accidents, comes to rest, and is compared with its journals."""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from store.connection import connect
from store.embedded import running as database_running
from tests.chaos.accidents import CALM, Accident, happen
from tests.chaos.comparing import different, documents, rebuilt
from tests.chaos.evidence import Evidence
from tests.chaos.market import archive_of, compare
from tests.chaos.scene import PATIENCE_S, Scene, answers
from tests.chaos.schedule import Happened, is_on_wire
from tests.chaos.stepping import HostClock
from tests.chaos.tally import Hole, Tally
from tests.chaos.wire import happen_on_wire, lines_are_up, spare
from tests.simulator.heard import BOOK, TRADES, Lost
from tests.simulator.process import Simulator
from tests.system.running import Logger, exchanges
from tests.system.test_end_to_end import is_stored_until_now
from wire.settings import load_settings

SECURITIES = ("binance:BTCUSDT", "coinbase:BTC-USD")
RECORDED, ANEW = "recorded", "anew"


def logger_of(folder: Path, simulator: Simulator, **settings: str) -> Logger:
    """Return a logger whose windows, images and checkpoints come fast, and whose journal is kept whole."""
    return Logger(
        folder,
        SECURITIES=",".join(SECURITIES),
        ORDERBOOK_UPDATEFREQUENCY="100",
        MONGODB_DATABASE=RECORDED,
        WINDOW_SECONDS="2",
        BASE_IMAGE_SECONDS="6",
        CHECKPOINT_SECONDS="3",
        JOURNAL_KEEP_SECONDS="864000",
        AUDIT_SECONDS="3",
        **exchanges(simulator),
        **settings,
    )


def live(
    logger: Logger,
    simulator: Simulator,
    clock: HostClock,
    accidents: Sequence[Accident],
    lines: int = 1,
    *,
    order_ids: bool = True,
) -> list[Happened]:
    """Let *accidents* happen, come to rest, and stop in order; return what happened.

    Without *order_ids* none are stored from the first calm on.
    """
    scene = Scene(logger, simulator, clock, SECURITIES, lines)
    logger.start()
    scene.eventually("control answers", lambda: answers(logger))
    _calm(scene)
    if not order_ids:
        changed = logger.obl("policy", SECURITIES[1], "--orders", "noids")
        assert changed.returncode == 0, changed.stderr
    happened = _happen(scene, accidents)
    for security in SECURITIES:
        is_stored_until_now(logger, simulator, security)
    logger.eventually("missing trades are fetched", lambda: not _open_trades(logger), PATIENCE_S)
    assert logger.stop() == 0, logger.logs()[-6000:]
    return happened


def _calm(scene: Scene) -> None:
    """Let all end, and wait until each line is connected and each book at the exchange's present."""
    scene.everything_ended()
    for venue in scene.simulator.ports:
        scene.simulator.fault(venue, "clear")
    scene.eventually("all lines are up", lambda: lines_are_up(scene.simulator, scene.lines))
    scene.reaches_now()
    scene.spared.clear()


def _happen(scene: Scene, accidents: Sequence[Accident]) -> list[Happened]:
    """Let *accidents* happen; what comes before a calm may have consequences until its end."""
    happened: list[Happened] = []
    burst: list[Accident] = []
    rng, began = random.Random(len(accidents)), time.monotonic()
    for accident in accidents:
        if accident != CALM:
            burst.append(accident)
            continue
        from_ns = scene.now_ns()
        if scene.lines > 1 and is_on_wire(burst):
            spare(scene, rng)
        for each in burst:
            scene.advance(each.after)
            if each.venue:
                happen_on_wire(each, scene)
            else:
                happen(each, scene)
        _calm(scene)
        happened += [Happened(each, from_ns, scene.now_ns()) for each in burst]
        print(f"  {len(happened)} accidents, {time.monotonic() - began:.0f} s", flush=True)
        burst = []
    return happened


def _open_trades(logger: Logger) -> list[dict[str, Any]]:
    """Return the rows of trades that are not healed yet."""
    return [row for row in holes(logger) if row["feed"] == "trades" and row["state"] != "healed"]


def is_what_the_journals_say(logger: Logger) -> None:
    """Compare every stored document with those made anew from the journals, and have them proven."""
    settings = load_settings(logger.environment)
    with database_running(settings), connect(settings) as client:
        whole = documents(client, RECORDED)
        assert {name.partition(" ")[0] for name in whole} >= {"images", "changes", "orders", "trades"}
        rebuilt(logger, "--into", ANEW)
        assert different(whole, documents(client, ANEW)) == []
        assert [row["first_bad"] for row in logger.answers("verify")] == [None] * len(SECURITIES)


def is_what_the_market_was(
    logger: Logger, simulator: Simulator, happened: Sequence[Happened], seed: int, instants: int, tally: Tally
) -> None:
    """Compare trades and random instants with the truth, and the ledger with journals and schedule."""
    rng = random.Random(seed)
    with archive_of(logger.environment) as archive:
        for security in SECURITIES:
            tally.compared(compare(archive, simulator, security, rng, instants))
            evidence = Evidence(logger.folder / "data/journal", security)
            unreceived = {
                feed: [_when(simulator, security, feed, lost) for lost in evidence.lost(feed)]
                for feed in (BOOK, TRADES)
            }
            unsent = simulator.unheard(*security.split(":"))
            stored: dict[str, list[range]] = {BOOK: [], TRADES: []}
            for span in archive.coverage(security):
                assert span.first_id is not None
                assert span.last_id is not None
                stored[span.feed].append(range(span.first_id, span.last_id + 1))
            tally.ledger(security, archive.gaps(security), unreceived, unsent, happened, stored)


def _when(simulator: Simulator, security: str, feed: str, lost: Lost) -> Hole:
    """Return *lost* with the times of its first and last id."""
    venue, _, symbol = security.partition(":")
    name = "trade_id" if feed == TRADES else "update_id"
    from_ns, to_ns = (simulator.truth_moment(venue, symbol, **{name: n}) for n in (lost.first, lost.last))
    return Hole(*lost, from_ns, to_ns)


def differing_audits(logger: Logger) -> list[dict[str, Any]]:
    """Return the audits that found a difference: there is none between a true snapshot and a true book."""
    return [row for row in logger.answers("audit") if row["found"]]


def holes(logger: Logger) -> list[dict[str, Any]]:
    """Return the rows of the gap ledger."""
    rows: list[dict[str, Any]] = logger.answers("gaps")
    return rows
