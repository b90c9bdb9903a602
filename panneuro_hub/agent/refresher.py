"""Keeping a session's keys fresh: when to ask again, and what to say meanwhile.

Two deadlines (as in the refreshable credentials of the AWS SDKs). From the
advisory one, ``renew_after``, the refresher asks for new keys and goes on giving
the old ones while there are none. From the mandatory one, ``expires``, it gives
nothing but the reason. A definite refusal by the service ends the keys at once.
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

FIRST_WAIT = 10.0  # seconds that a client's request waits for the first keys
SHORTEST_PAUSE = 1.0  # seconds
LONGEST_PAUSE = 30.0  # seconds, after refusals and long outages
_LATEST_REFRESH = 0.8  # the part of the keys' life after which they are renewed in any case
_CLOCK_CHECK_SECONDS = 15.0  # seconds: a wall clock that jumps is noticed after so long

RANDOM_SOURCE = random.SystemRandom()

RefresherStatus = Literal["starting", "ready", "late", "refused", "ended"]


def _read_wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ClockPair:
    """Two clocks: the wall's, which can jump, and a steady one, which stops in sleep.

    Parameters
    ----------
    wall : callable
        Gives the time as an aware `datetime`.
    steady : callable
        Gives seconds from any origin, never going back.
    """

    wall: Callable[[], datetime] = _read_wall_clock
    steady: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class TimedCredential:
    """Keys, and when they came by both clocks."""

    credential: Credential
    received: datetime
    received_steady: float

    def remaining(self, clock: ClockPair) -> float:
        """Seconds of life left, by the clock that gives less."""
        expires = self.credential.expires
        by_wall = (expires - clock.wall()).total_seconds()
        passed = clock.steady() - self.received_steady
        by_steady = (expires - self.received).total_seconds() - passed
        return min(by_wall, by_steady)


@dataclass(frozen=True)
class RefresherHealth:
    """How the refresher is, without secrets.

    Parameters
    ----------
    status : {"starting", "ready", "late", "refused", "ended"}
        ``late``: the keys are usable, but new ones are due and do not come.
    expires, renewed : datetime or None
        When the keys end, and when they came.
    problem : str or None
        What went wrong with the last request to the service.
    """

    status: RefresherStatus
    expires: datetime | None
    renewed: datetime | None
    problem: str | None

    @property
    def usable(self) -> bool:
        """Whether there are keys to give."""
        return self.status in ("ready", "late")


def seconds_until_refresh(
    credential: Credential, remaining: float, now: datetime, chance: float
) -> float:
    """Seconds until new keys should be asked for.

    Parameters
    ----------
    credential : Credential
        The keys that just came.
    remaining : float
        Seconds of life that they have left.
    now : datetime
        The wall clock.
    chance : float
        From 0 to 1; spreads the requests of many agents.

    Returns
    -------
    float
        At ``renew_after`` or a little later, and before the last fifth of their life.
    """
    asked_for = (credential.renew_after - now).total_seconds()
    latest = remaining * _LATEST_REFRESH
    if asked_for <= 0:
        # These were due for renewal when they came: soon again, but without hurry.
        return max(SHORTEST_PAUSE, min(remaining / 10, LONGEST_PAUSE))
    due = min(asked_for, latest)
    spread = min(due / 10, (remaining - due) / 10, LONGEST_PAUSE)
    return max(SHORTEST_PAUSE, due + chance * spread)


def seconds_until_retry(failures: int, retry_after: float | None, chance: float) -> float:
    """Seconds until the next try, after `failures` in a row: 1 to 30, spread by a quarter."""
    doubled = SHORTEST_PAUSE * 2.0 ** min(max(failures - 1, 0), 10)
    pause = min(max(doubled, retry_after or 0.0), LONGEST_PAUSE)
    return pause * (1 - chance / 4) if pause > SHORTEST_PAUSE else pause


class CredentialRefresher:
    """Holds a session's keys in memory and renews them in a thread of its own.

    Parameters
    ----------
    fetch : callable
        Gives a `Credential`, or raises `AccessDeniedError` or `ServiceUnreachableError`.
    clock : ClockPair
    chance : callable
        Gives numbers from 0 to 1.
    refused_pause : float
        Seconds between requests after a refusal, in case access returns.
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
        """Begin to ask, in a daemon thread."""
        self._thread = threading.Thread(target=self._run, name="panneuro-refresher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Forget the keys and ask no more."""
        with self._changed:
            self._stopped = True
            self._credential = None
            self._changed.notify_all()

    def get_credential(self, wait: float = 0.0) -> Credential:
        """The keys in use; never asks the service itself.

        Parameters
        ----------
        wait : float
            Seconds to wait for keys where none can be given and a request for
            them is under way.

        Raises
        ------
        AccessDeniedError
            If the service refuses this session.
        ServiceUnavailableError
            If there are no usable keys for now.
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
                # Wakes the thread too: after a suspended night its own timer comes late.
                self._changed.notify_all()
                self._changed.wait(left)

    def report_health(self) -> RefresherHealth:
        """How the refresher is, without secrets."""
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
        """Ask the service once; gives the seconds until it should be asked again."""
        try:
            credential = self._fetch()
        except AccessDeniedError as refusal:
            return self._note_refusal(str(refusal))
        except ServiceUnreachableError as outage:
            return self._note_failure(str(outage), outage.retry_after)
        except Exception:
            # The thread must outlive what nobody thought of, or the session dies an hour later.
            log.exception("asking the service failed in a way that was not foreseen")
            return self._note_failure(
                "the agent could not ask the service; its log says more", None
            )
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
                f"the service's keys had ended ({credential.expires:%Y-%m-%d %H:%M:%S} UTC) before "
                "they came; is the clock of this machine right?",
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
                "keys %s are in use, until %s UTC",
                credential.access_key_id,
                f"{credential.expires:%Y-%m-%d %H:%M:%S}",
            )
        return seconds_until_refresh(credential, remaining, now, self._chance())

    def _note_refusal(self, reason: str) -> float:
        with self._changed:
            news = self._refusal != reason
            self._refusal, self._problem = reason, None
            self._credential = None
            self._failures = 0
            self._changed.notify_all()
        if news:
            log.warning("no keys any more: %s", reason)
        return self._refused_pause

    def _note_failure(self, reason: str, retry_after: float | None) -> float:
        with self._changed:
            self._drop_expired()
            news = self._problem != reason
            self._problem = reason
            self._failures += 1
            failures, timed = self._failures, self._credential
            self._changed.notify_all()
        if news:
            last = (
                f"the old ones last until {timed.credential.expires:%H:%M:%S} UTC" if timed else ""
            )
            log.warning("new keys did not come; %s: %s", last or "there are none", reason)
        return seconds_until_retry(failures, retry_after, self._chance())

    def _drop_expired(self) -> None:
        if self._credential is not None and self._credential.remaining(self._clock) <= 0:
            self._ended = self._credential.credential.expires
            self._credential = None
            log.warning("the keys have ended: %s", self._problem or "new ones are asked for")

    def _is_worth_waiting(self) -> bool:
        # Keys that never came may come any moment; where renewal is known to fail, say so at once.
        return self._ended is None or self._problem is None

    def _explain_missing(self) -> str:
        if self._stopped:
            return "the session's agent is stopping"
        if self._ended is not None:
            since = f"the session's keys ended at {self._ended:%Y-%m-%d %H:%M:%S} UTC"
        else:
            since = "the session has no keys yet"
        return f"{since}: {self._problem or 'new ones are asked for; try again in a moment'}"

    def _status(self) -> RefresherStatus:
        if self._refusal is not None:
            return "refused"
        if self._credential is not None:
            return "late" if self._problem else "ready"
        return "ended" if self._ended else "starting"
