"""How large files are cut, by arithmetic alone."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from panneuro_hub.client.transfer.part_plan import (
    LARGEST_OBJECT,
    LARGEST_PART,
    MIB,
    MOST_PARTS,
    SMALLEST_PART,
    USUAL_PART,
    compute_multipart_etag,
    plan_parts,
)


@given(st.integers(1, LARGEST_OBJECT))
@example(1)
@example(USUAL_PART)
@example(USUAL_PART + 1)
@example(MOST_PARTS * USUAL_PART)
@example(MOST_PARTS * USUAL_PART + 1)
@example(LARGEST_OBJECT)
def test_the_parts_are_the_file_and_what_a_store_takes(size: int) -> None:
    plan = plan_parts(size)
    assert 1 <= plan.count <= MOST_PARTS
    assert SMALLEST_PART <= plan.part_size <= LARGEST_PART
    parts = list(plan)
    assert [part.number for part in parts] == list(range(1, plan.count + 1))
    assert parts[0].offset == 0
    assert all(one.offset + one.size == after.offset for one, after in pairwise(parts))
    assert all(part.size == plan.part_size for part in parts[:-1])
    assert 0 < parts[-1].size <= plan.part_size
    assert parts[-1].offset + parts[-1].size == size


def test_a_file_of_five_tebibytes() -> None:
    plan = plan_parts(LARGEST_OBJECT)
    assert (plan.part_size, plan.count) == (525 * MIB, 9987)


@given(st.integers(1, LARGEST_OBJECT - 1))
def test_a_larger_file_has_no_smaller_parts(size: int) -> None:
    assert plan_parts(size).part_size <= plan_parts(size + 1).part_size


@pytest.mark.parametrize("size", [0, -1, LARGEST_OBJECT + 1])
def test_what_cannot_be_cut_is_said(size: int) -> None:
    with pytest.raises(ValueError, match=r"empty|more than the 5497558138880"):
        plan_parts(size)


def test_the_name_of_a_whole() -> None:
    # As a store answered for two parts of 5 MiB of the letter p.
    digest = hashlib.md5(b"p" * (5 * MIB)).digest()
    assert compute_multipart_etag([digest, digest]) == "01c8fe3563ffe17995d53ff0d06d0f1b-2"
