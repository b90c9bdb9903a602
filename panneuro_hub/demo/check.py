"""The demo's check: the whole main job, done as a person does it, step by step.

Each step prints one line with its time. The first that does not happen ends the check
with what was expected and what was seen instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

from panneuro_hub.demo.confirmations import CLUSTER_CONFIRMATIONS, CONFIRMATIONS, Confirmations
from panneuro_hub.demo.console import StepConsole
from panneuro_hub.demo.errors import DemoError
from panneuro_hub.demo.running_demo import CLUSTER_NOTEBOOK, NOTEBOOK, RunningDemo, read_notebook
from panneuro_hub.devstack.html_forms import find_form
from panneuro_hub.devstack.hub_visitor import HubVisitor, visit_hub
from panneuro_hub.devstack.kernel_client import (
    CellOutput,
    KernelClient,
    read_code_cells,
    start_kernel,
)
from panneuro_hub.service.db.engine import Database
from panneuro_hub.service.db.ledger import Ledger, LedgerEntry

RESEARCHER = "ada"
OUTSIDER = "zoe"
PROJECT = "nhp-navigation"
FORBIDDEN = "human-intracranial"
PROFILE = "small"


async def check(demo: RunningDemo, console: StepConsole) -> None:
    """Do the main job in a running demo.

    Raises
    ------
    DemoError
        At the first step that does not happen.
    """
    async with visit_hub(demo.hub_url) as outsider:
        console.step(
            f"{OUTSIDER}, in no team, is not let in: {await _check_refused_login(outsider)}"
        )
    async with visit_hub(demo.hub_url) as researcher:
        await researcher.log_in(RESEARCHER)
        console.step(f"{RESEARCHER} is logged in through the identity provider")
        console.step(await _check_start_form(researcher))
        said = await researcher.start({"project": PROJECT, f"profile--{PROJECT}": PROFILE})
        console.step("\n".join([f"a {PROFILE} server is started in {PROJECT}:", *said]))
        server = await researcher.enter()
        console.step(f"the server at {server} lets {RESEARCHER} in")
        for name, wanted in (
            (NOTEBOOK, CONFIRMATIONS),
            (CLUSTER_NOTEBOOK, CLUSTER_CONFIRMATIONS),
        ):
            async with start_kernel(researcher, server) as python:
                await _run_notebook(python, name, wanted, console)
        console.step(check_ledger(await _read_ledger(demo)))
        await researcher.stop()
        console.step("the server is stopped")
        await researcher.log_out()
        console.step(f"{RESEARCHER} is logged out")


async def _check_refused_login(outsider: HubVisitor) -> str:
    page = await outsider.try_log_in(OUTSIDER)
    if page.status != 403:
        raise DemoError(f"expected 403 for {OUTSIDER}, who is in no team, but saw {page.status}")
    reason = re.search(r"You are logged in as[^.]*\.", page.text)
    return reason[0] if reason else "403"


async def _check_start_form(researcher: HubVisitor) -> str:
    page = await researcher.open_spawn_page()
    offered = find_form(page.body, {"project": PROJECT}).fields["project"].offered
    if FORBIDDEN in offered:
        raise DemoError(f"the form offers {RESEARCHER} the projects {', '.join(offered)}")
    return f"the form offers {', '.join(offered)}, and not {FORBIDDEN}"


async def _run_notebook(
    python: KernelClient, name: str, wanted: Confirmations, console: StepConsole
) -> None:
    left = dict(wanted)
    for cell in read_code_cells(read_notebook(name)):
        run = await python.run(cell.source)
        for line in confirm(cell.tags, run, left):
            console.step(line)
    if left:
        raise DemoError(f"{name} has no cell with the tag {', '.join(left)}")


def confirm(
    tags: Sequence[str], run: CellOutput, left: dict[str, Callable[[CellOutput], str]]
) -> list[str]:
    """What the confirmations of a cell's tags say of it; they are taken out of `left`."""
    return [left.pop(tag)(run) for tag in tags if tag in left]


async def _read_ledger(demo: RunningDemo) -> list[LedgerEntry]:
    with closing(Database(demo.settings.ledger_url)) as database:
        return await Ledger(database).list_entries(project=PROJECT)


def check_ledger(entries: Sequence[LedgerEntry]) -> str:
    """The ledger has every key of the researcher's server and cluster, each with its reason.

    Raises
    ------
    DemoError
        If one of them has fewer than two (the first and a renewed one), or a grant of what
        is not theirs.
    """
    issued = [entry for entry in entries if entry.event == "issue" and entry.person == RESEARCHER]
    sessions = {entry.session for entry in issued}
    keys = {(entry.session, entry.access_key_id) for entry in issued}
    if len(sessions) < 2:
        raise DemoError(
            f"expected keys of a server and of a cluster in the ledger, but saw {len(sessions)}"
        )
    for session in sessions:
        found = sum(session == owner for owner, _ in keys)
        if found < 2:
            raise DemoError(f"expected the first and a renewed key in the ledger, but saw {found}")
    grants: Mapping[str, str] = {prefix: mode for entry in issued for mode, prefix in entry.grants}
    if any(FORBIDDEN in prefix for prefix in grants):
        raise DemoError(f"the ledger has a grant of {FORBIDDEN}: {grants}")
    lines = [f"{mode} {prefix}" for prefix, mode in grants.items()]
    return "\n".join(
        [
            f"the ledger has {len(keys)} keys of {RESEARCHER}, for a server and a cluster: "
            f"{issued[0].reason}",
            *lines,
        ]
    )
