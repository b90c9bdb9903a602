from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from session_views import view_of

from panneuro_hub.agent.service_client import ServiceUnreachableError
from panneuro_hub.agent.session_cache import SessionViewCache
from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.wire import SessionView

VIEW = view_of()


@dataclass
class Service:
    trouble: Exception | None = None
    asked: int = 0
    now: float = 100.0

    def __call__(self) -> SessionView:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return VIEW


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def cache(service: Service) -> SessionViewCache:
    return SessionViewCache(service, steady=lambda: service.now)


def test_is_kept_for_half_a_minute_and_no_longer(cache: SessionViewCache, service: Service) -> None:
    cache.get_view()
    service.now += 29
    cache.get_view()
    assert service.asked == 1
    service.now += 1
    cache.get_view()
    assert service.asked == 2


def test_the_last_one_is_given_in_an_outage_which_is_looked_at_seldom(
    cache: SessionViewCache, service: Service
) -> None:
    cache.get_view()
    service.trouble = ServiceUnreachableError("down")
    service.now += 3600
    assert [cache.get_view(), cache.get_view()] == [VIEW, VIEW]
    assert service.asked == 2
    service.now += 5
    cache.get_view()
    assert service.asked == 3


def test_a_refusal_takes_the_last_one_away(cache: SessionViewCache, service: Service) -> None:
    cache.get_view()
    service.trouble = AccessDeniedError("your membership ended")
    service.now += 30
    with pytest.raises(AccessDeniedError, match="your membership ended"):
        cache.get_view()
    service.trouble = ServiceUnreachableError("down")
    service.now += 5
    with pytest.raises(ServiceUnreachableError, match="down"):
        cache.get_view()
    service.trouble = None
    service.now += 5
    assert cache.get_view() == VIEW


def test_many_askers_are_one_question(service: Service) -> None:
    gate = threading.Event()

    def slow() -> SessionView:
        gate.wait(20)
        return service()

    cache = SessionViewCache(slow, steady=lambda: service.now)
    askers = [threading.Thread(target=cache.get_view) for _ in range(10)]
    for asker in askers:
        asker.start()
    gate.set()
    for asker in askers:
        asker.join()
    assert service.asked == 1
