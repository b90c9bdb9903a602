#!/usr/bin/env python3
"""Draw the rooms of the package and their imports, from the code.

The rows are the layers of the contract in setup.cfg, and the arrows are the imports that the code
has. An arrow is left out where a longer way of arrows says the same.

Usage: tools/draw_rooms.py           write docs/images/rooms.svg
"""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "rooms.svg"
PACKAGE = "panneuro_hub"
WIDTH, ROW, BOX_HEIGHT = 900, 64, 30  # pixels


def read_layers() -> list[list[str]]:
    """Return the rooms of each layer, the highest layer first."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["importlinter:contract:rooms"]["layers"].split("\n")
    return [[room.strip(" ()") for room in line.split("|")] for line in lines if line.strip()]


def find_imports(rooms: list[str]) -> dict[str, set[str]]:
    """Return the rooms that each room imports, without those that follow from the others."""
    graph = grimp.build_graph(PACKAGE)
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for module in sorted(graph.modules):
        for imported in graph.find_modules_directly_imported_by(module):
            source, target = _room_of(module), _room_of(imported)
            if source in found and target in found and source != target:
                found[source].add(target)
    return {
        source: {
            target
            for target in targets
            if not any(_reaches(found, other, target) for other in targets - {target})
        }
        for source, targets in found.items()
    }


def _room_of(module: str) -> str:
    return (*module.split("."), "")[1]


def _reaches(imports: dict[str, set[str]], source: str, target: str) -> bool:
    seen, waiting = set[str](), [source]
    while waiting:
        room = waiting.pop()
        if room == target:
            return True
        if room not in seen:
            seen.add(room)
            waiting.extend(imports[room])
    return False


def draw_rooms(layers: list[list[str]], imports: dict[str, set[str]]) -> str:
    """Return the picture as SVG."""
    place = {
        room: (
            WIDTH * (2 * column + 1) // (2 * len(row))
            + (90 if number % 2 else -90) * (len(row) == 1),
            ROW * number + 40,
        )
        for number, row in enumerate(layers)
        for column, room in enumerate(row)
    }
    height = ROW * len(layers) + 20
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="14" role="img">',
        "<title>The rooms of panneuro_hub; arrows lead to imported rooms</title>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#64748b"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for source in place:
        for target in sorted(imports[source]):
            (x1, y1), (x2, y2) = place[source], place[target]
            start, end = y1 + BOX_HEIGHT // 2, y2 - BOX_HEIGHT // 2
            lines.append(
                f'<path d="M{x1} {start}C{x1} {start + 30} {x2} {end - 30} {x2} {end}"'
                ' fill="none" stroke="#94a3b8" marker-end="url(#end)"/>'
            )
    for room, (x, y) in place.items():
        width = 9 * len(room) + 24
        lines.append(
            f'<rect x="{x - width // 2}" y="{y - BOX_HEIGHT // 2}" width="{width}"'
            f' height="{BOX_HEIGHT}" rx="6" fill="#eef2ff" stroke="#4f46e5"/>'
            f'<text x="{x}" y="{y + 5}" text-anchor="middle" fill="#1e1b4b">{room}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


def make_picture() -> str:
    """Return the picture of the code as it is now."""
    layers = read_layers()
    return draw_rooms(layers, find_imports([room for row in layers for room in row]))


if __name__ == "__main__":
    PICTURE.write_text(make_picture(), encoding="utf-8")
