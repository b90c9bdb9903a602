"""An example of every reason and denial, for the golden file and for tests of pages."""

from __future__ import annotations

from datetime import date

from panneuro_hub.wire import Denial, Reason

PROJECT = "nhp-navigation"
OTHER = "human-intracranial"
COLLABORATION = "learning-circuits"
DAY = date(2027, 6, 1)
PLACE = "s3://lab/human-intracranial/x"

REASONS: tuple[Reason, ...] = (
    Reason("team-has-level", PROJECT, teams=("navigation-lab",), level="manage"),
    Reason("team-has-level", PROJECT, teams=("a", "b", "c"), level="write"),
    Reason("team-has-level", PROJECT, teams=("theory-lab",), level="read", embargo=DAY),
    Reason(
        "every-team-has-level",
        PROJECT,
        teams=("theory-lab",),
        level="read",
        collaboration=COLLABORATION,
    ),
    Reason("every-team-has-level", PROJECT, level="read", collaboration=COLLABORATION, embargo=DAY),
    Reason("requirement-met", OTHER, teams=("human-subjects-trained",)),
    Reason("not-in-team", PROJECT, teams=("navigation-lab",), level="manage"),
    Reason("not-in-team", PROJECT, teams=("theory-lab",), level="read", embargo=DAY),
    Reason("not-in-required-team", OTHER, teams=("human-subjects-trained",)),
    Reason("membership-ended", PROJECT, teams=("navigation-lab",), level="manage", ended=DAY),
    Reason("membership-ended", PROJECT, teams=("navigation-lab",), ended=DAY),
    Reason("required-membership-ended", OTHER, teams=("human-subjects-trained",), ended=DAY),
    Reason("under-embargo", PROJECT, teams=("theory-lab",), level="read", embargo=DAY),
    Reason("under-embargo", PROJECT, level="read", embargo=DAY, collaboration=COLLABORATION),
    Reason("in-no-team", PROJECT, collaboration=COLLABORATION),
    Reason("in-no-team", PROJECT, level="read", collaboration=COLLABORATION),
    Reason("no-team-has-access", PROJECT),
    Reason("unknown-project", "nhp-navigatoin", names=(PROJECT, OTHER)),
    Reason("no-such-project", PROJECT),
    Reason("no-project"),
    Reason("no-project", "nhp-navigatoin", names=(PROJECT, OTHER)),
    Reason("choose-project", names=(PROJECT, OTHER)),
    Reason("project-reads", PROJECT, other=OTHER),
    Reason("other-store", PROJECT, other=OTHER, names=("archive", "main")),
    Reason("not-read-here", PROJECT, other=OTHER),
    Reason("open-elsewhere", OTHER, level="write"),
    Reason("own-session-reads", OTHER),
    Reason("granted", PROJECT, level="write", place="s3://lab/nhp-navigation/"),
    Reason("frozen", OTHER),
    Reason("own-scratch", PROJECT, detail="30d"),
    Reason("own-scratch", PROJECT),
    Reason("no-scratch", PROJECT),
    Reason("belongs-to", OTHER, place=PLACE),
    Reason("scratch-of-project", OTHER, other=PROJECT, place="s3://lab/scratch/x/ann/"),
    Reason("scratch-of-another", PROJECT, place="s3://lab/scratch/x/bob/"),
    Reason("scratch-root", place="s3://lab/scratch/"),
    Reason("outside-projects", place="s3://lab/elsewhere/x", collaboration=COLLABORATION),
    Reason("outside-session", PROJECT, place="s3://lab/elsewhere/x"),
    Reason("not-a-store", place="s3://x/y", names=("s3://lab/",), collaboration=COLLABORATION),
    Reason("invalid-path", place="x", detail="'x' is not of the form s3://bucket/key"),
    Reason("session-reads", PROJECT, names=(PROJECT, "scratch")),
    Reason("session-reads-nothing", PROJECT),
    Reason("offers-all", PROJECT, kind="profile"),
    Reason("offers-these", PROJECT, kind="image", names=("neuro", "gpu")),
    Reason("not-offered", PROJECT, kind="image"),
    Reason("not-offered", PROJECT, kind="profile", names=("small", "large")),
    Reason("for-every-team", PROJECT),
    Reason("team-may-use", PROJECT, teams=("theory-lab",)),
    Reason("not-in-using-team", PROJECT, teams=("theory-lab", "data-science-core")),
    Reason("using-membership-ended", PROJECT, teams=("theory-lab",), ended=DAY),
    Reason("none-offered", PROJECT, kind="profile"),
    Reason("no-catalogue", PROJECT, kind="image", collaboration=COLLABORATION, detail="neuro"),
    Reason("choose-image", PROJECT, names=("neuro", "gpu")),
    Reason("collaboration-limits", PROJECT, collaboration=COLLABORATION),
    Reason("project-limits", PROJECT, names=("idle_timeout", "max_workers")),
    Reason("project-budget", PROJECT),
    Reason("session-ended"),
    Reason("account-ended", PROJECT, detail="ann"),
    Reason("access-ended", PROJECT, detail="ann"),
    Reason("other", detail="a sentence of another version"),
)

READS = Reason("project-reads", PROJECT, other=OTHER)
CLOSED = (Reason("not-in-required-team", OTHER, teams=("human-subjects-trained",)),)
DENIALS: tuple[Denial, ...] = (
    Denial("open", "project", OTHER, OTHER, CLOSED),
    Denial("read", "prefix", "s3://lab/human-intracranial/", OTHER, CLOSED),
    Denial(
        "read", "project", OTHER, OTHER, (Reason("project-reads", PROJECT, other=OTHER), *CLOSED)
    ),
    Denial("write", "prefix", "s3://lab/x/release/", PROJECT, (Reason("frozen", PROJECT),)),
    Denial(
        "write",
        "prefix",
        "s3://lab/nhp-navigation/",
        PROJECT,
        tuple(
            Reason("not-in-team", PROJECT, teams=(team,), level=level)
            for team, level in (("a", "manage"), ("b", "write"))
        ),
    ),
    Denial("use", "profile", "gpu", PROJECT, (Reason("not-offered", PROJECT, kind="profile"),)),
    Denial("use", "image", "x", PROJECT, (Reason("not-offered", PROJECT, kind="image"),)),
    Denial(
        "use",
        "worker profile",
        "huge",
        PROJECT,
        (Reason("not-offered", PROJECT, kind="worker profile", names=("standard",)),),
    ),
    Denial("start", "server", "", PROJECT, (Reason("none-offered", PROJECT, kind="profile"),)),
    Denial("start", "cluster", "", PROJECT, (Reason("none-offered", PROJECT, kind="image"),)),
    Denial("other", "other", "profile gpu", "", (Reason("other", detail="not yours"),)),
)
