"""The SQL guard: a home with a planted secret beside it, statements that reach for it, and what must not happen.

Belongs here: making statements out of any bytes, and the property.  Does not belong here: how bytes come about
(``fuzz_guard.py``, ``tests/faults/test_fuzz.py``).
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from flows import run
from flows.settings import Settings
from tasks import direct
from warehouse import queries
from warehouse.errors import NewsmillError
from warehouse.queries import QueryOptions

SECRET = "zyxwolperdinger-7741"
LIMITS = QueryOptions(memory="200MB", seconds=0.2, is_alone=True)
# What stands for the planted file, the folder to write into and the newest snapshot.  One value beyond the limit on
# memory is enough: a text as large takes DuckDB seconds in which it hears no timer, and the fuzzer waits.
PIECES = (
    "SELECT", "FROM", "*", "WITH a AS (", ")", "(", "COPY", "TO", "INTO", "INSERT", "UPDATE documents SET text =",
    "DELETE FROM documents", "DROP TABLE", "CREATE TABLE x AS", "CREATE MACRO m(a) AS", "CREATE SECRET", "ATTACH",
    "DETACH", "USE", "INSTALL", "LOAD", "SET", "RESET", "PRAGMA", "CALL", "EXPORT DATABASE", "IMPORT DATABASE",
    "EXPLAIN", "EXPLAIN ANALYZE", "(FORMAT json)", "EXECUTE", "PREPARE p AS", "VACUUM", "CHECKPOINT", "PIVOT",
    "UNPIVOT", "ON", "USING", "count(*)", "DESCRIBE", "SUMMARIZE", "SHOW", "SHOW ALL TABLES", "VALUES", "UNION ALL",
    "LIMIT 3",
    "read_text('{secret}')", "read_blob('{secret}')", "read_csv('{secret}')", "read_csv_auto('{secret}')",
    "read_json('{secret}')", "read_parquet('{secret}')", "sniff_csv('{secret}')", "glob('{out}/../*')", "'{secret}'",
    "\"{secret}\"", "'file://{secret}'", "'{out}/written'", "'{out}/written.db'", "'{newest}'",
    "query('FROM read_text(''{secret}'')')", "query_table('{secret}')", "getenv('HOME')", "getvariable('a')",
    "duckdb_secrets()", "duckdb_settings()", "duckdb_logs()", "which_secret('{secret}', 's3')", "pragma_version()",
    "parquet_metadata('{secret}')", "parquet_schema('{secret}')", "read_duckdb('{newest}')", "seq_scan('documents')",
    "enable_external_access = true", "lock_configuration = false", "memory_limit = '9TB'", "temp_directory = '{out}'",
    "home_directory = '{out}'", "log_query_path = '{out}/written'", "profiling_output = '{out}/written'",
    "enable_logging('file', storage_path := '{out}')", "enable_profiling = 'json'", "secret_directory = '{out}'",
    "httpfs", "'http://127.0.0.1:1/a.csv'", "'s3://a/b.parquet'", "AS", "documents", "files", "v_languages", "text",
    "1", "'a'", "$a", "?", ";", ";;", "--", "/*", "*/", "\n", "\0", "\u00a0", "\ufeff", "'", "\"", "$$",
    "\\", ",", "=", "::JSON",
    "lambda x: x", "RETURNING *", "LATERAL", "TABLESAMPLE 1%", "OR REPLACE", "TEMP", "IF NOT EXISTS", "TYPE SQLITE",
    "BEGIN", "COMMIT", "ROLLBACK", "system.main.read_text('{secret}')", "memory.main.t", "temp.t", "main.documents",
    "COMMENT ON TABLE documents IS", "ALTER TABLE documents RENAME TO", "GRANT", "MERGE INTO documents", "TRUNCATE",
    "recursive", "paragraphs", "segments", "v_rejects", "rejects", "language", "uri", "source",
    "published_on", "WHERE true", "ORDER BY ALL", "GROUP BY ALL", "JOIN", "NATURAL JOIN", "(SELECT 1)", "upper(text)",
    "||", "+", "IS NULL", "range(1000000000)", "repeat('a', 10000000)", "write_log('{out}')", "INTERVAL 1 DAY",
    "NULL",
)  # fmt: skip


# Most words in any order are no statement: these have one place that is open, so that much is let in.
FORMS = (
    "{}", "SELECT {}", "SELECT {} FROM documents", "FROM {}", "SELECT * FROM documents WHERE {}",
    "SELECT * FROM ({}) AS a", "WITH a AS (FROM {}) FROM a LIMIT 3", "DESCRIBE {}",
)  # fmt: skip


class Guarded:
    """A home of three documents, a file with a secret, and a folder that must stay empty."""

    def __init__(self, folder: Path) -> None:
        self.home, self.out, self.secret = folder / "home", folder / "out", folder / "secret.txt"
        self.out.mkdir()
        self.secret.write_text(f"a,b\n{SECRET},2\n")
        raw = folder / "raw"
        raw.mkdir()
        for number in range(3):
            (raw / f"{number}.txt").write_text(f" date 2019-04 Der Rat der Stadt tagte zum {number}. Mal.\n")
        run.ingest(Settings(home=self.home, workers=0), direct, [os.fsencode(raw)])
        self.layout = Settings(home=self.home).layout
        self.newest = self.home / "versions" / "warehouse-00000001.duckdb"
        self.before = dict(self._tree())

    def _tree(self) -> Iterator[tuple[str, str]]:
        for path in sorted(self.home.parent.rglob("*")):
            name = path.relative_to(self.home.parent).as_posix()
            # Whoever looks whether the ledger is as new as the snapshot opens its log.
            if path.is_file() and not name.startswith(("home/ledger.sqlite-", "home/locks/")):
                yield name, hashlib.sha256(path.read_bytes()).hexdigest()

    def statement(self, data: bytes) -> str:
        """A statement out of any bytes: a form, pieces by number, and now and then a letter that is another."""
        form = FORMS[data[0] % len(FORMS)] if data else "{}"
        pieces = []
        for byte in data[1:]:
            if byte < len(PIECES):
                pieces.append(PIECES[byte])
            elif pieces:
                pieces[-1] = pieces[-1].swapcase() if byte % 2 else pieces[-1] + chr(byte)
        words = form.replace("{}", " ".join(pieces))
        for name, path in (("secret", self.secret), ("out", self.out), ("newest", self.newest)):
            words = words.replace("{" + name + "}", str(path))
        return words

    def ask(self, data: bytes) -> bool:
        """Whether a statement was let in; nothing of the secret may come out, and no other error than ours."""
        sql = self.statement(data)
        try:
            answer = queries.rows(self.layout, sql, {"a": 1} if "$a" in sql else None, options=LIMITS)
        except NewsmillError as error:
            # DuckDB repeats the statement in its errors, and the file's name in it, never its content.
            assert SECRET not in str(error), sql
            return False
        assert SECRET not in repr(answer), sql
        return True

    def check(self) -> None:
        """Nothing was written, nowhere."""
        assert dict(self._tree()) == self.before
        assert list(self.out.iterdir()) == []
