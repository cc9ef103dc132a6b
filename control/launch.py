"""``obl-run``: check the settings, say what will run, and become supervisord.

supervisord cannot read our settings by itself: what its configuration needs is exported here.
"""

import argparse
import os
import pwd
import socket
import sys
from collections import Counter
from pathlib import Path

from wire.endpoints import Endpoints
from wire.folders import make_folder, sync_folder
from wire.names import venue_of_line
from wire.parent import SUPERVISOR
from wire.settings import BadSetting, Settings, load_settings

_HERE = Path(__file__).resolve().parent
CONFIGURATIONS = (_HERE.parent / "supervisord.conf", _HERE / "supervisord.conf")
"""In a checkout, and in an installed wheel."""


def exported(settings: Settings, runtime_dir: Path) -> dict[str, str]:
    """Return the variables that supervisord.conf names, beside the environment."""
    lines = Counter(venue_of_line(line) for line in settings.lines())
    return {
        **{f"OBL_{venue.upper()}_LINES": str(count) for venue, count in lines.items()},
        "DATA_DIR": str(settings.data_dir.absolute()),
        "BOOK_WORKERS": str(settings.book_workers),
        "CONDITION_WORKERS": str(settings.condition_workers),
        "STORE_WRITERS": str(settings.store_writers),
        "OBL_BIN": str(Path(sys.executable).parent),
        "OBL_RUNTIME_DIR": str(runtime_dir),
        "OBL_EMBEDDED": "true" if settings.embedded else "false",
        SUPERVISOR: str(os.getpid()),
        "OPENBLAS_NUM_THREADS": "1",  # numpy would start threads that nothing here uses: half of its import
        "OBL_USER": pwd.getpwuid(os.getuid()).pw_name,
    }


def greeting(settings: Settings) -> str:
    """Return what a person should know while it starts."""
    data = str(settings.data_dir)
    if settings.data_dir.is_relative_to(Path.cwd()):
        data = str(settings.data_dir.relative_to(Path.cwd()))
    database = f"embedded, port {settings.mongodb_embedded_port}" if settings.embedded else "MONGODB_ENDPOINT"
    prefix = "" if data == "data" else f"DATA_DIR={data} "
    return "\n".join(
        [
            f"order-book logger: data in {data}, database {database}, logs in {data}/logs",
            f"  binance  {settings.binance_ws_url}",
            f"  coinbase {settings.coinbase_ws_url}",
            "In another terminal:",
            f"  {prefix}.venv/bin/obl status              what is recorded, and how far behind it is",
            f"  {prefix}.venv/bin/obl at BTCUSDT latest   the book as the database has it",
            "Ctrl-C stops everything and stores what is open.",
        ]
    )


def running(settings: Settings) -> str:
    """Return in one line that a logger runs on DATA_DIR already, "" if none does."""
    try:
        pid = int((settings.data_dir / "supervisord.pid").read_text(encoding="ascii", errors="replace"))
        is_supervisord = b"supervisord" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return ""  # (a killed one leaves its file behind)
    if not is_supervisord:
        return ""
    return (
        f"a logger runs in {settings.data_dir} (pid {pid}): obl terminate stops it; or use another DATA_DIR"
    )


def taken(settings: Settings) -> str:
    """Return in one line which port is taken that a process will listen on, "" for none."""
    ports = [("MANAGER_PORT", settings.manager_host, settings.manager_port)]
    if settings.embedded:
        ports.append(("MONGODB_EMBEDDED_PORT", "127.0.0.1", settings.mongodb_embedded_port))
    for name, host, port in ports:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                reason = f"{error.strerror}: does the logger run already? Else choose another port"
                return f"{name}={port}: cannot listen on {host}:{port} ({reason})"
    return ""


def other_windows(settings: Settings) -> str:
    """Return in one line that DATA_DIR was begun with another window, "" if not; note that of a new one.

    The store compares with the database too; here the start is refused before anything is recorded.
    """
    note = settings.data_dir / "window_seconds"
    begun = note.read_text(encoding="ascii", errors="replace").strip("\0\n ") if note.exists() else ""
    if not begun:  # a first start, or one that a power loss ended before its note was on the disk
        with note.open("w", encoding="ascii") as file:
            file.write(f"{settings.window_seconds}\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(settings.data_dir)
        return ""
    if begun == str(settings.window_seconds):
        return ""
    mend = f"{settings.data_dir} was begun with {begun}; use that, or another DATA_DIR and database"
    return f"WINDOW_SECONDS={settings.window_seconds}: {mend}"


def main() -> None:
    """Run the logger in the foreground."""
    parser = argparse.ArgumentParser(prog="obl-run", description=__doc__)
    parser.add_argument("--conf", type=Path, help="another supervisord configuration (make demo)")
    given = parser.parse_args()
    configuration = given.conf or next(path for path in CONFIGURATIONS if path.exists())
    try:
        settings = load_settings(os.environ)
        make_folder(settings.data_dir / "logs")
        runtime_dir = Endpoints(settings).runtime_dir
        refused = running(settings) or taken(settings) or other_windows(settings)
    except (BadSetting, OSError) as error:
        print(f"obl-run: {error}", file=sys.stderr)
        sys.exit(2)
    if refused:
        print(f"obl-run: {refused}", file=sys.stderr)
        sys.exit(2)
    for warning in settings.warnings():
        print(f"warning: {warning}", file=sys.stderr)
    print(greeting(settings), flush=True)
    environment = {**os.environ, **exported(settings, runtime_dir)}
    command = [sys.executable, "-m", "control.supervisord", "-n", "-c", str(configuration)]
    os.execve(sys.executable, command, environment)  # noqa: S606  # becomes supervisord: nothing stands between it and a signal
