"""What retries stand on: a batch that fails between two cuts goes on behind the last one that was handed over."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks import ingest_batch as whole_batch
from tasks import tracked
from tasks.ingest_batch import ingest_batch
from tasks.options import BatchOptions, CutLimits, DocumentOptions
from warehouse import raw_files
from warehouse.errors import WarehouseBusy
from warehouse.layout import Home
from warehouse.records import Batch, Receipt

OPTIONS = BatchOptions(
    document=DocumentOptions(), pipeline_version="1-aaaa", settings_fingerprint="5" * 16, cut=CutLimits(cut_records=10)
)


@pytest.fixture
def batch(make: Any, tmp_path: Path, write_news: Any) -> Batch:
    """One file of 35 records and a text."""
    files = []
    rows = "".join(json.dumps({"text": write_news(number)}) + "\n" for number in range(35))
    for name, content in (("a.jsonl", rows), ("b.txt", write_news(50))):
        path = tmp_path / name
        path.write_text(content)
        read = raw_files.read(os.fsencode(path))
        files.append(make.raw_file(name, file_id=read.file_id, path=os.fsencode(path), stamp=read.stamp))
    return Batch(number=4, files=tuple(files))


def all_of(cutting: tracked.Cutting) -> Iterator[Receipt]:
    """Every receipt, tried again after an error as Prefect would."""
    while True:
        try:
            receipt = cutting.next()
        except WarehouseBusy:
            continue
        yield receipt
        if receipt.is_last:
            return


def test_an_error_between_two_cuts_costs_no_cut(home: Home, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(ingest_batch(home, batch, OPTIONS))
    assert [len(receipt.spans) for receipt in whole] == [1, 1, 1, 2]
    tried: list[list[tuple[str, int]]] = []

    def failing(at: Home, left: Batch, options: BatchOptions) -> Iterator[Receipt]:
        tried.append([(file.uri, file.first_ordinal) for file in left.files])
        yield next(ingest_batch(at, left, options))
        if len(tried) < 4:
            raise WarehouseBusy("somebody else")

    # Where it is taken from when there are no workers.
    monkeypatch.setattr(whole_batch, "ingest_batch", failing)
    receipts = list(all_of(tracked.Cutting(home, batch, OPTIONS, None)))
    assert tried == [[("a.jsonl", start), ("b.txt", 0)] for start in (0, 10, 20, 30)]
    assert [receipt.parts for receipt in receipts] == [receipt.parts for receipt in whole]
    assert [receipt.spans for receipt in receipts] == [receipt.spans for receipt in whole]


def test_what_prefect_keeps_of_a_batch_holds_no_receipt(home: Home, batch: Batch) -> None:
    cutting = tracked.Cutting(home, batch, OPTIONS, None)
    results: list[tracked.Sealed] = []

    class Done:
        """A task that has run."""

        def result(self, *, raise_on_failure: bool) -> tracked.Sealed:
            assert not raise_on_failure
            results.append(tracked.Sealed(cutting.next()))
            return results[-1]

    again: Any = tracked._taken(batch, cutting, Done())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tracked, "_submit", lambda _: Done())
        assert [len(receipt.spans) for receipt in again] == [1, 1, 1, 2]
    assert [sealed.value for sealed in results] == [None] * 4
