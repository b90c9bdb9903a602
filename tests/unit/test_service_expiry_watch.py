"""Entries of `expires` in an odd form end the membership; what is nobody's is reported."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_hub import TOKEN, member, small_hub

from panneuro_hub.access.expiries import NameIndex, find_membership_end, review_expiries
from panneuro_hub.cli import main
from panneuro_hub.collaboration import Collaboration
from panneuro_hub.current import Current
from panneuro_hub.service.accounts.hub_users import HubUsers
from panneuro_hub.service.monitoring.expiry_watch import ExpiryWatch

ODD = "Jose\u0301@uni.example"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("ada", True),
        ("ADA", True),
        ("\uff41da", True),
        ("ada@uni.example", True),
        ("bo@uni.example", True),
        ("bo", True),
        ("bo@other.example", False),
        ("adam", False),
        ("@uni.example", False),
        ("", False),
    ],
)
def test_a_name_is_found_in_any_form(name: str, is_one: bool) -> None:
    assert NameIndex.of(["ada", "bo@uni.example"]).has(name) is is_one


def with_expires(example: Collaboration, **expires: date) -> Collaboration:
    team = example.teams["navigation-lab"].model_copy(update={"expires": expires})
    return example.model_copy(update={"teams": {**example.teams, "navigation-lab": team}})


def test_the_earliest_of_the_entries_that_match_counts(example: Collaboration) -> None:
    days = {"Ada": date(2027, 1, 2), "ada@uni.example": date(2027, 1, 1), "bo": date(2026, 1, 1)}
    team = with_expires(example, **days).teams["navigation-lab"]
    assert find_membership_end(team, "ada") == date(2027, 1, 1)
    assert find_membership_end(team, "ada@elsewhere.example") == date(2027, 1, 2)
    assert find_membership_end(team, "cy") is None


def test_what_an_admin_should_look_at(example: Collaboration) -> None:
    changed = with_expires(example, **{ODD: date(2027, 1, 1), "adda": date(2027, 1, 1)})
    without = review_expiries(changed)
    assert [(one.code, one.name) for one in without] == [("other-form", ODD)]
    found = review_expiries(changed, ["ada", "jos\u00e9"])
    assert [(one.code, one.name) for one in found] == [
        ("other-form", ODD),
        ("matches-nobody", "adda"),
    ]


def test_check_warns_and_the_file_is_good_all_the_same(example_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "collaboration.yaml"
    text = example_file.read_text().replace("rotating.student@uni.example", "Jose\u0301")
    file.write_text(text)
    people = tmp_path / "people.txt"
    people.write_text("ada\nbo\n")
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 0
    assert 'teams.navigation-lab.expires: "Jose<U+0301>" is written in a form' in result.output
    assert "matches no account" not in result.output
    result = CliRunner().invoke(main, ["check", str(file), "--people", str(people)])
    assert result.exit_code == 0
    assert '"Jose<U+0301>" matches no account of the hub' in result.output
    people.write_text("jos\u00e9\n")
    result = CliRunner().invoke(main, ["check", str(file), "--people", str(people)])
    assert "matches no account" not in result.output


async def test_health_counts_and_the_log_names(
    example_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with small_hub(ada=member("ada")) as hub:
        watch = ExpiryWatch(Current(example_file), HubUsers(hub.url, TOKEN, keep=0))
        assert watch.warnings == []
        for _ in range(2):
            await watch.compare_accounts()
        (warning,) = watch.warnings
        assert warning.startswith("1 of the entries of expires match no account")
        assert "rotating" not in warning, "anybody can read health"
        told = [one.getMessage() for one in caplog.records if "matches no account" in one.message]
        assert len(told) == 1
        assert '"rotating.student@uni.example"' in told[0]
        hub.status = 503
        await watch.compare_accounts()
        assert len(watch.warnings) == 1
