"""The log: one line a fact, ``key=value``, to stdout (supervisord or journald keeps it).

time=2026-07-07T12:00:00.123Z level=info process=book-0 event=started pid=12
<6>process=book-0 event=started pid=12          with AS_SERVICE: journald reads the priority
"""

import logging
import sys
import time
import traceback

log = logging.getLogger("obl")
"""The logger of every shell; cores report by returning."""

_PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
_FRAMES_SHOWN = 3


class _Line(logging.Formatter):
    def __init__(self, process: str, *, as_service: bool) -> None:
        super().__init__()
        self._process = process
        self._as_service = as_service

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage().replace("\n", "\\n").replace("\r", "\\r")
        body = f"process={self._process} {text}"
        if self._as_service:
            return f"<{_PRIORITIES.get(record.levelname, 6)}>{body}"
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"time={moment}.{int(record.msecs):03d}Z level={record.levelname.lower()} {body}"


def start_logging(process: str, level: str, *, as_service: bool) -> None:
    """Log from now on as *process*; other people's loggers only from warnings on."""
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(_Line(process, as_service=as_service))
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(logging.WARNING)
    log.setLevel(level.upper())


def uncaught(error: BaseException) -> None:
    """Say in one line what ended the process and where; all of it when debugging."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_SHOWN:]
    where = "<".join(f"{'/'.join(f.filename.split('/')[-2:])}:{f.lineno}" for f in reversed(frames))
    log.critical('event=died error=%s reason="%s" at=%s', type(error).__name__, error, where)
    for line in traceback.format_exception(error):
        log.debug("event=traceback %s", line.rstrip())
