"""``make mutants``: every rule of ``rules.py`` made naive, in a copy of the tree; its test must fail.

First all guarding tests pass as they are, or a failure would prove nothing.  Ends with 1 where a test lets a
naive version pass, and names it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.rules import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
PASSED, FAILED = 0, 1
TIMEOUT_S = 300


def copied(folder: Path) -> None:
    """Copy what git knows of the tree, as it is now, and the compiled loops into *folder*."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    compiled = [str(path.relative_to(ROOT)) for path in ROOT.glob("*/*.so")]
    for name in [*listed.stdout.splitlines(), *compiled]:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def tested(folder: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Return pytest's exit code and the end of what it said."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return done.returncode, done.stdout[-2000:]


def survives(folder: Path, mutant: Mutant) -> bool:
    """Make one rule naive, and the tree whole again; say whether its test still passes.

    Raises:
        AssertionError: the rule's text is not there once, or pytest could not run the test.
    """
    path = folder / mutant.file
    text = path.read_text()
    assert text.count(mutant.old) == 1, (
        f"{mutant.file}: {mutant.old!r} is there {text.count(mutant.old)} times"
    )
    path.write_text(text.replace(mutant.old, mutant.new))
    code, said = tested(folder, [mutant.test])
    path.write_text(text)
    assert code in (PASSED, FAILED), said
    return code == PASSED


def main() -> None:
    """Try every rule, or those whose words the command line has."""
    chosen = [each for each in MUTANTS if all(word in each.rule for word in sys.argv[1:])]
    if not chosen:
        sys.exit(f"no rule has all the words {sys.argv[1:]}: see tests/mutants/rules.py")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="obl-mutants-") as name:
        folder = Path(name)
        copied(folder)
        code, said = tested(folder, sorted({each.test for each in chosen}))
        assert code == PASSED, said
        survivors = []
        for mutant in chosen:
            survived = survives(folder, mutant)
            survivors += [mutant] if survived else []
            print(f"{'SURVIVES' if survived else 'caught':9} {mutant.rule}  ({mutant.test})", flush=True)
    seconds = time.monotonic() - started
    print(
        f"{len(chosen) - len(survivors)} of {len(chosen)} naive rules caught in {seconds:.0f} s", flush=True
    )
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
