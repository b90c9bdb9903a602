"""What the command says: of failures, names, places, sizes and progress."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from obstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    InvalidPathError,
    PermissionDeniedError,
)
from session_views import view_of
from testing.waiting import wait_until

from panneuro_hub.client.command import find_exit_code, main
from panneuro_hub.client.credential_source import CredentialSource
from panneuro_hub.client.dataset_names import (
    DatasetName,
    explain_no_write,
    find_project_prefix,
    list_frozen_grants,
)
from panneuro_hub.client.login import NotLoggedInError, StoredLogin, find_service_url
from panneuro_hub.client.transfer.engine_errors import classify_error, translate_error
from panneuro_hub.client.transfer.pool import RetryPolicy
from panneuro_hub.client.transfer.progress import TransferProgress, format_duration, show_progress
from panneuro_hub.client.transfer_errors import (
    DatasetEmbargoError,
    FileConflictError,
    LocalFileError,
    StoreError,
    UnfinishedTransferError,
    WrongNameError,
)
from panneuro_hub.errors import AccessDeniedError, PanNeuroError, ServiceUnavailableError
from panneuro_hub.names import StorageLocation
from panneuro_hub.terminal_output import escape_lines
from panneuro_hub.wire import Credential, Denial, Grant, Reason
from panneuro_hub.wording import documents

FROZEN = Reason("frozen", "nav")
READS = Reason("project-reads", "nav", other="stimuli")
NOT_IN = (Reason("not-in-required-team", "mice", teams=("human",)),)

VIEW = view_of(
    level="write",
    prefixes={"nav": "s3://lab/nav/", "stimuli": "s3://lab/stimuli/"},
    grants=(
        Grant("s3://lab/nav/", "write", (Reason("team-has-level", "nav"),), "nav"),
        Grant("s3://lab/nav/paper/2026/", "read", (FROZEN,), "nav"),
        Grant("s3://lab/stimuli/", "read", (READS,), "stimuli"),
    ),
    denied=(
        Denial("write", "prefix", "s3://lab/nav/paper/2026/", "nav", (FROZEN,)),
        Denial("read", "prefix", "s3://lab/mice/", "mice", NOT_IN),
    ),
)


def refused(code: str, status: int, **headers: str) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "the store's own words"},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
        },
        "PutObject",
    )


def answered(code: str, status: str) -> str:
    """As obstore tells of an answer."""
    return (
        f"Generic S3 error: Error performing PUT http://s/b in 1ms - Server returned non-2xx "
        f"status code: {status}: <?xml version='1.0'?><Error><Code>{code}</Code></Error>"
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refused("BadDigest", 400), "damaged"),
        (refused("ExpiredToken", 400), "keys"),
        (refused("InvalidAccessKeyId", 403), "keys"),
        (refused("AccessDenied", 403), "denied"),
        (refused("403", 403), "denied"),
        (refused("SlowDown", 503), "again"),
        (refused("", 500), "again"),
        (refused("NoSuchUpload", 404), "missing"),
        (refused("PreconditionFailed", 412), "exists"),
        (refused("EntityTooLarge", 400), "other"),
        (refused("NotImplemented", 501), "other"),
        (refused("XMinioStorageFull", 507), "other"),
        (refused("InvalidBucketState", 409), "other"),
        (refused("OperationAborted", 409), "again"),
        (refused("409", 409), "again"),
        (ResponseParserError("Unable to parse response: invalid token"), "other"),
        (ParamValidationError(report="no"), "other"),
        (ReadTimeoutError(endpoint_url="http://s"), "again"),
        (EndpointConnectionError(endpoint_url="http://s"), "again"),
        (GenericError(answered("BadDigest", "400 Bad Request")), "damaged"),
        (GenericError(answered("ExpiredToken", "400 Bad Request")), "keys"),
        (PermissionDeniedError(answered("InvalidAccessKeyId", "403 Forbidden")), "keys"),
        (PermissionDeniedError(answered("AccessDenied", "403 Forbidden")), "denied"),
        (GenericError(answered("InternalError", "500 Internal Server Error")), "again"),
        (AlreadyExistsError("Object at location a already exists"), "exists"),
        (GenericError("error sending request for url (http://s): connection refused"), "again"),
        (GenericError("Generic S3 error: HTTP error: request or response body error"), "again"),
        (GenericError("Generic S3 error: Got invalid list response: ill-formed document"), "other"),
        (GenericError("Generic S3 error: Unable to extract metadata from headers"), "other"),
        (InvalidPathError('Encountered object with invalid path: "a\tb"'), "other"),
        (GenericError(answered("NotImplemented", "501 Not Implemented")), "other"),
        (FileNotFoundError("Object at location a not found"), "missing"),
    ],
)
def test_what_a_failure_asks_for(error: Exception, kind: str) -> None:
    assert translate_error(error, "sending a").kind == kind


def test_a_wrong_clock_is_said_with_the_difference() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    said = str(translate_error(refused("RequestTimeTooSkewed", 403, date=date), "listing"))
    assert "the clock of this machine is 60 minutes behind the store's" in said
    for date in ("", "nonsense"):
        said = str(translate_error(refused("RequestTimeTooSkewed", 403, date=date), "listing"))
        assert "the clock of this machine is wrong" in said


@given(st.text(), st.none() | st.integers(100, 599))
def test_any_answer_has_a_kind_or_none(code: str, status: int | None) -> None:
    classify_error(code, status)


@given(
    st.sampled_from(
        ["", "AccessDenied", "InvalidRequest", "Anything", "NoSuchKey", "MalformedXML"]
    ),
    st.integers(100, 599),
)
def test_no_final_answer_is_tried_again(code: str, status: int) -> None:
    passing = {408, 409, 425, 429, *range(500, 600)} - {501, 505, 507, 508, 510, 511}
    if status not in passing:
        assert classify_error(code, status) != "again"


@given(st.text(max_size=40))
def test_what_is_not_known_is_tried_at_most_for_a_bounded_time(text: str) -> None:
    failure = translate_error(GenericError(text), "sending a")
    tries = 0

    def ask() -> None:
        nonlocal tries
        tries += 1
        raise failure

    with pytest.raises(StoreError):
        RetryPolicy(seconds=0).call_with_retries(ask)
    assert tries == 1


def test_what_is_waited_for_is_said_also_where_no_progress_is_shown() -> None:
    out, progress = io.StringIO(), TransferProgress()
    with show_progress(progress, out, quiet=True):
        progress.wait("the store cannot be reached")
        wait_until(lambda: "waiting: the store cannot be reached\n" in out.getvalue())
        progress.tell("not for programs")
    assert out.getvalue() == "waiting: the store cannot be reached\n"


def test_held_keys_stay_until_they_end() -> None:
    def made(name: str, minutes: float) -> Credential:
        now = datetime.now(UTC)
        return Credential(name, "s", "t", now + timedelta(minutes=minutes), now)

    coming = [made("one", 30), made("two", 0.5), made("three", 30)]
    keys = CredentialSource(lambda: coming.pop(0))
    with keys.hold_credential():
        assert [keys.current().access_key_id for _ in range(3)] == ["one"] * 3
    with keys.hold_credential():
        assert [keys.current().access_key_id for _ in range(3)] == ["two", "three", "three"]


@pytest.mark.parametrize("text", ["nav", "nav/a", "nav/2026/a_b.c"])
def test_names_that_are_read(text: str) -> None:
    assert str(DatasetName.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "/", "Nav/a", "nav/", "nav//a", "nav/.x", "nav/../b", "nav/a b", "s3://b/k", "nav\n/a"],
)
def test_names_that_are_not(text: str) -> None:
    with pytest.raises(WrongNameError):
        DatasetName.parse(text)


@given(st.text())
def test_any_name_is_read_or_refused_in_words(text: str) -> None:
    try:
        assert str(DatasetName.parse(text)) == text
    except WrongNameError as refusal:
        said = str(refusal)
        assert said.isprintable()


def test_where_may_be_written_and_why_not() -> None:
    def why(key: str) -> tuple[Reason, ...]:
        return explain_no_write(VIEW, StorageLocation("lab", key))

    assert why("nav/session-1/") == ()
    assert why("nav/paper/2026/x/") == (FROZEN,)
    assert why("stimuli/x/") == (READS,)
    assert why("elsewhere/x/") == (Reason("outside-session", "nav", place="s3://lab/elsewhere/x/"),)
    assert [
        grant.prefix for grant in list_frozen_grants(VIEW, StorageLocation("lab", "nav/paper/"))
    ] == ["s3://lab/nav/paper/2026/"]
    with pytest.raises(AccessDeniedError) as refusal:
        find_project_prefix(VIEW, "mice")
    assert refusal.value.fields["reasons"] == documents(NOT_IN)


@pytest.mark.parametrize("name", ["mcie", "human"])
def test_a_misspelt_project_is_not_explained_with_another_project(name: str) -> None:
    # "human" is a team that another project requires.
    with pytest.raises(AccessDeniedError) as refusal:
        find_project_prefix(VIEW, name)
    assert refusal.value.reason_codes == ("session-reads",)
    assert "mice" not in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "service"),
    [
        ("https://hub.example.org", "https://hub.example.org/services/panneuro"),
        ("https://hub.example.org/", "https://hub.example.org/services/panneuro"),
        ("https://hub.example.org/jupyter/hub/home", "https://hub.example.org/jupyter/services/panneuro"),
        ("https://hub.example.org/services/other/", "https://hub.example.org/services/other"),
        ("http://127.0.0.1:8000/hub/", "http://127.0.0.1:8000/services/panneuro"),
    ],
)  # fmt: skip
def test_the_service_of_a_hub(address: str, service: str) -> None:
    assert find_service_url(address) == service


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://hub.example.org", "not encrypted"),
        ("hub.example.org", "no address"),
        ("ftp://hub.example.org", "no address"),
        ("https://me:secret@hub.example.org", "no address"),
        ("https://hub.example.org:port", "no address"),
    ],
)
def test_addresses_that_no_token_goes_to(address: str, reason: str) -> None:
    with pytest.raises(PanNeuroError, match=reason):
        find_service_url(address)


def test_a_login_is_kept_for_this_account_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(
        "panneuro_hub.client.login.find_login_file", lambda: tmp_path / "p" / "l.json"
    )
    with pytest.raises(NotLoggedInError, match="panneuro login"):
        StoredLogin.read()
    made = StoredLogin(
        "https://h/services/panneuro", "ada", datetime(2100, 1, 1, tzinfo=UTC), "secret"
    )
    path = made.write()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert StoredLogin.read() == made
    assert "secret" not in repr(made)
    StoredLogin(made.service, "ada", datetime(2020, 1, 1, tzinfo=UTC), "secret").write()
    with pytest.raises(NotLoggedInError, match="ended on 2020-01-01; panneuro login https://h"):
        StoredLogin.read()
    path.write_text("[]")
    with pytest.raises(NotLoggedInError):
        StoredLogin.read()


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (LocalFileError("a"), 1),
        (FileConflictError("a"), 1),
        (UnfinishedTransferError("a", []), 1),
        (StoreError("clock", "a"), 1),
        (WrongNameError("a"), 2),
        (AccessDeniedError("a"), 3),
        (NotLoggedInError("a"), 3),
        (ServiceUnavailableError("a"), 4),
        (StoreError("again", "a"), 4),
    ],
)
def test_exit_codes(problem: PanNeuroError, code: int) -> None:
    assert find_exit_code(problem) == code


def test_many_problems_are_told_of_in_a_few_lines() -> None:
    said = str(
        UnfinishedTransferError(
            "nothing was sent:", [LocalFileError(f"{n}: gone") for n in range(500)]
        )
    )
    assert said.count("\n") == 11
    assert said.endswith("and 490 more")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (42.9, "0:42"), (3723, "1:02:03"), (200_000, "2 days"), (1e99, "11574 days")],
)  # fmt: skip
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_progress_in_a_line() -> None:
    progress = TransferProgress()
    progress.expect(10, 1000)
    progress.spare(250)
    progress.done(moved=False)
    assert progress.line() == " 25 % 250 B of 1.0 kB · 1 of 10 files"
    progress.move(250)
    assert progress.line() == " 50 % 500 B of 1.0 kB · 1 of 10 files · 250 B/s · 0:02 left"
    progress.wait("the store cannot be reached")
    assert progress.line().endswith("1 of 10 files · waiting: the store cannot be reached")


def test_what_is_waited_for_is_one_plain_line() -> None:
    progress = TransferProgress()
    progress.wait("a\x1b[2J\nb")
    assert progress.line().endswith("waiting: a [2J b")


def test_news_are_told_where_nobody_looks() -> None:
    progress, out = TransferProgress(), io.StringIO()
    with show_progress(progress, out):
        progress.tell("somebody else was here")
    assert out.getvalue() == "somebody else was here\n"
    out = io.StringIO()
    with show_progress(progress, out, quiet=True):
        progress.tell("x")
    assert out.getvalue() == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    progress, out = TransferProgress(), Terminal()
    progress.expect(2, 10)
    progress.wait("x" * 500)
    with show_progress(progress, out):
        progress.tell("somebody else was here")
    drawn = out.getvalue().split("\r\x1b[K")
    assert "somebody else was here\n" in drawn
    assert drawn[-1] == ""  # nothing is left of it
    assert max(map(len, drawn)) < 60
    assert any(line.startswith("  0 % 0 B of 10 B · 0 of 2 files · waiting: xxx") for line in drawn)


def test_nothing_from_outside_is_alive_in_a_terminal() -> None:
    assert escape_lines("a\x1b[2Jb\nc\x07") == "a\\x1b[2Jb\nc\\x07"


def test_the_command_explains_itself() -> None:
    for command in ([], ["login"], ["upload"], ["download"], ["ls"], ["logout"], ["whoami"]):
        done = CliRunner().invoke(main, [*command, "--help"])
        assert done.exit_code == 0, done.output
        assert "Usage" in done.output


@pytest.mark.parametrize(
    "option", [("--embargo", "2027-06-01"), ("--embargo=soon",), ("--embargo",)], ids=str
)
def test_an_embargo_on_one_dataset_is_refused_before_anything_else(
    option: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would enforce it. There is neither a session nor a login here, nor the folder."""
    monkeypatch.setattr(
        "panneuro_hub.client.api.open_connection", lambda *_, **__: pytest.fail("it was connected")
    )
    refused = CliRunner().invoke(main, ["upload", "./gone", "nav/rest", *option])
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert refused.stderr == f"panneuro: {DatasetEmbargoError()}\n"
    assert "collaboration file" in refused.stderr

    as_json = CliRunner().invoke(main, ["upload", "./gone", "nav/rest", "--json", *option])
    assert as_json.exit_code == 2
    assert json.loads(as_json.stdout)["message"] == str(DatasetEmbargoError())


def test_the_help_offers_no_embargo_on_one_dataset() -> None:
    shown = CliRunner().invoke(main, ["upload", "--help"]).stdout
    assert "--embargo" not in shown
    assert "Everybody who can read PROJECT can open the dataset." in shown
