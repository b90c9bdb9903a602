"""The answer to a start that is refused."""

from __future__ import annotations

from jupyterhub.spawner import SpawnException

from panneuro_hub.errors import AccessDeniedError, InvalidChoiceError
from panneuro_hub.wire.refusal import Refusal


def build_start_error(error: AccessDeniedError | InvalidChoiceError) -> SpawnException:
    """Return what to raise for it: a 4xx, which does not count as a failure of the hub."""
    refusal = Refusal.from_error(error)
    exception = SpawnException(
        refusal.message,
        reason="access" if isinstance(error, AccessDeniedError) else "options",
        status_code=refusal.status,
    )
    exception.refusal = refusal
    # JupyterHub shows str(exception), class name and all, unless it finds this.
    exception.jupyterhub_message = refusal.message
    return exception
