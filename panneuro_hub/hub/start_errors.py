"""The answer to a start that is refused."""

from __future__ import annotations

from jupyterhub.spawner import SpawnException

from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError


def build_start_error(error: AccessDeniedError | InvalidChoiceError) -> SpawnException:
    """Return what to raise for it: a 4xx, which does not count as a failure of the hub."""
    denied = isinstance(error, AccessDeniedError)
    exception = SpawnException(
        str(error),
        reason="access" if denied else "options",
        status_code=403 if denied else 400,
    )
    # JupyterHub shows str(exception), class name and all, unless it finds this.
    exception.jupyterhub_message = str(error)
    return exception
