"""Every kind of message is decoded as the text beside its frame says."""

from pathlib import Path

import pytest

from tests.unit.venue.golden import FOLDER, decoded

FRAMES = sorted(FOLDER.glob("*.frames"))


@pytest.mark.parametrize("path", FRAMES, ids=[path.stem for path in FRAMES])
def test_frames_are_decoded_as_the_text_beside_them_says(path: Path) -> None:
    assert decoded(path) == path.with_suffix(".decoded").read_text()
