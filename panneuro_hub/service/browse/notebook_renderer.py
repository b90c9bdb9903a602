"""Showing notebooks that anybody may have written: each is made a page in a process of its own.

That process has bounds of time, memory and output, an environment without secrets,
and nothing to do but to read a notebook and to write a page. What goes wrong in it
is that notebook's alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys

from panneuro_hub.catalog.json_fields import MalformedRecordError
from panneuro_hub.catalog.notebook_records import LARGEST_NOTEBOOK
from panneuro_hub.errors import PanNeuroError, ServiceUnavailableError
from panneuro_hub.service.browse.notebook_html import NOTEBOOK_POLICY

__all__ = ["NOTEBOOK_POLICY", "NotebookRenderer", "UnrenderableNotebookError"]

_LARGEST_PAGE = 32 * 2**20  # bytes
_REFUSED = 3  # exit code: what is on standard error is for people
_OPEN_FILES = 64
_LONGEST_WORDS = 1000  # bytes
_PIECE = 2**16  # bytes


class UnrenderableNotebookError(PanNeuroError):
    """A notebook cannot be shown; the text says why."""

    code = "unrenderable-notebook"
    status = 422


class NotebookRenderer:
    """Makes pages of notebooks.

    Parameters
    ----------
    at_once : int
        Processes at a time; who comes later waits.
    waiting : int
        How many may be made or wait.
    seconds : float
        How long one may take.
    computing : int
        How many seconds one may compute.
    memory : int
        How many bytes one may have.
    """

    def __init__(
        self,
        at_once: int = 2,
        waiting: int = 32,
        seconds: float = 60.0,
        computing: int = 20,
        memory: int = 512 * 2**20,
    ) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._free = waiting
        self._seconds = seconds
        self._computing = computing
        self._memory = memory

    async def render(self, notebook: bytes) -> str:
        """Make the page of a notebook, which is to be served with `NOTEBOOK_POLICY`.

        Parameters
        ----------
        notebook : bytes
            Anything.

        Returns
        -------
        str
            A whole HTML document, without scripts, and with nothing that is fetched.

        Raises
        ------
        UnrenderableNotebookError
            If it is no notebook, or too much of one.
        ServiceUnavailableError
            If too many others wait already.
        """
        if len(notebook) > LARGEST_NOTEBOOK:
            raise UnrenderableNotebookError(
                "the notebook is too large to be shown; open a copy of it"
            )
        if not self._free:
            raise ServiceUnavailableError(
                "many notebooks are being made ready; try again in a minute"
            )
        self._free -= 1
        try:
            async with self._turns:
                return await self._run(notebook)
        finally:
            self._free += 1

    async def _run(self, notebook: bytes) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            "panneuro_hub.service.browse.notebook_renderer",
            str(self._memory),
            str(self._computing),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_make_environment(),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._seconds):
                page, error_text = await _exchange_data(process, notebook)
                await process.wait()
        except TimeoutError:
            raise UnrenderableNotebookError(
                "the notebook takes too long to be made a page; open a copy of it"
            ) from None
        finally:
            if process.returncode is None:
                await _kill_process(process)
        if process.returncode == 0 and len(page) <= _LARGEST_PAGE:
            return page.decode(errors="replace")
        if process.returncode == _REFUSED:
            raise UnrenderableNotebookError(error_text.decode(errors="replace").strip())
        raise UnrenderableNotebookError(
            "the notebook is too much to be made a page; open a copy of it"
        )


async def _exchange_data(
    process: asyncio.subprocess.Process, notebook: bytes
) -> tuple[bytes, bytes]:
    """What comes on standard output and on standard error, up to their bounds."""
    to, out, err = process.stdin, process.stdout, process.stderr
    if to is None or out is None or err is None:
        raise ValueError("a process without pipes")

    async def tell() -> None:
        # Whoever does not listen to the end says why.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            to.write(notebook)
            await to.drain()
        to.close()

    _, page, error_text = await asyncio.gather(
        tell(), _read_bounded(out, _LARGEST_PAGE + 1), _read_bounded(err, _LONGEST_WORDS)
    )
    return page, error_text


async def _read_bounded(stream: asyncio.StreamReader, most: int) -> bytes:
    """The beginning of what comes, once all has come: a pipe that is full would hold its end."""
    found = bytearray()
    while piece := await stream.read(_PIECE):
        found += piece[: most - len(found)]
    return bytes(found)


async def _kill_process(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    # With what is in its pipes, without which there is no end.
    await process.communicate()


def _make_environment() -> dict[str, str]:
    """What the process finds: no secrets, and no settings of anybody's for nbconvert."""
    nowhere = os.devnull
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": nowhere,
        "JUPYTER_CONFIG_DIR": nowhere,
        "JUPYTER_DATA_DIR": nowhere,
        "JUPYTER_PLATFORM_DIRS": "1",
    }


def run_renderer(arguments: list[str]) -> int:
    """Read a notebook from standard input and write its page to standard output.

    Parameters
    ----------
    arguments : list of str
        The bounds: bytes of memory, seconds of computing.
    """
    memory, seconds = map(int, arguments)
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        resource.setrlimit(what, (most, most))
    try:
        page = _render_page(sys.stdin.buffer.read(LARGEST_NOTEBOOK + 1))
    except (MalformedRecordError, UnrenderableNotebookError) as problem:
        sys.stderr.write(str(problem))
        return _REFUSED
    except MemoryError:
        return 1
    sys.stdout.buffer.write(page)
    return 0


def _render_page(notebook: bytes) -> bytes:
    # Slow to import, and the service does without.
    from panneuro_hub.service.browse import notebook_html

    try:
        made = notebook_html.render_notebook_html(notebook).encode()
    except RecursionError:
        raise UnrenderableNotebookError(
            "the notebook is nested too deeply to be made a page"
        ) from None
    return made


if __name__ == "__main__":
    sys.exit(run_renderer(sys.argv[1:]))
