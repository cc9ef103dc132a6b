"""``obl``: the command of people and scripts.

Every error is one line on stderr that says what to do; the exit codes are those of ui.exits.
"""

import os
import sys
from collections.abc import Sequence

import typer
from typer import Exit

from ui import live
from ui.exits import BadAnswer, CannotRun

_UNRUN = 2
_INTERRUPTED = 130


def build_app(argv: Sequence[str]) -> typer.Typer:
    """Return the application with the commands that *argv* may mean."""
    app = typer.Typer(
        name="obl",
        help="Orders the running logger about, and reads back what it stored.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=True)
    def root(
        context: typer.Context,
        version: bool = typer.Option(False, "--version", is_eager=True, help="Print the version."),
    ) -> None:
        if version:
            from importlib.metadata import version as version_of

            sys.stdout.write(version_of("order-book-logger") + "\n")
            raise Exit(0)
        if context.invoked_subcommand is None:
            context.fail("Missing command.")

    live.register(app)
    if not argv or argv[0] not in live.NAMES:
        from ui import (
            archive,
            compact,
            copying,
            doctor,
            export,
            incident,
            keep,
            plot,
            rebuild,
            series,
            verify,
        )

        archive.register(app)
        verify.register(app)
        rebuild.register(app)
        compact.register(app)
        keep.register(app)
        doctor.register(app)
        incident.register(app)
        export.register(app)
        copying.register(app)
        series.register(app)
        plot.register(app)
    return app


def main() -> None:
    """Run one command and end with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int:
    """Run the command *argv* and return its exit code."""
    # imported late, each would cost `obl --help` its time
    from control.client import ControlError
    from wire.secrets import CannotKeep
    from wire.settings import BadSetting

    try:
        "\0".join(argv).encode()
        code = build_app(argv)(list(argv) or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except (BadAnswer, CannotRun) as error:
        return _ended(str(error), error.exit_code)
    except (ControlError, BadSetting, CannotKeep) as error:
        return _ended(str(error), _UNRUN)
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except BrokenPipeError:
        # whoever read us has seen enough; nothing more may be flushed into the closed pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UnicodeEncodeError:
        return _ended("an argument holds bytes that are no text", _UNRUN)
    except OSError as error:
        return _ended(f"cannot write: {error.strerror or error}", _UNRUN)
    except typer.TyperException as error:
        return _ended(f"{error.format_message()} (obl --help)", _UNRUN)
    return code if isinstance(code, int) else 0


def _ended(reason: str, code: int) -> int:
    sys.stdout.flush()
    print(f"obl: {' '.join(reason.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
