"""What a deployed hub needs around it, on an address that pods reach: store and provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from deployment import Plan, node_port
from kube import Cluster
from ruamel.yaml import YAML
from short_sts import ShortSts

from panneuro_hub.devstack.identity_provider import (
    IdentityProvider,
    make_authenticator_settings,
    start_provider,
)
from panneuro_hub.devstack.local_hub import BUCKET, load_sample_datasets
from panneuro_hub.devstack.processes import ProcessGroup, find_free_port
from panneuro_hub.devstack.samples.collaboration_file import StoreAddress, write_collaboration
from panneuro_hub.devstack.samples.people import PEOPLE, SamplePerson
from panneuro_hub.devstack.seaweedfs import SeaweedFS

# Seconds that keys live: long enough for a slow machine, short enough to be waited for.
LIFETIME = 60
# Of all clusters of a project: few enough for a small node.
MOST_WORKERS = 3
# Seconds that a start goes on that can hardly end well; an autoscaler would want more.
HOPELESS_AFTER = 20


def _people(*names: str) -> tuple[SamplePerson, ...]:
    return tuple(SamplePerson(name, name, ("u19-circuits:navigation",), "") for name in names)


# Whom a hub must keep apart, however their names are written: several come to the same, once
# what a label cannot hold is left out.
AWKWARD = _people(
    "a.b@uni.example",
    "a-b-uni.example",
    "a_b@uni_example",
    "ünïcödé ✓",
    "n\N{COMBINING TILDE}oor %2F? #&=+",
    "-dash-",
    "{username}",
    "x`) || Method(`GET",
    "quote'\"<b>&",
    "x" * 70,
    "x" * 71,
)
SAME_BUT_FOR_CASE = _people("Case", "case")
MANY = _people(*(f"many-{number}" for number in range(1, 51)))
# Names that no account of a hub can have.
UNUSABLE = _people("ada/admin", "y" * 300, "nul\0", "line\nbreak")


@dataclass(frozen=True)
class World:
    """A real store, its STS with short sessions, and a real provider."""

    store: SeaweedFS
    sts: ShortSts
    provider: IdentityProvider
    folder: Path

    def collaboration(
        self,
        images: Mapping[str, str],
        more_images: Mapping[str, str] | None = None,
        **profiles: Mapping[str, Any],
    ) -> str:
        """The demo's collaboration for this store, with small profiles and these images.

        Parameters
        ----------
        more_images : mapping of str to str, optional
            More images that can be chosen, by name.
        profiles : mapping
            More profiles, by name, or other settings of those that there are.
        """
        store = self.store
        address = StoreAddress(store.endpoint_url, store.bucket, store.region, store.role_arn)
        path = self.folder / "collaboration.yaml"
        write_collaboration(path, address, {})
        yaml = YAML()
        document = yaml.load(path.read_text())
        document["stores"]["main"]["sts_endpoint_url"] = self.sts.url
        document["images"]["neuro"]["image"] = images["notebook"]
        for name, image in (more_images or {}).items():
            document["images"][name] = {"title": name, "image": image}
        small = {"cpu": 2, "cpu_guarantee": 0.05, "memory": "512M"}
        document["profiles"]["small"].update(small)
        for name, changes in profiles.items():
            profile = {"title": name, **small, **changes}
            document["profiles"][name] = profile
        document["dask"]["max_workers"] = MOST_WORKERS
        document["dask"]["worker_profiles"]["standard"].update(cpu=0.25, memory="512M")
        output = StringIO()
        yaml.dump(document, output)
        return output.getvalue()

    def plan(self, cluster: Cluster, images: Mapping[str, str], collaboration: str) -> Plan:
        """A hub of these images in `cluster`, with this provider."""
        port = node_port()
        hub_url = f"http://{cluster.node_addresses()[0]}:{port}"
        access_key, secret_key = self.store.vendor
        return Plan(
            hub=images["hub"],
            postgres=images["postgres"],
            traefik=images["traefik"],
            collaboration=collaboration,
            settings={
                "JupyterHub": {"authenticator_class": "panneuro-oidc"},
                "GenericOAuthenticator": make_authenticator_settings(self.provider.url, hub_url),
                "PanNeuroSpawner": {
                    "agent_image": images["agent"],
                    "hopeless_after": HOPELESS_AFTER,
                },
                "KubeSpawner": {
                    "image_pull_policy": "IfNotPresent",
                    "start_timeout": 600,
                    "http_timeout": 600,  # fifty servers on two cores take their time
                },
            },
            dask_settings={
                "PanNeuroKubeBackend": {"agent_image": images["agent"]},
                "KubeClusterConfig": {
                    "image_pull_policy": "IfNotPresent",
                    "scheduler_cores": 0.05,
                    "scheduler_cores_limit": 1,
                    "scheduler_memory": "384 M",
                    "scheduler_memory_limit": "1 G",
                },
            },
            service_environment={
                "AWS_ACCESS_KEY_ID": access_key,
                "AWS_SECRET_ACCESS_KEY": secret_key,
            },
            node_port=port,
        )


@contextmanager
def world_at(address: str, folder: Path) -> Iterator[World]:
    """Start store, STS and provider on `address`, and stop them at the end."""
    store = SeaweedFS(folder / "store", BUCKET, address=address)
    with store, ShortSts(store, LIFETIME) as sts, ProcessGroup() as processes:
        load_sample_datasets(store)
        provider = start_provider(
            processes,
            (*PEOPLE, *AWKWARD, *SAME_BUT_FOR_CASE, *UNUSABLE, *MANY),
            find_free_port(),
            folder / "provider.log",
            address,
        )
        provider.wait_until_ready()
        yield World(store, sts, provider, folder)
