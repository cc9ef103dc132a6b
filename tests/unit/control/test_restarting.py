"""One process after the other ends, and none before the one before it is back and all is well."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.effects import Now
from control.health import Board, Workers
from control.registry import EMPTY, add
from control.restarting import BACK_S, OBEY_S, OVERLAP_S, STEADY_S, Restarting, Step, processes_of
from wire.messages import Beat, Policy

A, B = "binance:BTCUSDT", "coinbase:BTC-USD"
DESIRED = add(EMPTY, [A, B], Policy(), 1)
TURN_S = 0.25
ONE, TWO = (
    Workers(("binance/a", "coinbase/a"), 2, 1, 1),
    Workers(("binance/a", "binance/b", "coinbase/a"), 1, 1, 1),
)


class Logger:
    """Processes that beat each turn, end when asked and are started again ``away_s`` later."""

    def __init__(self, workers: Workers) -> None:
        self.board = Board(workers)
        self.s = 0.0
        self.pids = dict.fromkeys(workers.names(), 1)
        self.away_s = 1.0
        self.well_after_s = 0.0
        self.deaf: set[str] = set()
        self.never_back: set[str] = set()
        self.database = 1
        self.down: dict[str, float] = {}
        self.asked: list[tuple[float, Step]] = []
        self._up_s: dict[str, float] = {}
        self.run(TURN_S)

    def run(self, seconds: float, restarting: Restarting | None = None) -> None:
        until_s = self.s + seconds
        while self.s < until_s and not (restarting is not None and restarting.done):
            self.s += TURN_S
            self._turn()
            if restarting is not None:
                for step in restarting.step(self.board, DESIRED, self.now()):
                    self.asked.append((self.s, step))
                    if step.process not in self.deaf or step.kill:
                        self.down[step.process] = self.s

    def now(self) -> Now:
        return Now(self.s, 0, database_again=self.database > 1)

    def _turn(self) -> None:
        for name, since_s in list(self.down.items()):
            if self.s - since_s >= self.away_s and name not in self.never_back:
                del self.down[name]
                self._up_s[name] = self.s
                if name == "database":
                    self.database += 1
                else:
                    self.pids[name] += 1
        for name, pid in self.pids.items():
            if name not in self.down:
                self.board.hear(Beat(name, pid, pid, self._health(name)), self.s)

    def _health(self, name: str) -> dict[str, Any]:
        well = self.s - self._up_s.get(name, -100) >= self.well_after_s
        if name.startswith("store"):
            return {"database": {"reachable": "database" not in self.down}}
        if name.startswith("book"):
            return {"securities": {each: {"state": "live" if well else "catching_up"} for each in (A, B)}}
        venue = name.partition("-")[2][:-2]
        ours = [each for each in (A, B) if each.startswith(venue)] if name.startswith("ingest") else []
        return {"securities": {each: {"state": "subscribed" if well else "pending"} for each in ours}}


def restarted(logger: Logger, *names: str, seconds: float = 300) -> list[dict[str, Any]]:
    restarting = Restarting(names)
    logger.run(seconds, restarting)
    assert restarting.done
    return restarting.rows


def test_each_process_is_back_and_watched_before_the_next_is_asked() -> None:
    logger = Logger(ONE)
    rows = restarted(logger, "book-0", "book-1")
    assert [(row["process"], row["ok"]) for row in rows] == [("book-0", True), ("book-1", True)]
    (first_s, first), (second_s, second) = logger.asked
    assert (first, second) == (Step("book-0"), Step("book-1"))
    assert second_s - first_s >= logger.away_s + STEADY_S


def test_what_was_live_must_be_live_again() -> None:
    logger = Logger(ONE)
    logger.well_after_s = 7.0
    [row] = restarted(logger, logger.board.workers.maintainer(A))
    assert row["ok"]
    assert row["seconds"] >= logger.away_s + logger.well_after_s + STEADY_S


def test_of_two_lines_the_second_waits_until_the_first_has_subscribed_and_overlapped() -> None:
    logger = Logger(TWO)
    logger.well_after_s = 3.0
    rows = restarted(logger, "ingest-binance-a", "ingest-binance-b")
    assert ["note" in row for row in rows] == [False, False]
    (first_s, _), (second_s, _) = logger.asked
    assert second_s - first_s >= logger.away_s + logger.well_after_s + OVERLAP_S


def test_a_line_without_another_leaves_a_row_in_the_ledger_and_that_is_said() -> None:
    logger = Logger(TWO)
    assert "own_restart" in restarted(logger, "ingest-coinbase-a")[0]["note"]
    logger.down["ingest-binance-b"] = 0.0
    logger.never_back = {"ingest-binance-b"}
    logger.run(10)
    assert "own_restart" in restarted(logger, "ingest-binance-a")[0]["note"]


def test_one_that_does_not_come_back_ends_it_and_those_left_are_left_alone() -> None:
    logger = Logger(ONE)
    logger.never_back = {"book-0"}
    rows = restarted(logger, "book-0", "book-1")
    assert [row["ok"] for row in rows] == [False, False]
    assert "30 s" in rows[0]["error"]
    assert "book-0" in rows[1]["error"]
    assert {step.process for _, step in logger.asked} == {"book-0"}
    assert BACK_S <= logger.s <= BACK_S + 1


def test_one_that_does_not_obey_is_killed_once() -> None:
    logger = Logger(ONE)
    logger.deaf = {"store-0"}
    [row] = restarted(logger, "store-0")
    assert row["ok"]
    (asked_s, _), (killed_s, kill) = logger.asked
    assert kill == Step("store-0", kill=True)
    assert killed_s - asked_s == OBEY_S


def test_the_database_is_back_when_the_store_reaches_it_again() -> None:
    logger = Logger(ONE)
    [row] = restarted(logger, "database")
    assert row["ok"]
    assert row["seconds"] >= logger.away_s + STEADY_S


def test_one_that_was_away_before_it_was_asked_only_has_to_come() -> None:
    logger = Logger(ONE)
    logger.down["condition-0"] = 0.0
    logger.never_back = {"condition-0"}
    logger.run(10)
    logger.never_back = set()
    assert restarted(logger, "condition-0")[0]["ok"]


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("ingest", ["ingest-binance-a", "ingest-binance-b", "ingest-coinbase-a"]),
        ("ingest-binance", ["ingest-binance-a", "ingest-binance-b"]),
        ("ingest-binance-b", ["ingest-binance-b"]),
        ("book", ["book-0"]),
        ("boo", []),
        ("", []),
    ],
)
def test_a_name_means_a_stage_or_a_part_of_it(name: str, means: list[str]) -> None:
    assert processes_of(name, list(TWO.names())) == means


@given(
    st.sampled_from([ONE, TWO]),
    st.floats(0, 40),
    st.floats(0, 40),
    st.sets(st.sampled_from(list(TWO.names()))),
    st.sets(st.sampled_from(list(TWO.names()))),
)
def test_whatever_the_processes_do_it_ends_and_never_has_two_of_them_away(
    workers: Workers, away_s: float, well_after_s: float, deaf: set[str], never_back: set[str]
) -> None:
    logger = Logger(workers)
    logger.away_s, logger.well_after_s, logger.deaf, logger.never_back = (
        away_s,
        well_after_s,
        deaf,
        never_back,
    )
    names = list(workers.names())
    restarting = Restarting(names)
    while not restarting.done:
        logger.run(TURN_S, restarting)
        assert len(logger.down) <= 1
        assert logger.s < len(names) * (BACK_S + OVERLAP_S + 1)
    assert [row["process"] for row in restarting.rows] == names
    failed = [row["process"] for row in restarting.rows if not row["ok"]]
    assert names[len(names) - len(failed) :] == failed
