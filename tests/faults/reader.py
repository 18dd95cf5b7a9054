"""An analyst in a process of its own: holds one connection open and opens new ones, until its standard input ends.

Writes one JSON line a look: what the held connection says, what a new one says, and what went wrong.
"""

import json
import select
import sys

import duckdb

# Every document brings its paragraphs in the same transaction: any answer in which these differ is a torn one.
INVARIANT = """
    SELECT (SELECT count(*) FROM documents), (SELECT coalesce(sum(segment_count), 0) FROM documents),
           (SELECT count(*) FROM segments), (SELECT count(DISTINCT document_id) FROM segments),
           (SELECT coalesce(sum(paragraph_count), 0) FROM documents), (SELECT count(*) FROM paragraphs),
           (SELECT max(commit_no) FROM loads), (SELECT count(*) FROM loads)"""


def look(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """One consistent answer, or an error."""
    answer = connection.execute(INVARIANT).fetchone()
    documents, said, segments, with_segments, blocks, paragraphs, last, loads = answer
    if said != segments or documents != with_segments or blocks != paragraphs or (last or 0) != loads:
        raise AssertionError(f"torn: {answer}")
    return [int(documents), int(segments), int(last or 0)]


def main() -> None:
    """Look again and again."""
    path = sys.argv[1]
    held = duckdb.connect(path, read_only=True)
    while True:
        answer: dict[str, object] = {}
        try:
            answer["held"] = look(held)
            with duckdb.connect(path, read_only=True) as fresh:
                answer["fresh"] = look(fresh)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            answer["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)
        if select.select([sys.stdin], [], [], 0.1)[0]:
            return


if __name__ == "__main__":
    main()
