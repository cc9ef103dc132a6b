"""What `make soak` calls flat."""

from control.restarting import DATABASE
from tests.soak.life import DATABASE_BYTES, SLACK_BYTES, memory_of

MIB = 1 << 20


def test_a_process_that_grows_after_its_first_third_is_not_flat() -> None:
    warm = [50 * MIB + n * MIB for n in range(30)]
    assert memory_of([*warm, *[80 * MIB] * 60]).is_bounded("book-0")
    assert not memory_of([50 * MIB + n * MIB for n in range(90)]).is_bounded("book-0")
    step = int(80 * MIB * 1.1) + SLACK_BYTES
    assert memory_of([*[80 * MIB] * 60, *[step] * 30]).is_bounded("book-0")
    assert not memory_of([*[80 * MIB] * 60, *[step + MIB] * 30]).is_bounded("book-0")


def test_the_database_may_fill_its_cache() -> None:
    assert memory_of([n * MIB for n in range(90)]).is_bounded(DATABASE)
    assert not memory_of([MIB, MIB, DATABASE_BYTES + MIB]).is_bounded(DATABASE)
