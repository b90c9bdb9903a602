"""The types of values in a collaboration file, which refuse invalid values in plain words."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from panneuro_hub.collaboration.message_words import quote_value
from panneuro_hub.collaboration.units import parse_duration, parse_memory
from panneuro_hub.names import find_prefix_problem, is_bucket, is_name

EVERY_TEAM = "*"
SMALLEST_MEMORY = 1 << 20  # bytes; a smaller number was meant as megabytes or gigabytes

_REGION = re.compile(r"[a-z0-9-]{1,40}")
_ROLE = re.compile(r"[A-Za-z0-9:/_+=,.@-]{1,2048}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,511}")
_LABEL_KEY = re.compile(
    r"(?:[a-z0-9][a-z0-9.-]{0,251}[a-z0-9]/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_TOLERATION_KEYS = ("key", "operator", "value", "effect", "tolerationSeconds")


def _name(text: str) -> str:
    if text == EVERY_TEAM:
        raise ValueError(
            "'*' is no name; it stands for every team, and only in a project's teams and in an "
            "embargo's then"
        )
    if not is_name(text):
        likely = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        example = f": {likely}" if is_name(likely) else ""
        raise ValueError(
            f"{quote_value(text)} is not a name; use 1 to 63 of a-z, 0-9 and '-', not '-' "
            "at either "
            f"end{example}"
        )
    return text


def _team_name(text: str) -> str:
    return text if text == EVERY_TEAM else _name(text)


def _prefix(text: str) -> str:
    problem = find_prefix_problem(text)
    if problem:
        raise ValueError(problem)
    return text


def _bucket(text: str) -> str:
    if not is_bucket(text):
        raise ValueError(
            f"{quote_value(text)} is not a bucket name; use 3 to 63 of a-z, 0-9, '-' and '.'"
        )
    return text


def _role(text: str) -> str:
    if not _ROLE.fullmatch(text):
        raise ValueError(
            f"{quote_value(text)} is not the name of a role; write it whole: "
            "arn:aws:iam::000000000000:role/PanNeuroData"
        )
    return text


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise ValueError(
            f"{quote_value(text)} is not a region; write it as the store does: us-west-2"
        )
    return text


def _image(text: str) -> str:
    if not _IMAGE.fullmatch(text):
        raise ValueError(f"{quote_value(text)} is not an image; write it as registry/name:tag")
    return text


def _line(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError(f"{quote_value(text)} is empty or has blanks around it; write it without")
    if not text.isprintable() or len(text) > 512:
        raise ValueError(f"{quote_value(text)} must be one line of at most 512 printed characters")
    return text


def _group(text: str) -> str:
    if "*" in text:
        raise ValueError(
            f"{quote_value(text)} has '*' in it; groups are compared whole, so name each of them"
        )
    return _line(text)


def _day(value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value) if len(value) == len("2027-01-31") else _no_day(value)
        except ValueError:
            return _no_day(value)
    if not isinstance(value, date) or isinstance(value, datetime):
        return _no_day(value)
    return value


def _no_day(value: Any) -> date:
    raise ValueError(f"{quote_value(value)} is not a day; write year-month-day: 2027-01-31")


def _enough(size: int) -> int:
    if size < SMALLEST_MEMORY:
        raise ValueError(f"{size} bytes is hardly meant; write a number and M, G or T: 8G")
    return size


def _label_key(text: str) -> str:
    if not _LABEL_KEY.fullmatch(text):
        raise ValueError(f"{quote_value(text)} is not the key of a Kubernetes label")
    return text


def _label_value(text: str) -> str:
    if not _LABEL_VALUE.fullmatch(text):
        raise ValueError(f"{quote_value(text)} is not the value of a Kubernetes label")
    return text


def _toleration(value: Any) -> Any:
    for key, text in value.items() if isinstance(value, dict) else ():
        if key not in _TOLERATION_KEYS:
            raise ValueError(
                f"unknown key {quote_value(key)} in a toleration; keys here: "
                f"{', '.join(_TOLERATION_KEYS)}"
            )
        wanted = int if key == "tolerationSeconds" else str
        if type(text) is not wanted or (isinstance(text, str) and not _LABEL_KEY.fullmatch(text)):
            raise ValueError(f"{quote_value(text)} cannot be the {key} of a toleration")
    return value


Name = Annotated[str, AfterValidator(_name)]
TeamName = Annotated[str, AfterValidator(_team_name)]
KeyPrefix = Annotated[str, AfterValidator(_prefix)]
Bucket = Annotated[str, AfterValidator(_bucket)]
Line = Annotated[str, AfterValidator(_line)]
Group = Annotated[str, AfterValidator(_group)]
Day = Annotated[date, BeforeValidator(_day)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Memory = Annotated[int, BeforeValidator(parse_memory), AfterValidator(_enough)]
# Strict: a number is not read from text, nor from true or false.
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=0)]
Dollars = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Price = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Cores = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
CoreLimit = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Toleration = Annotated[dict[str, Any], BeforeValidator(_toleration)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
Role = Annotated[str, AfterValidator(_role)]
Region = Annotated[str, AfterValidator(_region)]
ImageName = Annotated[str, AfterValidator(_image)]
