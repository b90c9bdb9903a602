"""A hub as README.md says to make one, in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from panneuro_hub.devstack.processes import (
    ChildProcess,
    ProcessGroup,
    find_free_port,
    log_contains,
    url_answers,
)

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0  # s, for a hub to start; it takes about five
_SOURCES = ("LICENSE", "README.md", "pyproject.toml", "setup.cfg", "panneuro_hub", "examples")
_FENCE = re.compile(r"^```(\w+)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Tests listen on loopback, on ports that nobody has.
_ON_LOOPBACK = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.TraefikFileProviderProxy.traefik_api_url = "http://127.0.0.1:{api_port}"
"""


def code_blocks(document: Path, heading: str) -> list[str]:
    """Return the code blocks below one heading of a Markdown document."""
    text = document.read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [match[2] for match in _FENCE.finditer(section)]


@dataclass(frozen=True)
class OwnHub:
    """The folder that README.md makes, and the commands that start a hub in it.

    Parameters
    ----------
    folder : Path
        The folder with the environment, the collaboration file and the configuration.
    start : str
        Commands of a shell.
    """

    folder: Path
    start: str

    @property
    def log(self) -> str:
        """Everything that the last hub has written."""
        return (self.folder / "hub.log").read_text(errors="replace")

    @contextmanager
    def running(self, config: str = "") -> Iterator[str]:
        """Start a hub with some lines added to its configuration; yield its address.

        It gets the variables that README.md names, and nothing else of this process.
        """
        ports: list[int] = []
        while len(ports) < 4:
            ports.append(find_free_port(avoid=ports))
        path = self.folder / "jupyterhub_config.py"
        written = path.read_text()
        names = dict(zip(("port", "hub_port", "api_port"), ports, strict=False))
        path.write_text(written + _ON_LOOPBACK.format(**names) + config)
        try:
            with ProcessGroup() as processes:
                hub = self._launch(processes, f"http://127.0.0.1:{ports[3]}")
                hub.wait_until_ready(log_contains("JupyterHub is now running"), PATIENCE)
                service = f"http://127.0.0.1:{ports[0]}/services/panneuro/health"
                hub.wait_until_ready(url_answers(service), PATIENCE)
                yield f"http://127.0.0.1:{ports[0]}"
        finally:
            path.write_text(written)
            for database in self.folder.glob("*.sqlite"):
                database.unlink()

    def _launch(self, processes: ProcessGroup, service_url: str) -> ChildProcess:
        return processes.start(
            "hub",
            ["bash", "-ec", self.start.replace("bin/jupyterhub", "exec bin/jupyterhub")],
            log=self.folder / "hub.log",
            # Its folder of programs is not on the path, as on a machine where nobody activated it.
            environment={
                "PATH": os.defpath,
                "HOME": str(self.folder),
                "LANG": "C.UTF-8",
                "PANNEURO_SERVICE_URL": service_url,
            },
            folder=self.folder,
        )


def make_own_hub(folder: Path, extras: str = "") -> OwnHub:
    """Follow README.md in a copy of this repository; the versions are those of the lock.

    Parameters
    ----------
    folder : Path
    extras : str
        The extras to install, instead of those of README.md.
    """
    for name in _SOURCES:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    install, config, start = code_blocks(folder / "README.md", "In a hub of your own")
    if extras:
        install, changed = re.subn(r"'\.\[.+\]'", f"'.[{extras}]'", install)
        assert changed == 1
    constraints = folder / "constraints.txt"
    constraints.write_text(_locked_versions())
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(sys.executable)
    subprocess.run(
        ["bash", "-ec", install],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("VIRTUAL")},
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.defpath}",
            "PIP_CONSTRAINT": str(constraints),
        },
        check=True,
    )
    (folder / "my-hub" / "jupyterhub_config.py").write_text(config)
    return OwnHub(folder / "my-hub", start)


def _locked_versions() -> str:
    lock = (ROOT / "requirements" / "test.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9._-]+==[^ ;\\]+)(?: ; ([^\\]+?))? \\$", lock, re.MULTILINE)
    return "".join(f"{pin}; {marker}\n" if marker else f"{pin}\n" for pin, marker in pins)
