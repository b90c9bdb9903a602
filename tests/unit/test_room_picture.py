"""The picture of the rooms shows the code as it is."""

from __future__ import annotations

import re
from pathlib import Path

from tools.draw_rooms import PICTURE, make_picture, read_layers

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "dev" / "architecture.md"


def test_the_picture_is_of_this_code() -> None:
    committed = PICTURE.read_text(encoding="utf-8")
    assert make_picture() == committed, "run tools/draw_rooms.py"


def test_the_architecture_has_a_paragraph_for_each_room() -> None:
    described = set(re.findall(r"^\*\*`(\w+)`\*\*", ARCHITECTURE.read_text("utf-8"), re.MULTILINE))
    assert described == {room for row in read_layers() for room in row}
