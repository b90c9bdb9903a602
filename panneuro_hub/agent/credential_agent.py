"""The session's agent: gives the session's keys to every client on this machine or pod.

It serves the container-credentials protocol, which the AWS SDKs and most S3
clients know, on loopback. ``python -m panneuro_hub.agent.credential_agent`` runs it as a
sidecar; a local server starts it as threads. It needs nothing but Python.

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
_ROTATION_RETRY_SECONDS = 60.0  # seconds, where the file could not be written


@dataclass(frozen=True)
class AgentSettings:
    """How an agent is set up.

    Parameters
    ----------
    service_url : str
        Where the service is; ``PANNEURO_SERVICE_URL``.
    ticket_file : Path
        Where the session's ticket is; ``PANNEURO_TICKET_FILE``.
    port : int
        The port to serve on, 0 for any free one; ``PANNEURO_AGENT_PORT``.
    token_file : Path or None
        Where clients find the token; `None` for a folder of its own;
        ``PANNEURO_TOKEN_FILE``.
    token_mode : int
        The permissions of the token file, 0o600 where not given; ``PANNEURO_TOKEN_MODE``.
    rotate_every : float
        Seconds between tokens.
    first_wait : float
        Seconds that a client's request waits for the first keys.
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
        """Read the settings.

        Raises
        ------
        AgentSettingsError
            If one is missing or unusable.
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
    """The agent as daemon threads.

    Parameters
    ----------
    settings : AgentSettings
    clock : ClockPair, optional
    chance : callable, optional
        Gives numbers from 0 to 1, by which requests of many agents are spread.

    Raises
    ------
    AgentSettingsError
        If the service's address is not one.
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
        """Serve, and begin to ask the service.

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
                f"PANNEURO_AGENT_PORT: {LOOPBACK}:{self._settings.port} cannot be used "
                f"({problem.strerror}); choose a free port, or 0 for any"
            ) from problem
        _start_thread("panneuro-agent", server.serve_forever)
        log.info("the session's agent serves on %s:%d", LOOPBACK, server.port)
        self._refresher.start()
        _start_thread("panneuro-tokens", self._rotate)

    def stop(self) -> None:
        """Forget the keys, stop serving, and remove the token file."""
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
        """The variables through which S3 clients find the agent.

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
                f"PANNEURO_TOKEN_FILE: {problem.filename or path} cannot be written "
                f"({problem.strerror}); name a file in a folder of this user"
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
                log.warning("the token stays as it is, for %s: %s", tokens.path, problem.strerror)


def check_health(environment: Mapping[str, str]) -> bool:
    """Whether the agent of this machine holds usable keys; what a probe asks.

    Raises
    ------
    AgentSettingsError
        If ``PANNEURO_AGENT_PORT`` does not say which port that is.
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
    """Run as a sidecar until SIGTERM or SIGINT; with ``--health``, be its probe.

    A probe is a command because the agent is on loopback, where the kubelet's
    own HTTP probes do not come.

    Returns
    -------
    int
        The exit status: 0 when healthy, 1 for unhealthy or unusable settings, and
        after a signal 128 and its number. Kubernetes starts a container that ends
        with 0 not again where its pod has ``restartPolicy: OnFailure``, as
        KubeSpawner's have.
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
    """Let the agent's log go to standard error, and to no other logger's handlers as well."""
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
            f"{name} is not set; the hub sets it for every session that it starts, so this "
            "program works inside one only"
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
            "PANNEURO_TOKEN_MODE must be 600, 640 or 644; more than 600 only where the token's "
            "folder is seen by the containers of one pod only"
        )
    return int(text, 8)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
