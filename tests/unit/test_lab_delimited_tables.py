"""Tables keep their rows, their identifiers and their texts; damaged files are named.

The files lie in a store of memory; the tests in tests/live read the same from a real one.
"""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import nibabel
import numpy as np
import pandas
import pytest
from obstore.exceptions import PermissionDeniedError
from obstore.store import MemoryStore
from session_views import view_of

from panneuro_hub.catalog.formats import guess_kind
from panneuro_hub.errors import AccessDeniedError, PanNeuroError
from panneuro_hub.lab.dataset_contents import Dataset
from panneuro_hub.lab.delimited_tables import read_table
from panneuro_hub.lab.object_file import open_object_file
from panneuro_hub.lab.open_data import open_path
from panneuro_hub.lab.paths import StoragePath
from panneuro_hub.lab.read_errors import (
    UnknownFormatError,
    UnreadableFileError,
    translate_format_errors,
)
from panneuro_hub.lab.store_errors import PathLabel, translate_store_errors
from panneuro_hub.names import StorageLocation

FUNC = "study/sub-01/func/sub-01_task-rest"
NUMBERS = b"".join(b"%d\t%d\t%d\n" % (n, 10 * n, n % 2) for n in range(1, 101))
SIDECAR = {"SamplingFrequency": 100.0, "Columns": ["cardiac", "respiratory", "trigger"]}
DESCRIPTION = json.dumps({"Name": "x", "BIDSVersion": "1.10.0"}).encode()


class Files:
    """Files of a project, to open without a session."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def put(self, key: str, content: bytes | dict[str, Any]) -> None:
        self.store.put(key, json.dumps(content).encode() if isinstance(content, dict) else content)

    def open(self, key: str, **kwargs: Any) -> Any:
        place = StoragePath(view_of(), "nav", StorageLocation("lab", "nav/"), self.store, key)  # type: ignore[arg-type]
        return open_path(place, None, **kwargs)


@pytest.fixture
def files() -> Files:
    made = Files()
    made.put("study/dataset_description.json", DESCRIPTION)
    return made


def test_a_table_without_header_takes_its_columns_from_the_sidecar(files: Files) -> None:
    files.put(f"{FUNC}_physio.tsv.gz", gzip.compress(NUMBERS))
    files.put(f"{FUNC}_physio.json", SIDECAR)
    found = files.open(f"{FUNC}_physio.tsv.gz")
    assert list(found.columns) == SIDECAR["Columns"]
    assert len(found) == 100
    assert found.iloc[0].tolist() == [1, 10, 1]
    assert set(map(str, found.dtypes)) == {"int64"}
    assert len(files.open(f"{FUNC}_physio.tsv.gz", nrows=5)) == 5
    pieces = files.open(f"{FUNC}_physio.tsv.gz", chunksize=60)
    assert [len(piece) for piece in pieces] == [60, 40]


@pytest.mark.parametrize(
    "sidecar",
    ["study/task-rest_stim.json", "study/sub-01/sub-01_stim.json", "study/stim.json"],
)
def test_a_sidecar_is_inherited(files: Files, sidecar: str) -> None:
    files.put(f"{FUNC}_stim.tsv.gz", gzip.compress(NUMBERS))
    files.put(sidecar, SIDECAR)
    files.put("study/task-other_stim.json", {"Columns": ["wrong"] * 3})
    files.put("study/task-rest_physio.json", {"Columns": ["wrong"] * 3})
    files.put(f"{FUNC}_stim.json", {"StartTime": 0.0})
    found = files.open(f"{FUNC}_stim.tsv.gz")
    assert list(found.columns) == SIDECAR["Columns"]


def test_the_nearest_and_most_specific_sidecar_wins(files: Files) -> None:
    files.put(f"{FUNC}_physio.tsv.gz", gzip.compress(NUMBERS))
    files.put("study/task-rest_physio.json", {"Columns": ["far"] * 3})
    files.put("study/sub-01/func/sub-01_physio.json", {"Columns": ["general"] * 3})
    files.put(f"{FUNC}_physio.json", SIDECAR)
    assert list(files.open(f"{FUNC}_physio.tsv.gz").columns) == SIDECAR["Columns"]


def test_a_table_whose_columns_nobody_names_is_refused(files: Files) -> None:
    path = f"{FUNC}_physio.tsv.gz"
    files.put(path, gzip.compress(NUMBERS))
    with pytest.raises(
        UnreadableFileError, match=r"physio\.tsv\.gz' has no header, and no physio\.json"
    ):
        files.open(path)
    assert len(files.open(path, names=["a", "b", "c"])) == 100
    assert len(files.open(path, header=0)) == 99


@pytest.mark.parametrize(
    ("sidecar", "reason"),
    [
        (b"{", "cannot be read"),
        (b"[]", "no JSON object"),
        (b'{"Columns": "a"}', "no list of names"),
        (b'{"Columns": ["a", "b"]}', "has 3 columns, and .* names 2"),
    ],
)
def test_a_wrong_sidecar_is_named(files: Files, sidecar: bytes, reason: str) -> None:
    files.put(f"{FUNC}_physio.tsv.gz", gzip.compress(NUMBERS))
    files.put(f"{FUNC}_physio.json", sidecar)
    with pytest.raises(UnreadableFileError, match=rf"physio\.tsv\.gz' [^\n]*{reason}[^\n]*$"):
        files.open(f"{FUNC}_physio.tsv.gz")


def test_recordings_of_motion_take_their_columns_from_the_channels(files: Files) -> None:
    at = "study/sub-01/motion/sub-01_task-walk_tracksys-imu"
    files.put(f"{at}_motion.tsv", b"0.5\t1\n0.25\tn/a\n")
    files.put(f"{at}_channels.tsv", b"name\ttype\tunits\nacc_x\tACCEL\tg\nacc_y\tACCEL\tg\n")
    found = files.open(f"{at}_motion.tsv")
    assert found["acc_x"].tolist() == [0.5, 0.25]
    assert found["acc_y"].isna().tolist() == [False, True]
    assert files.open(f"{at}_channels.tsv")["name"].tolist() == ["acc_x", "acc_y"]


def test_in_bids_only_n_a_is_missing(files: Files) -> None:
    files.put(
        f"{FUNC}_events.tsv",
        b"onset\tduration\ttrial_type\tanswer\trun\n"
        b"0.5\t1\tNA\tn/a\t1\n1.5\tn/a\tNone\t\t2\n2.5\t1\tnan\tnull\t3\n3.5\t1\tNaN\tN/A\t4\n",
    )
    found = files.open(f"{FUNC}_events.tsv")
    assert found["onset"].tolist() == [0.5, 1.5, 2.5, 3.5]
    assert found["duration"].isna().tolist() == [False, True, False, False]
    assert found["trial_type"].tolist() == ["NA", "None", "nan", "NaN"]
    assert found["answer"].tolist()[1:] == ["", "null", "N/A"]
    assert found["answer"].isna().tolist() == [True, False, False, False]
    assert found["run"].tolist() == [1, 2, 3, 4]


def test_identifiers_stay_text(files: Files) -> None:
    content = (
        b"participant_id\tage\tsession\tsite\tdate\tscore\n"
        b"001\t34\t1\t07\t2026-01-02\t0\n002\tn/a\t2\t12\t2026-01-03\t0.5\n"
    )
    files.put("study/participants.tsv", content)
    for options in ({}, {"nrows": 2}):
        found = files.open("study/participants.tsv", **options)
        assert found["participant_id"].tolist() == ["001", "002"]
        assert found["session"].tolist() == ["1", "2"]
        assert found["site"].tolist() == ["07", "12"]
        assert found["age"].tolist()[0] == 34
        assert found["score"].tolist() == [0.0, 0.5]
    (piece,) = files.open("study/participants.tsv", chunksize=9)
    assert piece["participant_id"].tolist() == ["001", "002"]
    asked = files.open("study/participants.tsv", dtype={"site": int})
    assert asked["site"].tolist() == [7, 12]
    assert asked["participant_id"].tolist() == ["001", "002"]


def test_identifiers_stay_text_outside_bids_too(files: Files) -> None:
    files.put("loose/units.csv", b"unit,depth,note,gain\n001,100,NA,0.5\n010,-05,x,00.5\n")
    found = files.open("loose/units.csv")
    assert found["unit"].tolist() == ["001", "010"]
    assert found["depth"].tolist() == [100, -5]
    assert found["gain"].tolist() == [0.5, 0.5]
    assert found["note"].isna().tolist() == [True, False]
    assert files.open("loose/units.csv", index_col="unit").index.tolist() == ["001", "010"]


@pytest.mark.filterwarnings("ignore:Falling back to the 'python' engine")
@pytest.mark.parametrize(
    "options", [{"sep": "; *"}, {"delimiter": ";"}, {"sep": None, "engine": "python"}]
)
def test_a_separator_of_one_s_own_is_for_pandas(files: Files, options: dict[str, Any]) -> None:
    files.put("loose/units.csv", b"unit;depth\n001;100\n010;200\n")
    found = files.open("loose/units.csv", **options)
    assert found.to_dict("list") == {"unit": ["001", "010"], "depth": [100, 200]}


def test_a_huge_description_is_not_read(files: Files) -> None:
    files.put("study/dataset_description.json", bytes(2**24 + 1))
    files.put("study/participants.tsv", b"participant_id\n001\n")
    with pytest.raises(
        UnreadableFileError, match=r"'nav/study/dataset_description\.json' has 16,777,217"
    ):
        files.open("study/participants.tsv")


def test_rows_that_are_too_long_are_refused(files: Files) -> None:
    files.put("study/participants.tsv", b"participant_id\tage\nsub-01\t34\t7\nsub-02\t35\t8\n")
    with pytest.raises(
        UnreadableFileError, match=r"'nav/study/participants\.tsv' cannot be opened"
    ):
        files.open("study/participants.tsv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_says_the_encoding(files: Files, encoding: str) -> None:
    files.put("loose/x.csv", "π,b\n01,2\n".encode(encoding))
    files.put("loose/x.txt", "π\n".encode(encoding))
    assert files.open("loose/x.csv").to_dict("list") == {"π": ["01"], "b": [2]}
    assert files.open("loose/x.txt") == "π\n"


def test_text_of_another_encoding_is_not_guessed(files: Files) -> None:
    files.put("loose/x.txt", "größe".encode("latin-1"))
    with pytest.raises(
        UnreadableFileError, match=r"'nav/loose/x\.txt' is no text in utf-8.*encoding="
    ):
        files.open("loose/x.txt")
    assert files.open("loose/x.txt", encoding="latin-1") == "größe"


def table(**columns: Any) -> bytes:
    target = io.BytesIO()
    pandas.DataFrame(columns).to_parquet(target)
    return target.getvalue()


@pytest.mark.parametrize(
    "names",
    [
        ("spikes/subject=001/part-0.parquet", "spikes/subject=010/part-0.parquet"),
        ("spikes/subject=001/a.parquet", "spikes/subject=010/b.parquet", "spikes/_SUCCESS"),
        ("spikes.parquet/subject=001/x.parquet", "spikes.parquet/subject=010/x.parquet"),
    ],
)
def test_a_partitioned_table_is_one_table(files: Files, names: tuple[str, ...]) -> None:
    first, second, *rest = names
    files.put(first, table(time=[0.5, 1.5]))
    files.put(second, table(time=[2.5]))
    for path in rest:
        files.put(path, b"")
    root = first.split("/")[0]
    found = files.open(root)
    assert found["time"].tolist() == [0.5, 1.5, 2.5]
    assert found["subject"].tolist() == ["001", "001", "010"]
    assert list(files.open(root, columns=["subject"]).columns) == ["subject"]
    assert files.open(root, filters=[("subject", "==", "010")])["time"].tolist() == [2.5]
    with pytest.raises(UnknownFormatError, match="columns= and filters= only, not with nrows"):
        files.open(root, nrows=1)


def test_partitions_of_numbers_are_numbers(files: Files) -> None:
    for day in (2, 10):
        files.put(f"t/day={day}/area=V1%2FV2/x.parquet", table(x=[day]))
    files.put("t/day=__HIVE_DEFAULT_PARTITION__/area=MT/x.parquet", table(x=[0]))
    found = files.open("t").sort_values("x")
    assert found["day"].isna().tolist() == [True, False, False]
    assert found["day"].tolist()[1:] == [2, 10]
    assert found["area"].tolist() == ["MT", "V1/V2", "V1/V2"]


def test_a_folder_of_part_files_is_one_table(files: Files) -> None:
    files.put("t/part.0.parquet", table(x=[1], y=["a"]))
    files.put("t/part.1.parquet", table(x=[2]))
    files.put("t/_metadata", b"any")
    found = files.open("t")
    assert found["x"].tolist() == [1, 2]
    assert found["y"].isna().tolist() == [False, True]


def test_a_folder_of_several_tables_is_a_folder(files: Files) -> None:
    files.put("tables/units.parquet", table(unit=[1]))
    files.put("tables/trials.parquet", table(trial=[1]))
    found = files.open("tables")
    assert isinstance(found, Dataset)
    assert found.find("*.parquet") == ("trials.parquet", "units.parquet")
    assert found.open("units.parquet")["unit"].tolist() == [1]


def test_parts_that_are_of_several_tables_are_refused(files: Files) -> None:
    files.put("t/day=1/units.parquet", table(unit=[1]))
    files.put("t/day=1/trials.parquet", table(trial=[1]))
    with pytest.raises(UnreadableFileError, match="'nav/t' has parts with different columns"):
        files.open("t")
    files.put("s/part-0.parquet", table(x=[1]))
    files.put("s/part-1.parquet", table(x=["a"]))
    with pytest.raises(UnreadableFileError, match="'nav/s' has parts that are not of one table"):
        files.open("s")
    files.put("r/part-0.parquet", table(x=[1]))
    files.put("r/part-1.parquet", b"PAR1")
    with pytest.raises(
        UnreadableFileError, match=r"'nav/r/part-1\.parquet' cannot be opened as a table"
    ):
        files.open("r")


def cifti() -> bytes:
    axis = nibabel.cifti2.SeriesAxis(0, 1, 3)
    mask = np.ones((2, 2, 1))
    brain = nibabel.cifti2.BrainModelAxis.from_mask(mask, affine=np.eye(4), name="thalamus_left")
    image = nibabel.Cifti2Image(np.arange(12.0).reshape(3, 4), (axis, brain))
    return bytes(image.to_bytes())


@pytest.mark.parametrize("name", ["rest.dtseries.nii", "anything.nii", "rest.dtseries.nii.gz"])
def test_cifti_is_cifti_by_its_header(files: Files, name: str) -> None:
    content = cifti()
    files.put(name, gzip.compress(content) if name.endswith(".gz") else content)
    found = files.open(name)
    assert isinstance(found, nibabel.Cifti2Image)
    np.testing.assert_array_equal(found.dataobj[1], [4, 5, 6, 7])
    assert found.header.get_axis(0).step == 1


def test_nifti_2_stays_nifti_2(files: Files) -> None:
    plain = nibabel.Nifti2Image(np.ones((2, 3, 4), "i2"), np.eye(4))
    files.put("plain.dscalar.nii", plain.to_bytes())
    assert type(files.open("plain.dscalar.nii")) is nibabel.Nifti2Image
    plain.header["intent_code"] = 3002
    files.put("axes.dtseries.nii", plain.to_bytes())
    with pytest.raises(
        UnreadableFileError, match=r"'nav/axes\.dtseries\.nii' says that it is CIFTI-2"
    ):
        files.open("axes.dtseries.nii")


def test_a_volume_that_is_cut_off_is_refused_at_once(files: Files) -> None:
    whole = nibabel.Nifti1Image(np.ones((4, 4, 4)), np.eye(4)).to_bytes()
    files.put("cut.nii", whole[:-1])
    with pytest.raises(
        UnreadableFileError, match=r"'nav/cut\.nii' is cut off: it has 863 bytes.* 864"
    ):
        files.open("cut.nii")


ENDINGS = (
    *(".nwb", ".h5", ".nc", ".nii", ".nii.gz", ".csv", ".tsv", ".csv.gz", ".tsv.gz"),
    *(".parquet", ".json", ".txt", ".mgz"),
)


def contents() -> dict[str, bytes]:
    image = bytes(nibabel.Nifti1Image(np.ones((4, 4, 4)), np.eye(4)).to_bytes())
    whole = {"parquet": table(x=[1, 2]), "nifti": image, "cifti": cifti()}
    return {
        "empty": b"",
        "one byte": b"\x89",
        "zeros": bytes(1000),
        "noise": np.random.default_rng(1).bytes(5000),
        "text": b"no, such\nthing\n1,2,3,4\n",
        "brackets": b"[" * 100_000,
        "gzip": gzip.compress(b"x,y\n1,2\n")[:-6],
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "netcdf": b"CDF\x01" + b"\xff" * 50,
        **whole,
        **{f"cut {name}": content[: len(content) // 2] for name, content in whole.items()},
        **{f"beginning of {name}": content[:20] for name, content in whole.items()},
    }


@pytest.mark.parametrize("content", contents().values(), ids=contents())
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.filterwarnings("ignore")
def test_a_file_opens_or_is_named_in_one_line(files: Files, ending: str, content: bytes) -> None:
    key = f"loose/some{ending}"
    files.put(key, content)
    problem = problem_of(files, key)
    if problem is not None:
        assert isinstance(problem, (UnreadableFileError, UnknownFormatError))
        assert f"nav/{key}" in str(problem)
        assert "\n" not in str(problem)
        assert len(str(problem)) < 600


def problem_of(files: Files, key: str) -> PanNeuroError | None:
    try:
        files.open(key)
    except PanNeuroError as problem:
        return problem
    return None


def test_what_the_store_refuses_is_no_damage() -> None:
    place = PathLabel("nav/x.csv", "s3://lab/nav/x.csv", "nav")
    with (
        pytest.raises(AccessDeniedError),
        translate_store_errors(place),
        translate_format_errors(place, "a table"),
    ):
        raise PermissionDeniedError("403")


def test_a_table_in_pieces_is_read_as_far_as_it_is_used(files: Files) -> None:
    files.put("loose/long.csv", b"x,y\n" + b"1,2\n" * 10)
    place = PathLabel("nav/loose/long.csv", "s3://lab/nav/loose/long.csv", "nav")
    file = open_object_file(files.store, place, "loose/long.csv")  # type: ignore[arg-type]
    assert guess_kind("loose/long.csv") == "table"
    assert len(read_table(file, place, None, nrows=3)) == 3
