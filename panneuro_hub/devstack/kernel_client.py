"""Running a notebook in a person's server, through the API that JupyterLab uses.

Source: Jupyter Server's REST API (kernels) and "Messaging in Jupyter", version 5.3, in its
JSON form over one WebSocket.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.hub_visitor import HubVisitor

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_SHOWN = 12  # lines of a traceback that an error shows


@dataclass
class CellOutput:
    """What a cell gave.

    Parameters
    ----------
    source : str
        The cell.
    text : str
        What it printed, and its last value as text.
    media : list of str
        MIME types of what it displayed (``image/png``).
    """

    source: str
    text: str = ""
    media: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CodeCell:
    """A code cell of a notebook."""

    source: str
    tags: tuple[str, ...]


def read_code_cells(notebook: str) -> list[CodeCell]:
    """The code cells of a notebook (JSON of nbformat 4), in their order.

    Raises
    ------
    DevstackError
        If it is not a notebook.
    """
    try:
        cells = json.loads(notebook)["cells"]
        return [
            CodeCell("".join(cell["source"]), tuple(cell["metadata"].get("tags", ())))
            for cell in cells
            if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError) as problem:
        raise DevstackError(f"this is not a notebook of nbformat 4: {problem!r}") from problem


class KernelClient:
    """A running kernel; made by `start_kernel`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._session = uuid.uuid4().hex

    async def run(self, source: str) -> CellOutput:
        """Run one cell to its end.

        Raises
        ------
        DevstackError
            If it raises or the kernel dies, with the end of the traceback.
        """
        request = uuid.uuid4().hex
        await self._socket.send_str(json.dumps(self._execute(request, source)))
        run = CellOutput(source)
        async for message in self._answers(request):
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                run.text += content["text"]
            elif kind in ("display_data", "execute_result"):
                run.media += [mime for mime in content["data"] if mime != "text/plain"]
                run.text += str(content["data"].get("text/plain", "")) + "\n"
            elif kind == "error":
                raise DevstackError(_error_text(source, content))
            elif kind == "status" and content["execution_state"] == "idle":
                return run
        raise DevstackError("the kernel went away while a cell ran; see the server's log")

    async def _answers(self, request: str) -> AsyncIterator[dict[str, Any]]:
        async for frame in self._socket:
            if frame.type != aiohttp.WSMsgType.TEXT:
                continue
            message = json.loads(frame.data)
            if (
                message.get("parent_header", {}).get("msg_id") == request
                and message.get("channel") == "iopub"
            ):
                yield message

    def _execute(self, request: str, source: str) -> dict[str, Any]:
        header = {
            "msg_id": request,
            "msg_type": "execute_request",
            "session": self._session,
            "username": "",
            "date": datetime.now(UTC).isoformat(),
            "version": "5.3",
        }
        content = {
            "code": source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        return {
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": "shell",
            "buffers": [],
        }


@asynccontextmanager
async def start_kernel(
    visitor: HubVisitor, server: str, name: str = "python3"
) -> AsyncIterator[KernelClient]:
    """Start a kernel in a server, and end it afterwards.

    Parameters
    ----------
    visitor : HubVisitor
        Who has entered the server.
    server : str
        The server's path, ``/user/NAME/``.
    name : str
        The kernel's kind.
    """
    model = await visitor.call("POST", f"{server}api/kernels", {"name": name})
    path = f"{server}api/kernels/{model['id']}"
    try:
        async with visitor.socket(f"{path}/channels") as socket:
            yield KernelClient(socket)
    finally:
        # The server may be gone by now, and its kernels with it.
        await visitor.call("DELETE", path, accept=(403, 404, 503))


def _error_text(source: str, content: dict[str, Any]) -> str:
    trace = _COLOURS.sub("", "\n".join(content.get("traceback", []))).splitlines()
    first = source.strip().splitlines()[0] if source.strip() else "an empty cell"
    shown = "\n".join("    " + line for line in trace[-_SHOWN:])
    return f"the cell that begins with {first!r} raised {content['ename']}:\n{shown}"
