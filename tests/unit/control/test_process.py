"""A real control process keeps its word over CURVE, crashes and garbage."""

import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
import zmq

from control.auth import derive
from control.client import Client, Failed, NoConnection, WrongKey
from tests.unit.control.running import DEADLINE_MS, Control, Installation, Peer, free_port
from wire.messages import Desired

A = "binance:BTCUSDT"
NEW = "binance:ETHUSDT"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.close()


@pytest.fixture
def control(here: Installation) -> Control:
    return here.start()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Give one that runs, for the tests that leave it as it was."""
    made = Installation(tmp_path_factory.mktemp("shared"))
    made.first_lines = made.start().lines
    yield made
    made.close()


def test_the_first_start_records_the_setting_and_makes_a_private_key(shared: Installation) -> None:
    with shared.client() as client:
        assert [row["security"] for row in client.call("listSecurities")] == [A]
        assert client.call("connectionTest")["pong"] is True
    mode = (shared.data_dir / "secrets" / "manager_key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert shared.key() not in "".join(shared.first_lines)


def test_a_wrong_key_is_told_within_three_seconds(shared: Installation) -> None:
    began = time.monotonic()
    with pytest.raises(WrongKey, match="MANAGER_AUTHKEY"):
        Client("127.0.0.1", shared.port, "another key")
    assert time.monotonic() - began < 3
    with shared.client() as client:
        assert client.call("ping")


def test_the_servers_key_alone_does_not_let_a_stranger_in(shared: Installation) -> None:
    public, secret = zmq.curve_keypair()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.curve_serverkey = derive(shared.key()).server.public
    stranger.curve_publickey, stranger.curve_secretkey = public, secret
    monitor = stranger.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    stranger.connect(f"tcp://127.0.0.1:{shared.port}")
    assert monitor.poll(DEADLINE_MS)
    event = int.from_bytes(monitor.recv_multipart()[0][:2], "little")
    stranger.disable_monitor()
    context.destroy(0)
    assert event == zmq.EVENT_HANDSHAKE_FAILED_AUTH


def test_a_client_without_encryption_is_not_let_in(shared: Installation) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    plain = context.socket(zmq.DEALER)
    refused = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    refused |= zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    monitor = plain.get_monitor_socket(refused | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    plain.connect(f"tcp://127.0.0.1:{shared.port}")
    plain.send(msgpack.packb({"id": 1, "command": "terminate"}))
    assert monitor.poll(DEADLINE_MS)
    event = int.from_bytes(monitor.recv_multipart()[0][:2], "little")
    plain.disable_monitor()
    context.destroy(0)
    assert event & refused
    with shared.client() as client:
        assert client.call("ping")


def test_where_nobody_listens_is_told_within_three_seconds() -> None:
    began = time.monotonic()
    with pytest.raises(NoConnection, match="make run"):
        Client("127.0.0.1", free_port(), "key")
    assert time.monotonic() - began < 3


def test_the_set_survives_kill_9_and_a_difference_to_the_setting_is_said(
    here: Installation, control: Control
) -> None:
    with Peer(here, "ingest-binance-a") as line, here.client() as client:
        line.beat({"securities": {NEW: {"state": "subscribed"}}})
        assert [row["ok"] for row in client.call("addSecurity", {"security": "ethusdt"})] == [True]
    control.end(signal.SIGKILL)
    again = here.start()
    with here.client() as client:
        assert [row["security"] for row in client.call("list")] == [A, NEW]
    assert f"recorded besides: {NEW}" in "".join(again.lines)


def test_a_change_that_the_disk_refuses_is_answered_so_and_changes_nothing(
    here: Installation, control: Control
) -> None:
    aside = here.data_dir / "control" / "desired.new"
    aside.mkdir()  # what cannot be written to, even by root
    with here.client() as client:
        for command, args in (("add", {"securities": [NEW]}), ("remove", {"security": A})):
            with pytest.raises(Failed, match="nothing was changed, the disk of DATA_DIR refuses it"):
                client.call(command, args)
        assert [row["security"] for row in client.call("list")] == [A]
        aside.rmdir()
        client.call("remove", {"security": A})
        assert client.call("list") == []


def test_a_change_is_published_at_once_with_a_new_version(here: Installation, control: Control) -> None:
    with Peer(here, "book-0") as peer, here.client() as client:
        first = peer.desired()
        assert isinstance(first, Desired)
        client.call("remove", {"security": A})
        seen = peer.desired()
        while seen == first:
            seen = peer.desired()
        assert seen == Desired(first.version + 1, ())


def test_a_book_is_fetched_from_its_maintainer(shared: Installation) -> None:
    with Peer(shared, "book-0") as book, shared.client() as client:
        book.beat({"securities": {}})
        while client.call("processes")[2]["state"] == "starting":
            pass  # its first beat is on the way

        def serve() -> None:
            asked = book.request()
            book.reply(asked, {"security": asked.args["security"], "bids": [["1", "2"]]})

        server = threading.Thread(target=serve)
        server.start()
        answer = client.call("retrieveCurrentOrderbook", {"security": "btcusdt", "depth": 1})
        server.join()
        assert answer == {"security": A, "bids": [["1", "2"]]}


def test_garbage_is_answered_and_disturbs_nobody(shared: Installation) -> None:
    with Peer(shared, "book-0") as peer, shared.client() as client:
        peer.send(b"\xc1garbage")
        for command, code in (("fly", "unknown_command"), ("add", "bad_argument")):
            with pytest.raises(Failed) as caught:
                client.call(command)
            assert caught.value.code == code
        assert client.call("ping")["pong"]


def test_a_busy_port_is_one_clear_line_and_exit_code_2(shared: Installation, tmp_path: Path) -> None:
    second = shared.popen("-m", "control.process", DATA_DIR=str(tmp_path / "other"))
    out, err = second.communicate(timeout=20)
    assert second.returncode == 2
    assert err == ""
    assert [line for line in out.splitlines() if "level=critical" in line] == out.splitlines()[-1:]
    assert f"MANAGER_PORT={shared.port}" in out


def test_a_broken_file_of_the_desired_state_is_one_clear_line_and_exit_code_2(here: Installation) -> None:
    file = here.data_dir / "control" / "desired.msgpack"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\x00" * 10)
    process = here.popen("-m", "control.process")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "desired.msgpack cannot be read" in out


def test_terminate_stops_the_others_and_then_itself(here: Installation, control: Control) -> None:
    with Peer(here, "book-0") as book, here.client() as client:
        book.beat({})
        while client.call("processes")[2]["state"] == "starting":
            pass
        assert client.call("terminate") == {"stopping": True}
        assert book.request().command == "terminate"
    code, out = control.end()
    assert code == 0
    assert out.splitlines()[-1].endswith("event=stopped")


def test_sigterm_ends_it_with_0(control: Control) -> None:
    assert control.end(signal.SIGTERM)[0] == 0
