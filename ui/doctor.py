"""``obl doctor``: what is wrong with this host, and how to mend it.

check      is bad where
settings   one cannot be used, or is allowed but unwise
folder     DATA_DIR does not take a file and sync it
disk       less is free than recording needs to go on
files      a process may have too few files open
logger     it runs and not all is well, or another program has its port
database   it does not answer, refuses the user, or another program has its port
clock      it is not that of the exchanges (one check a venue): Coinbase refuses a signature 30 s off
loops      never: it says where the plain twins of the compiled loops serve

Nothing is changed, and nothing started; a logger that does not run is no fault.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import typer

from ui import show
from ui.archive import Json
from ui.exits import BadAnswer, CannotRun
from ui.live import ask

if TYPE_CHECKING:
    from wire.settings import Settings

_COLUMNS = ("check", "ok", "found", "mend")

CLOCK_S = 5.0
"""The exchange's Date has whole seconds; from here on something is wrong with one of the clocks."""
ANSWER_S = 5.0
LEAST_FILES = 1024
_MB = 1_000_000
_BLOCKED = (403, 451)


class Finding(NamedTuple):
    """One line of the answer; *mend* says what to do where it is not *ok*."""

    check: str
    ok: bool
    found: str
    mend: str = ""


def doctor(as_json: Json = False) -> None:
    """Look for what is wrong with this host; ends with 1 where something is."""
    rows = [finding._asdict() for finding in findings()]
    show.json_lines(rows) if as_json else show.table(rows, _COLUMNS, "")
    bad = [row for row in rows if not row["ok"]]
    if bad:
        raise BadAnswer(f"{len(bad)} of {len(rows)} not well; {bad[0]['check']}: {bad[0]['mend']}")


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("doctor")(doctor)


def findings() -> Iterator[Finding]:
    """Yield what each check found."""
    from wire.settings import BadSetting, load_settings

    try:
        settings = load_settings(os.environ)
    except BadSetting as error:
        yield Finding("settings", False, "one cannot be used", str(error))
        return
    warnings = settings.warnings()
    yield Finding("settings", not warnings, "usable", "; ".join(warnings))
    for check in _CHECKS:
        yield check(settings)
    for venue in dict.fromkeys(line.partition("/")[0] for line in settings.lines()):
        yield clock(venue, getattr(settings, f"{venue}_rest_url"))
    yield _loops()


# --- the host --------------------------------------------------------------------------------


def _folder(settings: "Settings") -> Finding:
    folder = settings.data_dir
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    probe = there / f".obl-doctor-{os.getpid()}"
    try:
        started = time.monotonic()
        with probe.open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        took_ms = (time.monotonic() - started) * 1000
    except OSError as error:
        mend = f"{there} takes no file ({error.strerror}): set DATA_DIR to a folder of this user"
        return Finding("folder", False, str(folder), mend)
    finally:
        with suppress(OSError):
            probe.unlink()
    where = f"{folder}" if there == folder else f"{folder}, to be made in {there}"
    return Finding("folder", True, f"{where}: 4 KiB written and synced in {took_ms:.0f} ms")


def _disk(settings: "Settings") -> Finding:
    folder = settings.data_dir
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    disk, reserve = os.statvfs(there), settings.reserve_bytes()
    return disk_finding(disk.f_bavail * disk.f_frsize, reserve)


def disk_finding(free_bytes: int, reserve_bytes: int) -> Finding:
    """Return whether so much is free that recording would go on (ingest.disk)."""
    enough = reserve_bytes + reserve_bytes // 10
    found = f"{free_bytes / _MB:,.0f} MB free, reserve {reserve_bytes / _MB:,.0f} MB"
    mend = f"free space where DATA_DIR is, to {enough / _MB:,.0f} MB, or lower DISK_RESERVE_BYTES"
    return Finding("disk", free_bytes >= enough, found, "" if free_bytes >= enough else mend)


def _files(_: "Settings") -> Finding:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ok = soft == resource.RLIM_INFINITY or soft >= LEAST_FILES
    mend = f"raise it to {LEAST_FILES}: ulimit -n, or LimitNOFILE of the service"
    return Finding("files", ok, f"{soft} may be open in a process", "" if ok else mend)


def _loops() -> Finding:
    from condition.looks import COMPILED

    found = "compiled" if COMPILED else "not compiled: their plain twins serve, slower and the same; "
    return Finding("loops", True, found if COMPILED else f"{found}install gcc and python3-dev, make install")


# --- the logger and its database -------------------------------------------------------------


def _logger(settings: "Settings") -> Finding:
    from control.client import ControlError, NoConnection
    from store.database import busy

    try:
        answer = ask("status")
    except (NoConnection, CannotRun) as error:
        if settings.manager_host == "127.0.0.1" and busy(settings.manager_port):
            mend = f"another program has port {settings.manager_port} ({error}): set MANAGER_PORT to another"
            return Finding("logger", False, "cannot be asked", mend)
        return Finding("logger", True, "does not run")
    except ControlError as error:
        return Finding("logger", False, "cannot be asked", str(error))
    unwell = [
        f"{row.get('name') or row.get('security')} {row['state']} {row.get('reason') or ''}".strip()
        for row in (*answer["processes"], *answer["securities"])
        if row.get("reason") or row["state"] in ("lost", "error", "gap")
    ]
    why = "; ".join([*unwell[:3], str(answer["disk"].get("reason") or "")]).strip("; ")
    found = f"{len(answer['securities'])} securities, {len(answer['processes'])} processes"
    return Finding("logger", bool(answer["ok"]), found, "" if answer["ok"] else why or "obl status shows why")


def _database(settings: "Settings") -> Finding:
    from pymongo.errors import PyMongoError

    from store.connection import connect, describe, where
    from store.database import busy
    from wire.secrets import CannotKeep
    from wire.settings import BadSetting

    server = where(settings)
    if settings.embedded and not busy(settings.mongodb_embedded_port):
        return Finding("database", True, f"the embedded server at {server} does not run; its port is free")
    if settings.embedded and not (settings.data_dir / "secrets").is_dir():
        mend = "another program has MONGODB_EMBEDDED_PORT: set it to another"
        return Finding("database", False, f"{server} is not of this DATA_DIR", mend)
    try:
        with connect(settings) as client:
            client[settings.mongodb_database].list_collection_names()
    except PyMongoError as error:
        return Finding("database", False, f"{server} cannot be used", describe(error, server))
    except (BadSetting, CannotKeep) as error:
        return Finding("database", False, f"{server} cannot be asked", str(error))
    return Finding("database", True, f"{server} answers")


# --- the exchanges ---------------------------------------------------------------------------


def clock(venue: str, url: str) -> Finding:
    """Return whether *venue* answers at *url*, and at this host's time."""
    check = f"clock {venue}"
    asked_s = time.time()
    try:
        with urlopen(Request(url, method="HEAD"), timeout=ANSWER_S) as answer:  # noqa: S310 (a Site: http or https)
            status, date = answer.status, answer.headers["Date"]
    except HTTPError as error:
        status, date = error.code, error.headers["Date"]
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        mend = f"is there a way to it (DNS, firewall), is {venue.upper()}_REST_URL right?"
        return Finding(check, False, f"{url} does not answer ({reason})", mend)
    between_s = (asked_s + time.time()) / 2
    return clock_finding(check, url, status, date, between_s)


def clock_finding(check: str, url: str, status: int, date: str | None, now_s: float) -> Finding:
    """Judge an answer with *status* and the header *date* that was got at *now_s*."""
    if status in _BLOCKED:
        mend = "it does not serve this place: another REST_URL and WS_URL of the venue (README, Settings)"
        return Finding(check, False, f"{url} answers {status}", mend)
    try:
        theirs_s = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return Finding(check, True, f"{url} answers, without its time")
    off_s = now_s - theirs_s - 0.5  # (its Date is cut to whole seconds)
    found = f"{url} answers; this clock is {abs(off_s):.1f} s {'ahead' if off_s > 0 else 'behind'}"
    mend = "" if abs(off_s) < CLOCK_S else "set this host's clock and keep it: timedatectl set-ntp true"
    return Finding(check, not mend, found, mend)


_CHECKS: tuple[Callable[["Settings"], Finding], ...] = (_folder, _disk, _files, _logger, _database)
