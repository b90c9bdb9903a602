"""Give the session's credential to every client on this machine or in this pod.

The agent serves the container-credentials protocol, which the AWS SDKs and most S3
clients know, on the loopback address. ``python -m panneuro_hub.agent.credential_agent`` runs it
as a sidecar; a local server starts it as threads. It needs nothing but Python.

Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
"""

from __future__ import annotations

import http.client
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from panneuro_hub.agent.http_server import LOOPBACK, LoopbackServer
from panneuro_hub.agent.refresher import FIRST_WAIT, RANDOM_SOURCE, ClockPair, CredentialRefresher
from panneuro_hub.agent.routes import AgentRoutes
from panneuro_hub.agent.service_client import AgentSettingsError, ServiceClient
from panneuro_hub.agent.session_cache import SessionViewCache
from panneuro_hub.agent.token_file import TokenFile

log = logging.getLogger("panneuro_hub.agent")

_ROTATION_SECONDS = 3600.0  # seconds
_ROTATION_RETRY_SECONDS = 60.0  # seconds, after a failure to write the file


@dataclass(frozen=True)
class AgentSettings:
    """The settings of an agent.

    Parameters
    ----------
    service_url : str
        The address of the service; ``PANNEURO_SERVICE_URL``.
    ticket_file : Path
        The file with the session's ticket; ``PANNEURO_TICKET_FILE``.
    port : int
        The port to serve on, or 0 for any free port; ``PANNEURO_AGENT_PORT``.
    token_file : Path or None
        The file in which clients find the token; by default a file in a new temporary folder;
        ``PANNEURO_TOKEN_FILE``.
    token_mode : int
        The permissions of the token file, by default 0o600; ``PANNEURO_TOKEN_MODE``.
    rotate_every : float
        Seconds between tokens.
    first_wait : float
        The seconds that a client's request waits for the first credential.
    """

    service_url: str
    ticket_file: Path
    port: int = 0
    token_file: Path | None = None
    token_mode: int = 0o600
    rotate_every: float = _ROTATION_SECONDS
    first_wait: float = FIRST_WAIT

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> AgentSettings:
        """Read the settings from environment variables.

        Raises
        ------
        AgentSettingsError
            If a setting is missing or unusable.
        """
        token_file = environment.get("PANNEURO_TOKEN_FILE")
        return cls(
            service_url=_require_variable(environment, "PANNEURO_SERVICE_URL"),
            ticket_file=Path(_require_variable(environment, "PANNEURO_TICKET_FILE")),
            port=_read_port(environment),
            token_file=Path(token_file) if token_file else None,
            token_mode=_read_token_mode(environment),
        )


class CredentialAgent:
    """An agent that runs in daemon threads.

    Parameters
    ----------
    settings : AgentSettings
    clock : ClockPair, optional
    chance : callable, optional
        Returns numbers from 0 to 1, which spread the requests of many agents over time.

    Raises
    ------
    AgentSettingsError
        If the service's address is not a valid URL.
    """

    def __init__(
        self,
        settings: AgentSettings,
        clock: ClockPair | None = None,
        chance: Callable[[], float] = RANDOM_SOURCE.random,
    ) -> None:
        self._settings = settings
        service_client = ServiceClient(settings.service_url, settings.ticket_file)
        self._refresher = CredentialRefresher(service_client.fetch_credential, clock, chance)
        self._session_cache = SessionViewCache(service_client.fetch_session)
        self._stopping = threading.Event()
        self._server: LoopbackServer | None = None
        self._tokens: TokenFile | None = None
        self._folder: Path | None = None

    def start(self) -> None:
        """Start to serve clients and to refresh the credential.

        Raises
        ------
        AgentSettingsError
            If the port is taken or the token file cannot be written.
        """
        self._tokens = tokens = self._open_tokens()
        routes = AgentRoutes(
            self._refresher, self._session_cache, tokens.accepts, self._settings.first_wait
        )
        try:
            self._server = server = LoopbackServer(self._settings.port, routes.handle_request)
        except OSError as problem:
            self.stop()
            raise AgentSettingsError(
                f"PANNEURO_AGENT_PORT: the agent cannot use {LOOPBACK}:{self._settings.port} "
                f"({problem.strerror}); choose a free port, or 0 for any"
            ) from problem
        _start_thread("panneuro-agent", server.serve_forever)
        log.info("the session's agent serves on %s:%d", LOOPBACK, server.port)
        self._refresher.start()
        _start_thread("panneuro-tokens", self._rotate)

    def stop(self) -> None:
        """Forget the credential, stop serving, and remove the token file."""
        self._stopping.set()
        self._refresher.stop()
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._tokens is not None:
            self._tokens.remove()
            self._tokens = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def environment(self) -> dict[str, str]:
        """Return the variables through which S3 clients find the agent.

        Raises
        ------
        RuntimeError
            If the agent has not been started.
        """
        if self._server is None or self._tokens is None:
            raise RuntimeError("the agent is not running; call start() first")
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": (
                f"http://{LOOPBACK}:{self._server.port}/credentials"
            ),
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self._tokens.path),
        }

    def _open_tokens(self) -> TokenFile:
        path = self._settings.token_file
        try:
            if path is None:
                self._folder = Path(tempfile.mkdtemp(prefix="panneuro-"))
                path = self._folder / "token"
            return TokenFile(path.absolute(), self._settings.token_mode)
        except OSError as problem:
            raise AgentSettingsError(
                f"PANNEURO_TOKEN_FILE: the agent cannot write {problem.filename or path} "
                f"({problem.strerror}); name a file in a folder that this user owns"
            ) from problem

    def _rotate(self) -> None:
        tokens = self._tokens
        pause = self._settings.rotate_every
        while tokens is not None and not self._stopping.wait(pause):
            try:
                tokens.rotate()
                pause = self._settings.rotate_every
            except OSError as problem:
                pause = min(_ROTATION_RETRY_SECONDS, self._settings.rotate_every)
                log.warning(
                    "the token was not rotated, because %s cannot be written: %s",
                    tokens.path,
                    problem.strerror,
                )


def check_health(environment: Mapping[str, str]) -> bool:
    """Return whether the agent of this machine holds a usable credential, for a probe.

    Raises
    ------
    AgentSettingsError
        If ``PANNEURO_AGENT_PORT`` does not name the port of the agent.
    """
    port = _read_port(environment)
    if port == 0:
        raise AgentSettingsError("PANNEURO_AGENT_PORT: set it to the port that the agent serves on")
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/health")
        with connection.getresponse() as response:
            return response.status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run as a sidecar until SIGTERM or SIGINT; with ``--health``, probe the sidecar.

    The probe is a command because the agent listens on the loopback address, which the
    kubelet's own HTTP probes do not reach.

    Returns
    -------
    int
        The exit status: 0 when healthy, 1 when unhealthy or for unusable settings, and
        128 plus the number of the signal after a signal. It is not 0 then, because Kubernetes
        does not restart a container that ends with 0 if its pod has
        ``restartPolicy: OnFailure``, as KubeSpawner's pods have.
    """
    set_up_logging()
    stopping = threading.Event()
    signals: list[int] = []

    def stop(number: int, _frame: object) -> None:
        signals.append(number)
        stopping.set()

    try:
        if list(arguments) == ["--health"]:
            return 0 if check_health(environment) else 1
        agent = CredentialAgent(AgentSettings.from_environment(environment))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        agent.start()
    except AgentSettingsError as problem:
        log.error("%s", problem)
        return 1
    stopping.wait()
    agent.stop()
    log.info("the session's agent has stopped")
    return 128 + signals[0]


def set_up_logging() -> None:
    """Send the agent's log to standard error only, not to the handlers of other loggers."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s panneuro: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def _start_thread(name: str, target: Callable[[], None]) -> None:
    threading.Thread(target=target, name=name, daemon=True).start()


def _require_variable(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise AgentSettingsError(
            f"{name} is not set; the hub sets it for every session that it starts, and this "
            "program works only in such a session"
        )
    return value


def _read_port(environment: Mapping[str, str]) -> int:
    text = environment.get("PANNEURO_AGENT_PORT") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise AgentSettingsError("PANNEURO_AGENT_PORT must be a whole number from 0 to 65535")
    return int(text)


def _read_token_mode(environment: Mapping[str, str]) -> int:
    text = environment.get("PANNEURO_TOKEN_MODE") or "600"
    if text.removeprefix("0") not in ("600", "640", "644"):
        raise AgentSettingsError(
            "PANNEURO_TOKEN_MODE must be 600, 640 or 644; use more than 600 only if no process "
            "outside one pod sees the token's folder"
        )
    return int(text, 8)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
