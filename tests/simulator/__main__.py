"""Start the simulated exchanges: ``python -m tests.simulator --binance-port 0 --coinbase-port 0``."""

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Sequence

from aiohttp import web

from tests.simulator.binance_server import BinanceServer
from tests.simulator.binance_source import SyntheticBinance
from tests.simulator.coinbase_rules import Account
from tests.simulator.coinbase_server import CoinbaseServer
from tests.simulator.coinbase_source import SyntheticCoinbase
from tests.simulator.control import ControlPlane, Server, rest_faults
from tests.simulator.firehose import LOADS, Firehose
from tests.simulator.recording import read, venue_of
from tests.simulator.replay import BinanceReplay, CoinbaseReplay
from tests.simulator.source import BinanceSource, CoinbaseSource

HOST = "127.0.0.1"
_PR_SET_PDEATHSIG = 1


def arguments() -> argparse.ArgumentParser:
    """Return what the command line takes."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    add = parser.add_argument
    add("--binance-port", type=int, default=0, help="0 picks one")
    add("--coinbase-port", type=int, default=0, help="0 picks one")
    add("--seed", type=int, default=1)
    add("--open-since", type=float, default=0.0, metavar="UNIX_S", help="ids go on from then; 0: begin now")
    add("--rate", type=float, default=50.0, help="market events a second and symbol")
    add("--symbols-binance", default="BTCUSDT,ETHUSDT")
    add("--products", default="BTC-USD,ETH-USD")
    add("--levels", type=int, default=0, help="levels a side at the start; 0: 5500 and 3000, others 1500")
    add("--capture", action="append", default=[], metavar="NAME", help="say again a recording; repeatable")
    add("--speed", type=float, default=1.0, help="of a recording: 1 as recorded, 0 as fast as it is taken")
    add("--require-key", default="", metavar="KEY:SECRET:PASSPHRASE", help="secret is base64")
    add("--firehose", choices=sorted(LOADS), help="Binance sends frames made in advance")
    add("--firehose-rate", type=float, default=0.0, help="frames a second; 0 as many as are taken")
    add("--ping-s", type=float, default=20.0, help="between Binance's pings")
    add("--pong-timeout-s", type=float, default=60.0)
    add("--weight-limit", type=int, default=6000, help="of Binance's REST, per minute")
    add("--subscribe-within-s", type=float, default=5.0, help="Coinbase's patience with a new connection")
    add("--stale-ms", type=int, default=0, help="age of every REST book")
    add("--with-parent", action="store_true", help="end when the parent does: no orphan keeps the ports")
    return parser


def account(text: str) -> Account | None:
    """Return the account of ``KEY:SECRET:PASSPHRASE``, None for an empty text.

    Raises:
        ValueError: a part is missing.
    """
    if not text:
        return None
    parts = text.split(":")
    if len(parts) != 3 or not all(parts):
        raise ValueError("--require-key takes KEY:SECRET:PASSPHRASE")
    return Account(*parts)


def _levels(asked: int, first: int, count: int) -> list[int]:
    return [asked or (1500 if i else first) for i in range(count)]


def sources(options: argparse.Namespace) -> tuple[BinanceSource, CoinbaseSource]:
    """Return what the two exchanges say."""
    start_ns = time.time_ns()
    captures: dict[str, list[str]] = {"binance": [], "coinbase": []}
    for name in options.capture:
        captures.setdefault(venue_of(name), []).append(name)
    strange = set(captures) - {"binance", "coinbase"}
    if strange:
        raise ValueError(f"no captures of {', '.join(sorted(strange))}: only of binance and coinbase")
    symbols = [symbol for symbol in options.symbols_binance.upper().split(",") if symbol]
    products = [product for product in options.products.upper().split(",") if product]
    open_for_s = int(start_ns / 10**9 - options.open_since) if options.open_since else 0
    flow = {"rate": options.rate, "start_ns": start_ns, "open_for_s": open_for_s}
    binance: BinanceSource
    if captures["binance"]:
        binance = BinanceReplay(read(captures["binance"]), options.speed)
    elif options.firehose:
        binance = Firehose(options.firehose, options.firehose_rate, options.seed, start_ns)
    else:
        levels = _levels(options.levels, 5500, len(symbols))
        binance = SyntheticBinance(symbols, options.seed, levels=levels, **flow)
    coinbase: CoinbaseSource
    if captures["coinbase"]:
        coinbase = CoinbaseReplay(read(captures["coinbase"]), options.speed)
    else:
        levels = _levels(options.levels, 3000, len(products))
        coinbase = SyntheticCoinbase(products, options.seed, levels=levels, **flow)
    return binance, coinbase


async def _listen(server: Server, servers: dict[str, Server], port: int) -> tuple[web.AppRunner, int]:
    app = web.Application(middlewares=[rest_faults(server)])
    app.add_routes([*server.routes(), *ControlPlane(server, servers).routes()])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, HOST, port)
    await site.start()
    return runner, int(runner.addresses[0][1])


async def serve(options: argparse.Namespace) -> None:
    """Listen, say so in one line of JSON, and serve until SIGTERM or SIGINT."""
    binance, coinbase = sources(options)
    servers: dict[str, Server] = {
        "binance": BinanceServer(
            binance,
            ping_s=options.ping_s,
            pong_timeout_s=options.pong_timeout_s,
            weight_limit=options.weight_limit,
            stale_ms=options.stale_ms,
        ),
        "coinbase": CoinbaseServer(
            coinbase,
            account=account(options.require_key),
            subscribe_within_s=options.subscribe_within_s,
            stale_ms=options.stale_ms,
        ),
    }
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    ports = {"binance": options.binance_port, "coinbase": options.coinbase_port}
    runners: list[web.AppRunner] = []
    for venue, server in servers.items():
        runner, ports[venue] = await _listen(server, servers, ports[venue])
        runners.append(runner)
    print(json.dumps({"binance_port": ports["binance"], "coinbase_port": ports["coinbase"]}), flush=True)
    pumps = [asyncio.create_task(server.hub.run()) for server in servers.values()]
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait([waiting, *pumps], return_when=asyncio.FIRST_COMPLETED)
    for server in servers.values():
        for connection in list(server.hub.connections.values()):
            connection.abort()
    for runner in runners:
        await runner.cleanup()
    for task in done:
        task.result()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program."""
    parent = os.getppid()
    options = arguments().parse_args(argv)
    if options.with_parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before it could be watched
            return 1
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(serve(options))
        except (ValueError, OSError) as bad:
            print(f"simulator: {bad}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
