"""The whole logger as real processes at a real rate: CPU for each frame, and how long to the live tap.

The simulator sends 5,000 small frames a second of 200 securities; the logger runs under supervisord with its
embedded database.  CPU is that of the pipeline's processes from proc(5), the database's beside it.  Then some
securities are tapped: from ``recv_time`` to this process, which shares the machine.  The floor is decoded
twice a second meanwhile; the bar of the CPU moves with it (tests.bench.pace), those of the delays do not.
"""

import time
from datetime import datetime

import msgpack
import zmq

from tests.bench.figures import Figure
from tests.bench.pace import bar_us, floor_us
from tests.bench.stages import cpu_of
from tests.bench.whole import LOOK_S, status, whole
from tests.simulator.process import Simulator
from tests.system.running import Logger
from wire.endpoints import Endpoints
from wire.names import bucket_of
from wire.settings import load_settings

RATE = 5_000
SYMBOLS = [f"S{number:03d}USDT" for number in range(200)]
SECONDS = 15.0
TAPPED = SYMBOLS[::25]
"""Eight whose frames do not come one after the other, or each would wait for those before it."""

HEARD_S = 2.0
"""Until a subscription is known, and what waited before that was said."""

READY_SECONDS = 150.0
"""200 snapshots of the venue's weight limit take a minute."""

MOST_US = 50.0
"""At the default linger, where the floor is ``pace.SET_AT_US``; what no linger costs is only shown."""

LINGERS = ((5, MOST_US, 8.0, 25.0), (0, None, 1.0, 5.0))
"""PUBLISH_LINGER_MS, and the most that CPU (us a frame), p50 and p99 (ms) are to be."""


def measure(seconds: float = SECONDS) -> list[Figure]:
    """Return the figures at the default linger and at none."""
    return [figure for linger in LINGERS for figure in _with_linger(*linger, seconds)]


def _with_linger(
    linger_ms: int, most_us: float | None, most_p50: float, most_p99: float, seconds: float
) -> list[Figure]:
    load = ("--firehose", "small", "--firehose-rate", str(RATE), "--weight-limit", "1000000")
    securities = [f"binance:{symbol}" for symbol in SYMBOLS]
    settings = {"PUBLISH_LINGER_MS": str(linger_ms), "AUDIT_SECONDS": "600"}
    with whole(*load, securities=securities, **settings) as (logger, simulator):
        logger.start()
        live = _until_live(logger)
        spent, rate, floor = _cpu(logger, simulator, seconds)
        delays = _delays(logger, seconds)
    database_us = sum(us for process, us in spent.items() if "database" in process)
    pipeline_us = sum(spent.values()) - database_us
    bar = None if most_us is None else bar_us(most_us, floor)
    each = ", ".join(f"{process} {us:.1f}" for process, us in spent.items())
    came = f"{live} of {len(SYMBOLS)} books live, {rate:,.0f} frames/s came"
    note = f"linger {linger_ms} ms: {came}; us a frame: {each}"
    name, beside = f"linger {linger_ms} ms", ("floor, a level change", floor)
    return [
        Figure(f"{name}: pipeline", pipeline_us, "us CPU a frame", *beside, bar=bar, note=note),
        Figure(f"{name}: database", database_us, "us CPU a frame"),
        Figure(f"{name}: receive to tap, p50", _quantile(delays, 0.5), "ms", bar=most_p50),
        Figure(f"{name}: receive to tap, p99", _quantile(delays, 0.99), "ms", bar=most_p99),
    ]


def _until_live(logger: Logger) -> int:
    """Return how many books are live, after all are or ``READY_SECONDS``."""
    deadline, live = time.monotonic() + READY_SECONDS, 0
    while live < len(SYMBOLS) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        live = sum(row["state"] == "live" for row in status(logger).get("securities", ()))
    return live


def _cpu(logger: Logger, simulator: Simulator, seconds: float) -> tuple[dict[str, float], float, float]:
    """Return microseconds for each frame that came, by process, the frames a second, and the floor."""
    pids = logger.pids()

    def seen() -> tuple[dict[str, float], int, float]:
        spent = {name: cpu_of(pid) for name, pid in pids.items()}
        frames = int(simulator.truth_range("binance", SYMBOLS[0])["frames"])
        return spent, frames, time.monotonic()

    before, frames_before, started = seen()
    floor = floor_us(seconds)
    after, frames_after, ended = seen()
    frames = frames_after - frames_before
    if not frames:
        raise RuntimeError(f"the simulator sent nothing in {seconds} s: {logger.logs()[-2000:]}")
    spent = {name: 1e6 * (after[name] - before[name]) / frames for name in pids}
    return spent, frames / (ended - started), floor


def _delays(logger: Logger, seconds: float) -> list[float]:
    """Return the milliseconds from receiving to here of each update of some securities."""
    endpoints = Endpoints(load_settings(logger.environment))
    context, heard = zmq.Context(), list[tuple[int, bytes]]()
    tap = context.socket(zmq.SUB)
    for symbol in TAPPED:
        tap.connect(endpoints.tap(bucket_of(f"binance:{symbol}")))
        tap.subscribe(f"binance:{symbol}|".encode())
    started = time.monotonic() + HEARD_S
    while (left := started + seconds - time.monotonic()) > 0:
        if not tap.poll(int(1000 * left) + 1):
            continue
        body, now_ns = tap.recv_multipart()[1], time.time_ns()
        if time.monotonic() >= started:
            heard.append((now_ns, body))
    context.destroy(linger=0)
    # (read afterwards: it would keep the next one waiting)
    said = [(now_ns, msgpack.unpackb(body)) for now_ns, body in heard]
    return [(now_ns - _time_ns(one["recv_time"])) / 1e6 for now_ns, one in said if one["type"] == "changes"]


def _time_ns(text: str) -> int:
    whole, _, rest = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 10**9 + int(rest.ljust(9, "0") or 0)


def _quantile(values: list[float], share: float) -> float:
    """Return the value below which *share* of *values* lie; infinite where there are none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("inf")
