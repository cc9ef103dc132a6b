"""The commands that ask the running logger."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ui import show
from ui.exits import BadAnswer, CannotRun

_KEY_FILE = "secrets/manager_key"
_POLL_S = 0.5
_SHOWN_LEVELS = 20
_BACK_S = 30.0
_RESTART_S = 40.0
"""What control allows a process to end, come back and be watched, and some more."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON: an object, or one a line.")]
Securities = Annotated[
    list[str], typer.Argument(metavar="SECURITY...", help="venue:SYMBOL, or - to read them from stdin.")
]


def add(
    securities: Securities,
    as_json: Json = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when all are live.")] = False,
    every: Annotated[str, typer.Option(help="Of new ones: update, or an interval as 1000ms.")] = "",
    images: Annotated[str, typer.Option(help="Of new ones: time between whole-book images, as 600s.")] = "",
    orders: Annotated[str, typer.Option(help="Of new ones at level 3: full, or noids to keep no ids.")] = "",
) -> None:
    """Start to record securities; they stay recorded over restarts."""
    rows = ask("add", {"securities": _named(securities), **_given(every, images, orders)})
    if wait:
        rows = _wait_for_live(rows)
    columns = ["security", "state", "error"]
    _show_rows(rows, as_json, [*columns, "reason"] if any("reason" in row for row in rows) else columns)


def remove(securities: Securities, as_json: Json = False) -> None:
    """Stop to record securities; what is stored stays."""
    rows = ask("remove", {"securities": _named(securities)})
    _show_rows(rows, as_json, ("security", "state", "error"))


def policy(
    securities: Securities,
    every: Annotated[str, typer.Option(help="update, or an interval as 1000ms.")] = "",
    images: Annotated[str, typer.Option(help="Time between whole-book images, as 600s.")] = "",
    orders: Annotated[str, typer.Option(help="Level 3: full, or noids to keep no order ids.")] = "",
    as_json: Json = False,
) -> None:
    """Change how securities are recorded, from a coming window on."""
    rows = ask("policy", {"securities": _named(securities), **_given(every, images, orders)})
    _show_rows(rows, as_json, ("security", "policy", "orders", "images_s", "from", "error"))


def _given(every: str, images: str, orders: str) -> dict[str, Any]:
    """Return the options of a policy that were given."""
    options = (("every", every), ("images", images), ("orders", orders))
    return {name: value for name, value in options if value}


def list_(as_json: Json = False) -> None:
    """Show the securities that are recorded."""
    rows = ask("list")
    if as_json:
        return show.json_lines(rows)
    columns = ["security", "state", "policy", "feed", "since"]
    columns += ["orders"] if any(row.get("orders") == "noids" for row in rows) else []
    columns += ["reason"] if any(row.get("reason") for row in rows) else []
    return show.table(rows, columns, "nothing is recorded: obl add binance:BTCUSDT starts it")


def status(as_json: Json = False) -> None:
    """Show what is recorded, how far behind it is, and the health of everything."""
    answer = ask("status")
    if as_json:
        return show.json_line(answer)
    columns = ["security", "state", "feed", "update_id", "time", "age_s", "lag_s", "gaps_24h"]
    columns += ["bytes_per_change", "audit_pct"]
    columns += ["reason"] if any(row.get("reason") for row in answer["securities"]) else []
    show.table(answer["securities"], columns, "nothing is recorded: obl add binance:BTCUSDT starts it")
    sys.stdout.write("\n")
    show.table(answer["processes"], _PROCESS_COLUMNS, "no process")
    disk, database = answer["disk"], answer["database"]
    days = disk.get("days_left")
    paused = f", NOT RECORDING: {disk['reason']}" if disk.get("reason") else ""
    reached = "reachable" if database["reachable"] else f"NOT REACHABLE {database.get('error', '')}".rstrip()
    sys.stdout.write(
        f"\ndisk      {show.size_text(disk['free_bytes'])} free"
        f"{'' if days is None else f', {days} days until the reserve'}{paused}\n"
        f"database  {reached}, behind {show.text_of('behind_s', database['behind_s'])} s\n"
        f"all well  {'yes' if answer['ok'] else 'NO'}\n"
    )
    return None


_PROCESS_COLUMNS = ("name", "pid", "state", "lag_s", "rss_bytes", "restarts")


def uptime(as_json: Json = False) -> None:
    """Show how long the control process has been running."""
    answer = ask("uptime")
    if as_json:
        return show.json_line(answer)
    sys.stdout.write(f"{answer['uptime_s']} s, since {answer['since']}\n")
    return None


def processes(as_json: Json = False) -> None:
    """Show the processes."""
    rows = ask("processes")
    return show.json_lines(rows) if as_json else show.table(rows, _PROCESS_COLUMNS, "no process")


def ping(as_json: Json = False) -> None:
    """Show whether control answers, and how fast."""
    client = _client()
    try:
        before = time.perf_counter()
        client.call("ping")
        answer = {"pong": True, "round_trip_ms": round((time.perf_counter() - before) * 1000, 3)}
    finally:
        client.close()
    if as_json:
        return show.json_line(answer)
    sys.stdout.write(f"control answers in {answer['round_trip_ms']} ms\n")
    return None


def snapshot(
    securities: Annotated[
        list[str], typer.Argument(metavar="SECURITY...|ALL", help="venue:SYMBOL, ALL, or - for stdin.")
    ],
    as_json: Json = False,
) -> None:
    """Have a new base image made from a fresh snapshot of the exchange."""
    args = {} if securities == ["ALL"] else {"securities": _named(securities)}
    _show_replies(ask("snapshot", args), as_json)


def book(
    security: Annotated[str, typer.Argument(metavar="SECURITY")],
    depth: Annotated[int | None, typer.Option(min=1, help="Levels a side; all unless told.")] = None,
    orders: Annotated[bool, typer.Option("--orders", help="Orders instead of levels (L3).")] = False,
    as_json: Json = False,
) -> None:
    """Show the live book."""
    args = {"security": _named([security])[0], "orders": orders}
    if depth is not None:
        args["depth"] = depth
    answer = ask("book", args)
    if orders and any(len(row) == 2 for row in [*answer["bids"], *answer["asks"]]):
        raise CannotRun(f"{args['security']} is recorded by levels: there are no orders to show")
    return show.json_line(answer) if as_json else show.book(answer, depth or _SHOWN_LEVELS)


def reset(
    venue: Annotated[str, typer.Argument(metavar="[VENUE]")] = "",
    as_json: Json = False,
) -> None:
    """Replace the connections to a venue, or to all, by new ones."""
    _show_replies(ask("reset", {"venue": venue} if venue else {}), as_json)


def restart(
    stage: Annotated[
        str,
        typer.Argument(
            metavar="STAGE", help="ingest, book, condition, store, compact, control, database, or a process."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Restart the processes of a stage one after the other, each back and well before the next."""
    client = _client()
    try:
        before = client.call("uptime")
        patience_s = _RESTART_S * (1 + len(client.call("processes")))
        rows = client.call("restart", {"process": stage}, answer_s=patience_s)
    finally:
        client.close()
    if [row["process"] for row in rows] == ["control"]:
        rows = [{**rows[0], **_control_back(before["since"])}]
    bad = [row for row in rows if not row["ok"]]
    if as_json:
        show.json_lines(rows)
    else:
        show.table(rows, ["process", "ok", *(["seconds"] if not bad else ["seconds", "error"])], "")
        for row in rows:
            sys.stdout.write(f"{row['note']}\n" if "note" in row else "")
    if bad:
        raise BadAnswer("; ".join(f"{row['process']}: {row['error']}" for row in bad))


def terminate(as_json: Json = False) -> None:
    """Stop the logger orderly."""
    answer = ask("terminate")
    if as_json:
        return show.json_line(answer)
    sys.stdout.write("the logger stops\n")
    return None


def config(as_json: Json = False) -> None:
    """Show the settings this shell gives (a running logger has those of its start), without secrets."""
    from wire.settings import SETTINGS

    shown = _settings().shown()
    if as_json:
        return show.json_line(shown)
    rows = [
        {"setting": name.upper(), "value": shown[name.upper()], "meaning": meaning}
        for name, meaning in SETTINGS.items()
    ]
    show.table(rows, ("setting", "value", "meaning"), "")
    sys.stdout.write(
        "\nas this shell gives them; a logger that runs has those of the shell that started it\n"
    )
    return None


# --- asking ----------------------------------------------------------------------------------


def _settings() -> Any:
    from wire.settings import load_settings

    return load_settings(os.environ)


def _client() -> Any:
    from control.client import Client

    settings = _settings()
    return Client(settings.manager_host, settings.manager_port, _key(settings))


def _key(settings: Any) -> str:
    if settings.manager_authkey is not None:
        return str(settings.manager_authkey.reveal())
    path: Path = settings.data_dir / _KEY_FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        reason = "it is made at the logger's first start (make run)"
    except OSError as error:
        reason = str(error.strerror)
    except UnicodeDecodeError:
        reason = "it holds bytes that are no text"
    raise CannotRun(f"no key in {path}: {reason}; DATA_DIR says where it is, MANAGER_AUTHKEY replaces it")


def ask(command: str, args: Mapping[str, Any] | None = None) -> Any:
    """Return what the running logger answers to *command*.

    Raises:
        ControlError: it cannot be asked, or cannot do it.
        CannotRun: its key cannot be read.
    """
    client = _client()
    try:
        return client.call(command, args)
    finally:
        client.close()


def _named(texts: Sequence[str]) -> list[str]:
    from wire.names import BadSecurity, parse_security

    words = [word for text in texts for word in (sys.stdin.read().split() if text == "-" else [text])]
    if not words:
        raise CannotRun("no security named: write venue:SYMBOL, as binance:BTCUSDT")
    try:
        return list(dict.fromkeys(parse_security(word) for word in words))
    except BadSecurity as error:
        raise CannotRun(str(error)) from error


def _wait_for_live(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows once each is live, halted or an error."""
    client = _client()
    try:
        while True:
            listed = {row["security"]: row for row in client.call("list")}
            rows = [_newer(row, listed.get(row["security"])) for row in rows]
            if all(not row["ok"] or row["state"] in ("live", "halted") for row in rows):
                return rows
            time.sleep(_POLL_S)
    finally:
        client.close()


def _newer(row: dict[str, Any], listed: Mapping[str, Any] | None) -> dict[str, Any]:
    if not row["ok"]:
        return row
    if listed is None:
        return {**row, "ok": False, "state": "removed", "error": "it was removed"}
    if listed["state"] == "error":
        return {**row, "ok": False, "state": "error", "error": listed.get("reason") or "obl status says more"}
    return {**row, "state": listed["state"]}


def _control_back(since: str) -> dict[str, Any]:
    """Wait until control answers that did not run at *since*, and has heard of every process."""
    from control.client import ControlError

    began = time.monotonic()
    while (waited_s := time.monotonic() - began) < _BACK_S:
        try:
            another = ask("uptime")["since"] != since
            if another and all(row["state"] != "starting" for row in ask("processes")):
                return {"seconds": round(waited_s, 1)}
        except ControlError:
            pass  # it is on its way
        time.sleep(_POLL_S)
    return {"ok": False, "error": f"it does not answer after {_BACK_S:.0f} s: its log says why"}


def _show_rows(rows: list[dict[str, Any]], as_json: bool, columns: Sequence[str]) -> None:
    """Print a row for each security; where one failed, end with 1."""
    bad = [row for row in rows if not row["ok"]]
    if as_json:
        show.json_lines(rows)
    else:
        show.table(rows, columns if bad else [c for c in columns if c != "error"], "")
    if bad:
        raise BadAnswer("; ".join(_sentence(row) for row in bad))


def _sentence(row: Mapping[str, Any]) -> str:
    security, error = str(row["security"]), str(row["error"])
    return error if error.startswith(security) else f"{security}: {error}"


def _show_replies(replies: list[dict[str, Any]], as_json: bool) -> None:
    rows = [
        {
            "process": reply["process"],
            "ok": True,
            **(reply["result"] if isinstance(reply["result"], dict) else {}),
        }
        for reply in replies
    ]
    if as_json:
        return show.json_lines(rows)
    columns = dict.fromkeys(name for row in rows for name in row)
    return show.table(rows, list(columns), "")


_COMMANDS: dict[str, Callable[..., None]] = {
    "add": add,
    "remove": remove,
    "policy": policy,
    "list": list_,
    "status": status,
    "uptime": uptime,
    "processes": processes,
    "ping": ping,
    "snapshot": snapshot,
    "book": book,
    "reset": reset,
    "restart": restart,
    "terminate": terminate,
    "config": config,
}
NAMES = frozenset(_COMMANDS)
"""So that ``obl status`` need not load what reads the archive."""


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    for name, command in _COMMANDS.items():
        app.command(name)(command)
