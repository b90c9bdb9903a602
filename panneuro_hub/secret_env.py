"""Variables that only the service's process may know, such as the keys for the stores' roles.

JupyterHub writes the environment of a service, and its command, into its database as
they are. So both hold no secret: the environment names a private file, which lives as
long as the hub's process.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from panneuro_hub.errors import PanNeuroError

SECRET_FILE_VARIABLE = "PANNEURO_PRIVATE_ENVIRONMENT"  # noqa: S105 (the name of a variable)


def write_secret_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Write variables where only this account reads them, until this process ends.

    Returns
    -------
    dict of str to str
        The environment that leads the service there; it holds no secret.
    """
    folder = Path(tempfile.mkdtemp(prefix="panneuro-service-"))  # for this account only
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "environment.json"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(dict(variables), file)
    return {SECRET_FILE_VARIABLE: str(path)}


def load_secret_environment(environment: MutableMapping[str, str]) -> None:
    """Put the variables that `write_secret_environment` wrote into `environment`, if it names them.

    Raises
    ------
    PanNeuroError
        If they cannot be read.
    """
    path = environment.get(SECRET_FILE_VARIABLE)
    if not path:
        return
    try:
        environment.update(json.loads(Path(path).read_text()))
    except (OSError, ValueError) as error:
        raise PanNeuroError(
            f"{SECRET_FILE_VARIABLE}: {path} cannot be read ({type(error).__name__}); the "
            "hub writes it when "
            "it starts, so start the hub again"
        ) from error
