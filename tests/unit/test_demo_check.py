"""What the demo's check wants to see, and the notebook that it runs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panneuro_hub.demo import command, confirm
from panneuro_hub.demo.check import judge_ledger
from panneuro_hub.demo.console import Console
from panneuro_hub.demo.errors import DemoError
from panneuro_hub.demo.kernel import CellRun, code_cells
from panneuro_hub.demo.settings import GatewaySettings, HubSettings
from panneuro_hub.demo.stack import (
    CLUSTER_NOTEBOOK,
    NOTEBOOK,
    NOTEBOOKS,
    gateway_settings,
    notebook,
    prepare_folder,
)
from panneuro_hub.service.ledger import Entry

GOOD = "929 spikes: 6.30 ms before a spike the sound is +5.88 dB from its mean; chance gives -0.35"
GOOD += " to +0.32 dB\n"
REFUSED = "lab says: 'human-intracranial' cannot be read\nthe store says: 403 Forbidden\n"
LISTED = (
    "nhp-navigation/grasshopper-receptor.zarr  nhp-navigation/receptor-nwb  "
    "shared-stimuli/gaussian-200hz.zarr  shared-stimuli/gaussian-800hz.zarr"
)
SPECTRUM = "10 seconds: half of the changes are slower than 102 Hz, and 100.0% slower than 200 Hz"
RENEWED = "keys renewed: until 10:00:00, then until 10:01:00 UTC\n9 reads, none failed\n"


def ran(text: str, *media: str) -> CellRun:
    return CellRun("", text, list(media))


def test_average_of_the_recording() -> None:
    assert confirm.expected_average() == (929, 6.30, 5.88)
    assert confirm.average(ran(GOOD, "image/png")).endswith("+0.32 dB; plotted")


@pytest.mark.parametrize(
    ("confirmation", "run", "message"),
    [
        (confirm.session, ran("shared-stimuli: Stimuli"), "expected a session in nhp-navigation"),
        (confirm.datasets, ran(LISTED.replace("receptor-nwb", "")), "expected .*receptor-nwb"),
        (confirm.datasets, ran(f"{LISTED} human-intracranial/resting-state"), "but it lists"),
        (confirm.opened, ran("<zarr.Array>"), "expected an xarray.Dataset"),
        (confirm.average, ran("nothing", "image/png"), "printed no average"),
        (confirm.average, ran(GOOD.replace("6.30", "6.25"), "image/png"), "found .929, 6.25"),
        (confirm.average, ran(GOOD.replace("+0.32", "+9.32"), "image/png"), "within chance"),
        (confirm.average, ran(GOOD), "plotted nothing"),
        (confirm.refused, ran("lab says: no\n"), "'the store says' and a refusal"),
        (confirm.refused, ran(REFUSED.replace("403", "200")), "expected 403 of the store"),
        (confirm.renewal, ran(RENEWED.replace("renewed", "not renewed")), "expected renewed keys"),
        (confirm.cluster, ran("1 workers for nhp-navigation"), "expected 2 workers"),
        (confirm.spectrum, ran("nothing", "image/png"), "printed no spectrum"),
        (confirm.spectrum, ran(SPECTRUM.replace("102", "99"), "image/png"), "found .10, 99"),
        (confirm.spectrum, ran(SPECTRUM.replace("10 sec", "9 sec"), "image/png"), "found .9, 102"),
        (confirm.spectrum, ran(SPECTRUM), "plotted nothing"),
        (confirm.over_chunks, ran("10 chunks were read by 1 workers; 76 dB"), "by 2 workers"),
        (confirm.refused_to_workers, ran(REFUSED.replace("403", "200")), "expected 403"),
        (confirm.workers_renewal, ran("keys renewed on 1 of 2 workers"), "on 2 workers"),
        (confirm.closed, ran("the cluster is running"), "the end of the cluster"),
    ],
)
def test_what_did_not_happen_is_told(
    confirmation: Callable[[CellRun], str], run: CellRun, message: str
) -> None:
    with pytest.raises(DemoError, match=message):
        confirmation(run)


def test_what_happened_is_told() -> None:
    assert confirm.session(ran("nhp-navigation: Navigation\nmore")).endswith("Navigation")
    assert confirm.datasets(ran(LISTED)).startswith("4 datasets are found: nhp-navigation/grass")
    assert "xarray" in confirm.opened(ran("<xarray.Dataset> Size: 3MB\n  spike_times (spike)"))
    assert "403 Forbidden" in confirm.refused(ran(REFUSED))
    assert confirm.cluster(ran("2 workers for nhp-navigation\n<Client>")).endswith("navigation")
    assert confirm.spectrum(ran(SPECTRUM, "image/png")) == f"{SPECTRUM}; plotted"
    assert "2 workers" in confirm.over_chunks(ran("10 chunks were read by 2 workers; 76 dB"))
    assert "403 Forbidden" in confirm.refused_to_workers(ran(REFUSED))
    assert "8 reads" in confirm.workers_renewal(ran("keys renewed on 2 of 2 workers; 8 reads"))
    assert confirm.closed(ran("the cluster is closed\n")) == "the cluster is closed"
    assert confirm.renewal(ran(RENEWED)) == "; ".join(RENEWED.splitlines())


def issue(
    key: str,
    prefix: str = "s3://b/nhp-navigation/",
    person: str = "ada",
    session: str = "server",
) -> Entry:
    return Entry(
        "issue",
        person,
        "nhp-navigation",
        session,
        "you are in navigation-lab",
        grants=(("write", prefix),),
        access_key_id=key,
        expires=datetime(2026, 12, 1, tzinfo=UTC),
    )


CLUSTERS = [issue("C", session="cluster"), issue("D", session="cluster")]


def test_ledger_has_all_keys_and_why() -> None:
    assert judge_ledger([issue("B"), issue("A"), issue("A"), *CLUSTERS]).splitlines() == [
        "the ledger has 4 keys of ada, for a server and a cluster: you are in navigation-lab",
        "write s3://b/nhp-navigation/",
    ]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "of a server and of a cluster in the ledger, but saw 0"),
        ([issue("A"), issue("B")], "of a server and of a cluster in the ledger, but saw 1"),
        ([issue("A"), issue("A"), *CLUSTERS], "a renewed key in the ledger, but saw 1"),
        ([issue("A"), issue("B", person="grace"), *CLUSTERS], "but saw 1"),
        (
            [issue("A"), issue("B", "s3://b/human-intracranial/"), *CLUSTERS],
            "a grant of human-intracranial",
        ),
    ],
)
def test_ledger_that_lacks_keys_or_has_too_much(entries: list[Entry], message: str) -> None:
    with pytest.raises(DemoError, match=message):
        judge_ledger(entries)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_valid_and_empty_of_results(name: str) -> None:
    content = nbformat.reads(notebook(name), as_version=4)

    nbformat.validate(content)
    assert content.metadata.kernelspec.name == "python3"
    for cell in content.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
            compile(cell.source, cell.id, "exec")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [(NOTEBOOK, confirm.CONFIRMATIONS), (CLUSTER_NOTEBOOK, confirm.CLUSTER_CONFIRMATIONS)],
)
def test_notebook_has_each_tag_that_the_check_wants_once(
    name: str, wanted: confirm.Confirmations
) -> None:
    tags = [tag for cell in code_cells(notebook(name)) for tag in cell.tags]

    assert sorted(tags) == sorted(wanted)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_holds_no_address_and_no_key(name: str) -> None:
    for word in ("AWS_", "access_key", "http://", "127.0.0.1", "secret"):
        assert word not in notebook(name)


@given(st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_what_is_no_notebook_is_refused(junk: object) -> None:
    with pytest.raises(DemoError, match="not a notebook"):
        code_cells(json.dumps({"cells": [junk]}))
    with pytest.raises(DemoError, match="not a notebook"):
        code_cells(json.dumps(junk))


def test_console_aligns_steps_with_their_time() -> None:
    output, times = io.StringIO(), iter([0.0, 1.5, 13.75, 14.0])
    console = Console(output, lambda: next(times))

    console.step("one")
    console.step("two:\nmore of it")
    console.say("done")

    assert output.getvalue().splitlines() == [
        "   1.50 s  one",
        "  12.25 s  two:",
        "           more of it",
        "done",
    ]
    assert console.elapsed == 14.0


def hub_settings(folder: str) -> HubSettings:
    return HubSettings(
        folder=folder,
        homes="/homes",
        collaboration="/collaboration.yaml",
        hub_url="http://127.0.0.1:1",
        hub_port=2,
        service_port=3,
        proxy_api_port=4,
        gateway_port=6,
        authenticator={"client_secret": "a secret"},
        service_environment={"AWS_SECRET_ACCESS_KEY": "a secret"},
        renew_after_seconds=5,
        notebook="a.ipynb",
        gateway_command=["dask-gateway-server"],
    )


def test_settings_come_back_and_are_private(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text("left by an earlier demo")
    file.chmod(0o644)

    hub_settings("/hub").write(file)

    assert HubSettings.read(file) == hub_settings("/hub")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "a secret" not in repr(hub_settings("/hub"))
    assert hub_settings("/hub").ledger_url == "sqlite:////hub/ledger.sqlite"


def test_the_gateway_is_told_where_it_is_and_no_secret(tmp_path: Path) -> None:
    gateway = gateway_settings(hub_settings("/demo/hub"), 7)

    gateway.write(tmp_path / "gateway.json")

    assert GatewaySettings.read(tmp_path / "gateway.json") == gateway
    assert gateway == GatewaySettings(
        folder="/demo/gateway",
        collaboration="/collaboration.yaml",
        service_url="http://127.0.0.1:3/services/panneuro",
        port=6,
        api_port=7,
    )
    assert "a secret" not in (tmp_path / "gateway.json").read_text()


def test_homes_outlive_a_demo_and_the_rest_does_not(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "demo")
    home = tmp_path / "demo/homes/ada/projects/nhp-navigation"
    theirs = home / "spike_triggered_average.ipynb"
    assert theirs.read_text() == notebook()
    theirs.write_text("edited")
    (home / "own.txt").write_text("own")
    (tmp_path / "demo/hub/jupyterhub.sqlite").write_text("left")
    (tmp_path / "demo/settings.json").write_text("left")

    prepare_folder(tmp_path / "demo")

    assert theirs.read_text() == "edited"
    assert (home / "own.txt").read_text() == "own"
    assert not (tmp_path / "demo/hub/jupyterhub.sqlite").exists()
    assert not (tmp_path / "demo/settings.json").exists()
    assert (tmp_path / "demo").stat().st_mode & 0o777 == 0o700


def test_a_folder_with_other_files_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()

    assert command.demo(tmp_path) == command.check(tmp_path) == 1

    assert "holds other files; name an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
