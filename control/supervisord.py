"""supervisord, which starts its programs at once and leaves no folder of Unix sockets behind.

By itself it looks at its programs for the first time after a second in which nothing happened.

A start that fails may be a second one beside a logger that runs: it removes nothing.
"""

import os
import shutil
import sys

from supervisor import supervisord

RUNTIME_DIR = "OBL_RUNTIME_DIR"


class Prompt(supervisord.Supervisor):  # type: ignore[misc]  # (untyped)
    """One that does not wait before it starts what it is to start."""

    def runforever(self) -> None:
        """Start the programs, and watch them."""
        for group in sorted(self.process_groups.values()):
            group.transition()
        super().runforever()


def main() -> None:
    """Run supervisord until it has stopped everything."""
    supervisord.Supervisor = Prompt
    supervisord.main(sys.argv[1:])
    shutil.rmtree(os.environ[RUNTIME_DIR], ignore_errors=True)


if __name__ == "__main__":
    main()
