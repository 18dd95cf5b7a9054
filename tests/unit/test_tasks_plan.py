"""Plans depend on what there is to do, never on how it was found."""

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import plan
from tasks.plan import BatchLimits
from warehouse.errors import Deferred
from warehouse.records import Batch, Receipt, Span
from warehouse.vocabulary import DeferReason, FileStatus, Reason, Stage

FILES = st.lists(
    st.tuples(st.sampled_from(["wire", "agency", "default"]), st.text("abc/%", max_size=3), st.integers(0, 50)),
    max_size=30,
    unique_by=lambda entry: entry[:2],
)
FEW = BatchLimits(batch_bytes=5_000_000, batch_files=3)
LIMITS = st.builds(BatchLimits, batch_bytes=st.integers(1, 120), batch_files=st.integers(1, 6))


def raw_files(make: Any, entries: list[tuple[str, str, int]]) -> list[Any]:
    """Files in the order of plans."""
    files = [
        make.raw_file(uri, f"{source}/{uri}", source=source, stamp=make.stamp(size_bytes=size))
        for source, uri, size in entries
    ]
    return sorted(files, key=plan.order)


@given(entries=FILES, seed=st.integers())
def test_the_order_is_that_of_names_whatever_order_files_were_found_in(make: Any, entries: Any, seed: int) -> None:
    files = raw_files(make, entries)
    shuffled = random.Random(seed).sample(files, len(files))
    assert sorted(shuffled, key=plan.order) == files
    assert files == sorted(files, key=lambda file: (file.source, file.uri))


@given(entries=FILES, limits=LIMITS)
def test_a_generator_is_as_good_as_a_list(make: Any, entries: Any, limits: BatchLimits) -> None:
    files = raw_files(make, entries)
    assert list(plan.batches(iter(files), limits)) == list(plan.batches(files, limits))


def test_a_full_batch_does_not_wait_for_the_last_file(make: Any) -> None:
    files = iter(raw_files(make, [("wire", str(number), 1) for number in range(9)]))
    first = next(plan.batches(files, BatchLimits(batch_files=3)))
    assert [len(first.files), len(list(files))] == [3, 5]


@given(entries=FILES, limits=LIMITS)
def test_every_file_is_in_one_batch_in_order(make: Any, entries: Any, limits: BatchLimits) -> None:
    files = raw_files(make, entries)
    batches = list(plan.batches(files, limits))
    planned = [file for batch in batches for file in batch.files]
    assert planned == files
    assert [batch.number for batch in batches] == list(range(len(batches)))
    assert all(batch.files for batch in batches)


@given(entries=FILES, limits=LIMITS)
def test_limits_are_kept_and_used(make: Any, entries: Any, limits: BatchLimits) -> None:
    batches = list(plan.batches(raw_files(make, entries), limits))
    for batch in batches:
        assert len(batch.files) <= limits.batch_files
        # Only a file that is larger than the limit is a batch beyond it, alone.
        assert batch.size_bytes <= limits.batch_bytes or len(batch.files) == 1
    for batch, following in itertools.pairwise(batches):
        # No batch ends while the next file still has room.
        size = batch.size_bytes + following.files[0].stamp.size_bytes
        assert size > limits.batch_bytes or len(batch.files) == limits.batch_files


@given(sizes=st.lists(st.integers(0, 3_000_000), max_size=60), limits=st.sampled_from([BatchLimits(), FEW]))
def test_the_last_of_several_batches_are_small(make: Any, sizes: list[int], limits: BatchLimits) -> None:
    files = raw_files(make, [("wire", f"{number:03d}", size) for number, size in enumerate(sizes)])
    batches = list(plan.batches(files, limits, len(files), sum(sizes)))
    assert [file for batch in batches for file in batch.files] == files
    if len(sizes) <= limits.batch_files and sum(sizes) <= limits.batch_bytes:
        assert len(batches) <= 1
        return
    left = sum(sizes)
    for batch in batches:
        assert len(batch.files) <= limits.batch_files
        # As much as one of four workers would have of the rest, or so little that it does not pay to part it.
        assert batch.size_bytes <= min(limits.batch_bytes, max(left / 4, 2_000_000)) or len(batch.files) == 1
        left -= batch.size_bytes
    for batch, following in itertools.pairwise(batches):
        # No batch is smaller than that.
        size = batch.size_bytes + following.files[0].stamp.size_bytes
        assert size > min(limits.batch_bytes, 2_000_000) or len(batch.files) == limits.batch_files


def test_many_small_files_are_parted_by_their_number(make: Any) -> None:
    files = [make.raw_file(f"{n:05d}", stamp=make.stamp(size_bytes=1)) for n in range(10_000)]
    counts = [len(batch.files) for batch in plan.batches(files, BatchLimits(), len(files), len(files))]
    assert counts == [2500, 1875, 1406, 1054, 791, 750, 750, 750, 124]


def test_more_files_than_were_counted_are_planned_all_the_same(make: Any) -> None:
    files = [make.raw_file(f"{n:05d}", stamp=make.stamp(size_bytes=1_000_000)) for n in range(20)]
    batches = list(plan.batches(files, BatchLimits(), 10, 10_000_000))
    assert [file for batch in batches for file in batch.files] == files


def test_nothing_is_no_batch() -> None:
    assert list(plan.batches([], BatchLimits())) == []


def test_empty_files_are_limited_by_number(make: Any) -> None:
    files = [make.raw_file(f"{n:03d}", stamp=make.stamp(size_bytes=0)) for n in range(7)]
    assert [len(batch.files) for batch in plan.batches(files, BatchLimits(batch_files=3))] == [3, 3, 1]


def test_equal_uris_below_two_roots_have_an_order(make: Any) -> None:
    one, other = make.raw_file("a.txt", "1", root="/a"), make.raw_file("a.txt", "2", root="/b")
    assert sorted([other, one], key=plan.order) == [one, other]


@pytest.mark.parametrize("status", [FileStatus.INGESTED, FileStatus.DUPLICATE, FileStatus.REJECTED])
def test_a_sighting_says_what_was_seen(make: Any, status: FileStatus) -> None:
    file = make.raw_file("wire/a.txt", source="wire", root="/srv")
    sighting = plan.sighting(file, status)
    assert (sighting.root, sighting.uri, sighting.source, sighting.file_id, sighting.stamp) == (
        "/srv", "wire/a.txt", "wire", file.file_id, file.stamp,
    )  # fmt: skip
    assert (sighting.status, sighting.stage, sighting.reason) == (status, None, None)


def test_a_deferral_says_why_and_claims_no_content(make: Any) -> None:
    sighting = plan.deferral(make.raw_file(), Deferred(DeferReason.IO_ERROR, "Input/output error"))
    assert (sighting.status, sighting.file_id, sighting.stage) == (FileStatus.DEFERRED, None, Stage.READ)
    assert (sighting.reason, sighting.detail) == (DeferReason.IO_ERROR, "Input/output error")


def test_what_nobody_worked_off_is_refused_or_put_off_by_the_reason(make: Any) -> None:
    batch = Batch(number=7, files=(make.raw_file("a.txt", "a"), make.raw_file("b.txt", "b")))
    for reason, status in ((DeferReason.STALLED, FileStatus.DEFERRED), (Reason.TIMEOUT, FileStatus.REJECTED)):
        receipt = plan.unread(batch, reason, "said so", "1", "2")
        assert [(s.uri, s.file_id, s.status, s.reason, s.detail) for s in receipt.sightings] == [
            ("a.txt", None, status, reason, "said so"), ("b.txt", None, status, reason, "said so"),
        ]  # fmt: skip
        assert (receipt.number, receipt.parts, receipt.is_last) == (7, (), True)
        assert plan.remaining(batch, receipt).files == ()


def test_a_file_is_refused_when_its_worker_was_killed_in_the_third_run(make: Any) -> None:
    killed = make.deferral("a.txt", DeferReason.KILLED, detail="killed")
    told = [plan.after_kills(killed, before) for before in range(4)]
    assert [(one.status, one.reason, one.detail) for one in told] == [
        (FileStatus.DEFERRED, DeferReason.KILLED, "killed, in 1 run"),
        (FileStatus.DEFERRED, DeferReason.KILLED, "killed, in 2 runs"),
        (FileStatus.REJECTED, Reason.CRASH, "killed, in 3 runs"),
        (FileStatus.REJECTED, Reason.CRASH, "killed, in 4 runs"),
    ]


def test_what_remains_of_a_batch_behind_a_cut(make: Any) -> None:
    first, second, third, fourth = (make.raw_file(f"{n}.jsonl", str(n)) for n in range(4))
    batch = Batch(number=7, files=(first, second, third, fourth))
    span = Span(
        file_id=third.file_id, first_ordinal=0, last_ordinal=41, is_last=False, encoding=None,
        encoding_confidence=None, document_count=42, reject_count=0, paragraph_count=0, segment_count=0,
    )  # fmt: skip
    receipt = Receipt(
        number=7, batch_id="", pipeline_version="", settings_fingerprint="", parts=(), spans=(span,),
        sightings=(plan.sighting(first, FileStatus.INGESTED),), gone=((second.root, second.uri),), timings={},
        is_last=False,
    )  # fmt: skip
    left = plan.remaining(batch, receipt)
    assert [(file.uri, file.first_ordinal) for file in left.files] == [("2.jsonl", 42), ("3.jsonl", 0)]
    assert left.number == 7
