"""Everything that the demo consists of, started in order and stopped for certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from panneuro_hub.devstack.identity_provider import start_provider
from panneuro_hub.devstack.local_hub import (
    BUCKET,
    load_sample_datasets,
    make_gateway_settings,
    prepare_hub_folder,
    prepare_hub_settings,
    start_local_hub,
)
from panneuro_hub.devstack.processes import ProcessGroup, claim_port, find_free_port, url_answers
from panneuro_hub.devstack.samples.people import PEOPLE, SamplePerson
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.devstack.stack_settings import HubSettings

NOTEBOOK = "spike_triggered_average.ipynb"
CLUSTER_NOTEBOOK = "spectrum_on_a_cluster.ipynb"
NOTEBOOKS = (NOTEBOOK, CLUSTER_NOTEBOOK)
_HUB_PORT = 8000
_PATIENCE = 120  # s: for the first start on a slow laptop

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunningDemo:
    """A running demo.

    Parameters
    ----------
    hub_url : str
        What to open in a browser.
    people : tuple of SamplePerson
        Whom to log in as.
    store : SeaweedFS
        The object store.
    settings : HubSettings
        What the hub was told.
    processes : ProcessGroup
        The provider and the hub, with their logs.
    """

    hub_url: str
    people: tuple[SamplePerson, ...]
    store: SeaweedFS
    settings: HubSettings
    processes: ProcessGroup

    @property
    def logs(self) -> dict[str, str]:
        """The end of every log, by the name of the part."""
        return {child.name: child.log_tail() for child in self.processes.children}


@contextmanager
def run_demo(folder: Path, renew_after_seconds: int, say: Say) -> Iterator[RunningDemo]:
    """Start the demo in `folder`; leaving the block stops all of it.

    Parameters
    ----------
    folder : Path
        Made, for this account only, where missing. People's homes in it are kept, the
        rest is made anew.
    renew_after_seconds : int
        After how long sessions get new keys.
    say : callable
        Told what has just been done.

    Raises
    ------
    DevstackError, StoreStartError
        If a part does not start, with the end of its log.
    """
    folder = folder.resolve()
    prepare_hub_folder(folder, {name: read_notebook(name) for name in NOTEBOOKS})
    with ExitStack() as stack:
        store = stack.enter_context(SeaweedFS(folder / "store", BUCKET))
        say(f"the object store answers at {store.endpoint_url}")
        processes = stack.enter_context(ProcessGroup())
        first = stack.enter_context(claim_port(_HUB_PORT))
        ports = _ports(_HUB_PORT if first else None)
        provider = start_provider(processes, PEOPLE, ports[0], folder / "logs" / "provider.log")
        hub = prepare_hub_settings(
            folder, store, provider.url, ports[1:], renew_after_seconds, NOTEBOOK
        )
        hub.write(folder / "settings.json")
        make_gateway_settings(hub, ports[-1]).write(folder / "gateway.json")
        hub_process = start_local_hub(processes, hub, folder)
        # Meanwhile: both take a few seconds to start.
        say(f"{len(load_sample_datasets(store))} datasets are in s3://{BUCKET}")
        provider.wait_until_ready()
        say(f"the identity provider answers at {provider.url}")
        hub_process.wait_until_ready(url_answers(f"{hub.hub_url}/hub/health"), _PATIENCE)
        say(f"the hub answers at {hub.hub_url}")
        yield RunningDemo(hub.hub_url, PEOPLE, store, hub, processes)


def read_notebook(name: str = NOTEBOOK) -> str:
    """Return one of the example notebooks, as JSON."""
    packaged = resources.files("panneuro_hub.demo") / "notebooks" / name
    return packaged.read_text(encoding="utf-8")


def _ports(hub: int | None) -> list[int]:
    """Seven free ports; the second is the hub's as a browser sees it, `hub` if that is free."""
    ports = [find_free_port()]
    ports.append(find_free_port(hub, avoid=ports))
    while len(ports) < 7:
        ports.append(find_free_port(avoid=ports))
    return ports
