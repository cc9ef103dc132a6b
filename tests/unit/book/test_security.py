"""What the records of one security come to: chains, images, windows, holes, commands."""

from collections.abc import Sequence
from typing import Any

import pytest

from book.joined import WISH_TICKS
from book.live import answer
from book.outlet import Outlet
from book.presence import CONFIRM_TICKS
from journal.group import Kind
from journal.payload import Connection, pack
from tests.journaled import instrument_body
from tests.unit.book.play import NAME, RECIPE, START, S, Story, copied, ints, of_type, play
from wire.messages import Policy
from wire.names import position_at
from wire.runs import Begin, Changes, Cut, Hole, Image, Mark, RunMessage, Trades

W = RECIPE.window_ns
BID = [("10", "2")]


def started() -> Story:
    """Return a story whose book is live at update 11, in its first second."""
    return Story().begin().snapshot(0.1, 10).update(0.2, 11, bids=BID)


def chains(said: Sequence[RunMessage], start: int = 0) -> list[tuple[Any, ...]]:
    """Return the newest chain entries, without hashes, of the window *start* seconds after START."""
    cuts = [cut for cut in of_type(said, Cut) if cut.start_ns == START + start * S and cut.feed == "changes"]
    return [chain[:3] for chain in cuts[-1].chains]


def final(said: Sequence[RunMessage]) -> list[Cut]:
    return [cut for cut in of_type(said, Cut) if cut.final]


def holes(said: Sequence[RunMessage]) -> list[tuple[Any, ...]]:
    return [(h.first_id, h.last_id, h.cause, h.state, h.covered) for h in of_type(said, Hole)]


def last_ids(said: Sequence[RunMessage]) -> list[int]:
    return [i for message in of_type(said, Changes) for i in ints(message.last_ids)]


def test_a_chain_starts_after_the_snapshot_with_an_image_of_its_first_update() -> None:
    said = started().said()
    assert [type(each) for each in said] == [Begin, Changes, Image]
    begin, changes, image = said
    assert isinstance(begin, Begin)
    assert (begin.number, begin.book, begin.has_ids, begin.windows) == (0, "l2", True, {})
    assert isinstance(changes, Changes)
    assert (ints(changes.first_ids), ints(changes.last_ids)) == ([11], [11])
    assert (ints(changes.prices), ints(changes.sizes)) == ([10], [2])
    assert isinstance(image, Image)
    assert (image.update_id, image.bids, image.asks) == (11, 1, 1)
    assert (ints(image.prices), ints(image.sizes)) == ([10, 11], [2, 1])


def test_ids_that_reach_back_below_the_snapshot_are_clipped() -> None:
    said = Story().begin().snapshot(0, 10).update(0.2, 8, 12).update(0.3, 12, 14).said()
    assert [ints(m.first_ids) for m in of_type(said, Changes)] == [[11], [13]]


def test_the_first_update_of_a_later_window_cuts_the_one_before() -> None:
    said = started().update(1, 12).update(11, 13).said()
    cut = final(said)[0]
    assert (cut.feed, cut.start_ns, cut.final, cut.every_ms) == ("changes", START, True, 0)
    assert chains(said) == [(11, 12, 11)]
    changes = of_type(said, Changes)
    assert [m.start_ns for m in changes] == [START, START, START + W]


def test_numbers_have_no_hole_and_marks_never_fall() -> None:
    said = (
        started()
        .update(1, 12)
        .update(2, 14)
        .trade(3, 7)
        .snapshot(4, 15)
        .update(40, 16)
        .quiet_until(50)
        .said()
    )
    assert [each.number for each in said] == list(range(len(said)))
    marks = [each.marks["binance/a"] for each in said]
    assert marks == sorted(marks)


def test_a_mark_waits_for_what_is_kept() -> None:
    story = started()
    kept_at = story.journal.position
    said = story.update(1, 13).quiet_until(5).said()
    assert said[-1].marks == {"binance/a": kept_at}
    assert isinstance(said[-1], Mark)


def test_a_mark_once_told_is_not_taken_back() -> None:
    outlet = Outlet(NAME, {"binance/a": 5})
    for low, marks in ((9, 9), (7, 9), (11, 11)):
        outlet.emit(Mark)
        assert outlet.take({"binance/a": low})[-1].marks == {"binance/a": marks}


def test_missing_ids_are_an_open_hole_that_the_next_chain_closes() -> None:
    said = started().update(1, 14).snapshot(2, 13).update(11, 15).said()
    assert holes(said) == [(12, None, "venue", "open", 0), (12, 13, "venue", "open", 1)]
    opened, closed = of_type(said, Hole)
    assert (opened.from_ns, opened.to_ns) == (START + S // 5, None)
    assert (closed.from_ns, closed.to_ns) == (START + S // 5, START + S)
    assert opened.start_ns == closed.start_ns == START
    assert chains(said) == [(11, 11, 11), (14, 14, 14)]
    assert [image.update_id for image in of_type(said, Image)] == [11, 14]


def test_a_hole_of_one_id_is_a_hole() -> None:
    said = started().update(1, 13).snapshot(2, 12).said()
    assert holes(said) == [(12, None, "venue", "open", 0), (12, 12, "venue", "open", 1)]


def test_nothing_is_a_hole_before_the_first_chain() -> None:
    story = Story().begin().update(0, 5).update(1, 8).snapshot(2, 5).update(3, 9).snapshot(4, 8)
    assert holes(story.update(5, 10).said()) == []


def test_a_restart_of_the_line_is_a_hole_of_our_own_making() -> None:
    story = started()
    story.journal.position = position_at(2, 0)
    story.begin().update(5, 20).snapshot(6, 20).update(7, 21)
    assert holes(story.said()) == [(12, None, "own_restart", "open", 0), (12, 20, "own_restart", "open", 1)]


def test_a_command_s_snapshot_makes_an_image_though_nothing_changed() -> None:
    said = started().update(1, 12).snapshot(2, 99, cause="command").update(3, 13).update(11, 14).said()
    assert [image.update_id for image in of_type(said, Image)] == [11, 12]
    assert chains(said) == [(11, 12, 11), (13, 13, 12)]


def test_another_snapshot_of_a_live_book_changes_nothing() -> None:
    assert started().snapshot(1, 11, [], []).said() == started().said()


def test_a_base_image_is_due_where_a_boundary_lies_at_the_window_s_end() -> None:
    boundary = 600 - (START // S) % 600
    before = boundary - 5
    said = started().update(before, 12).update(boundary + 1, 13).said()
    first, second = of_type(said, Image)
    assert (second.update_id, second.start_ns) == (12, START + (before // 10) * W)
    assert said.index(second) < said.index(final(said)[1])
    assert first.update_id == 11


def test_a_window_silent_for_three_ticks_is_written_as_it_stands_and_again_when_more_comes() -> None:
    said = started().quiet_until(5).update(6, 12).quiet_until(12).said()
    cuts = of_type(said, Cut)
    assert [(cut.final, cut.chains[-1][:3]) for cut in cuts] == [(False, (11, 11, 11)), (False, (11, 12, 11))]


def test_a_window_silent_for_900_ticks_is_final_and_what_comes_late_falls_into_the_next() -> None:
    said = started().quiet_until(902).update(903, 12, time=1).said()
    assert [cut.final for cut in of_type(said, Cut)] == [False, True]
    late = of_type(said, Changes)[-1]
    assert (late.start_ns, ints(late.times_ns), ints(late.effective_ns)) == (
        START + W,
        [START + S],
        [START + W],
    )


def test_a_time_an_hour_ahead_of_both_neighbours_is_replaced() -> None:
    said = started().update(1, 12, time=5000).update(2, 13).said()
    rows = [
        (i, t, e)
        for m in of_type(said, Changes)
        for i, t, e in zip(*map(ints, (m.last_ids, m.times_ns, m.effective_ns)), strict=True)
    ]
    assert rows[1:] == [(12, START + 5000 * S, START + S // 5), (13, START + 2 * S, START + 2 * S)]


def test_a_time_an_hour_ahead_waits_for_the_next_update() -> None:
    story = started().update(4000, 12)
    assert last_ids(story.said()) == [11]
    said = story.update(4001, 13).said()
    assert last_ids(said) == [11, 12, 13]
    assert of_type(said, Changes)[1].start_ns == START + 4000 * S


def test_a_time_an_hour_ahead_waits_900_ticks_at_most() -> None:
    said = started().update(4000, 12).quiet_until(4901).said()
    assert last_ids(said) == [11, 12]


def test_times_that_go_back_are_effective_at_the_one_before() -> None:
    said = started().update(5, 12).update(6, 13, time=3).said()
    assert ints(of_type(said, Changes)[-1].effective_ns) == [START + 5 * S]


def test_a_crossed_book_is_a_desync_and_the_update_waits_for_a_new_snapshot() -> None:
    story = started().update(1, 12, bids=[("11.5", "1")]).update(1.5, 13)
    said = story.said()
    assert holes(said) == [(12, None, "desync", "open", 0)]
    assert last_ids(said) == [11]
    security = play(story.groups)[0].securities[NAME]
    assert security.wishes_snapshot
    shown = answer(security)
    assert shown is not None
    assert (shown["bids"], shown["stale"]) == ([["10", "2"]], True)
    said = story.snapshot(2, 11, [("10", "2")], [("12", "1")]).update(11, 14).said()
    assert holes(said)[1:] == [(12, 11, "desync", "healed", 2)]
    assert last_ids(said) == [11, 12, 13, 14]


@pytest.mark.parametrize("per_group", [2, 16])
def test_a_crossed_book_amid_a_group_sends_what_is_good_and_no_more(per_group: int) -> None:
    story = Story(per_group=per_group).begin().snapshot(0, 10)
    for n in range(11, 31):
        story.update(n / 100, n, bids=[("9", str(n))])
    said = story.update(0.31, 31, bids=[("12", "1")]).update(0.32, 32).quiet_until(5).said()
    assert last_ids(said) == list(range(11, 31))
    for changes in of_type(said, Changes):
        assert len(changes.effective_ns) == len(changes.last_ids) == len(changes.times_ns)
    assert holes(said) == [(31, None, "desync", "open", 0)]


def test_in_an_auction_a_crossed_book_is_no_desync() -> None:
    body = instrument_body("binance", "XUSDT", status="auction")
    story = Story().begin()
    story.journal.rest(START, NAME, body, what="instrument")
    said = story.snapshot(0.1, 10).update(0.2, 11, bids=[("12", "1")]).said()
    assert holes(said) == []
    assert last_ids(said) == [11]


def test_an_auction_is_known_after_a_restart_too() -> None:
    story = Story().begin()
    body = instrument_body("binance", "XUSDT", status="auction")
    story.journal.rest(START, NAME, body, what="instrument")
    made = copied(play(story.snapshot(0.1, 10).groups)[0])
    assert made.securities[NAME].book.book.may_cross


def test_a_finer_value_raises_the_scales_from_its_update_on() -> None:
    story = Story(per_group=3).begin().snapshot(0.1, 10)
    said = story.update(0.2, 11, bids=BID).update(0.3, 12, bids=[("9.25", "0.5")]).update(0.4, 13).said()
    scales = [(m.price_scale, m.size_scale) for m in of_type(said, Changes)]
    assert scales == [(0, 0), (2, 1), (2, 1)]
    assert ints(of_type(said, Changes)[1].prices) == [925]


def test_the_venue_s_scales_are_taken_over_and_never_lowered() -> None:
    story = Story().begin()
    story.journal.rest(START, NAME, instrument_body("binance", "XUSDT", 4, 6), what="instrument")
    story.snapshot(0.1, 10).update(0.2, 11)
    story.journal.rest(story.at(0.3), NAME, instrument_body("binance", "XUSDT", 1, 1), what="instrument")
    said = story.update(0.4, 12).said()
    assert {(m.price_scale, m.size_scale) for m in of_type(said, Changes)} == {(4, 6)}


@pytest.mark.parametrize("price", ["9.0000000000000000001", "99999999999999999999"])
def test_a_value_that_does_not_fit_is_refused_counted_and_a_hole(price: str) -> None:
    story = started().update(1, 12, bids=[(price, "1")]).update(2, 13)
    made, said = play(story.groups)
    assert holes(said) == [(12, None, "venue", "open", 0)]
    assert (last_ids(said), made.securities[NAME].book.refused) == ([11], 1)
    said = story.snapshot(3, 12).said()
    assert last_ids(said) == [11, 13]


def test_a_price_said_twice_in_one_update_counts_as_it_was_said_last() -> None:
    said = started().update(1, 12, bids=[("9", "1"), ("8", "4"), ("9", "3")]).said()
    changes = of_type(said, Changes)[-1]
    assert sorted(zip(ints(changes.prices), ints(changes.sizes), strict=True)) == [(8, 4), (9, 3)]


def test_garbage_is_counted_and_disturbs_nothing() -> None:
    story = started()
    story.journal.frame(story.at(1), NAME, b'{"stream":"xusdt@depth","data":{"e":"depthUpdate"')
    made, said = play(story.update(2, 12).groups)
    assert (last_ids(said), holes(said)) == ([11, 12], [])
    assert made.securities[NAME].unknown_frames == 1


def test_a_policy_begins_with_the_window_it_names() -> None:
    story = Story().begin(policies=(Policy(), Policy(every_ms=1000, from_ns=START + W)))
    said = story.snapshot(0.1, 10).update(0.2, 11).update(11, 12).update(21, 13).said()
    assert [(cut.start_ns, cut.every_ms) for cut in final(said)] == [(START, 0), (START + W, 1000)]
    story.journal.command(story.at(22), NAME, "policy", (Policy(every_ms=500, from_ns=START + 3 * W),))
    said = story.update(23, 14).update(31, 15).update(41, 16).said()
    assert [cut.every_ms for cut in final(said)][-2:] == [1000, 500]


@pytest.mark.parametrize("policy", [Policy(), Policy(every_ms=1000)])
def test_old_sizes_are_sent_where_the_window_is_stored_net(policy: Policy) -> None:
    story = Story().begin(policies=(policy,)).snapshot(0.1, 10)
    for update_id, size in enumerate(("2", "3", "4", "5"), 11):
        story.update(0.2 * (update_id - 10), update_id, bids=[("10", size)])
    old_sizes = [old for each in of_type(story.said(), Changes) for old in ints(each.old_sizes)]
    assert old_sizes[-3:] == ([2, 3, 4] if policy.every_ms else [])


def test_a_removed_security_is_cut_for_good_and_only_its_marks_go_on() -> None:
    story = started().trade(0.5, 7)
    story.journal.command(story.at(1), NAME, "remove")
    made, said = play(story.update(2, 12).trade(2, 8).quiet_until(4).groups)
    assert [(cut.feed, cut.final) for cut in of_type(said, Cut)] == [("changes", True), ("trades", True)]
    assert last_ids(said) == [11]
    assert isinstance(said[-1], Mark)
    assert made.securities[NAME].shown_state == "removed"


def test_a_security_added_again_goes_on_behind_a_hole_and_after_its_final_windows() -> None:
    story = started()
    story.journal.command(story.at(1), NAME, "remove")
    story.journal.add(story.at(2), NAME, "depth", since_ns=2)
    said = story.snapshot(3, 20).update(4, 21).update(11, 22).said()
    assert holes(said) == [(12, None, "removed", "open", 0), (12, 20, "removed", "open", 1)]
    again = of_type(said, Changes)[1]
    assert (again.start_ns, ints(again.effective_ns)) == (START + W, [START + W])
    assert len(of_type(said, Begin)) == 1


def test_trades_that_passed_while_a_security_was_removed_are_missing_for_that() -> None:
    story = started().trade(0.5, 7)
    story.journal.command(story.at(1), NAME, "remove")
    story.journal.add(story.at(2), NAME, "depth", since_ns=2)
    said = story.trade(3, 10).trade(4, 12).said()
    assert holes(said)[1:] == [(8, 9, "removed", "open", 1), (11, 11, "venue", "open", 1)]


def test_the_same_add_again_changes_nothing_and_another_since_is_a_removal() -> None:
    story = started()
    story.journal.add(story.at(1), NAME, "depth", since_ns=1)
    assert holes(story.update(2, 12).said()) == []
    story.journal.add(story.at(3), NAME, "depth", since_ns=9)
    assert holes(story.said()) == [(13, None, "removed", "open", 0)]


def test_a_security_that_a_new_epoch_does_not_name_again_was_removed() -> None:
    story = started()
    story.journal.position = position_at(2, 0)
    story.journal.start(story.at(2), "restart")
    made, said = play(story.quiet_until(CONFIRM_TICKS + 4).groups)
    assert made.securities[NAME].shown_state == "removed"
    assert of_type(said, Cut)[-1].final


def test_a_security_that_waits_long_wishes_for_a_snapshot() -> None:
    story = Story().begin().update(0, 5)
    assert not play(story.groups)[0].securities[NAME].wishes_snapshot
    made = play(story.quiet_until(WISH_TICKS + 1).groups)[0]
    assert made.securities[NAME].wishes_snapshot
    assert not play(story.snapshot(WISH_TICKS + 2, 5).groups)[0].securities[NAME].wishes_snapshot


def test_a_failed_or_senseless_snapshot_is_no_base() -> None:
    story = Story().begin()
    story.journal.rest(START, NAME, b'{"code":-1003}')
    said = story.snapshot(1, 10, [("12", "1")], [("11", "1")]).update(2, 11).said()
    assert of_type(said, Changes) == []


# --- trades ----------------------------------------------------------------------------------


def test_trades_come_once_in_order_whatever_the_book_does() -> None:
    said = Story().begin().trade(0, 7).trade(0.1, 8).trade(0.2, 8).trade(0.3, 7).trade(0.4, 9).said()
    assert [i for m in of_type(said, Trades) for i in ints(m.ids)] == [7, 8, 9]


def test_missing_trades_are_a_hole_with_both_ends_and_a_chain_of_their_own() -> None:
    said = Story().begin().trade(0, 7).trade(1, 10).trade(1.5, 9).trade(2, 11).trade(11, 12).said()
    assert [(h.feed, *row) for h, row in zip(of_type(said, Hole), holes(said), strict=True)] == [
        ("trades", 8, 9, "venue", "open", 1)
    ]
    assert [chain[:3] for chain in of_type(said, Cut)[0].chains] == [(7, 7, None), (10, 11, None)]


def test_trades_that_passed_while_the_disk_had_no_room_are_missing_for_that() -> None:
    story = Story().begin().trade(0, 7)
    ended = pack(Connection("closed", "disk has less than its reserve"))
    story.journal.other(Kind.CONNECTION, story.at(1), payload=ended, connection=1)
    said = story.trade(3, 10, connection=2).trade(4, 12, connection=2).said()
    assert holes(said) == [(8, 9, "disk", "open", 1), (11, 11, "venue", "open", 1)]


def test_one_missing_trade_is_a_hole() -> None:
    assert holes(Story().begin().trade(0, 7).trade(1, 9).said()) == [(8, 8, "venue", "open", 1)]


def test_trades_have_their_own_windows_and_silence() -> None:
    said = started().trade(1, 7).quiet_until(6).update(7, 12).trade(12, 8).said()
    cuts = [(cut.start_ns, cut.final) for cut in of_type(said, Cut) if cut.feed == "trades"]
    assert cuts == [(START, False), (START, True)]


# --- a feed without ids ----------------------------------------------------------------------
