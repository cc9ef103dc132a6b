"""Scales are raised, never lowered; nothing is rounded and nothing wraps."""

import pytest

from book.scales import Finer, Refused, Scales, exact, factor, raised, rescaled, until_exact


def test_values_become_exact_integers_of_their_scales() -> None:
    prices, sizes = exact(["1.5", "2.25"], ["3", "0"], Scales(2, 1))
    assert (prices.tolist(), sizes.tolist()) == ([150, 225], [30, 0])


def test_a_finer_value_names_the_scales_that_are_needed() -> None:
    with pytest.raises(Finer) as met:
        exact(["1.125"], ["0.25"], Scales(2, 1))
    assert met.value.scales == Scales(3, 2)


@pytest.mark.parametrize("text", ["NaN", "-1", "1e5", "Infinity", "", "9" * 30, "0." + "1" * 19])
def test_what_is_no_number_or_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        until_exact(Scales(), lambda scales: exact([text], ["1"], scales))


def test_the_lowest_scales_that_fit_are_found() -> None:
    (prices, _), scales = until_exact(Scales(0, 3), lambda at: exact(["1.5"], ["2"], at))
    assert (prices.tolist(), scales) == ([15], Scales(1, 3))


def test_no_scale_is_lowered() -> None:
    assert raised(Scales(2, 5), Scales(4, 1)) == Scales(4, 5)


def test_a_product_beyond_64_bits_is_refused() -> None:
    assert rescaled(2**62, 1) == 2**62
    with pytest.raises(Refused):
        rescaled(2**62, 10)
    with pytest.raises(Refused):
        factor(0, 19)
