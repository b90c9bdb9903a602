"""Print what panneuro-hub needs, with some of its extras: python requirements/needs.py hub,dask.

Read from setup.cfg, since asking a build backend would build the package.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

SETTINGS = Path(__file__).parent.parent / "setup.cfg"


def read_requirements(extras: list[str]) -> list[str]:
    """Return the requirements of the package and of some extras, each one once.

    Parameters
    ----------
    extras : list of str
        Names of extras; an extra that names other extras of this package brings theirs.

    Raises
    ------
    KeyError
        If there is no such extra.
    """
    config = ConfigParser()
    config.read(SETTINGS, encoding="utf-8")
    declared = config["options.extras_require"]

    def expand(extra: str) -> Iterator[str]:
        for line in _lines(declared[extra]):
            ours = re.fullmatch(r"panneuro-hub\[(.+)\]", line)
            if ours:
                for name in ours[1].split(","):
                    yield from expand(name)
            else:
                yield line

    needed = [*_lines(config["options"]["install_requires"])]
    for extra in extras:
        needed += expand(extra)
    return list(dict.fromkeys(needed))


def _lines(value: str) -> list[str]:
    return [line for line in value.split("\n") if line]


if __name__ == "__main__":
    print(*read_requirements([name for name in sys.argv[1].split(",") if name]), sep="\n")
