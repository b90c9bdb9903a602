"""One store, one provider and one hub for all tests here; some start hubs of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hubs import Ground, Hub, ground


@pytest.fixture(scope="session", name="ground")
def the_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The store and the provider."""
    with ground(tmp_path_factory.mktemp("ground") / "ground") as it:
        yield it


@pytest.fixture(scope="session")
def hub(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The hub that is never restarted and whose collaboration file stays as it is."""
    with Hub(ground, tmp_path_factory.mktemp("hub") / "hub") as it:
        yield it
        assert it.child is not None
        assert it.child.exit_code is None, it.child.log_tail()


@pytest.fixture(scope="session")
def changing_hub(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The hub whose collaboration file and memberships change; it asks the provider often."""
    config = "c.Authenticator.auth_refresh_age = 1; c.TeamsMixin.membership_grace = 5"
    with Hub(ground, tmp_path_factory.mktemp("changing-hub") / "hub", config) as it:
        yield it
        assert it.child is not None
        assert it.child.exit_code is None, it.child.log_tail()


@pytest.fixture(scope="module")
def make_hub(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Hub]:
    """Makes hubs that tests may restart and break; each is a context manager."""

    return lambda config="": Hub(ground, tmp_path_factory.mktemp("own-hub") / "hub", config)
