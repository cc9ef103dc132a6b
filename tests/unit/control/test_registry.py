"""The desired state changes only by what was asked, one version at a time, and survives its file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import registry
from control.registry import EMPTY, Change, Corrupt, TooMany, UnknownSecurity
from wire.messages import Beat, Desired, Policy, Wanted, pack

WINDOW_NS = 10_000_000_000
symbols = st.sampled_from([f"binance:S{i}" for i in range(6)])
steps = st.lists(st.tuples(st.sampled_from(["add", "remove"]), symbols))


def recorded(*securities: str) -> Desired:
    return registry.add(EMPTY, list(securities), Policy(), 1)


@given(steps)
def test_the_set_is_what_the_steps_say_and_each_real_change_is_one_version(
    script: list[tuple[str, str]],
) -> None:
    desired, model = EMPTY, dict[str, None]()
    for step, security in script:
        before = desired.version
        if step == "add":
            desired = registry.add(desired, [security], Policy(), 1)
        elif security in model:
            desired = registry.remove(desired, security)
        else:
            with pytest.raises(UnknownSecurity):
                registry.remove(desired, security)
        changed = (step == "add") != (security in model)
        model[security] = None
        if step == "remove":
            del model[security]
        assert desired.version == before + changed
        assert registry.names(desired) == list(model)


@given(steps)
def test_the_file_holds_the_whole_state(script: list[tuple[str, str]]) -> None:
    desired = registry.add(EMPTY, [security for _, security in script], Policy(1000), 7)
    assert registry.from_bytes(registry.to_bytes(desired)) == desired


@given(st.binary())
def test_garbage_in_the_file_is_said(data: bytes) -> None:
    with pytest.raises(Corrupt):
        registry.from_bytes(data)


def test_another_message_in_the_file_is_said() -> None:
    with pytest.raises(Corrupt):
        registry.from_bytes(pack(Beat("book-0", 1, 1, {})))


def test_adding_again_goes_on_with_the_same_recording() -> None:
    first = recorded("binance:A")
    assert registry.add(first, ["binance:A"], Policy(1000), 99) is first


def test_removing_and_adding_is_a_recording_of_its_own() -> None:
    again = registry.add(registry.remove(recorded("binance:A"), "binance:A"), ["binance:A"], Policy(), 99)
    assert again == Desired(3, (Wanted("binance:A", (Policy(),), 99),))


def test_too_many_are_refused_as_a_whole() -> None:
    with pytest.raises(TooMany):
        registry.add(EMPTY, [f"binance:S{i}" for i in range(registry.MAX_SECURITIES + 1)], Policy(), 1)


def test_a_policy_begins_two_windows_after_the_newest() -> None:
    assert registry.first_window_ns(25 * WINDOW_NS + 3, WINDOW_NS) == 27 * WINDOW_NS


def test_a_policy_keeps_what_it_does_not_name_and_the_ones_before_it() -> None:
    one = registry.with_policy(recorded("binance:A"), "binance:A", Change(1000), 5 * WINDOW_NS)
    two = registry.with_policy(one, "binance:A", Change(images_s=60), 9 * WINDOW_NS)
    assert registry.find(two, "binance:A").policies == (
        Policy(0, 0, 0),
        Policy(1000, 0, 5 * WINDOW_NS),
        Policy(1000, 60, 9 * WINDOW_NS),
    )


def test_order_ids_may_be_kept_or_not_from_a_window_on() -> None:
    one = registry.with_policy(recorded("binance:A"), "binance:A", Change(order_ids=False), 5 * WINDOW_NS)
    two = registry.with_policy(one, "binance:A", Change(order_ids=True), 9 * WINDOW_NS)
    assert registry.with_policy(two, "binance:A", Change(order_ids=True), 11 * WINDOW_NS) is two
    policies = registry.find(two, "binance:A").policies
    assert [(policy.order_ids, policy.from_ns // WINDOW_NS) for policy in policies] == [
        (True, 0),
        (False, 5),
        (True, 9),
    ]
    assert [registry.orders_text(policy) for policy in policies] == ["full", "noids", "full"]


def test_a_policy_for_a_window_that_has_one_replaces_it() -> None:
    one = registry.with_policy(recorded("binance:A"), "binance:A", Change(1000), 5 * WINDOW_NS)
    two = registry.with_policy(one, "binance:A", Change(100), 5 * WINDOW_NS)
    assert registry.find(two, "binance:A").policies == (Policy(0, 0, 0), Policy(100, 0, 5 * WINDOW_NS))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=40))
def test_policies_stay_in_order_and_bounded(changes: list[tuple[int, int]]) -> None:
    desired = recorded("binance:A")
    for every_ms, window in changes:
        desired = registry.with_policy(desired, "binance:A", Change(every_ms), window * WINDOW_NS)
    starts = [policy.from_ns for policy in registry.find(desired, "binance:A").policies]
    assert starts == sorted(set(starts))
    assert 1 <= len(starts) <= registry.MAX_POLICIES


def test_a_difference_to_the_setting_is_said_in_one_line() -> None:
    assert registry.difference(recorded("binance:A"), ("binance:A",)) == ""
    assert registry.difference(recorded("binance:A"), ("binance:B",)) == (
        "not recorded: binance:B; recorded besides: binance:A"
    )
