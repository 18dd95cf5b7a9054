"""One batch, from raw files to parts and a receipt: all that a light worker has to do.

Belongs here: reading the files of a batch and writing its two parts.  Does not belong here: the ledger, DuckDB and
Prefect, none of which this module reaches; a contract checks it.
"""

import time
from dataclasses import dataclass

from tasks import plan
from tasks.document import DocumentOptions, documents_of
from warehouse import parts, raw_files
from warehouse.errors import Deferred
from warehouse.layout import Home
from warehouse.records import Batch, FileResult, RawFile, Receipt, Sighting
from warehouse.vocabulary import DeferReason, FileStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """What a worker must know besides the files."""

    document: DocumentOptions
    pipeline_version: str
    settings_fingerprint: str


def _outcome(result: FileResult) -> Sighting:
    return plan.sighting(result.file, FileStatus.INGESTED if result.documents else FileStatus.REJECTED)


def ingest_batch(home: Home, batch: Batch, options: BatchOptions) -> Receipt:
    """Read, decode, normalise, detect, segment and write one batch.

    A file that cannot be read, or whose bytes are no longer those that were found, is deferred; the others go on.
    Errors of the home (a full disk, say) are raised: nothing of the batch counts then.
    """
    timings: dict[str, float] = {}
    started = time.perf_counter()
    contents: list[tuple[RawFile, bytes]] = []
    deferred: list[Sighting] = []
    gone: list[tuple[str, str]] = []
    for file in batch.files:
        try:
            content = raw_files.read(file.path)
        except FileNotFoundError:
            gone.append((file.root, file.uri))
        except Deferred as reason:
            deferred.append(plan.deferral(file, reason))
        else:
            if content.file_id == file.file_id:
                contents.append((file, content.data))
            else:
                changed = Deferred(DeferReason.CHANGING, "changed after it was found")
                deferred.append(plan.deferral(file, changed))
    timings["read"] = time.perf_counter() - started
    results = documents_of(contents, options.document, timings)
    started = time.perf_counter()
    spans = parts.spans_of(results)
    batch_id = parts.batch_id(spans, options.pipeline_version, options.settings_fingerprint)
    written = []
    if results:
        rows = parts.tables(results, options.pipeline_version, batch_id)
        written = [parts.write(home, kind, table, batch_id) for kind, table in rows.items()]
    timings["write"] = time.perf_counter() - started
    return Receipt(
        number=batch.number,
        batch_id=batch_id,
        pipeline_version=options.pipeline_version,
        settings_fingerprint=options.settings_fingerprint,
        parts=tuple(written),
        spans=spans,
        sightings=(*(_outcome(result) for result in results if result.is_last), *deferred),
        gone=tuple(gone),
        timings=timings,
    )
