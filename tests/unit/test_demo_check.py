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

from panneuro_hub.demo import command, confirmations
from panneuro_hub.demo.check import check_ledger
from panneuro_hub.demo.console import StepConsole
from panneuro_hub.demo.errors import DemoError
from panneuro_hub.demo.running_demo import (
    CLUSTER_NOTEBOOK,
    NOTEBOOK,
    NOTEBOOKS,
    read_notebook,
)
from panneuro_hub.devstack.errors import DevstackError
from panneuro_hub.devstack.kernel_client import CellOutput, read_code_cells
from panneuro_hub.service.db.ledger import LedgerEntry

GOOD = "929 spikes: 6.30 ms before a spike the sound is +5.88 dB from its mean; chance gives -0.35"
GOOD += " to +0.32 dB\n"
REFUSED = "lab says: 'human-intracranial' cannot be read\nthe store says: 403 Forbidden\n"
LISTED = (
    "nhp-navigation/grasshopper-receptor.zarr  nhp-navigation/receptor-nwb  "
    "shared-stimuli/gaussian-200hz.zarr  shared-stimuli/gaussian-800hz.zarr"
)
SPECTRUM = "10 seconds: half of the changes are slower than 102 Hz, and 100.0% slower than 200 Hz"
RENEWED = "keys renewed: until 10:00:00, then until 10:01:00 UTC\n9 reads, none failed\n"


def ran(text: str, *media: str) -> CellOutput:
    return CellOutput("", text, list(media))


def test_average_of_the_recording() -> None:
    assert confirmations.compute_expected_average() == (929, 6.30, 5.88)
    assert confirmations.confirm_average(ran(GOOD, "image/png")).endswith("+0.32 dB; plotted")


@pytest.mark.parametrize(
    ("confirmation", "run", "message"),
    [
        (
            confirmations.confirm_session,
            ran("shared-stimuli: Stimuli"),
            "expected a session in nhp-navigation",
        ),
        (
            confirmations.confirm_datasets,
            ran(LISTED.replace("receptor-nwb", "")),
            "expected .*receptor-nwb",
        ),
        (
            confirmations.confirm_datasets,
            ran(f"{LISTED} human-intracranial/resting-state"),
            "but it lists",
        ),
        (confirmations.confirm_opened, ran("<zarr.Array>"), "expected an xarray.Dataset"),
        (confirmations.confirm_average, ran("nothing", "image/png"), "printed no average"),
        (
            confirmations.confirm_average,
            ran(GOOD.replace("6.30", "6.25"), "image/png"),
            "found .929, 6.25",
        ),
        (
            confirmations.confirm_average,
            ran(GOOD.replace("+0.32", "+9.32"), "image/png"),
            "within chance",
        ),
        (confirmations.confirm_average, ran(GOOD), "plotted nothing"),
        (confirmations.confirm_refusal, ran("lab says: no\n"), "'the store says' and a refusal"),
        (
            confirmations.confirm_refusal,
            ran(REFUSED.replace("403", "200")),
            "expected 403 of the store",
        ),
        (
            confirmations.confirm_renewal,
            ran(RENEWED.replace("renewed", "not renewed")),
            "expected renewed keys",
        ),
        (confirmations.confirm_cluster, ran("1 workers for nhp-navigation"), "expected 2 workers"),
        (confirmations.confirm_spectrum, ran("nothing", "image/png"), "printed no spectrum"),
        (
            confirmations.confirm_spectrum,
            ran(SPECTRUM.replace("102", "99"), "image/png"),
            "found .10, 99",
        ),
        (
            confirmations.confirm_spectrum,
            ran(SPECTRUM.replace("10 sec", "9 sec"), "image/png"),
            "found .9, 102",
        ),
        (confirmations.confirm_spectrum, ran(SPECTRUM), "plotted nothing"),
        (
            confirmations.confirm_chunks,
            ran("10 chunks were read by 1 workers; 76 dB"),
            "by 2 workers",
        ),
        (confirmations.confirm_worker_refusal, ran(REFUSED.replace("403", "200")), "expected 403"),
        (
            confirmations.confirm_worker_renewal,
            ran("keys renewed on 1 of 2 workers"),
            "on 2 workers",
        ),
        (
            confirmations.confirm_cluster_end,
            ran("the cluster is running"),
            "the end of the cluster",
        ),
    ],
)
def test_what_did_not_happen_is_told(
    confirmation: Callable[[CellOutput], str], run: CellOutput, message: str
) -> None:
    with pytest.raises(DemoError, match=message):
        confirmation(run)


def test_what_happened_is_told() -> None:
    assert confirmations.confirm_session(ran("nhp-navigation: Navigation\nmore")).endswith(
        "Navigation"
    )
    assert confirmations.confirm_datasets(ran(LISTED)).startswith(
        "4 datasets are found: nhp-navigation/grass"
    )
    assert "xarray" in confirmations.confirm_opened(
        ran("<xarray.Dataset> Size: 3MB\n  spike_times (spike)")
    )
    assert "403 Forbidden" in confirmations.confirm_refusal(ran(REFUSED))
    assert confirmations.confirm_cluster(ran("2 workers for nhp-navigation\n<Client>")).endswith(
        "navigation"
    )
    assert confirmations.confirm_spectrum(ran(SPECTRUM, "image/png")) == f"{SPECTRUM}; plotted"
    assert "2 workers" in confirmations.confirm_chunks(
        ran("10 chunks were read by 2 workers; 76 dB")
    )
    assert "403 Forbidden" in confirmations.confirm_worker_refusal(ran(REFUSED))
    assert "8 reads" in confirmations.confirm_worker_renewal(
        ran("keys renewed on 2 of 2 workers; 8 reads")
    )
    assert (
        confirmations.confirm_cluster_end(ran("the cluster is closed\n")) == "the cluster is closed"
    )
    assert confirmations.confirm_renewal(ran(RENEWED)) == "; ".join(RENEWED.splitlines())


def issue(
    key: str,
    prefix: str = "s3://b/nhp-navigation/",
    person: str = "ada",
    session: str = "server",
) -> LedgerEntry:
    return LedgerEntry(
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
    assert check_ledger([issue("B"), issue("A"), issue("A"), *CLUSTERS]).splitlines() == [
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
def test_ledger_that_lacks_keys_or_has_too_much(entries: list[LedgerEntry], message: str) -> None:
    with pytest.raises(DemoError, match=message):
        check_ledger(entries)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_valid_and_empty_of_results(name: str) -> None:
    content = nbformat.reads(read_notebook(name), as_version=4)

    nbformat.validate(content)
    assert content.metadata.kernelspec.name == "python3"
    for cell in content.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
            compile(cell.source, cell.id, "exec")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (NOTEBOOK, confirmations.CONFIRMATIONS),
        (CLUSTER_NOTEBOOK, confirmations.CLUSTER_CONFIRMATIONS),
    ],
)
def test_notebook_has_each_tag_that_the_check_wants_once(
    name: str, wanted: confirmations.Confirmations
) -> None:
    tags = [tag for cell in read_code_cells(read_notebook(name)) for tag in cell.tags]

    assert sorted(tags) == sorted(wanted)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_holds_no_address_and_no_key(name: str) -> None:
    for word in ("AWS_", "access_key", "http://", "127.0.0.1", "secret"):
        assert word not in read_notebook(name)


@given(st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_what_is_no_notebook_is_refused(junk: object) -> None:
    with pytest.raises(DevstackError, match="not a notebook"):
        read_code_cells(json.dumps({"cells": [junk]}))
    with pytest.raises(DevstackError, match="not a notebook"):
        read_code_cells(json.dumps(junk))


def test_console_aligns_steps_with_their_time() -> None:
    output, times = io.StringIO(), iter([0.0, 1.5, 13.75, 14.0])
    console = StepConsole(output, lambda: next(times))

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


def test_a_folder_with_other_files_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()

    assert command.demo(tmp_path) == command.check(tmp_path) == 1

    assert "holds other files; name an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
