"""`panneuro` as a person runs it in a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PANNEURO = str(Path(sys.executable).with_name("panneuro"))
_PATIENCE = 240.0  # seconds


@dataclass
class Terminal:
    """Somebody's terminal, with all of its environment."""

    environment: dict[str, str]

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """`panneuro`, to its end."""
        return subprocess.run(
            [PANNEURO, *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )

    def json(self, *arguments: object) -> Any:
        """`panneuro … --json`, which must end well."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, (done.stdout, done.stderr)
        return json.loads(done.stdout)

    @contextmanager
    def running(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """`panneuro`, while it runs; killed at the end of the block."""
        process = subprocess.Popen(
            [PANNEURO, *map(str, arguments)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            print(process.communicate()[0])  # for a test that fails
