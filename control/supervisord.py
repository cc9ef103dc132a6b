"""supervisord, which after an orderly end leaves no folder of Unix sockets behind.

A start that fails may be a second one beside a logger that runs: it removes nothing.
"""

import os
import shutil
import sys

from supervisor import supervisord

RUNTIME_DIR = "OBL_RUNTIME_DIR"


def main() -> None:
    """Run supervisord until it has stopped everything."""
    supervisord.main(sys.argv[1:])
    shutil.rmtree(os.environ[RUNTIME_DIR], ignore_errors=True)


if __name__ == "__main__":
    main()
