"""Renders how each frame of ``tests/golden/venue/*.frames`` is routed, decoded and answered.

``python -m tests.unit.venue.golden`` writes the texts anew: read the difference before it is committed.
"""

from pathlib import Path

from venue import VENUES
from venue.api import Ack, Control

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "venue"


def decoded(path: Path) -> str:
    """Return the text that stands beside the frames of *path* (``<venue>.<feed>.frames``)."""
    name, feed, _ = path.name.split(".")
    venue = VENUES[name]
    lines = []
    for frame in path.read_bytes().splitlines():
        route = venue.route(frame, feed)
        lines.append(repr(route))
        lines.append(f"  {venue.decode(frame, feed)!r}")
        if route.kind == "control":
            lines.append(f"  {_stable(venue.control(frame))}")
    return "\n".join(lines) + "\n"


def _stable(answer: Control) -> str:
    """Return the text of *answer*, whose set has no order of its own."""
    if isinstance(answer, Ack) and answer.symbols is not None:
        return f"Ack(id={answer.id}, symbols={sorted(answer.symbols)})"
    return repr(answer)


if __name__ == "__main__":
    for frames in sorted(FOLDER.glob("*.frames")):
        frames.with_suffix(".decoded").write_text(decoded(frames))
