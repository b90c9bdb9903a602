"""A small service over real HTTP, for faults that the real one will not give on request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from testing.stand_in_server import StandInRequest, StandInResponse, StandInServer

from panneuro_hub.wire import Credential, SessionView


def said(status: int, message: str, **headers: str) -> StandInResponse:
    return StandInResponse.from_json({"message": message}, status, **headers)


@dataclass
class FakeService(StandInServer):
    """Speaks the service's HTTP; `credentials` and `session` say how it answers."""

    ticket: str
    lifetime: timedelta = timedelta(minutes=15)
    renew_in: timedelta = timedelta(minutes=10)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    view: SessionView | None = None
    credential_asks: int = 0
    session_asks: int = 0
    issued: list[Credential] = field(default_factory=list)
    fault: StandInResponse | None = None
    credential_fault: StandInResponse | None = None
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.reply)
        self.changed = threading.Condition()
        self.open_gate = threading.Event()
        self.open_gate.set()

    def __exit__(self, *error: object) -> None:
        self.open_gate.set()
        super().__exit__(*error)

    @property
    def url(self) -> str:
        return f"{super().url}/services/panneuro"

    def asked(self, times: int, patience: float = 20.0) -> None:
        """Wait until credentials have been asked for `times` times."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.credential_asks >= times, patience)

    def issue(self) -> Credential:
        now = self.clock().replace(microsecond=0)
        number = len(self.issued) + 1
        credential = Credential(
            f"KEY{number}",
            f"secret-{number}",
            f"token-{number}",
            now + self.lifetime,
            now + self.renew_in,
        )
        self.issued.append(credential)
        return credential

    def reply(self, request: StandInRequest) -> StandInResponse:
        path, authorization = request.path, request.headers.get("authorization")
        with self.changed:
            if path == "/services/panneuro/api/credentials":
                self.credential_asks += 1
            elif path == "/services/panneuro/api/session":
                self.session_asks += 1
            else:
                self.elsewhere.append(path)
            self.changed.notify_all()
        self.open_gate.wait()
        with self.changed:
            if self.fault is not None:
                return self.fault
            if authorization != f"panneuro-ticket {self.ticket}":
                return said(403, "this ticket is unknown")
            if path.endswith("/api/credentials"):
                if self.credential_fault is not None:
                    return self.credential_fault
                return StandInResponse.from_json(self.issue().to_json())
            if self.view is None:
                return said(503, "no session")
            return StandInResponse.from_json(self.view.to_json())
