"""The sample collaboration file, with a store on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ruamel.yaml import YAML

STORE = "main"


@dataclass(frozen=True)
class StoreAddress:
    """The address of the object store.

    Parameters
    ----------
    endpoint_url : str
        ``http://127.0.0.1:PORT``.
    bucket : str
    region : str
    role_arn : str
        The role that the service assumes.
    """

    endpoint_url: str
    bucket: str
    region: str
    role_arn: str


def project_names() -> tuple[str, ...]:
    """Return the names of the sample projects."""
    return tuple(YAML(typ="safe").load(_template())["projects"])


def _template() -> str:
    packaged = resources.files("panneuro_hub.devstack.samples").joinpath("collaboration.yaml")
    return packaged.read_text(encoding="utf-8")


def write_collaboration(
    path: Path, store: StoreAddress, ended: Mapping[str, Mapping[str, str]]
) -> None:
    """Write the sample ``collaboration.yaml``, comments included: it is there to be edited.

    Parameters
    ----------
    path : Path
        Where to.
    store : StoreAddress
        Filled in as the store ``main``.
    ended : mapping of str to mapping of str to str
        By team and person, the day on which a membership ended (``YYYY-MM-DD``).
    """
    yaml = YAML()  # round trip: comments and order stay
    yaml.preserve_quotes = True
    yaml.width = 200
    document = yaml.load(_template())
    document["stores"][STORE].update(
        {
            "endpoint_url": store.endpoint_url,
            "bucket": store.bucket,
            "region": store.region,
            "role_arn": store.role_arn,
        }
    )
    for team, people in ended.items():
        document["teams"][team].setdefault("expires", {}).update(people)
    with path.open("w", encoding="utf-8") as output:
        yaml.dump(document, output)
