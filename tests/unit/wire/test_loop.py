"""The loop calls back what is readable, what is due and what was posted, and ends when told."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from wire.loop import CannotRun, Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    made.once(20, lambda: pytest.fail("the loop was not stopped"))
    yield made
    if not made.context.closed:
        made.close()


def test_messages_arrive_in_order(loop: Loop) -> None:
    pull = loop.socket(zmq.PULL, bind="inproc://here")
    push = loop.socket(zmq.PUSH, connect="inproc://here")
    got: list[bytes] = []

    def take() -> None:
        got.append(pull.recv())
        if len(got) == 3:
            loop.stop()

    loop.on_readable(pull, take)
    for each in (b"1", b"2", b"3"):
        push.send(each)
    loop.run()
    assert got == [b"1", b"2", b"3"]


def test_a_timer_comes_again_and_a_cancelled_one_never(loop: Loop) -> None:
    calls: list[str] = []
    loop.every(0.001, lambda: calls.append("no")).cancel()
    loop.every(0.002, lambda: calls.append("yes") or (len(calls) == 3 and loop.stop()))
    loop.run()
    assert calls == ["yes"] * 3


def test_a_late_timer_is_called_once_and_not_for_each_time_missed(loop: Loop) -> None:
    calls: list[str] = []

    def block() -> None:
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            pass

    loop.every(0.005, lambda: calls.append("tick"))
    loop.once(0, block)
    loop.once(0.051, loop.stop)
    loop.run()
    assert 1 <= len(calls) <= 2


def test_an_idle_callback_turns_the_loop_until_it_has_nothing_to_do(loop: Loop) -> None:
    left = [5]

    def work() -> bool:
        left[0] -= 1
        if not left[0]:
            loop.stop()
        return left[0] > 0

    loop.idle(work)
    loop.post(lambda: None)
    loop.run()
    assert left == [0]


def test_another_thread_may_post_and_stop(loop: Loop) -> None:
    seen: list[str] = []

    def other() -> None:
        loop.post(lambda: seen.append(threading.current_thread().name))
        loop.post(loop.stop)

    thread = threading.Thread(target=other)
    thread.start()
    loop.run()
    thread.join()
    assert seen == [threading.main_thread().name]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(loop: Loop, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    loop.once(0, lambda: os.kill(os.getpid(), number))
    loop.run()
    loop.close()
    assert signal.getsignal(number) is before


def test_a_signal_before_it_runs_is_not_lost(loop: Loop) -> None:
    loop.catch_signals()
    os.kill(os.getpid(), signal.SIGTERM)
    loop.run()


def test_a_socket_that_is_off_is_not_called_and_a_writable_one_is(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    calls: list[str] = []

    def write() -> None:
        calls.append("write")
        loop.off_writable(ours.fileno())
        theirs.send(b"x")

    def read() -> None:
        calls.append("read")
        loop.off(ours.fileno())
        loop.once(0.01, loop.stop)

    loop.on_readable(ours.fileno(), read)
    loop.on_writable(ours.fileno(), write)
    loop.run()
    assert calls == ["write", "read"]
    ours.close()
    theirs.close()


def test_a_busy_port_is_said(loop: Loop) -> None:
    taken = loop.context.socket(zmq.PULL)
    port = taken.bind_to_random_port("tcp://127.0.0.1")
    with pytest.raises(CannotRun, match=rf"{port}.*in use"):
        loop.socket(zmq.PULL, bind=f"tcp://127.0.0.1:{port}")
    taken.close()


def test_closing_does_not_wait_for_a_peer_that_never_comes() -> None:
    alone = Loop()
    push = alone.socket(zmq.PUSH, connect="ipc:///nonexistent/peer", linger_ms=50)
    push.send(b"for nobody")
    began = time.monotonic()
    alone.close()
    assert time.monotonic() - began < 1
