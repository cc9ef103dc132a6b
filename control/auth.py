"""Who may command: one shared key, turned into a CURVE key pair for each side.

    secret of the server   scrypt(key, salt "order-book-logger/server", n=32768, r=8, p=1) -> 32 bytes
    secret of the client   scrypt(key, salt "order-book-logger/client", n=32768, r=8, p=1) -> 32 bytes

Whoever has the key can compute both, so each side knows the other's public key: the server lets in
that one client key, the client talks to that one server.  Nothing secret ever crosses the network.
"""

import functools
import hashlib
import threading
from typing import NamedTuple

import zmq
from zmq.utils import z85

_N, _R, _P = 32768, 8, 1
_SECRET_BYTES = 32
_SCRYPT_BYTES = 64 << 20
"""scrypt needs 128 * n * r = 32 MiB and a little; OpenSSL allows exactly 32 MiB unless told."""

_SIDES = ("server", "client")

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
_ZAP_FRAMES = 7
"""version, request id, domain, address, identity, mechanism, the client's public key."""


class KeyPair(NamedTuple):
    """A CURVE key pair as ZeroMQ takes it (Z85, 40 characters each)."""

    public: bytes
    secret: bytes


class Keys(NamedTuple):
    """Both sides' pairs."""

    server: KeyPair
    client: KeyPair


@functools.lru_cache(maxsize=4)
def derive(key: str) -> Keys:
    """Return the key pairs that belong to *key* (0.1 s of CPU a side, both at once, once a process)."""
    pairs: dict[str, KeyPair] = {}

    def work(side: str) -> None:
        salt = f"order-book-logger/{side}".encode()
        secret = hashlib.scrypt(
            key.encode(errors="surrogateescape"),
            salt=salt,
            n=_N,
            r=_R,
            p=_P,
            maxmem=_SCRYPT_BYTES,
            dklen=_SECRET_BYTES,
        )
        text = z85.encode(secret)
        pairs[side] = KeyPair(zmq.curve_public(text), text)

    other = threading.Thread(target=work, args=(_SIDES[1],))
    other.start()
    work(_SIDES[0])
    other.join()
    return Keys(pairs["server"], pairs["client"])


def zap_answer(frames: list[bytes], allowed: bytes) -> list[bytes]:
    """Return the answer to a ZAP request (RFC 27): 200 for the public key *allowed* (Z85), else 400."""
    request = frames[1] if len(frames) > 1 else b""
    curve = len(frames) == _ZAP_FRAMES and frames[0] == b"1.0" and frames[5] == b"CURVE"
    if curve and frames[6] == z85.decode(allowed):
        return [b"1.0", request, b"200", b"OK", b"obl", b""]
    return [b"1.0", request, b"400", b"not the key", b"", b""]
