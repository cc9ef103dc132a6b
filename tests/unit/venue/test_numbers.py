"""Decimal text becomes the exact integer of its scale, or is refused for the right reason."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venue.decimals import MAX_SCALE, BadNumber, scale_of, text
from venue.numbers import (
    COMPILED,
    LARGEST,
    Finer,
    Int64s,
    TooLarge,
    at_scale,
    exact,
    plain_at_scale,
    plain_exact,
    rescale,
)
from wire.runs import ABSENT

WRONG = [
    "NaN",
    "Infinity",
    "-1",
    "",
    "1e5",
    "+1",
    " 1",
    "1 ",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "1,2",
    "1.2.3",
    ".5",
    "5.",
    ".",
    "1_0",
]
WRONG += ["0x1", "1\n", "²", "-0", "1.-2", ",", "1..2", "\x00", "1\x00", "12.3,4", "\ud800", "1\ud800"]

scales = st.integers(0, MAX_SCALE)
digits = st.text("0123456789", min_size=1, max_size=12)
numbers = st.one_of(digits, st.tuples(digits, digits).map(".".join))
uniform = st.tuples(st.integers(1, 9), st.integers(8, 200)).flatmap(
    lambda drawn: st.lists(
        st.tuples(digits, st.text("0123456789", min_size=drawn[0], max_size=drawn[0])).map(".".join),
        min_size=drawn[1],
        max_size=drawn[1] + 5,
    )
)
batches = st.one_of(st.lists(numbers, max_size=100), uniform)


def expected(texts: Sequence[str], scale: int) -> list[int] | type[Exception] | tuple[type[Exception], int]:
    """Compute the same by the decimal module, whose precision is no limit to a fraction."""
    values = [Fraction(Decimal(each)) for each in texts]
    needed = max((scale_of(each) for each in texts), default=0)
    if needed > MAX_SCALE:
        return TooLarge
    if needed > scale:
        return Finer, needed
    scaled = [value * 10**scale for value in values]
    return TooLarge if max(scaled, default=Fraction(0)) > LARGEST else [int(value) for value in scaled]


Convert = Callable[[Sequence[str], int], Int64s]
BOTH = pytest.mark.parametrize("convert", [exact, plain_exact])


def outcome(
    convert: Convert, texts: Sequence[str], scale: int
) -> list[int] | type[Exception] | tuple[type[Exception], int]:
    try:
        numbers = convert(texts, scale)
    except Finer as finer:
        return Finer, finer.scale
    except TooLarge:
        return TooLarge
    assert numbers.dtype == np.int64
    return [int(number) for number in numbers]


@BOTH
@given(batches, scales)
def test_numbers_are_exact_or_refused_as_the_decimal_module_says(
    convert: Convert, texts: list[str], scale: int
) -> None:
    assert outcome(convert, texts, scale) == expected(texts, scale)


@BOTH
@given(st.lists(st.text("0123456789", min_size=15, max_size=25), min_size=1, max_size=70), scales)
def test_long_numbers_never_wrap(convert: Convert, texts: list[str], scale: int) -> None:
    assert outcome(convert, texts, scale) == expected(texts, scale)


@BOTH
@pytest.mark.parametrize("good", [[], ["1.5"] * 20, ["1.50000000"] * 200, ["1", "2.5"] * 50])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_number_is_refused_wherever_it_stands(
    convert: Convert, wrong: str, good: list[str]
) -> None:
    for texts in ([wrong, *good], [*good, wrong]):
        with pytest.raises(BadNumber):
            convert(texts, 8)


@BOTH
@given(st.lists(st.one_of(numbers, st.text(max_size=4)), max_size=80))
def test_any_text_is_a_number_or_refused(convert: Convert, texts: list[str]) -> None:
    good = all(
        each.isascii() and each.replace(".", "", 1).isdigit() and each[0] != "." != each[-1] for each in texts
    )
    if good:
        assert outcome(convert, texts, 18) == expected(texts, 18)
    else:
        with pytest.raises(BadNumber):
            convert(texts, 18)


@BOTH
@pytest.mark.parametrize("count", [1, 10, 100])
def test_trailing_zeros_never_make_a_number_finer(convert: Convert, count: int) -> None:
    assert convert(["1.50000000"] * count, 1).tolist() == [15] * count


@BOTH
@pytest.mark.parametrize("count", [0, 9, 100])
def test_finer_names_the_scale_that_all_of_the_batch_needs(convert: Convert, count: int) -> None:
    with pytest.raises(Finer) as raised:
        convert(["1.50000000"] * count + ["0.12345000", "0.12300000"], 2)
    assert raised.value.scale == 5


@BOTH
def test_the_largest_number_of_64_bits_fits_and_the_next_does_not(convert: Convert) -> None:
    assert convert(["9223372036854775807"], 0).tolist() == [LARGEST]
    assert convert(["9.223372036854775807"], 18).tolist() == [LARGEST]
    with pytest.raises(TooLarge):
        convert(["9223372036854775808"], 0)


@BOTH
@pytest.mark.parametrize("count", [1, 10, 100])
def test_a_number_that_only_its_scale_makes_too_large_is_refused(convert: Convert, count: int) -> None:
    with pytest.raises(TooLarge):
        convert(["1.0"] * count + ["9300000000.0"], 9)


@BOTH
def test_more_decimals_than_64_bits_hold_are_too_large_at_any_scale(convert: Convert) -> None:
    with pytest.raises(TooLarge):
        convert(["0.0000000000000000001"], 2)


@BOTH
def test_an_absurdly_long_number_is_refused_at_once(convert: Convert) -> None:
    with pytest.raises(TooLarge):
        convert(["9" * 1_000_000], 8)
    assert convert(["0" * 10_000 + "7"], 1).tolist() == [70]


@BOTH
def test_no_texts_give_no_numbers(convert: Convert) -> None:
    assert convert([], 3).tolist() == []


@given(st.integers(-LARGEST, LARGEST), scales)
def test_text_is_the_shortest_decimal_and_means_the_same(value: int, scale: int) -> None:
    written = text(value, scale)
    assert Decimal(written).scaleb(scale) == value or Fraction(Decimal(written)) * 10**scale == value
    assert "e" not in written.lower()
    assert "." not in written or written[-1] not in "0."


@BOTH
@given(st.integers(0, LARGEST), scales)
def test_text_and_exact_are_inverses(convert: Convert, value: int, scale: int) -> None:
    assert convert([text(value, scale)], scale).tolist() == [value]


@given(
    st.lists(st.integers(-(10**9), 10**9) | st.just(ABSENT), max_size=30),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_a_finer_scale_and_back_changes_nothing(values: list[int], coarse: int, more: int) -> None:
    column = np.array(values, np.int64)
    finer = rescale(column, coarse, coarse + more)
    assert [v if v == ABSENT else v * 10**more for v in values] == finer.tolist()
    assert rescale(finer, coarse + more, coarse).tolist() == values


def test_rescaling_refuses_what_it_would_round_or_wrap() -> None:
    with pytest.raises(Finer) as raised:
        rescale(np.array([1500, 1250], np.int64), 3, 1)
    assert raised.value.scale == 2
    with pytest.raises(TooLarge):
        rescale(np.array([LARGEST // 10 + 1], np.int64), 0, 1)
    with pytest.raises(TooLarge):
        rescale(np.array([0], np.int64), 0, MAX_SCALE + 1)


@pytest.mark.skipif(not COMPILED, reason="the loops are not compiled here: make install says why")
@given(
    st.lists(st.one_of(st.integers(0, 10**18 - 1), st.integers(0, 50).map(lambda n: n * 10**9)), max_size=5),
    st.integers(0, 17),
    st.integers(0, 18),
)
def test_numbers_come_to_a_scale_as_without_the_loops(values: list[int], decimals: int, scale: int) -> None:
    column = np.array(values, np.int64)
    found, plain = (
        at_scale(column, decimals, scale),
        plain_at_scale(column, decimals, scale),
    )
    assert (found is None) == (plain is None)
    assert found is None or plain is None or found.tolist() == plain.tolist()
