"""Both sides make the same keys of one text, and only that client's key is let in."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

from control.auth import derive, zap_answer

KEYS = derive("a key")


def zap(key: bytes, mechanism: bytes = b"CURVE") -> list[bytes]:
    return zap_answer([b"1.0", b"9", b"obl", b"127.0.0.1", b"", mechanism, key], KEYS.client.public)


def test_the_secrets_are_the_scrypt_of_the_design() -> None:
    for side, pair in (("server", KEYS.server), ("client", KEYS.client)):
        salt = f"order-book-logger/{side}".encode()
        secret = hashlib.scrypt(b"a key", salt=salt, n=32768, r=8, p=1, maxmem=1 << 26, dklen=32)
        assert z85.decode(pair.secret) == secret


def test_the_key_pairs_never_change() -> None:
    # pinned: another implementation of design.md 9 must come to the same
    assert KEYS.server.public == b"1{I}-S8uk9P&@%2vPZL:<@%I]&U!zbr1ynTSQLTQ"
    assert KEYS.client.public == b"0kALoSAwSBM@*lJ1P3}^0q-F0ggI&)<m1xv*[olT"


def test_the_one_client_is_let_in() -> None:
    assert zap(z85.decode(KEYS.client.public)) == [b"1.0", b"9", b"200", b"OK", b"obl", b""]


@given(st.binary(max_size=40))
def test_no_other_key_is_let_in(key: bytes) -> None:
    assert zap(key)[2] == b"400"


def test_no_other_mechanism_is_let_in() -> None:
    assert zap(z85.decode(KEYS.client.public), b"PLAIN")[2] == b"400"


@given(st.lists(st.binary(max_size=8), max_size=9))
def test_a_garbled_request_is_turned_away(frames: list[bytes]) -> None:
    assert zap_answer(frames, KEYS.client.public)[2] == b"400"
