"""A process does not spend its start on libraries that it does not need."""

import subprocess
import sys

import pytest

BARE = "import sys, importlib; importlib.import_module(sys.argv[1]); print(*sys.modules)"


@pytest.mark.parametrize(
    ("module", "needless"),
    [
        ("ingest.process", {"numpy", "pydantic", "pymongo"}),
        ("book.process", {"pydantic", "pymongo", "urllib3"}),
        ("condition.process", {"pydantic", "pymongo", "urllib3"}),
        ("store.process", {"pydantic", "urllib3"}),
        ("control.process", {"numpy", "pydantic", "pymongo", "supervisor"}),
        ("store.database", {"numpy", "pydantic", "pymongo"}),
        ("control.launch", {"numpy", "pydantic", "pymongo"}),
    ],
)
def test_what_a_process_does_not_need_is_not_imported(module: str, needless: set[str]) -> None:
    run = subprocess.run([sys.executable, "-c", BARE, module], check=True, capture_output=True, text=True)
    assert set(run.stdout.split()) & needless == set()
