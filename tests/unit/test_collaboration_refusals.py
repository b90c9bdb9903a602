"""Small edits of the example, and exactly what is said about each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from panneuro_hub.collaboration import Collaboration, load_file
from panneuro_hub.errors import CollaborationError, FileProblem

EXAMPLE = Path(__file__).parents[2] / "examples" / "collaboration.yaml"
TEXT = EXAMPLE.read_text(encoding="utf-8")

TITLE = "title: Navigation in virtual reality"
PREFIX = "prefix: nhp-navigation/"
TEAMS = "teams: {navigation-lab: manage, data-science-core: write, theory-lab: read}"
THEN = "then: {theory-lab: read}"
SMALL = "small: {title: Small, description: Look around, cpu: 2, memory: 8G,"
ENDPOINT = "# endpoint_url: https://s3.example.org     for"
SCRATCH = "scratch: {prefix: scratch/,"
NODES = "node_selector: {hub.jupyter.org/node-purpose: gpu}"
SECOND_STORE = """
  other:
    type: s3
    bucket: learning-circuits
    role_arn: arn:aws:iam::000000000000:role/Other
    scratch: {prefix: other-scratch/}
teams:  """
KEYS_AT_TOP = "name, title, stores, teams, projects, images, profiles, dask"
KEYS_OF_A_PROJECT = (
    "title, store, prefix, teams, requires, reads, embargo, frozen, profiles, images, budget, dask"
)
OVERLAP = "so what one may do would reach the other; give each a place of its own"


@dataclass(frozen=True)
class Case:
    """An edit of the example, and the one problem that it makes.

    `down` is how many lines below the beginning of the edit the problem is.
    """

    old: str
    new: str
    key: str
    says: str
    down: int = 0


def edited(*edits: tuple[str, str]) -> str:
    text = TEXT
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} must be in the example once"
        text = text.replace(old, new)
    return text


def problems(folder: Path, text: str) -> tuple[FileProblem, ...]:
    file = folder / "collaboration.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CollaborationError) as caught:
        load_file(file)
    return caught.value.problems


CASES = {
    # Values of the wrong sort
    "date as name": Case(
        "name: learning-circuits",
        "name: 2026-11-01",
        "name",
        'text belongs here, and 2026-11-01 is read as a date; write "2026-11-01"',
    ),
    "number as title": Case(
        TITLE,
        "title: 1.10",
        "projects.nhp-navigation.title",
        'text belongs here, and 1.10 is read as a number; write "1.10"',
    ),
    "truth as title": Case(
        TITLE,
        "title: true",
        "projects.nhp-navigation.title",
        'text belongs here, and true is read as a truth value; write "true"',
    ),
    "list as title": Case(
        TITLE,
        "title: [a, b]",
        "projects.nhp-navigation.title",
        "text belongs here; this is a list",
    ),
    "nothing as title": Case(
        TITLE,
        "title:",
        "projects.nhp-navigation.title",
        "nothing is written here; write a value, or take the key out (an empty list is [], an "
        "empty text '')",
    ),
    "blank title": Case(
        TITLE,
        "title: ' '",
        "projects.nhp-navigation.title",
        "' ' is empty or has blanks around it; write it without",
    ),
    "two lines of title": Case(
        TITLE,
        'title: "a\\nb"',
        "projects.nhp-navigation.title",
        "'a\\nb' must be one line of at most 512 printed characters",
    ),
    "empty list of profiles is not all of them": Case(
        "profiles: [small, large]",
        "profiles:",
        "projects.human-intracranial.profiles",
        "nothing is written here; write a value, or take the key out (an empty list is [], an "
        "empty text '')",
    ),
    "truth as cpu": Case(
        SMALL,
        SMALL.replace("cpu: 2", "cpu: true"),
        "profiles.small.cpu",
        "true is not a number; write one, without quotes",
    ),
    "text as cpu": Case(
        SMALL,
        SMALL.replace("cpu: 2", "cpu: '2'"),
        "profiles.small.cpu",
        "'2' is not a number; write one, without quotes",
    ),
    "no cpu": Case(
        SMALL,
        SMALL.replace("cpu: 2", "cpu: 0"),
        "profiles.small.cpu",
        "0 is too small; write more than 0",
    ),
    "endless cpu": Case(
        SMALL,
        SMALL.replace("cpu: 2", "cpu: 1e999"),
        "profiles.small.cpu",
        "1e999 is larger than any number; write a smaller one",
    ),
    "half a GPU": Case(
        "    gpu: 1\n",
        "    gpu: 0.5\n",
        "profiles.gpu.gpu",
        "0.5 is not a whole number; write one, without quotes",
    ),
    "minus one GPU": Case(
        "    gpu: 1\n",
        "    gpu: -1\n",
        "profiles.gpu.gpu",
        "-1 is too small; write 0 or more",
    ),
    "price below nothing": Case(
        "price_per_hour: 3.06",
        "price_per_hour: -3.06",
        "profiles.gpu.price_per_hour",
        "-3.06 is too small; write 0 or more",
    ),
    "bytes of memory": Case(
        "    memory: 60G",
        "    memory: 60",
        "profiles.gpu.memory",
        "60 bytes is hardly meant; write a number and M, G or T: 8G",
    ),
    "memory in words": Case(
        "    memory: 60G",
        "    memory: 60 GiB",
        "profiles.gpu.memory",
        "'60 GiB' is not a size; write a number and K, M, G or T: 8G",
    ),
    "duration without unit": Case(
        "credential_lifetime: 30m",
        "credential_lifetime: 30",
        "stores.main.credential_lifetime",
        "30 is not a duration; write a whole number and s, m, h or d: 30m",
    ),
    "yes": Case(
        "hub_admin: true",
        "hub_admin: yes",
        "teams.administrative-core.hub_admin",
        "'yes' is neither true nor false; write one of these, without quotes",
    ),
    "level that is none": Case(
        TEAMS,
        TEAMS.replace("theory-lab: read", "theory-lab: yes"),
        "projects.nhp-navigation.teams.theory-lab",
        "'yes' cannot stand here; write read, write or manage",
    ),
    "level that is true": Case(
        TEAMS,
        TEAMS.replace("theory-lab: read", "theory-lab: true"),
        "projects.nhp-navigation.teams.theory-lab",
        "true cannot stand here; write read, write or manage",
    ),
    "list for a block of keys": Case(
        TEAMS,
        "teams: [navigation-lab]",
        "projects.nhp-navigation.teams",
        "a block of keys belongs here; this is a list",
    ),
    "text for a block of keys": Case(
        "budget: {usd_per_month: 900, when_spent: warn}",
        "budget: 900",
        "projects.nhp-navigation.budget",
        "a block of keys belongs here, such as usd_per_month, when_spent; this is a number (900)",
    ),
    "word for a list": Case(
        "requires: [human-subjects-trained]",
        "requires: human-subjects-trained",
        "projects.human-intracranial.requires",
        "a list belongs here; write [human-subjects-trained]",
    ),
    "block for a list": Case(
        "reads: [shared-stimuli]",
        "reads: {shared-stimuli: read}",
        "projects.nhp-navigation.reads",
        "a list belongs here, such as [one, two]; this is a block of keys",
    ),
    "day that is none": Case(
        "2027-01-31}",
        "2027-02-30}",
        "teams.navigation-lab.expires.'rotating.student@uni.example'",
        "2027-02-30 is no day of the calendar; write year-month-day, or quotes around it for text",
    ),
    "word for a day": Case(
        "until: 2027-06-01",
        "until: soon",
        "projects.nhp-categorization.embargo.until",
        "'soon' is not a day; write year-month-day: 2027-01-31",
    ),
    "day with a time": Case(
        "until: 2027-06-01",
        "until: 2027-06-01T12:00:00Z",
        "projects.nhp-categorization.embargo.until",
        "'2027-06-01T12:00:00Z' is not a day; write year-month-day: 2027-01-31",
    ),
    # Keys
    "unknown key, like another": Case(
        "reads: [shared-stimuli]",
        "read: [shared-stimuli]",
        "projects.nhp-navigation.read",
        f"unknown key; did you mean 'reads'?; keys here: {KEYS_OF_A_PROJECT}",
    ),
    "unknown key, like none": Case(
        "dask:  ",
        "zzz: {}\ndask:  ",
        "zzz",
        f"unknown key; keys here: {KEYS_AT_TOP}",
    ),
    "unknown key of a store": Case(
        "    region: us-west-2",
        "    secret_access_key: hunter2",
        "stores.main.secret_access_key",
        "unknown key; keys here: type, bucket, role_arn, region, endpoint_url, "
        "sts_endpoint_url, credential_lifetime, scratch",
    ),
    "missing key": Case(
        "    role_arn: arn:aws:iam::000000000000:role/PanNeuroData\n",
        "",
        "stores.main.role_arn",
        "this key is missing, and is needed",
        down=-4,
    ),
    "key twice": Case(
        TITLE,
        f"{TITLE}\n    title: Again",
        "projects.nhp-navigation.title",
        "this key is there twice, on line 30 too; keep one",
        down=1,
    ),
    "unknown key in a toleration": Case(
        NODES,
        NODES + ", tolerations: [{key: gpu, operatr: Exists}]",
        "profiles.gpu.kubernetes.tolerations[0]",
        "unknown key 'operatr' in a toleration; keys here: key, operator, value, effect, "
        "tolerationSeconds",
    ),
    # Names
    "name with capitals": Case(
        "  theory-lab:         {title: Theory",
        "  Theory Lab:         {title: Theory",
        "teams.'Theory Lab'",
        "'Theory Lab' is not a name; use 1 to 63 of a-z, 0-9 and '-', not '-' at either end: "
        "theory-lab",
    ),
    "team of every team": Case(
        "  human-subjects-trained: {title",
        '  "*": {title',
        "teams.*",
        "'*' is no name; it stands for every team, and only in a project's teams and in an "
        "embargo's then",
    ),
    "every team required": Case(
        "requires: [human-subjects-trained]",
        'requires: ["*"]',
        "projects.human-intracranial.requires[0]",
        "'*' is no name; it stands for every team, and only in a project's teams and in an "
        "embargo's then",
    ),
    "pattern of groups": Case(
        '"u19-circuits:navigation"',
        '"u19-circuits:*"',
        "teams.navigation-lab.groups[0]",
        "'u19-circuits:*' has '*' in it; groups are compared whole, so name each of them",
    ),
    "group with a blank": Case(
        '"u19-circuits:navigation"',
        '" u19-circuits:navigation"',
        "teams.navigation-lab.groups[0]",
        "' u19-circuits:navigation' is empty or has blanks around it; write it without",
    ),
    "person with a blank": Case(
        "{rotating.student@uni.example:",
        "{'rotating.student@uni.example ':",
        "teams.navigation-lab.expires.'rotating.student@uni.example '",
        "'rotating.student@uni.example ' is empty or has blanks around it; write it without",
    ),
    "image with a template": Case(
        '"panneuro/notebook:2026.11"',
        '"panneuro/notebook:{username}"',
        "images.neuro.image",
        "'panneuro/notebook:{username}' is not an image; write it as registry/name:tag",
    ),
    "node label with a template": Case(
        "node-purpose: gpu}",
        "node-purpose: '{username}'}",
        "profiles.gpu.kubernetes.node_selector.'hub.jupyter.org/node-purpose'",
        "'{username}' is not the value of a Kubernetes label",
    ),
    "region in words": Case(
        "region: us-west-2",
        "region: US West",
        "stores.main.region",
        "'US West' is not a region; write it as the store does: us-west-2",
    ),
    "bucket with a slash": Case(
        "bucket: learning-circuits",
        "bucket: learning/circuits",
        "stores.main.bucket",
        "'learning/circuits' is not a bucket name; use 3 to 63 of a-z, 0-9, '-' and '.'",
    ),
    "role with a wildcard": Case(
        "role/PanNeuroData",
        "role/*",
        "stores.main.role_arn",
        "'arn:aws:iam::000000000000:role/*' is not the name of a role; write it whole: "
        "arn:aws:iam::000000000000:role/PanNeuroData",
    ),
    "type of store that is none": Case(
        "    type: s3",
        "    type: gcs",
        "stores.main.type",
        "'gcs' cannot stand here; write s3",
    ),
    "prefix without a slash": Case(
        PREFIX,
        "prefix: nhp-navigation",
        "projects.nhp-navigation.prefix",
        "'nhp-navigation' does not end in '/', so it would match other names too; write "
        "'nhp-navigation/'",
    ),
    # Names that do not exist
    "no such team": Case(
        TEAMS,
        TEAMS.replace("theory-lab", "thory-lab"),
        "projects.nhp-navigation.teams.thory-lab",
        "there is no team 'thory-lab'; did you mean 'theory-lab'?",
    ),
    "no such team, nor one like it": Case(
        TEAMS,
        TEAMS.replace("theory-lab", "zzz"),
        "projects.nhp-navigation.teams.zzz",
        "there is no team 'zzz'; there are: navigation-lab, categorization-lab, human-lab, "
        "theory-lab, data-science-core, administrative-core, human-subjects-trained, *",
    ),
    "no such team in then": Case(
        THEN,
        "then: {theory-lap: read}",
        "projects.nhp-categorization.embargo.then.theory-lap",
        "there is no team 'theory-lap'; did you mean 'theory-lab'?",
    ),
    "no such team required": Case(
        "requires: [human-subjects-trained]",
        "requires: [human-subject-trained]",
        "projects.human-intracranial.requires[0]",
        "there is no team 'human-subject-trained'; did you mean 'human-subjects-trained'?",
    ),
    "no such team for a profile": Case(
        "teams: [theory-lab, data-science-core]",
        "teams: [theory-lab, data-core]",
        "profiles.gpu.teams[1]",
        "there is no team 'data-core'; did you mean 'data-science-core'?",
    ),
    "no such project": Case(
        "reads: [shared-stimuli]",
        "reads: [shared-stimulus]",
        "projects.nhp-navigation.reads[0]",
        "there is no project 'shared-stimulus'; did you mean 'shared-stimuli'?",
    ),
    "no such profile": Case(
        "profiles: [small, large]",
        "profiles: [small, huge]",
        "projects.human-intracranial.profiles[1]",
        "there is no profile 'huge'; there are: small, large, gpu",
    ),
    "no such image": Case(
        "profiles: [small, large]",
        "images: [nuro]",
        "projects.human-intracranial.images[0]",
        "there is no image 'nuro'; did you mean 'neuro'?",
    ),
    "no such worker profile": Case(
        "profiles: [small, large]",
        "dask: {worker_profiles: [standrad]}",
        "projects.human-intracranial.dask.worker_profiles[0]",
        "there is no worker profile 'standrad'; did you mean 'standard'?",
    ),
    "unknown key of each person's limits": Case(
        "idle_timeout: 30m",
        "per_person: {max_worker: 20}",
        "dask.per_person.max_worker",
        "unknown key; did you mean 'max_workers'?; keys here: max_workers, max_cores, max_memory",
    ),
    "unknown key of each person's limits in a project": Case(
        "profiles: [small, large]",
        "dask: {per_person: {cores: 20}}",
        "projects.human-intracranial.dask.per_person.cores",
        "unknown key; did you mean 'max_cores'?; keys here: max_workers, max_cores, max_memory",
    ),
    "each person's limits are no number": Case(
        "idle_timeout: 30m",
        "per_person: 20",
        "dask.per_person",
        "a block of keys belongs here, such as max_workers, max_cores, max_memory; "
        "this is a number (20)",
    ),
    "less than no workers": Case(
        "idle_timeout: 30m",
        "per_person: {max_workers: -1}",
        "dask.per_person.max_workers",
        "-1 is too small; write 0 or more",
    ),
    "no such store": Case(
        f"store: main\n    {PREFIX}",
        f"store: mian\n    {PREFIX}",
        "projects.nhp-navigation.store",
        "there is no store 'mian'; did you mean 'main'?",
    ),
    # Prefixes
    "one project's prefix inside another's": Case(
        PREFIX,
        "prefix: nhp-categorization/navigation/",
        "projects.nhp-navigation.prefix",
        "'nhp-categorization/navigation/' lies inside 'nhp-categorization/', the place of project "
        f"'nhp-categorization' in bucket 'learning-circuits', {OVERLAP}",
    ),
    "the inner one first": Case(
        "prefix: shared-stimuli/",
        "prefix: nhp-navigation/stimuli/",
        "projects.shared-stimuli.prefix",
        "'nhp-navigation/stimuli/' lies inside 'nhp-navigation/', the place of project "
        f"'nhp-navigation' in bucket 'learning-circuits', {OVERLAP}",
    ),
    "two projects in one prefix": Case(
        "prefix: nhp-categorization/",
        PREFIX,
        "projects.nhp-categorization.prefix",
        "'nhp-navigation/' is the place of project 'nhp-navigation' in bucket "
        f"'learning-circuits', {OVERLAP}",
    ),
    "project in the scratch": Case(
        PREFIX,
        "prefix: scratch/navigation/",
        "projects.nhp-navigation.prefix",
        "'scratch/navigation/' lies inside 'scratch/', the place of the scratch of store 'main' "
        f"in bucket 'learning-circuits', {OVERLAP}",
    ),
    "project is the scratch": Case(
        PREFIX,
        "prefix: scratch/",
        "projects.nhp-navigation.prefix",
        "'scratch/' is the place of the scratch of store 'main' in bucket 'learning-circuits', "
        f"{OVERLAP}",
    ),
    "scratch in a project": Case(
        SCRATCH,
        "scratch: {prefix: shared-stimuli/scratch/,",
        "stores.main.scratch.prefix",
        "'shared-stimuli/scratch/' lies inside 'shared-stimuli/', the place of project "
        f"'shared-stimuli' in bucket 'learning-circuits', {OVERLAP}",
    ),
    "scratch that leaves no room for a person": Case(
        SCRATCH,
        f"scratch: {{prefix: {'s' * 429}/,",
        "stores.main.scratch.prefix",
        "this has 430 characters, and with project and person below it a place could have more "
        "than 512; write 429 at most",
    ),
    "project in the scratch of another store of the same bucket": Case(
        "teams:  ",
        SECOND_STORE.replace("other-scratch/", "nhp-navigation/scratch/"),
        "stores.other.scratch.prefix",
        "'nhp-navigation/scratch/' lies inside 'nhp-navigation/', the place of project "
        f"'nhp-navigation' in bucket 'learning-circuits', {OVERLAP}",
        down=5,
    ),
    "scratch in the scratch of another store of the same bucket": Case(
        "teams:  ",
        SECOND_STORE.replace("other-scratch/", "scratch/nhp-navigation/"),
        "stores.other.scratch.prefix",
        "'scratch/nhp-navigation/' lies inside 'scratch/', the place of the scratch of store "
        f"'main' in bucket 'learning-circuits', {OVERLAP}",
        down=5,
    ),
    "the same bucket of Amazon, by its address": Case(
        "teams:  ",
        SECOND_STORE.replace("other-scratch/", "scratch/x/").replace(
            "    scratch:", "    endpoint_url: https://s3.us-west-2.amazonaws.com\n    scratch:"
        ),
        "stores.other.scratch.prefix",
        "'scratch/x/' lies inside 'scratch/', the place of the scratch of store 'main' in bucket "
        f"'learning-circuits', {OVERLAP}",
        down=6,
    ),
    "frozen outside": Case(
        "frozen: [human-intracranial/release-2026/]",
        "frozen: [release-2026/]",
        "projects.human-intracranial.frozen[0]",
        "'release-2026/' is not inside this project's prefix; write it from the bucket's top: "
        "'human-intracranial/release/'",
    ),
    "frozen in what only begins alike": Case(
        "frozen: [human-intracranial/release-2026/]",
        "frozen: [human-intracranial-2/]",
        "projects.human-intracranial.frozen[0]",
        "'human-intracranial-2/' is not inside this project's prefix; write it from the bucket's "
        "top: 'human-intracranial/release/'",
    ),
    # What does not fit together
    "reads itself": Case(
        "reads: [shared-stimuli]",
        "reads: [nhp-navigation]",
        "projects.nhp-navigation.reads[0]",
        "a project reads its own data anyway; take it out of this list",
    ),
    "twice in a list": Case(
        "profiles: [small, large]",
        "profiles: [small, large, small]",
        "projects.human-intracranial.profiles[2]",
        "'small' is in this list already; keep one",
    ),
    "group twice": Case(
        '"/u19/labs/navigation"]',
        '"u19-circuits:navigation"]',
        "teams.navigation-lab.groups[1]",
        "'u19-circuits:navigation' is in this list already; keep one",
    ),
    "frozen twice": Case(
        "frozen: [human-intracranial/release-2026/]",
        "frozen: [human-intracranial/a/, human-intracranial/a/]",
        "projects.human-intracranial.frozen[1]",
        "'human-intracranial/a/' is in this list already; keep one",
    ),
    "person twice": Case(
        "{rotating.student@uni.example: 2027-01-31}",
        "{rotating: 2027-01-31, Rotating: 2028-01-31}",
        "teams.navigation-lab.expires.Rotating",
        "'Rotating' and 'rotating' differ in capitals or Unicode form only; keep the one that the "
        "hub shows",
    ),
    "no profile left": Case(
        "profiles: [small, large]",
        "profiles: []",
        "projects.human-intracranial.profiles",
        "an empty list leaves this project no profile to start a server with; name one, or take "
        "the key out to allow all",
    ),
    "no image left": Case(
        "profiles: [small, large]",
        "images: []",
        "projects.human-intracranial.images",
        "an empty list leaves this project no image to start a server with; name one, or take "
        "the key out to allow all",
    ),
    "profile for nobody": Case(
        "teams: [theory-lab, data-science-core]",
        "teams: []",
        "profiles.gpu.teams",
        "an empty list lets nobody use this profile; name a team, or take the key out to allow all",
    ),
    "two default profiles": Case(
        "large: {title: Large,",
        "large: {title: Large, default: true,",
        "profiles.large.default",
        "'small' is the default of the profiles already; there can be one",
    ),
    "two default images": Case(
        "images:\n",
        "images:\n  old: {title: Old, image: old, default: true}\n",
        "images.neuro.default",
        "'old' is the default of the images already; there can be one",
        down=2,
    ),
    "guarantee above the limit": Case(
        "large: {title: Large,",
        "large: {title: Large, cpu_guarantee: 32,",
        "profiles.large.cpu_guarantee",
        "32 is more than this profile's cpu, 16; write that or less",
    ),
    "embargo that holds nothing back": Case(
        THEN,
        "then: {data-science-core: read}",
        "projects.nhp-categorization.embargo.then.data-science-core",
        "'data-science-core' may read here now, by this project's teams, so the embargo holds "
        "nothing back; take it out of the one or the other",
    ),
    "embargo where every team may read": Case(
        'teams: {"*": read, data-science-core: manage}',
        'teams: {"*": read}\n    embargo: {until: 2030-01-01, then: {human-lab: read}}',
        "projects.shared-stimuli.embargo.then.human-lab",
        "'human-lab' may read here now, by this project's teams, so the embargo holds nothing "
        "back; take it out of the one or the other",
        down=1,
    ),
    "embargo of nobody": Case(
        THEN,
        "then: {}",
        "projects.nhp-categorization.embargo.then",
        "names no team, so the embargo holds nothing back; move the teams that have to wait from "
        "this project's `teams` to `then`",
    ),
    "credentials too short": Case(
        "credential_lifetime: 30m",
        "credential_lifetime: 899s",
        "stores.main.credential_lifetime",
        "899s is out of range; use 15m to 12h",
    ),
    "credentials too long": Case(
        "credential_lifetime: 30m",
        "credential_lifetime: 721m",
        "stores.main.credential_lifetime",
        "721m is out of range; use 15m to 12h",
    ),
    "endpoint with credentials": Case(
        ENDPOINT,
        "endpoint_url: https://user:hunter2@s3.example.org #",
        "stores.main.endpoint_url",
        "there are credentials in this address, and they belong in no file; write it as "
        "https://s3.example.org",
    ),
    "endpoint with a query": Case(
        ENDPOINT,
        "endpoint_url: https://s3.example.org?key=hunter2 #",
        "stores.main.endpoint_url",
        "an address here has no '?' or '#' part; write it as https://s3.example.org",
    ),
    "endpoint of another scheme": Case(
        ENDPOINT,
        "endpoint_url: ftp://s3.example.org #",
        "stores.main.endpoint_url",
        "an address here begins with https:// or http://; write it as https://s3.example.org",
    ),
    "STS endpoint without a scheme": Case(
        "# sts_endpoint_url: …",
        "sts_endpoint_url: sts.example.org",
        "stores.main.sts_endpoint_url",
        "an address here begins with https:// or http://; write it as https://s3.example.org",
    ),
    # No YAML, or more than is read of it
    "tab": Case("    type: s3", "\ttype: s3", "", "a tab stands here; indent with blanks"),
    "colon in a text": Case(
        TITLE,
        "title: Navigation: in VR",
        "",
        "a ':' stands where no key can be; look at the blanks before the key, or put quotes around "
        "a text that has ': ' in it",
    ),
    "quote that stays open": Case(
        TITLE,
        "title: 'Navigation",
        "",
        "a quote that opens here is never closed",
    ),
    "bracket that stays open": Case(
        "reads: [shared-stimuli]",
        "reads: [shared-stimuli",
        "",
        "a ',' or a ']' is missing before here",
        down=1,
    ),
    "one blank too many": Case(
        "  nhp-categorization:\n",
        "   nhp-categorization:\n",
        "",
        "this line is not indented as the lines that it belongs with",
    ),
    "at sign": Case(
        TITLE,
        "title: @home",
        "",
        "a text that begins with '@' needs quotes around it",
    ),
    "escape for no character": Case(
        TITLE,
        'title: "\\U0011FFFF"',
        "",
        "an escape in double quotes stands for no character",
    ),
    "every team without quotes": Case(
        'teams: {"*": read,',
        "teams: {*: read,",
        "projects.shared-stimuli.teams",
        "'*' begins an alias, which is not used here; for every team write \"*\"",
    ),
    "anchor": Case(
        TITLE,
        "title: &here x",
        "projects.nhp-navigation.title",
        "'&' begins an anchor, which is not used here; use quotes",
    ),
    "object": Case(
        TITLE,
        "title: !!python/object/apply:os.getcwd []",
        "projects.nhp-navigation.title",
        "'!' begins a tag, which is not used here; use quotes",
    ),
    "key that is a list": Case(
        TITLE,
        "[title]: x",
        "projects.nhp-navigation",
        "a key is one word, not a list or a mapping",
    ),
    "half a character": Case(
        TITLE,
        'title: "\\uD800"',
        "projects.nhp-navigation.title",
        "'\\ud800' has a character that cannot be shown",
    ),
    "colours of a terminal": Case(
        "description: Look around,",
        'description: "Look\\e[31m around",',
        "profiles.small.description",
        "'Look\\x1b[31m around' has a character that cannot be shown",
    ),
    "second document": Case(
        "images:\n",
        "---\nimages:\n",
        "",
        "a second document begins here; one file holds one",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_says_what_is_wrong_where(case: Case, tmp_path: Path) -> None:
    edited_line = TEXT[: TEXT.index(case.old)].count("\n") + 1
    file = str(tmp_path / "collaboration.yaml")
    expected = FileProblem(file, edited_line + case.down, case.key, case.says)
    assert problems(tmp_path, edited((case.old, case.new))) == (expected,)


def test_reads_of_another_store(tmp_path: Path) -> None:
    text = edited(
        ("teams:  ", SECOND_STORE),
        (f"store: main\n    {PREFIX}", f"store: other\n    {PREFIX}"),
    )
    (problem,) = problems(tmp_path, text)
    assert problem.key == "projects.nhp-navigation.reads[0]"
    assert problem.message == (
        "project 'shared-stimuli' is in store 'main' and this one in 'other'; a session's keys are "
        "for one store, so take it out of this list"
    )


def test_equal_prefixes_of_two_stores_of_one_bucket(tmp_path: Path) -> None:
    text = edited(
        ("teams:  ", SECOND_STORE),
        ("store: main\n    prefix: nhp-categorization/", f"store: other\n    {PREFIX}"),
    )
    (problem,) = problems(tmp_path, text)
    assert problem.key == "projects.nhp-categorization.prefix"
    assert "the place of project 'nhp-navigation' in bucket 'learning-circuits'" in problem.message


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(("teams:  ", SECOND_STORE), id="two stores of one bucket"),
        pytest.param(
            ("teams:  ", SECOND_STORE.replace("other-scratch/", "scratch/")),
            id="scratch shared by two stores",
        ),
        pytest.param(
            ("teams:  ", SECOND_STORE.replace("other-scratch/", "nhp/")),
            id="prefix that begins as another does",
        ),
        pytest.param(
            (
                "teams:  ",
                SECOND_STORE.replace("bucket: learning-circuits", "bucket: other-circuits").replace(
                    "other-scratch/", "nhp-navigation/"
                ),
            ),
            id="equal prefixes of two buckets",
        ),
        pytest.param(
            ("frozen: [human-intracranial/release-2026/]", "frozen: [human-intracranial/]"),
            id="all of a project frozen",
        ),
        pytest.param((THEN, "then: {navigation-lab: read}"), id="embargo for a new team"),
        pytest.param((THEN, "then: {data-science-core: manage}"), id="embargo for a higher level"),
        pytest.param(
            (SCRATCH, f"scratch: {{prefix: {'s' * 428}/,"), id="scratch with just enough room"
        ),
        pytest.param(("credential_lifetime: 30m", "credential_lifetime: 15m"), id="shortest keys"),
        pytest.param(("credential_lifetime: 30m", "credential_lifetime: 12h"), id="longest keys"),
        pytest.param((TEAMS, "teams: {}"), id="project of no team"),
        pytest.param(("until: 2027-06-01", "until: '2027-06-01'"), id="day in quotes"),
        pytest.param((f"store: main\n    {PREFIX}", f"store: 'main'\n    {PREFIX}"), id="quotes"),
        pytest.param(
            (NODES, NODES + ", tolerations: [{key: nvidia.com/gpu, operator: Exists}]"),
            id="toleration",
        ),
        pytest.param(
            (ENDPOINT, "endpoint_url: http://[::1]:9000/s3/ #"),
            id="endpoint with a port and a path",
        ),
    ],
)
def test_refuses_no_more_than_that(edit: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "collaboration.yaml"
    file.write_text(edited(edit), encoding="utf-8")
    assert isinstance(load_file(file), Collaboration)


def test_no_secret_is_repeated(tmp_path: Path) -> None:
    secrets = (
        "endpoint_url: https://user:hunter2@s3.example.org\n    secret_access_key: hunter2\n"
        "    sts_endpoint_url: https://s3.example.org/?token=hunter2 #"
    )
    text = edited((ENDPOINT, secrets))
    assert all("hunter2" not in str(problem) for problem in problems(tmp_path, text))
    text = edited((ENDPOINT, secrets.replace("secret_access_key", "# secret_access_key")))
    found = problems(tmp_path, text)
    assert [problem.key for problem in found] == [
        "stores.main.endpoint_url",
        "stores.main.sts_endpoint_url",
    ]
    assert all("hunter2" not in str(problem) for problem in found)
