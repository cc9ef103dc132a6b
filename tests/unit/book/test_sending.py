"""What waits for a conditioner: one row of the table of book.sending each."""

from book.sending import Queues
from wire.messages import Subscribe, unpack_all
from wire.names import bucket_of
from wire.runs import Mark

ONE, TWO = "binance:BTCUSDT", "binance:ETHUSDT"
A, B = bucket_of(ONE), bucket_of(TWO)


def mark(security: str, number: int) -> Mark:
    return Mark(security, 1, number, {})


def queues() -> Queues:
    made = Queues()
    assert made.subscribed(Subscribe(A, "ipc://x", 1))
    assert made.subscribed(Subscribe(B, "ipc://x", 1))
    return made


def test_what_nobody_subscribed_to_is_dropped() -> None:
    made = Queues()
    made.put(A, [mark(ONE, 0)])
    assert (made.blocked, made.batches()) == (False, [])


def test_all_that_waits_for_one_conditioner_is_one_batch() -> None:
    made = queues()
    made.put(A, [mark(ONE, 0)])
    made.put(B, [mark(TWO, 0)])
    ((endpoint, data),) = made.batches()
    assert (endpoint, unpack_all(data)) == ("ipc://x", [mark(ONE, 0), mark(TWO, 0)])
    assert made.blocked
    made.sent(endpoint)
    assert not made.blocked


def test_the_same_token_again_is_nothing_new() -> None:
    assert not queues().subscribed(Subscribe(A, "ipc://x", 1))


def test_a_new_token_drops_what_waited_for_its_bucket_only() -> None:
    made = queues()
    made.put(A, [mark(ONE, 0)])
    made.put(B, [mark(TWO, 0)])
    assert made.subscribed(Subscribe(A, "ipc://y", 2))
    assert [(e, unpack_all(data)) for e, data in made.batches()] == [("ipc://x", [mark(TWO, 0)])]
    made.put(A, [mark(ONE, 5)])
    assert len(made.batches()) == 2
