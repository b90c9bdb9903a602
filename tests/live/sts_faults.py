"""An STS that is in trouble: what a real one will not do on request, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SECRETS = ("secret-from-sts", "token-from-sts")


@dataclass(frozen=True)
class Reply:
    """One HTTP answer, or (status 0) a connection that ends without one."""

    status: int
    body: str = ""
    kind: str = "text/xml"


def failure(status: int, code: str, message: str = "Something of no concern to people.") -> Reply:
    return Reply(
        status,
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>",
    )


def success(lifetime: timedelta = timedelta(minutes=15)) -> Reply:
    end = (datetime.now(UTC) + lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
    secret, token = SECRETS
    return Reply(
        200,
        f'<AssumeRoleResponse xmlns="{_NAMESPACE}"><AssumeRoleResult><Credentials>'
        f"<AccessKeyId>ASIAFROMSTS</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
        f"<SessionToken>{token}</SessionToken><Expiration>{end}</Expiration></Credentials>"
        "</AssumeRoleResult></AssumeRoleResponse>",
    )


DROPPED = Reply(0)
NO_STS = Reply(200, "<html><body>Welcome to nginx!</body></html>", "text/html")
BAD_GATEWAY = Reply(502, "<html><body>502 Bad Gateway</body></html>", "text/html")
EMPTY = Reply(200, f'<AssumeRoleResponse xmlns="{_NAMESPACE}"/>')


@dataclass
class FaultySts:
    """Gives `replies` one after the other, the last one for ever; remembers what it was asked."""

    replies: Sequence[Reply]
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await _head(reader):
                form = await reader.readexactly(int(head["content-length"]))
                self.asked.append({k: v[0] for k, v in parse_qs(form.decode()).items()})
                reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
                if reply.status == 0:
                    break
                body = reply.body.encode()
                writer.write(
                    f"HTTP/1.1 {reply.status} X\r\nContent-Type: {reply.kind}\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        finally:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> dict[str, str]:
    """The header fields of the next request; none at the end of the connection."""
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return {}
    lines = text.split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}


@asynccontextmanager
async def faulty_sts(*replies: Reply) -> AsyncIterator[FaultySts]:
    sts = FaultySts(replies)
    server = await asyncio.start_server(sts.serve, "127.0.0.1", 0)
    sts.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield sts
    finally:
        server.close()
        await server.wait_closed()
