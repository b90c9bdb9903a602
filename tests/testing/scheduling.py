"""Tests that use the same servers run in one worker of pytest-xdist."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

# Files whose tests use the same servers. One worker runs a group, so that its servers start once.
# A group should take less than a tenth of the whole time; see docs/dev/ci.md.
SERVER_GROUPS = {
    "the shared hub": [
        "tests/hub/test_hub_credentials.py",
        "tests/hub/test_hub_forged.py",
        "tests/hub/test_hub_login.py",
        "tests/hub/test_hub_logins.py",
        "tests/hub/test_hub_start.py",
    ],
    "the changing hub": ["tests/hub/test_hub_leaving.py", "tests/hub/test_hub_reload.py"],
    "the attacked store": [
        "tests/live/test_hostile.py",
        "tests/live/test_hostile_keys.py",
        "tests/live/test_hostile_names.py",
        "tests/live/test_hostile_servers.py",
        "tests/live/test_hostile_versions.py",
    ],
}
_GROUP_OF = {file: group for group, files in SERVER_GROUPS.items() for file in files}


class ServerScheduling(LoadFileScheduling):
    """Give a worker the files of one group of servers, or one file, at a time."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _GROUP_OF.get(file, file)
