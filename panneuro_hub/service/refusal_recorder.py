"""Refusals in the ledger: the same one of the same session once a minute."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from panneuro_hub.errors import PanNeuroError
from panneuro_hub.service.cache import put_newest
from panneuro_hub.service.db.ledger import Ledger, LedgerEntry, LedgerSession

# A program that asks in a loop must not fill the ledger.
_REFUSAL_SECONDS = 60.0
_MOST_REFUSALS = 10_000


class RefusalRecorder:
    """Records refusals in the ledger.

    Parameters
    ----------
    ledger : Ledger
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._seen: OrderedDict[tuple[str, ...], float] = OrderedDict()

    async def record_refusal(
        self, person: str, session: LedgerSession, refusal: PanNeuroError
    ) -> None:
        """Record a refusal, unless the same one was recorded in the last minute.

        Raises
        ------
        ServiceUnavailableError
            If it could not be written.
        """
        reason = session.add_description(str(refusal))
        if self._is_new((person, session.id, reason)):
            await self._ledger.record_entry(
                LedgerEntry("refusal", person[:255], session.project, session.id, reason)
            )

    def _is_new(self, refusal: tuple[str, ...]) -> bool:
        now = self._clock()
        last = self._seen.get(refusal)
        if last is not None and now - last < _REFUSAL_SECONDS:
            return False
        put_newest(self._seen, refusal, now, _MOST_REFUSALS)
        return True
