"""Stand-ins for a hub and for an STS, in a process of their own: fast, and they count.

``python -m benchmarks.stand_ins --port PORT`` serves on 127.0.0.1:

- ``/hub/api/panneuro/members/NAME``: every NAME is a person of one team with one running server,
  whose ticket is `ticket(NAME)`;
- ``/``: STS. Whoever asks gets keys after ``--latency`` seconds, without a look at who it is;
- ``/counts``: how often each was asked.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta

import click
from aiohttp import web

from panneuro_hub.wire import Ticket
from panneuro_hub.wire.hub_member import MEMBERS_PATH, HubMember, RunningSession

PROJECT = "nhp-navigation"
_GROUP = "u19-circuits:navigation"
_SECRET = "of-no-use-but-for-this"  # noqa: S105 -- opens nothing but these stand-ins
_BACKLOG = 4096  # connections that wait: the stand-ins are not to be what is measured
_ANSWER = """<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<{action}Result><Credentials><AccessKeyId>ASIA{number:016d}</AccessKeyId>
<SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>
<Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials></{action}Result>
<ResponseMetadata><RequestId>{number}</RequestId></ResponseMetadata></{action}Response>"""


def ticket(user: str) -> Ticket:
    """The ticket of the running server of a person."""
    return Ticket(user, "", _SECRET)


def member_document(user: str) -> dict[str, object]:
    """A person as the hub describes them to the service."""
    number = hashlib.sha256(user.encode()).hexdigest()
    session = RunningSession(number[:16], PROJECT, "", ticket(user).digest)
    member = HubMember(user, number[:32], frozenset({_GROUP}), datetime.now(UTC), (session,))
    return member.to_json()


class StandIns:
    """Answers for hub and STS, and counts.

    Parameters
    ----------
    latency : float
        Seconds that STS takes.
    """

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._asked: Counter[str] = Counter()

    def application(self) -> web.Application:
        """Both, and the counts."""
        application = web.Application()
        application.add_routes(
            [
                web.get(f"/hub/api{MEMBERS_PATH}/{{name}}", self._user),
                web.post("/", self._sts),
                web.get("/counts", self._counts),
            ]
        )
        return application

    async def _user(self, request: web.Request) -> web.Response:
        self._asked["hub"] += 1
        return web.json_response(member_document(request.match_info["name"]))

    async def _sts(self, request: web.Request) -> web.Response:
        self._asked["sts"] += 1
        number = self._asked["sts"]
        action = str((await request.post())["Action"])
        await asyncio.sleep(self._latency)
        text = _ANSWER.format(
            action=action,
            number=number,
            secret="x" * 40,
            token="y" * 800,  # as long as they are
            expires=datetime.now(UTC) + timedelta(hours=1),
        )
        return web.Response(text=text, content_type="text/xml")

    async def _counts(self, _request: web.Request) -> web.Response:
        return web.json_response({"hub": self._asked["hub"], "sts": self._asked["sts"]})


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--latency", type=float, default=0.05, show_default=True, help="Seconds of STS.")
def main(port: int, latency: float) -> None:
    """Serve until somebody stops it."""
    web.run_app(
        StandIns(latency).application(),
        host="127.0.0.1",
        port=port,
        backlog=_BACKLOG,
        access_log=None,
        print=None,
    )


if __name__ == "__main__":
    main()
