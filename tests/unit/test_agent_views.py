from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from session_views import view_of

from panneuro_hub.errors import AccessDenied
from panneuro_hub.lab.upstream import OutOfReach
from panneuro_hub.lab.views import LastView
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
def views(service: Service) -> LastView:
    return LastView(service, steady=lambda: service.now)


def test_is_kept_for_half_a_minute_and_no_longer(views: LastView, service: Service) -> None:
    views.get()
    service.now += 29
    views.get()
    assert service.asked == 1
    service.now += 1
    views.get()
    assert service.asked == 2


def test_the_last_one_is_given_in_an_outage_which_is_looked_at_seldom(
    views: LastView, service: Service
) -> None:
    views.get()
    service.trouble = OutOfReach("down")
    service.now += 3600
    assert [views.get(), views.get()] == [VIEW, VIEW]
    assert service.asked == 2
    service.now += 5
    views.get()
    assert service.asked == 3


def test_a_refusal_takes_the_last_one_away(views: LastView, service: Service) -> None:
    views.get()
    service.trouble = AccessDenied("your membership ended")
    service.now += 30
    with pytest.raises(AccessDenied, match="your membership ended"):
        views.get()
    service.trouble = OutOfReach("down")
    service.now += 5
    with pytest.raises(OutOfReach, match="down"):
        views.get()
    service.trouble = None
    service.now += 5
    assert views.get() == VIEW


def test_many_askers_are_one_question(service: Service) -> None:
    gate = threading.Event()

    def slow() -> SessionView:
        gate.wait(20)
        return service()

    views = LastView(slow, steady=lambda: service.now)
    askers = [threading.Thread(target=views.get) for _ in range(10)]
    for asker in askers:
        asker.start()
    gate.set()
    for asker in askers:
        asker.join()
    assert service.asked == 1
