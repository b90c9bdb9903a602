"""Refresh a session's credential before it expires.

There are two deadlines, as in the refreshable credentials of the AWS SDKs. After the advisory
one, ``renew_after``, the refresher requests a new credential and serves the old one until the
new one comes. After the mandatory one, ``expires``, it serves only the reason why there is no
credential. If the service refuses the session, the credential ends at once.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from panneuro_hub.agent.service_client import ServiceUnreachableError
from panneuro_hub.errors import AccessDeniedError, ServiceUnavailableError
from panneuro_hub.wire import Credential

log = logging.getLogger("panneuro_hub.agent")

FIRST_WAIT = 10.0  # seconds that a client's request waits for the first credential
SHORTEST_PAUSE = 1.0  # seconds
LONGEST_PAUSE = 30.0  # seconds, after refusals and long outages
_LATEST_REFRESH = 0.8  # the fraction of its lifetime after which a credential is refreshed anyway
_CLOCK_CHECK_SECONDS = 15.0  # seconds between checks whether the wall clock has jumped

RANDOM_SOURCE = random.SystemRandom()

RefresherStatus = Literal["starting", "ready", "late", "refused", "ended"]


def _read_wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ClockPair:
    """Two clocks: the wall clock, which can jump, and a steady one, which stops during sleep.

    Parameters
    ----------
    wall : callable
        Returns the time as an aware `datetime`.
    steady : callable
        Returns seconds from any origin, and never goes back.
    """

    wall: Callable[[], datetime] = _read_wall_clock
    steady: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class TimedCredential:
    """A credential, and the time by both clocks at which it was received."""

    credential: Credential
    received: datetime
    received_steady: float

    def remaining(self, clock: ClockPair) -> float:
        """Return the remaining lifetime in seconds, by the clock that says less."""
        expires = self.credential.expires
        by_wall = (expires - clock.wall()).total_seconds()
        elapsed = clock.steady() - self.received_steady
        by_steady = (expires - self.received).total_seconds() - elapsed
        return min(by_wall, by_steady)


@dataclass(frozen=True)
class RefresherHealth:
    """The state of the refresher, without secrets.

    Parameters
    ----------
    status : {"starting", "ready", "late", "refused", "ended"}
        ``late`` means that the credential is usable, but its refresh is due and fails.
    expires, renewed : datetime or None
        The times at which the credential expires and was received.
    problem : str or None
        The reason why the last request to the service failed.
    """

    status: RefresherStatus
    expires: datetime | None
    renewed: datetime | None
    problem: str | None

    @property
    def usable(self) -> bool:
        """Return whether there is a usable credential."""
        return self.status in ("ready", "late")


def seconds_until_refresh(
    credential: Credential, remaining: float, now: datetime, chance: float
) -> float:
    """Return the seconds until the next refresh of a credential.

    Parameters
    ----------
    credential : Credential
        The credential that was just received.
    remaining : float
        Its remaining lifetime in seconds.
    now : datetime
        The time by the wall clock.
    chance : float
        A number from 0 to 1, which spreads the requests of many agents over time.

    Returns
    -------
    float
        The time until ``renew_after`` or a little later, before the last fifth of the lifetime.
    """
    advised = (credential.renew_after - now).total_seconds()
    latest = remaining * _LATEST_REFRESH
    if advised <= 0:
        # The refresh was due when the credential came: request a new one soon, but not at once.
        return max(SHORTEST_PAUSE, min(remaining / 10, LONGEST_PAUSE))
    due = min(advised, latest)
    spread = min(due / 10, (remaining - due) / 10, LONGEST_PAUSE)
    return max(SHORTEST_PAUSE, due + chance * spread)


def seconds_until_retry(failures: int, retry_after: float | None, chance: float) -> float:
    """Return the seconds until the next try after `failures` in a row: 1 to 30, less up to 25 %."""
    doubled = SHORTEST_PAUSE * 2.0 ** min(max(failures - 1, 0), 10)
    pause = min(max(doubled, retry_after or 0.0), LONGEST_PAUSE)
    return pause * (1 - chance / 4) if pause > SHORTEST_PAUSE else pause


class CredentialRefresher:
    """Keep a session's credential in memory, and refresh it in a separate thread.

    Parameters
    ----------
    fetch : callable
        Returns a `Credential`, or raises `AccessDeniedError` or `ServiceUnreachableError`.
    clock : ClockPair
    chance : callable
        Returns numbers from 0 to 1.
    refused_pause : float
        The seconds between requests after a refusal, in case access returns.
    """

    def __init__(
        self,
        fetch: Callable[[], Credential],
        clock: ClockPair | None = None,
        chance: Callable[[], float] = RANDOM_SOURCE.random,
        refused_pause: float = LONGEST_PAUSE,
    ) -> None:
        self._fetch = fetch
        self._clock = clock or ClockPair()
        self._chance = chance
        self._refused_pause = refused_pause
        self._changed = threading.Condition()
        self._stopped = False
        self._credential: TimedCredential | None = None
        self._ended: datetime | None = None
        self._refusal: str | None = None
        self._problem: str | None = None
        self._failures = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the daemon thread that refreshes the credential."""
        self._thread = threading.Thread(target=self._run, name="panneuro-refresher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Forget the credential, and send no more requests."""
        with self._changed:
            self._stopped = True
            self._credential = None
            self._changed.notify_all()

    def get_credential(self, wait: float = 0.0) -> Credential:
        """Return the current credential, without a request to the service.

        Parameters
        ----------
        wait : float
            The seconds to wait if there is no credential and a request for one is under way.

        Raises
        ------
        AccessDeniedError
            If the service refuses this session.
        ServiceUnavailableError
            If there is no usable credential at the moment.
        """
        deadline = time.monotonic() + wait
        with self._changed:
            while True:
                self._drop_expired()
                if self._refusal is not None:
                    raise AccessDeniedError(self._refusal)
                if self._credential is not None:
                    return self._credential.credential
                left = deadline - time.monotonic()
                if self._stopped or not self._is_worth_waiting() or left <= 0:
                    raise ServiceUnavailableError(self._explain_missing())
                # This wakes the thread too: after a suspended night, its own timer is late.
                self._changed.notify_all()
                self._changed.wait(left)

    def report_health(self) -> RefresherHealth:
        """Return the state of the refresher, without secrets."""
        with self._changed:
            self._drop_expired()
            timed = self._credential
            return RefresherHealth(
                status=self._status(),
                expires=timed.credential.expires if timed else self._ended,
                renewed=timed.received if timed else None,
                problem=self._refusal or self._problem,
            )

    def refresh_once(self) -> float:
        """Request a credential once, and return the seconds until the next request."""
        try:
            credential = self._fetch()
        except AccessDeniedError as refusal:
            return self._note_refusal(str(refusal))
        except ServiceUnreachableError as outage:
            return self._note_failure(str(outage), outage.retry_after)
        except Exception:
            # The thread must survive unforeseen errors. Otherwise the session ends an hour later.
            log.exception("the request to the service failed with an unforeseen error")
            return self._note_failure("the agent failed to ask the service; see its log", None)
        return self._take_credential(credential)

    def _run(self) -> None:
        while not self._stopped:
            self._wait_until_due(self.refresh_once())

    def _wait_until_due(self, pause: float) -> None:
        due_wall = self._clock.wall().timestamp() + pause
        due_steady = self._clock.steady() + pause
        with self._changed:
            while not self._stopped:
                left = min(
                    due_wall - self._clock.wall().timestamp(),
                    due_steady - self._clock.steady(),
                )
                if left <= 0:
                    return
                self._changed.wait(min(left, _CLOCK_CHECK_SECONDS))

    def _take_credential(self, credential: Credential) -> float:
        now = self._clock.wall()
        timed = TimedCredential(credential, now, self._clock.steady())
        remaining = timed.remaining(self._clock)
        if remaining <= 0:
            return self._note_failure(
                f"the service's keys expired at {credential.expires:%Y-%m-%d %H:%M:%S} UTC, before "
                "they arrived; is the clock of this machine right?",
                None,
            )
        with self._changed:
            if self._stopped:
                return LONGEST_PAUSE
            renewed = self._credential is None or self._credential.credential != credential
            recovered = self._refusal is not None or self._problem is not None
            self._credential, self._ended = timed, None
            self._refusal = self._problem = None
            self._failures = 0
            self._changed.notify_all()
        if renewed or recovered:
            log.info(
                "the agent uses the keys %s, which expire at %s UTC",
                credential.access_key_id,
                f"{credential.expires:%Y-%m-%d %H:%M:%S}",
            )
        return seconds_until_refresh(credential, remaining, now, self._chance())

    def _note_refusal(self, reason: str) -> float:
        with self._changed:
            is_new = self._refusal != reason
            self._refusal, self._problem = reason, None
            self._credential = None
            self._failures = 0
            self._changed.notify_all()
        if is_new:
            log.warning("the service refuses new keys: %s", reason)
        return self._refused_pause

    def _note_failure(self, reason: str, retry_after: float | None) -> float:
        with self._changed:
            self._drop_expired()
            is_new = self._problem != reason
            self._problem = reason
            self._failures += 1
            failures, timed = self._failures, self._credential
            self._changed.notify_all()
        if is_new:
            state = "there are no old keys"
            if timed:
                state = f"the old keys last until {timed.credential.expires:%H:%M:%S} UTC"
            log.warning("the request for new keys failed; %s: %s", state, reason)
        return seconds_until_retry(failures, retry_after, self._chance())

    def _drop_expired(self) -> None:
        if self._credential is not None and self._credential.remaining(self._clock) <= 0:
            self._ended = self._credential.credential.expires
            self._credential = None
            log.warning("the keys have expired: %s", self._problem or "new ones are requested")

    def _is_worth_waiting(self) -> bool:
        # The first credential may come any moment. If a refresh is known to fail, say so at once.
        return self._ended is None or self._problem is None

    def _explain_missing(self) -> str:
        if self._stopped:
            return "the session's agent is stopping"
        if self._ended is not None:
            since = f"the session's keys expired at {self._ended:%Y-%m-%d %H:%M:%S} UTC"
        else:
            since = "the session has no keys yet"
        return f"{since}: {self._problem or 'new ones are requested; try again in a moment'}"

    def _status(self) -> RefresherStatus:
        if self._refusal is not None:
            return "refused"
        if self._credential is not None:
            return "late" if self._problem else "ready"
        return "ended" if self._ended else "starting"
