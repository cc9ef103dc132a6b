"""Done: one test per row of the table in condition.progress."""

from condition.progress import Progress

LINE = "binance/a"


def after(*positions: int) -> Progress:
    progress = Progress()
    for position in positions:
        progress.seen({LINE: position})
    return progress


def done(progress: Progress) -> int | None:
    return progress.done().get(LINE)


def test_where_nothing_is_held_done_is_the_newest_marks() -> None:
    assert done(after()) is None
    assert done(after(5)) == 5
    assert done(after(5, 6)) == 6


def test_an_open_window_holds_from_its_first_message() -> None:
    progress = after(5, 6)
    progress.open_window(("changes", 0))
    progress.seen({LINE: 7})
    progress.open_window(("changes", 0))
    progress.seen({LINE: 8})
    assert done(progress) == 5


def test_a_closed_windows_documents_hold_in_its_place_until_all_are_stored() -> None:
    progress = after(5, 6)
    progress.open_window(("changes", 0))
    progress.seen({LINE: 7})
    progress.close_window(("changes", 0), {"a": 4, "b": 9})
    progress.seen({LINE: 8})
    progress.stored("a", 3)
    progress.stored("b", 9)
    assert done(progress) == 5
    progress.stored("a", 4)
    assert done(progress) == 8


def test_the_oldest_hold_rules() -> None:
    progress = after(5, 6)
    progress.hold_document("image", 1)
    progress.seen({LINE: 7})
    progress.open_window(("trades", 0))
    progress.seen({LINE: 8})
    assert done(progress) == 5
    progress.stored("image", 1)
    assert done(progress) == 6
    progress.close_window(("trades", 0), {})
    assert done(progress) == 8


def test_a_second_version_of_a_ledger_row_does_not_let_go_of_the_first() -> None:
    progress = after(5, 6)
    progress.hold_document("row", 0)
    progress.seen({LINE: 7})
    progress.hold_document("row", 1)
    progress.seen({LINE: 8})
    progress.stored("row", 0)
    assert done(progress) == 5
    progress.stored("row", 1)
    assert done(progress) == 8


def test_another_run_opens_its_windows_anew_and_still_waits_for_documents() -> None:
    progress = after(5, 6)
    progress.open_window(("trades", 0))
    progress.seen({LINE: 7})
    progress.hold_document("image", 1)
    progress.begin({LINE: 7})
    assert done(progress) == 6
    progress.stored("image", 1)
    assert done(progress) == 7


def test_each_line_has_its_own() -> None:
    progress = Progress()
    progress.seen({"a/a": 1, "a/b": 1})
    progress.seen({"a/a": 2, "a/b": 1})
    progress.hold_document("d", 1)
    progress.seen({"a/a": 3, "a/b": 3})
    assert progress.done() == {"a/a": 1, "a/b": 1}
