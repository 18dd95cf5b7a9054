"""What an analyst waits for on a large warehouse: our tables and views against a native table sorted by hand.

    python -m benchmarks.analysts [DOCUMENTS] [FOLDER]

Belongs here: generating a warehouse, asking it, one table for docs/performance.md.  Does not belong here: asserting.

The warehouse has the shape that an ingest gives it, some batches in order together, and in a second file the one that
a compaction or rebuild gives it.  The rival has the same distinct documents in one native table ordered by
language, date and id.  All are asked in turn, five times each; the least CPU time of the process counts, because
whoever else is on the machine adds less to that.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np

from warehouse import ddl, draft, gathering, search, standing
from warehouse.schema import quoted

SENTENCES, WORDS, PER_DOCUMENT, BATCH = 200_000, 40_000, 5, 3_000
# Batches that an ingest puts in order together.
TOGETHER = -(-gathering.BESIDE_WORK.documents // BATCH)
TURNS = 5


def sentences() -> list[str]:
    """Sentences of words whose frequencies fall as those of a language do, the same every time."""
    random = np.random.default_rng(1)
    syllables = np.array([a + b for a in "bdfgklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "is")])
    lengths = random.integers(2, 5, WORDS)
    words = ["".join(random.choice(syllables, length)) for length in lengths]
    weights = 1 / np.arange(2, WORDS + 2) ** 1.05
    picked = random.choice(WORDS, (SENTENCES, 14), p=weights / weights.sum())
    return [" ".join(words[index] for index in row).capitalize() + "." for row in picked]


def generate(path: Path, rival: Path, documents: int) -> None:
    """A snapshot as newsmill would publish it, and the rival beside it as DuckDB makes a database."""
    import pyarrow as pa

    pool = pa.table({"number": range(SENTENCES), "text": sentences()})
    with duckdb.connect(config={"memory_limit": "6GB", "temp_directory": f"{path}.tmp", **ddl.STORAGE}) as database:
        database.execute(
            f"ATTACH {quoted(str(path))} AS warehouse (STORAGE_VERSION 'v1.5.0', ROW_GROUP_SIZE {draft.ROW_GROUP_ROWS})"
        )
        database.execute(f"ATTACH {quoted(str(rival))} AS rival (STORAGE_VERSION 'v1.5.0')")
        database.execute("USE warehouse")
        for statement in ddl.table_statements():
            database.execute(statement)
        database.execute("INSERT INTO about VALUES ('', '', 1, '')")
        database.register("pool", pool)
        database.execute(
            f"""
            CREATE TEMP TABLE bare AS
            SELECT i, left(sha256(i::VARCHAR), 32) AS document_id, sha256('f' || i) AS file_id,
                   ['de', 'en', 'fr', 'es', 'de'][1 + i % 5] AS language,
                   DATE '2015-01-01' + CAST(hash(i) % 2920 AS INTEGER) AS published_on, i // {BATCH} AS batch
            FROM range($documents) AS r(i)""",
            {"documents": documents},
        )
        # Every twentieth has the text of the one before it, as agencies' texts have.
        database.execute(
            f"""
            CREATE TEMP TABLE texts AS
            SELECT i, list(pool.text ORDER BY k) AS cut FROM (
                SELECT i, k, CAST(hash((i - CAST(i % 20 = 7 AS INTEGER)) * 31 + k) % {SENTENCES} AS BIGINT) AS number
                FROM bare, range({PER_DOCUMENT}) AS p(k)
            ) AS picked JOIN pool USING (number) GROUP BY i"""
        )
        start = "CAST(coalesce(list_sum(lengths[:n]), 0) + n AS INTEGER)"
        database.execute(f"""
            INSERT INTO documents BY NAME
            SELECT * EXCLUDE (cut, lengths, batch), array_to_string(cut, ' ') AS text,
                   left(sha256(array_to_string(cut, ' ')), 32) AS text_id,
                   length(array_to_string(cut, ' ')) AS char_count,
                   list_transform(range({PER_DOCUMENT}), lambda n: {{
                       paragraph_no: 0, kind: 'body', byte_start: {start}, byte_count: lengths[n + 1],
                       separator_count: CAST(n < {PER_DOCUMENT - 1} AS INTEGER), char_start: {start},
                       char_count: lengths[n + 1]
                   }}) AS segment_places
            FROM (
                SELECT document_id, file_id, 0 AS ordinal, 'wire' AS source, 'a/' || i || '.txt' AS uri, [] AS authors,
                       published_on, 'day' AS published_precision, 'header' AS published_source, language,
                       0.99 AS language_confidence, 'agreement' AS language_decided_by, language AS detector_label,
                       0.99 AS detector_probability, language AS second_language, 'Latn' AS script,
                       {14 * PER_DOCUMENT} AS word_count, 1 AS paragraph_count, {PER_DOCUMENT} AS segment_count,
                       [] AS repairs, [] AS flags, '{{}}' AS source_metadata, 'v' AS pipeline_version,
                       left(sha256('b' || batch), 32) AS batch_id, true AS is_distinct, 1 AS copy_count, batch,
                       cut, list_transform(cut, lambda one: strlen(one)) AS lengths
                FROM bare JOIN texts USING (i)
            ) AS made ORDER BY batch // {TOGETHER}, language, published_on, document_id""")
        # Every fiftieth file was replaced since.
        database.execute("""
            INSERT INTO files BY NAME
            SELECT file_id, 'inbox' AS root, 'a/' || i || '.txt' AS uri, 'wire' AS source, 400 AS size_bytes,
                   TIMESTAMP '2020-01-01' AS modified_at, TIMESTAMP '2020-01-01' AS seen_at, 'ingested' AS status,
                   1 AS document_count, 0 AS reject_count, i % 50 <> 3 AS is_current, i AS sighting_no, 'r' AS run_id
            FROM bare ORDER BY i""")
        for statement in ddl.view_statements():
            database.execute(statement)
        standing.settle_all(database)
        database.execute("CHECKPOINT warehouse")
        database.execute("RESET zstd_min_string_length")
        database.execute(
            "CREATE TABLE rival.documents AS FROM v_documents ORDER BY language, published_on, document_id"
        )
        database.execute("CHECKPOINT rival")


def questions(document_id: str) -> dict[str, tuple[str, str]]:
    """The same question to the view or macro, and to the rival."""
    volume = """
        SELECT date_trunc('month', published_on) AS month, language, source, count(*), sum(word_count), sum(char_count)
        FROM rival.documents GROUP BY ALL"""
    terms = """
        SELECT term, count(DISTINCT document_id), count(*) AS occurrences FROM (
            SELECT document_id, unnest(regexp_extract_all(lower(text), '[\\p{L}\\p{M}]{3,}')) AS term
            FROM rival.documents
            WHERE language = 'de' AND published_on BETWEEN '2018-03-01' AND '2018-03-31') AS terms
        WHERE term NOT IN (SELECT word FROM ref_stop_words WHERE ref_stop_words.language = 'de')
        GROUP BY term ORDER BY occurrences DESC, term LIMIT 20"""
    series = """
        SELECT date_trunc('month', published_on) AS month, count(*) FILTER (contains(lower(text), 'banerdo')), count(*)
        FROM rival.documents WHERE language = 'de' GROUP BY month ORDER BY month"""
    one = f"SELECT * FROM {{}} WHERE document_id = {quoted(document_id)}"
    return {
        "volume by month": ("FROM v_documents_monthly", volume),
        "top terms of a month": ("FROM top_terms('de', since := '2018-03-01', until := '2018-03-31')", terms),
        "keyword series": ("FROM keyword_series('banerdo', lang := 'de')", series),
        "document by id": (one.format("v_documents"), one.format("rival.documents")),
    }


def least(*asked: Callable[[], object]) -> list[float]:
    """The least CPU milliseconds of each, asked in turn."""
    best = [float("inf")] * len(asked)
    for _ in range(TURNS):
        for number, ask in enumerate(asked):
            began = time.process_time()
            ask()
            best[number] = min(best[number], 1000 * (time.process_time() - began))
    return best


def put_in_order(path: Path, target: Path) -> None:
    """The second file, as a compaction makes it."""
    tables = ddl.table_statements()
    with duckdb.connect(config={"temp_directory": f"{target}.tmp", **ddl.STORAGE}) as database:
        database.execute(f"ATTACH {quoted(str(path))} AS warehouse")
        database.execute("USE warehouse")
        draft.put_in_order(database, path, target, tables, draft.MEMORY)
        for statement in ddl.view_statements():
            database.execute(statement)
        database.execute("CHECKPOINT")


def compare(path: Path, ordered: Path, rival: Path) -> None:
    """One row a question."""
    with contextlib.ExitStack() as stack:
        opened = []
        for warehouse in (path, ordered):
            database = stack.enter_context(duckdb.connect())
            database.execute(f"ATTACH {quoted(str(warehouse))} AS warehouse (READ_ONLY)")
            database.execute(f"ATTACH {quoted(str(rival))} AS rival (READ_ONLY)")
            database.execute("USE warehouse")
            opened.append(database)
        ((document_id,),) = opened[0].execute("SELECT max(document_id) FROM v_documents").fetchall()

        def ask(database: duckdb.DuckDBPyConnection, sql: str) -> Callable[[], object]:
            return lambda: database.execute(sql).fetchall()

        print("| CPU milliseconds | by hand | as ingested | ÷ by hand | compacted | ÷ by hand |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name, (view, hand) in questions(document_id).items():
            first, second, own = least(ask(opened[0], view), ask(opened[1], view), ask(opened[1], hand))
            print(
                f"| {name} | {own:.0f} | {first:.0f} | {first / own:.2f} | {second:.0f} | {second / own:.2f} |",
                flush=True,
            )


def full_text(path: Path, target: Path) -> None:
    """BM25 against ILIKE on the same words."""
    with duckdb.connect() as database:
        began = time.monotonic()
        search.index_into(database, path, target)
        print(f"indexed in {time.monotonic() - began:.0f} s, {target.stat().st_size / 1e6:.0f} MB", file=sys.stderr)
        database.execute("USE warehouse")
        bm25, ilike = least(
            lambda: database.execute("FROM search.matches('banerdo') ORDER BY score DESC LIMIT 20").fetchall(),
            lambda: database.execute("SELECT document_id FROM v_documents WHERE text ILIKE '%banerdo%'").fetchall(),
        )
        print()
        print("| CPU milliseconds | BM25 | ILIKE | ILIKE ÷ BM25 |\n| --- | --- | --- | --- |")
        print(f"| one word in all texts | {bm25:.0f} | {ilike:.0f} | {ilike / bm25:.1f} |")


def main() -> None:
    """Generate, ask, print the tables."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        path, ordered, rival = (Path(folder) / f"{name}.duckdb" for name in ("warehouse", "ordered", "rival"))
        began = time.monotonic()
        generate(path, rival, documents)
        print(f"generated in {time.monotonic() - began:.0f} s, {path.stat().st_size / 1e6:.0f} MB", file=sys.stderr)
        began = time.monotonic()
        put_in_order(path, ordered)
        print(f"put in order in {time.monotonic() - began:.0f} s", file=sys.stderr)
        compare(path, ordered, rival)
        full_text(ordered, Path(folder) / "search.duckdb")


if __name__ == "__main__":
    main()
