"""Keeping a session's keys fresh: when to ask again, and what to say meanwhile.

Two deadlines (as in the refreshable credentials of the AWS SDKs). From the
advisory one, ``renew_after``, the keeper asks for new keys and goes on giving
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

from panneuro_hub.errors import AccessDenied, ServiceUnavailable
from panneuro_hub.lab.upstream import OutOfReach
from panneuro_hub.wire import Credential

log = logging.getLogger("panneuro_hub.lab")

FIRST_WAIT = 10.0  # seconds that a client's request waits for the first keys
SHORTEST_PAUSE = 1.0  # seconds
LONGEST_PAUSE = 30.0  # seconds, after refusals and long outages
_LAST_FIFTH = 0.8  # the part of the keys' life after which they are renewed in any case
_LOOK_AT_CLOCK = 15.0  # seconds: a wall clock that jumps is noticed after so long

CHANCE = random.SystemRandom()

Status = Literal["starting", "ready", "late", "refused", "ended"]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """Two clocks: the wall's, which can jump, and a steady one, which stops in sleep.

    Parameters
    ----------
    wall : callable
        Gives the time as an aware `datetime`.
    steady : callable
        Gives seconds from any origin, never going back.
    """

    wall: Callable[[], datetime] = _now
    steady: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Held:
    """Keys, and when they came by both clocks."""

    credential: Credential
    came: datetime
    came_steady: float

    def remaining(self, clock: Clock) -> float:
        """Seconds of life left, by the clock that gives less."""
        expires = self.credential.expires
        by_wall = (expires - clock.wall()).total_seconds()
        passed = clock.steady() - self.came_steady
        by_steady = (expires - self.came).total_seconds() - passed
        return min(by_wall, by_steady)


@dataclass(frozen=True)
class Health:
    """How the keeper is, without secrets.

    Parameters
    ----------
    status : {"starting", "ready", "late", "refused", "ended"}
        ``late``: the keys are usable, but new ones are due and do not come.
    expires, renewed : datetime or None
        When the keys end, and when they came.
    problem : str or None
        What went wrong with the last request to the service.
    """

    status: Status
    expires: datetime | None
    renewed: datetime | None
    problem: str | None

    @property
    def usable(self) -> bool:
        """Whether there are keys to give."""
        return self.status in ("ready", "late")


def until_renewal(credential: Credential, remaining: float, now: datetime, chance: float) -> float:
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
    latest = remaining * _LAST_FIFTH
    if asked_for <= 0:
        # These were due for renewal when they came: soon again, but without hurry.
        return max(SHORTEST_PAUSE, min(remaining / 10, LONGEST_PAUSE))
    due = min(asked_for, latest)
    spread = min(due / 10, (remaining - due) / 10, LONGEST_PAUSE)
    return max(SHORTEST_PAUSE, due + chance * spread)


def until_retry(failures: int, retry_after: float | None, chance: float) -> float:
    """Seconds until the next try, after `failures` in a row: 1 to 30, spread by a quarter."""
    doubled = SHORTEST_PAUSE * 2.0 ** min(max(failures - 1, 0), 10)
    pause = min(max(doubled, retry_after or 0.0), LONGEST_PAUSE)
    return pause * (1 - chance / 4) if pause > SHORTEST_PAUSE else pause


class Keeper:
    """Holds a session's keys in memory and renews them in a thread of its own.

    Parameters
    ----------
    fetch : callable
        Gives a `Credential`, or raises `AccessDenied` or `OutOfReach`.
    clock : Clock
    chance : callable
        Gives numbers from 0 to 1.
    refused_pause : float
        Seconds between requests after a refusal, in case access returns.
    """

    def __init__(
        self,
        fetch: Callable[[], Credential],
        clock: Clock | None = None,
        chance: Callable[[], float] = CHANCE.random,
        refused_pause: float = LONGEST_PAUSE,
    ) -> None:
        self._fetch = fetch
        self._clock = clock or Clock()
        self._chance = chance
        self._refused_pause = refused_pause
        self._changed = threading.Condition()
        self._stopped = False
        self._held: Held | None = None
        self._ended: datetime | None = None
        self._refusal: str | None = None
        self._problem: str | None = None
        self._failures = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask, in a daemon thread."""
        self._thread = threading.Thread(target=self._run, name="panneuro-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Forget the keys and ask no more."""
        with self._changed:
            self._stopped = True
            self._held = None
            self._changed.notify_all()

    def credential(self, wait: float = 0.0) -> Credential:
        """The keys in use; never asks the service itself.

        Parameters
        ----------
        wait : float
            Seconds to wait for keys where none can be given and a request for
            them is under way.

        Raises
        ------
        AccessDenied
            If the service refuses this session.
        ServiceUnavailable
            If there are no usable keys for now.
        """
        deadline = time.monotonic() + wait
        with self._changed:
            while True:
                self._drop_if_ended()
                if self._refusal is not None:
                    raise AccessDenied(self._refusal)
                if self._held is not None:
                    return self._held.credential
                left = deadline - time.monotonic()
                if self._stopped or not self._worth_waiting() or left <= 0:
                    raise ServiceUnavailable(self._why_none())
                # Wakes the thread too: after a suspended night its own timer comes late.
                self._changed.notify_all()
                self._changed.wait(left)

    def health(self) -> Health:
        """How the keeper is, without secrets."""
        with self._changed:
            self._drop_if_ended()
            held = self._held
            return Health(
                status=self._status(),
                expires=held.credential.expires if held else self._ended,
                renewed=held.came if held else None,
                problem=self._refusal or self._problem,
            )

    def step(self) -> float:
        """Ask the service once; gives the seconds until it should be asked again."""
        try:
            credential = self._fetch()
        except AccessDenied as refusal:
            return self._refused(str(refusal))
        except OutOfReach as outage:
            return self._failed(str(outage), outage.retry_after)
        except Exception:
            # The thread must outlive what nobody thought of, or the session dies an hour later.
            log.exception("asking the service failed in a way that was not foreseen")
            return self._failed("the agent could not ask the service; its log says more", None)
        return self._received(credential)

    def _run(self) -> None:
        while not self._stopped:
            self._rest(self.step())

    def _rest(self, pause: float) -> None:
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
                self._changed.wait(min(left, _LOOK_AT_CLOCK))

    def _received(self, credential: Credential) -> float:
        now = self._clock.wall()
        held = Held(credential, now, self._clock.steady())
        remaining = held.remaining(self._clock)
        if remaining <= 0:
            return self._failed(
                f"the service's keys had ended ({credential.expires:%Y-%m-%d %H:%M:%S} UTC) before "
                "they came; is the clock of this machine right?",
                None,
            )
        with self._changed:
            if self._stopped:
                return LONGEST_PAUSE
            renewed = self._held is None or self._held.credential != credential
            recovered = self._refusal is not None or self._problem is not None
            self._held, self._ended = held, None
            self._refusal = self._problem = None
            self._failures = 0
            self._changed.notify_all()
        if renewed or recovered:
            log.info(
                "keys %s are in use, until %s UTC",
                credential.access_key_id,
                f"{credential.expires:%Y-%m-%d %H:%M:%S}",
            )
        return until_renewal(credential, remaining, now, self._chance())

    def _refused(self, reason: str) -> float:
        with self._changed:
            news = self._refusal != reason
            self._refusal, self._problem = reason, None
            self._held = None
            self._failures = 0
            self._changed.notify_all()
        if news:
            log.warning("no keys any more: %s", reason)
        return self._refused_pause

    def _failed(self, reason: str, retry_after: float | None) -> float:
        with self._changed:
            self._drop_if_ended()
            news = self._problem != reason
            self._problem = reason
            self._failures += 1
            failures, held = self._failures, self._held
            self._changed.notify_all()
        if news:
            last = f"the old ones last until {held.credential.expires:%H:%M:%S} UTC" if held else ""
            log.warning("new keys did not come; %s: %s", last or "there are none", reason)
        return until_retry(failures, retry_after, self._chance())

    def _drop_if_ended(self) -> None:
        if self._held is not None and self._held.remaining(self._clock) <= 0:
            self._ended = self._held.credential.expires
            self._held = None
            log.warning("the keys have ended: %s", self._problem or "new ones are asked for")

    def _worth_waiting(self) -> bool:
        # Keys that never came may come any moment; where renewal is known to fail, say so at once.
        return self._ended is None or self._problem is None

    def _why_none(self) -> str:
        if self._stopped:
            return "the session's agent is stopping"
        if self._ended is not None:
            since = f"the session's keys ended at {self._ended:%Y-%m-%d %H:%M:%S} UTC"
        else:
            since = "the session has no keys yet"
        return f"{since}: {self._problem or 'new ones are asked for; try again in a moment'}"

    def _status(self) -> Status:
        if self._refusal is not None:
            return "refused"
        if self._held is not None:
            return "late" if self._problem else "ready"
        return "ended" if self._ended else "starting"
