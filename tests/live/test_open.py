"""Datasets in a real store are found by their catalog, and opened as what they are."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import h5netcdf
import h5py
import nibabel
import numpy as np
import pandas
import pynwb
import pytest
import xarray
import zarr
from key_tap import KeyTap
from linked_files import VALUES, linked_files
from obstore.store import S3Store
from session_views import because, view_of
from short_service import ShortService
from short_sessions import lab_store
from stored_datasets import (
    bids,
    chunked_hdf5,
    example4d,
    fmri_csv,
    long_series,
    open_admin_store,
    put,
    receptor_nwb,
    receptor_zarr,
)
from zarr.storage import ObjectStore as ZarrStore

import panneuro_hub.lab as lab
from panneuro_hub.agent.credential_agent import AgentSettings, CredentialAgent
from panneuro_hub.catalog import UploadNote, make_manifest_key, make_record_key, make_upload_key
from panneuro_hub.catalog.dataset_records import begin_upload, list_catalog, rebuild_catalog
from panneuro_hub.devstack.samples.nwb_files import HAS_NWB_ZARR
from panneuro_hub.devstack.samples.recordings import read_fmri, read_receptor
from panneuro_hub.devstack.seaweedfs import SeaweedFS
from panneuro_hub.errors import AccessDeniedError
from panneuro_hub.lab import PathNotFoundError
from panneuro_hub.vending import CredentialRequest
from panneuro_hub.wire import Denial, Grant, Reason, Ticket

NWB_ENDING = "nwb.zarr" if HAS_NWB_ZARR else "nwb"
FROZEN = Reason("frozen", "nav")
NOT_HUMAN = (Reason("not-in-team", "human", teams=("human-lab",), level="read"),)
BEGAN = datetime(2026, 11, 3, 8, 30, tzinfo=UTC)
GRANTS = (
    Grant("s3://lab/opening/nav/", "write", because("you are in navigation-lab"), "nav"),
    Grant("s3://lab/opening/nav/paper/", "read", (FROZEN,), "nav"),
    Grant("s3://lab/opening/stimuli/", "read", because("nav reads stimuli"), "stimuli"),
)
WIDER = Grant("s3://lab/opening/revoked/", "read", because("until a moment ago"), "revoked")


@dataclass(frozen=True)
class Desk:
    """What is behind a session's data."""

    tap: KeyTap
    nav: S3Store
    seaweedfs: SeaweedFS


def fill(nav: S3Store, stimuli: S3Store) -> None:
    put(nav, "nav", "receptor", receptor_zarr(), title="Auditory receptor neuron")
    put(nav, "nav", "2026/session-12", receptor_nwb(), title="The same, as NWB")
    put(nav, "nav", "rest", bids(), title="Resting <state>", asks_to_wait_until=date(2999, 1, 1))
    put(nav, "nav", "series", {"series.nii": long_series(), "README.md": b"Twenty times."})
    put(nav, "nav", "blocks", {"blocks.h5": chunked_hdf5()})
    table = {"event_related_fmri.csv": fmri_csv(), "LICENSE": b"BSD"}
    put(stimuli, "stimuli", "fmri", table, title="Event-related fMRI", description="near MT")
    mixed = {"a.csv": b"x,y\n1,2\n", "b/c.bin": b"\x00\x01", "b/note.txt": "π\n".encode()}
    put(nav, "nav", "paper/mixed", mixed)
    for path in ("one.nii.gz", "two.nii.gz"):
        nav.put(f"loose/{path}", example4d())
    nav.put("broken/broken.nwb", b"no HDF5 at all")
    nav.put("broken/broken.nii.gz", b"\x1f\x8bno gzip")
    nav.put("broken/cut.h5", chunked_hdf5(1)[:5000])
    nav.put("half/first.csv", b"x\n1\n")
    begin_upload(
        nav, UploadNote(dataset="half", by="bee", began=BEGAN, files_count=1200, size=3 * 10**12)
    )


@pytest.fixture(scope="module")
def desk(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("session")
    nav = open_admin_store(seaweedfs, "opening/nav")
    stimuli = open_admin_store(seaweedfs, "opening/stimuli")
    fill(nav, stimuli)
    ticket = Ticket.new("ada", "").encode()
    (folder / "ticket").write_text(ticket)
    request = CredentialRequest("ada/", "ada", "nav", lab_store(seaweedfs), GRANTS)
    with ExitStack() as stack:
        assert seaweedfs.ports is not None
        tap = stack.enter_context(KeyTap(seaweedfs.ports.s3, depth=2))
        view = view_of(
            level="write",
            prefix="s3://lab/opening/nav/",
            endpoint_url=f"http://127.0.0.1:{tap.port}",
            region=seaweedfs.region,
            prefixes={
                "nav": "s3://lab/opening/nav/",
                "stimuli": "s3://lab/opening/stimuli/",
                # As after a change of the collaboration, of which the store's keys know sooner.
                "revoked": "s3://lab/opening/revoked/",
            },
            grants=(*GRANTS, WIDER),
            denied=(
                Denial("write", "prefix", "s3://lab/opening/nav/paper/", "nav", (FROZEN,)),
                Denial("read", "prefix", "s3://lab/opening/human/", "human", NOT_HUMAN),
            ),
        )
        lifetime = timedelta(minutes=14)
        service = stack.enter_context(ShortService(seaweedfs, request, view, ticket, lifetime))
        agent = CredentialAgent(AgentSettings(service.url, folder / "ticket"))
        agent.start()
        stack.callback(agent.stop)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in agent.environment().items():
            patch.setenv(name, value)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield Desk(tap, nav, seaweedfs)
        everything = open_admin_store(seaweedfs, "opening/")
        for meta in (one for page in everything.list() for one in page):
            everything.delete(meta["path"])


def test_datasets_are_listed_with_what_is_known_of_them(desk: Desk) -> None:
    found = lab.datasets()
    assert [one.name for one in found] == [
        *("nav/2026/session-12", "nav/blocks", "nav/half", "nav/paper/mixed", "nav/receptor"),
        *("nav/rest", "nav/series", "stimuli/fmri"),
    ]
    assert found["nav/rest"].row() == {
        "dataset": "nav/rest",
        "title": "Resting <state>",
        "who": "ada",
        "when": "2026-11-02",
        "size": "693 kB",
        "format": "bids",
        "modality": "func",
        "subjects": "sub-01, sub-02",
        "state": "author asks to wait until 2999-01-01",
    }
    assert found["nav/2026/session-12"].row()["modality"] == "ecephys"
    assert found["nav/receptor"].row()["format"] == "zarr"
    assert found["nav/paper/mixed"].state == "frozen"
    assert not found["nav/half"].complete
    assert found["nav/half"].state == "not complete (by bee, since 2026-11-03 08:30)"
    assert [one.name for one in found.find("near MT")] == ["stimuli/fmri"]
    assert list(found.to_pandas()["complete"]) == [one.complete for one in found]
    (note,) = found.notes
    assert note.startswith("revoked: the store refuses 'revoked'")


def test_a_listing_shows_itself_as_a_table(desk: Desk) -> None:
    found = lab.datasets("nav")
    header, *lines = repr(found).splitlines()
    assert header.split() == [
        *("dataset", "title", "who", "when", "size", "format", "modality", "subjects", "state")
    ]
    assert len(lines) == len(found) == 7
    page = found._repr_html_()
    assert "<td>Resting &lt;state&gt;</td>" in page
    assert "<state>" not in page


def test_one_project_may_be_asked_for(desk: Desk) -> None:
    assert [one.name for one in lab.datasets("stimuli")] == ["stimuli/fmri"]
    assert [one.name for one in lab.open("stimuli")] == ["stimuli/fmri"]
    with pytest.raises(
        AccessDeniedError, match=r"human cannot be read in this session: you are not in human-lab"
    ):
        lab.datasets("human")
    with pytest.raises(AccessDeniedError, match="the store refuses 'revoked'"):
        lab.datasets("revoked")
    with pytest.raises(ValueError, match="write only its name"):
        lab.datasets("nav/rest")


def test_zarr_is_an_xarray_dataset_and_comes_when_it_is_used(desk: Desk) -> None:
    before = desk.tap.received
    data = lab.open("nav/receptor")
    # Coordinates are read at once, as xarray does.
    time = 1_600_000
    assert desk.tap.received - before < time / 2
    assert isinstance(data, xarray.Dataset)
    recorded = read_receptor(1)
    np.testing.assert_array_equal(data["spike_times"], recorded.spike_times)
    np.testing.assert_array_equal(data["stimulus"][:100], recorded.stimulus[:100])
    single = lab.open("nav/receptor/spike_times")
    assert isinstance(single, zarr.Array)
    assert single.shape == recorded.spike_times.shape


def test_zarr_without_arrays_at_its_root_is_a_tree(desk: Desk) -> None:
    store = ZarrStore(open_admin_store(desk.seaweedfs, "opening/nav/tree.zarr"))
    group = zarr.create_group(store)
    day = group.create_group("day-1")
    day.create_array("x", data=np.arange(3), dimension_names=("n",))
    tree = lab.open("nav/tree.zarr")
    assert isinstance(tree, xarray.DataTree)
    np.testing.assert_array_equal(tree["day-1"]["x"], np.arange(3))
    assert isinstance(lab.open("nav/tree.zarr", group="day-1"), xarray.Dataset)


def test_zarr_has_values_and_types_as_stored(desk: Desk) -> None:
    data = np.arange(600, dtype="i2").reshape(100, 6)
    store = ZarrStore(open_admin_store(desk.seaweedfs, "opening/nav/zeros.zarr"))
    group = zarr.create_group(store, zarr_format=2)
    array = group.create_array("x", data=data, chunks=(50, 3))
    array.attrs["_ARRAY_DIMENSIONS"] = ["t", "c"]
    for found in (lab.open("nav/zeros.zarr"), lab.open_zarr("nav/zeros.zarr")):
        again = pickle.loads(pickle.dumps(found))  # as it goes to Dask workers
        assert again["x"].dtype == np.dtype("i2")
        np.testing.assert_array_equal(again["x"], data)


def test_zarr_without_names_of_dimensions_is_a_group(desk: Desk) -> None:
    data = np.arange(600, dtype="i2").reshape(100, 6)
    store = ZarrStore(open_admin_store(desk.seaweedfs, "opening/nav/recording"))
    group = zarr.create_group(store, attributes={"sampling_frequency": 30000.0})
    group.create_array("traces_seg0", data=data, chunks=(50, 6))
    image = zarr.create_group(ZarrStore(open_admin_store(desk.seaweedfs, "opening/nav/image")))
    image.attrs["ome"] = {"version": "0.5", "multiscales": [{"datasets": [{"path": "0"}]}]}
    image.create_array("0", data=np.ones((64, 64), "u2"), chunks=(32, 32))
    before = desk.tap.received
    found = lab.open("nav/recording")
    assert isinstance(found, zarr.Group)
    assert found.attrs["sampling_frequency"] == 30000.0
    np.testing.assert_array_equal(found["traces_seg0"][:50], data[:50])
    assert desk.tap.received > before
    levels = lab.open("nav/image")
    assert isinstance(levels, zarr.Group)
    assert levels["0"].shape == (64, 64)


def test_tables_of_bids_are_as_bids_says(desk: Desk) -> None:
    rows = b"".join(b"%d\t%d\t%d\n" % (n, 10 * n, n % 2) for n in range(1, 101))
    columns = b'{"SamplingFrequency": 100.0, "Columns": ["cardiac", "respiratory", "trigger"]}'
    files = {
        "dataset_description.json": b'{"Name": "Physio", "BIDSVersion": "1.10.0"}',
        "participants.tsv": b"participant_id\tgroup\n001\tNA\n002\tn/a\n",
        "task-rest_physio.json": columns,
        "sub-01/func/sub-01_task-rest_physio.tsv.gz": gzip.compress(rows),
    }
    put(desk.nav, "nav", "physio", files)
    data = lab.open("nav/physio")
    found = data.open("sub-01/func/sub-01_task-rest_physio.tsv.gz")
    assert list(found.columns) == ["cardiac", "respiratory", "trigger"]
    assert len(found) == 100
    people = lab.open("nav/physio/participants.tsv")
    assert people["participant_id"].tolist() == ["001", "002"]
    assert people["group"].isna().tolist() == [False, True]
    # The lists that other tests compare have no such dataset.
    desk.nav.delete(make_manifest_key("physio"))
    desk.nav.delete(make_record_key("physio"))


def test_cifti_is_cifti(desk: Desk) -> None:
    axis = nibabel.cifti2.SeriesAxis(0, 1, 3)
    brain = nibabel.cifti2.BrainModelAxis.from_mask(
        np.ones((2, 2, 1)), affine=np.eye(4), name="thalamus_left"
    )
    numbers = np.arange(12.0).reshape(3, 4)
    image = nibabel.Cifti2Image(numbers, (axis, brain))
    desk.nav.put("loose-cifti/rest.dtseries.nii", image.to_bytes())
    found = lab.open("nav/loose-cifti/rest.dtseries.nii")
    assert isinstance(found, nibabel.Cifti2Image)
    np.testing.assert_array_equal(found.dataobj[...], numbers)


def test_a_partitioned_table_is_one_table(desk: Desk) -> None:
    for subject in ("001", "010"):
        target = io.BytesIO()
        pandas.DataFrame({"time": [float(subject)]}).to_parquet(target)
        desk.nav.put(f"spikes.parquet/subject={subject}/part-0.parquet", target.getvalue())
    desk.nav.put("spikes.parquet/_SUCCESS", b"")
    for found in (lab.open("nav/spikes.parquet"), spikes_dataset(desk)):
        assert found["time"].tolist() == [1.0, 10.0]
        assert found["subject"].tolist() == ["001", "010"]


def spikes_dataset(desk: Desk) -> pandas.DataFrame:
    """The same parts, published as a dataset."""
    paths = [f"subject={subject}/part-0.parquet" for subject in ("001", "010")]
    parts = {path: bytes(desk.nav.get(f"spikes.parquet/{path}").bytes()) for path in paths}
    put(desk.nav, "nav", "spikes", {**parts, "README.md": b"Of two subjects."})
    try:
        return lab.open("nav/spikes")
    finally:
        desk.nav.delete(make_manifest_key("spikes"))
        desk.nav.delete(make_record_key("spikes"))


def test_nwb_is_an_nwb_file_and_comes_when_it_is_used(desk: Desk) -> None:
    recorded = read_receptor(1)
    for path in ("nav/2026/session-12", f"nav/2026/session-12/receptor.{NWB_ENDING}"):
        before = desk.tap.received
        data = lab.open(path)
        assert isinstance(data, pynwb.NWBFile)
        assert desk.tap.received - before < recorded.stimulus.nbytes / 2
        np.testing.assert_array_equal(data.units["spike_times"][0], recorded.spike_times)
        level = data.stimulus["sound_level"].data
        np.testing.assert_array_equal(level[1000:1100], recorded.stimulus[1000:1100])


@pytest.mark.skipif(HAS_NWB_ZARR, reason="this Python has an hdmf-zarr that reads it")
def test_nwb_on_zarr_says_what_python_it_needs(desk: Desk) -> None:
    store = ZarrStore(open_admin_store(desk.seaweedfs, "opening/nav/later.nwb.zarr"))
    zarr.create_group(store, attributes={"nwb_version": "2.8.0"})
    with pytest.raises(ImportError, match=r"hdmf-zarr 0\.14, which needs Python 3\.12"):
        lab.open("nav/later.nwb.zarr")


def test_a_volume_comes_slice_by_slice(desk: Desk) -> None:
    whole = nibabel.Nifti1Image.from_bytes(long_series())
    size = len(long_series())
    before = desk.tap.received
    image = lab.open("nav/series")
    assert isinstance(image, nibabel.Nifti1Image)
    assert image.shape == (128, 96, 24, 40)
    assert desk.tap.received - before < size / 20
    np.testing.assert_array_equal(image.dataobj[..., 7], whole.dataobj[..., 7])
    assert desk.tap.received - before < size / 5
    np.testing.assert_array_equal(image.affine, whole.affine)


def test_a_packed_volume_opens_too(desk: Desk) -> None:
    image = lab.open("nav/rest/sub-02/func/sub-02_task-rest_bold.nii.gz")
    expected = nibabel.Nifti1Image.from_bytes(gzip.decompress(example4d()))
    np.testing.assert_array_equal(image.get_fdata(), expected.get_fdata())


def test_hdf5_is_an_xarray_dataset_and_comes_block_by_block(desk: Desk) -> None:
    content = chunked_hdf5()
    before = desk.tap.received
    data = lab.open("nav/blocks")
    assert desk.tap.received - before < len(content) / 20
    row = data["numbers"][3].values
    assert desk.tap.received - before < len(content) / 5
    with h5netcdf.File(io.BytesIO(content)) as file:
        np.testing.assert_array_equal(row, file["numbers"][3])
        np.testing.assert_array_equal(data["numbers"], file["numbers"][...])


def test_hdf5_without_names_and_with_groups_opens(desk: Desk) -> None:
    for name, path in (("flat.h5", "x"), ("nested.hdf5", "day/x")):
        target = io.BytesIO()
        with h5py.File(target, "w") as file:
            file[path] = np.arange(6.0).reshape(2, 3)
        desk.nav.put(f"plain/{name}", target.getvalue())
    flat, nested = lab.open("nav/plain/flat.h5"), lab.open("nav/plain/nested.hdf5")
    np.testing.assert_array_equal(flat["x"], np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(nested["day"]["x"], np.arange(6.0).reshape(2, 3))


def test_a_table_is_a_data_frame(desk: Desk) -> None:
    frame = lab.open("stimuli/fmri")
    assert isinstance(frame, pandas.DataFrame)
    np.testing.assert_array_equal(frame["bold"], read_fmri()["bold"])
    assert len(lab.open("stimuli/fmri", nrows=5)) == 5
    target = io.BytesIO()
    frame.to_parquet(target)
    desk.nav.put("plain/fmri.parquet", target.getvalue())
    assert list(lab.open("nav/plain/fmri.parquet", columns=["events"])) == ["events"]
    desk.nav.put("plain/fmri.csv.gz", gzip.compress(fmri_csv()))
    pandas.testing.assert_frame_equal(lab.open("nav/plain/fmri.csv.gz"), frame)


def test_bids_is_listed_by_subject(desk: Desk) -> None:
    data = lab.open("nav/rest")
    assert repr(data) == (
        "Resting <state>\n"
        "nav/rest, 7 files, 693 kB\n"
        "  subject    files  size\n"
        "  (for all)  3      148 B\n"
        "  sub-01     2      346 kB\n"
        "  sub-02     2      346 kB"
    )
    assert "<state>" not in data._repr_html_()
    assert data.subjects == ("sub-01", "sub-02")
    assert data.of("02").find("*_bold.nii.gz") == ("sub-02/func/sub-02_task-rest_bold.nii.gz",)
    assert list(data.of("sub-01")) == [path for path in data if path.startswith("sub-01/")]
    with pytest.raises(PathNotFoundError, match="no 'sub-03'; it has sub-01, sub-02"):
        data.of("03")


def test_a_dataset_opens_what_is_in_it(desk: Desk) -> None:
    data = lab.open("nav/rest")
    people = data.open("participants.tsv")
    assert people["age"].isna().tolist() == [False, True]
    assert data.open("sub-01/func/sub-01_task-rest_bold.json")["TaskName"] == "rest"
    assert data.open("sub-01/func/sub-01_task-rest_bold.nii.gz").shape == (128, 96, 24, 2)
    assert list(data.open("sub-01")) == [
        "func/sub-01_task-rest_bold.json",
        "func/sub-01_task-rest_bold.nii.gz",
    ]
    assert list(lab.open("nav/rest/sub-01/func")) == [
        "sub-01_task-rest_bold.json",
        "sub-01_task-rest_bold.nii.gz",
    ]
    with data.file("README") as file:
        assert file.read() == b"Made of nibabel's example."
    with pytest.raises(PathNotFoundError, match="nav/rest has nothing at 'sub-07'"):
        data.open("sub-07")
    with pytest.raises(
        PathNotFoundError, match="nothing at 'nav/rest/sub-07' in the dataset nav/rest"
    ):
        lab.open("nav/rest/sub-07")


def test_other_files_are_opened_or_given_as_files(desk: Desk) -> None:
    assert list(lab.open("nav/paper/mixed")) == ["a.csv", "b/c.bin", "b/note.txt"]
    assert lab.open("nav/paper/mixed/b/note.txt") == "π\n"
    with pytest.raises(
        lab.UnknownFormatError, match=r"lab\.file\('nav/paper/mixed/b/c\.bin'\) gives it"
    ):
        lab.open("nav/paper/mixed/b/c.bin")
    with lab.file("nav/paper/mixed/b/c.bin") as file:
        assert file.read() == b"\x00\x01"


def test_what_was_never_made_a_dataset_opens_too(desk: Desk) -> None:
    loose = lab.open("nav/loose")
    assert list(loose) == ["one.nii.gz", "two.nii.gz"]
    assert loose.open("one.nii.gz").shape == (128, 96, 24, 2)
    assert lab.open("s3://lab/opening/nav/loose/two.nii.gz").shape == (128, 96, 24, 2)


def test_what_is_not_complete_says_so(desk: Desk) -> None:
    told = r"nav/half is not complete: bee began to send 1,200 files \(3.0 TB\) on 2026-11-03"
    for path in ("nav/half", "nav/half/first.csv"):
        with pytest.raises(lab.IncompleteUploadError, match=told):
            lab.open(path)
    assert list(lab.open("nav/half", incomplete=True)) == ["first.csv"]
    assert list(lab.open("nav/half/first.csv", incomplete=True)["x"]) == [1]


def test_what_is_being_changed_says_so(desk: Desk) -> None:
    begin_upload(
        desk.nav, UploadNote(dataset="blocks", by="bee", began=BEGAN, files_count=2, size=9)
    )
    try:
        with pytest.warns(UserWarning, match="nav/blocks is being changed: bee began"):
            lab.open("nav/blocks")
        assert lab.datasets("nav")["nav/blocks"].state.startswith("being changed (by bee")
    finally:
        desk.nav.delete(make_upload_key("blocks"))


@pytest.mark.parametrize(
    ("name", "what"),
    [("broken.nwb", "NWB"), ("broken.nii.gz", "NIfTI"), ("cut.h5", "HDF5")],
)
def test_a_damaged_file_is_named(desk: Desk, name: str, what: str) -> None:
    with pytest.raises(
        lab.UnreadableFileError, match=f"'nav/broken/{name}' cannot be opened as {what}"
    ):
        lab.open(f"nav/broken/{name}")


@pytest.mark.parametrize(
    ("path", "error", "reason"),
    [
        ("nav/nothing", PathNotFoundError, "there is nothing at 'nav/nothing'"),
        ("nav/nothing.nwb", PathNotFoundError, "there is nothing at 'nav/nothing.nwb'"),
        (
            "human/session",
            AccessDeniedError,
            "human cannot be read in this session: you are not in human-lab",
        ),
        ("s3://lab/opening/human/x", AccessDeniedError, "you are not in human-lab"),
        ("revoked/session", AccessDeniedError, "the store refuses 'revoked/session'"),
        ("nav/../human/x", ValueError, "segment"),
    ],
)
def test_what_cannot_be_opened_says_why(
    desk: Desk, path: str, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        lab.open(path)


def test_a_file_that_is_replaced_is_not_read_half_and_half(desk: Desk) -> None:
    desk.nav.put("plain/replaced.h5", chunked_hdf5(2))
    data = lab.open("nav/plain/replaced.h5")
    desk.nav.put("plain/replaced.h5", chunked_hdf5(3))
    with pytest.raises(lab.ObjectChangedError, match="was replaced by another version"):
        data["numbers"][1].load()


def test_a_file_reads_on_in_another_process_s_hands(desk: Desk) -> None:
    file = lab.file("nav/blocks/blocks.h5")
    other = pickle.loads(pickle.dumps(file))
    content = chunked_hdf5()
    other.seek(-100, 2)
    assert other.read() == content[-100:]
    assert file.read() == content  # more than one part at once
    assert hashlib.sha256(bytes(file.whole())).digest() == hashlib.sha256(content).digest()


MALFORMED = {
    "no JSON": b"{",
    "no object": b"[]",
    "nothing": b"{}",
    "too new": b'{"version": 99}',
    "no text": b"\xff\xfe",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_malformed_records_do_not_hide_the_others(desk: Desk, content: bytes) -> None:
    keys = (make_record_key("bad"), make_upload_key("bad"), ".panneuro/catalog/..%2F..json")
    for key in keys:
        desk.nav.put(key, content)
    try:
        found = lab.datasets("nav")
        assert len(found) == 7
        assert [note.split(": ")[1] for note in found.notes] == [keys[2], keys[0], keys[1]]
        assert lab.open("nav/rest").subjects == ("sub-01", "sub-02")
    finally:
        for key in keys:
            desk.nav.delete(key)


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_manifest_is_said(desk: Desk, content: bytes) -> None:
    desk.nav.put("bad/x.csv", b"x\n1\n")
    desk.nav.put(make_manifest_key("bad"), content)
    try:
        with pytest.raises(lab.UnreadableFileError, match="the manifest of nav/bad is damaged"):
            lab.open("nav/bad")
        assert list(lab.open("nav/bad/x.csv")["x"]) == [1]
    finally:
        desk.nav.delete(make_manifest_key("bad"))


def test_a_record_of_another_dataset_is_not_believed(desk: Desk) -> None:
    desk.nav.put(make_record_key("fake"), bytes(desk.nav.get(make_record_key("rest")).bytes()))
    try:
        found = lab.datasets("nav")
        assert "nav/fake" not in {one.name for one in found}
        assert "it names the dataset 'rest'" in found.notes[0]
    finally:
        desk.nav.delete(make_record_key("fake"))


def test_the_catalog_is_rebuilt_from_the_manifests(desk: Desk) -> None:
    before = list_catalog(desk.nav)
    desk.nav.delete(make_record_key("2026/session-12"))
    desk.nav.put(make_record_key("rest"), bytes(desk.nav.get(make_record_key("blocks")).bytes()))
    desk.nav.put(make_record_key("gone"), b"{}")
    done = rebuild_catalog(desk.nav)
    assert done.written == ("2026/session-12", "rest")
    assert done.removed == (make_record_key("gone"),)
    assert done.kept == 4
    assert done.problems == ()
    assert list_catalog(desk.nav) == before
    assert rebuild_catalog(desk.nav).written == ()


def test_a_rebuild_tells_of_manifests_that_it_cannot_read(desk: Desk) -> None:
    desk.nav.put(make_manifest_key("bad"), b"{")
    try:
        (trouble,) = rebuild_catalog(desk.nav).problems
        assert trouble.key == make_manifest_key("bad")
    finally:
        desk.nav.delete(make_manifest_key("bad"))


def test_files_that_need_others_read_them_in_their_dataset_only(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "secret.h5"
    with h5py.File(outside, "w") as file:
        file["trace"] = VALUES
    folder = tmp_path / "linked"
    folder.mkdir()
    put(desk.nav, "nav", "linked", linked_files(folder, str(outside)))
    desk.nav.delete(make_record_key("linked"))  # other tests count what is listed
    desk.nav.put("linked/late.h5", outside.read_bytes())  # of no manifest
    found = lab.open("nav/linked/linked.h5")
    for name in ("good", "link", "virtual", "external"):
        np.testing.assert_array_equal(found[name], VALUES)
    recording = lab.open("nav/linked/linked.nwb")
    np.testing.assert_array_equal(recording.acquisition["linked"].data[:], np.full(6, 9.0))
    recording.get_read_io().close()
    with pytest.warns(lab.OmittedDataWarning) as told:
        found = lab.open("nav/linked/attack.h5")
    np.testing.assert_array_equal(found["good"], VALUES)
    said = sorted(str(one.message) for one in told)
    assert "/late, which needs 'late.h5', which is not a file of nav/linked" in said[0]
    assert f"/link, which needs {str(outside)!r}, which is outside the dataset" in said[1]
    for name in ("virtual", "external"):
        with pytest.raises(lab.BrokenLinkError, match="outside the dataset and is never read"):
            found[name].load()
