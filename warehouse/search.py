"""Full-text search: ``search.duckdb`` beside the warehouse, one BM25 index a language.

Belongs here: building the indexes, attaching them, asking them.  Does not belong here: showing what was found
(``flows.cli.search``), other SQL on the warehouse (``queries``).

An index is built from one snapshot and stands until the next is built: documents that came later are not found, those
that went are left out.  Like snapshots, indexes are numbered files behind one symlink: a reader keeps what it opened.
The extension comes with a wheel of the extra ``search`` and is loaded from there, never from the network.
"""

import contextlib
import importlib.util
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from warehouse import queries, snapshots
from warehouse.durable import TEMPORARY, discard_left, fsync_path, link_durably, lock, rename_durably, temporary_file
from warehouse.errors import ConfigError, DamagedError, QueryError
from warehouse.layout import Home
from warehouse.queries import Attach, QueryOptions
from warehouse.schema import quoted

NAME = re.compile(r"search-(\d{8,})\.duckdb")
KEEP = 2
# What parts words: everything but letters, their marks and digits of any script.
_BETWEEN = r"[^\p{L}\p{M}\p{N}]+"


@dataclass(frozen=True, slots=True)
class Built:
    """What a build made: documents a language, the snapshot's last commit, and how long it took."""

    path: Path
    documents: dict[str, int]
    commit_no: int
    seconds: float


def extension() -> Path:
    """The full-text extension in its wheel; ``ConfigError`` says what to install where it is not there."""
    found = importlib.util.find_spec("duckdb_extension_fts")
    for folder in found.submodule_search_locations or () if found else ():
        path = Path(folder) / "extensions" / f"v{duckdb.__version__}" / "fts.duckdb_extension"
        if path.is_file():
            return path
    raise ConfigError(
        "full-text search needs DuckDB's extension fts as a package; install it with `pip install newsmill[search]`"
    )


def _load(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"LOAD {quoted(str(extension()))}")


def numbered(home: Home) -> list[tuple[int, Path]]:
    """Every index, oldest first."""
    if not home.indexes.is_dir():
        return []
    found = ((NAME.fullmatch(path.name), path) for path in home.indexes.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


def _sql(name: str, **words: str) -> str:
    text = resources.files("warehouse.sql").joinpath("search", f"{name}.sql").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace("{" + word + "}", value)
    return text


def _tokens(text: str, stemmer: str, *, is_spaced: bool) -> str:
    """SQL for the list of terms of a text: stemmed words, or pairs of characters where no blanks part the words."""
    if is_spaced:
        words = f"regexp_extract_all(lower({text}), '[\\p{{L}}\\p{{M}}\\p{{N}}]+')"
        return f"list_transform({words}, lambda word: stem(word, {quoted(stemmer)}))"
    letters = f"string_split(regexp_replace(lower({text}), {quoted(_BETWEEN)}, '', 'g'), '')"
    return f"list_transform(list_zip({letters}, ({letters})[2:], true), lambda pair: pair[1] || pair[2])"


def _index(connection: duckdb.DuckDBPyConnection, language: str, stemmer: str, *, is_spaced: bool) -> int:
    """Build the index of one language; returns how many documents it has."""
    table = f"documents_{language}"
    # A pair of characters is a word of its own to the extension.
    text = "text" if is_spaced else f"array_to_string({_tokens('text', stemmer, is_spaced=False)}, ' ')"
    connection.execute(
        f"CREATE TABLE {table} AS SELECT document_id, concat_ws(' ', title, {text}) AS text "  # noqa: S608
        "FROM warehouse.v_documents WHERE language = $language ORDER BY document_id",
        {"language": language},
    )
    connection.execute(
        f"CREATE TABLE stop_words_{language} AS "  # noqa: S608 - a code that was matched
        "SELECT word AS sw FROM warehouse.ref_stop_words WHERE language = $language",
        {"language": language},
    )
    connection.execute(
        f"PRAGMA create_fts_index('{table}', 'document_id', 'text', stemmer = {quoted(stemmer)}, "
        f"stopwords = 'stop_words_{language}', ignore = {quoted(_BETWEEN)}, strip_accents = 0, lower = 1)"
    )
    # The warehouse has the texts; what is freed here, the next language takes.
    connection.execute(f"ALTER TABLE {table} DROP COLUMN text")
    connection.execute(f"DROP TABLE stop_words_{language}")
    connection.execute(
        f"CREATE MACRO matches_{language}(words) AS TABLE "
        + _sql("matches", language=language, tokens=_tokens("words", stemmer, is_spaced=is_spaced))
    )
    connection.execute("CHECKPOINT search")
    ((count,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608 - a name of ours
    return int(count)


def _fill(connection: duckdb.DuckDBPyConnection, on_language: Callable[[int, int], None] | None) -> dict[str, int]:
    # The largest first: its freed blocks serve the others.
    languages = connection.execute(
        "SELECT language, coalesce(stemmer, 'none'), coalesce(is_spaced, true) FROM warehouse.v_languages "
        "LEFT JOIN warehouse.ref_languages USING (language) ORDER BY documents DESC, language"
    ).fetchall()
    made = {}
    for done, (language, stemmer, is_spaced) in enumerate(languages, start=1):
        if re.fullmatch(r"[a-z]{2,3}", language):
            made[language] = _index(connection, language, stemmer, is_spaced=is_spaced)
        if on_language is not None:
            on_language(done, len(languages))
    every = " UNION ALL ".join(f"FROM search.matches_{language}(words)" for language in made)
    nothing = "SELECT '' AS language, '' AS document_id, 0.0 AS score, 0 AS terms, 0 AS asked_terms WHERE false"
    connection.execute(f"CREATE MACRO matches(words) AS TABLE {every or nothing}")
    cases = " ".join(
        f"WHEN {quoted(language)} THEN {_tokens('words', stemmer, is_spaced=is_spaced)}"
        for language, stemmer, is_spaced in languages
    )
    plain = _tokens("words", "none", is_spaced=True)
    connection.execute(f"CREATE MACRO stems(lang, words) AS CASE lang {cases} ELSE {plain} END" if cases else
                       f"CREATE MACRO stems(lang, words) AS {plain}")  # fmt: skip
    return made


def index_into(
    connection: duckdb.DuckDBPyConnection,
    snapshot: Path,
    target: Path,
    *,
    on_language: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Index a snapshot into a new file, which stays attached and in use as ``search``; documents a language."""
    _load(connection)
    connection.execute(f"ATTACH {quoted(str(snapshot.resolve()))} AS warehouse (READ_ONLY)")
    connection.execute(f"ATTACH {quoted(str(target))} AS search (STORAGE_VERSION 'v1.5.0')")
    connection.execute("USE search")
    return _fill(connection, on_language)


def build(home: Home, *, on_language: Callable[[int, int], None] | None = None) -> Built:
    """Index the newest snapshot and let ``search.duckdb`` name the index; one build at a time a home.

    ``on_language(done, of)`` reports progress.  Readers and ingests go on meanwhile.
    """
    with lock(home.lock("search")):
        started = time.monotonic()
        extension()  # says what is missing before anything is begun
        snapshot = queries.newest_or_error(home)
        commit_no = snapshots.about(snapshot).commit_no
        _sweep(home)
        with temporary_file(home.indexes) as target, contextlib.closing(duckdb.connect()) as connection:
            target.unlink()
            documents = index_into(connection, snapshot, target, on_language=on_language)
            connection.execute("CREATE TABLE about AS SELECT $commit_no::BIGINT AS commit_no", {"commit_no": commit_no})
            connection.execute("CHECKPOINT search")
            connection.execute("USE memory")
            connection.execute("DETACH search")
            target.chmod(0o444)
            known = numbered(home)
            path = home.indexes / f"search-{known[-1][0] + 1 if known else 1:08d}.duckdb"
            rename_durably(target, path)
        link_durably(os.path.join(home.indexes.name, path.name), home.search)
        for _, old in numbered(home)[:-KEEP]:
            old.unlink(missing_ok=True)
        return Built(path, documents, commit_no, time.monotonic() - started)


def _sweep(home: Home) -> None:
    """Remove what killed builds left; under the search lock only."""
    for path in home.indexes.glob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)
    discard_left(home.search)


def remove(home: Home, *, keep: Path | None) -> int:
    """Remove every index but one, and the symlink where none is kept; returns how many went.

    A reader that has one open keeps it: the file lives until it is closed.
    """
    if not home.indexes.is_dir():
        return 0
    with lock(home.lock("search")):
        _sweep(home)
        # Whatever was built after the one to keep came from the same snapshot, or a later one.
        gone = [path for _, path in numbered(home) if keep is None or path.name < keep.name]
        for path in gone:
            path.unlink(missing_ok=True)
        fsync_path(home.indexes)
        if not numbered(home):
            home.search.unlink(missing_ok=True)
    return len(gone)


def damaged(home: Home) -> Iterator[Path]:
    """The indexes of which not every row can be read; DuckDB knows a block by its checksum."""
    for _, path in numbered(home):
        try:
            with snapshots.opened(path) as database:
                tables = database.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
                for schema, table in tables:
                    name = f'"{schema}"."{table}"'
                    database.execute(f"SELECT bit_xor(hash(each)) FROM {name} AS each").fetchall()  # noqa: S608
        except DamagedError:
            yield path


def holding(home: Home, record_counts: Mapping[str, int]) -> Iterator[tuple[Path, int]]:
    """The indexes that have documents of contents, and how many; each content with the number of its records."""
    wanted = pa.table({"file_id": list(record_counts), "records": list(record_counts.values())})
    for _, path in numbered(home):
        with snapshots.opened(path) as database:
            database.register("wanted", wanted)
            tables = database.execute(
                "SELECT table_name FROM duckdb_tables() "
                "WHERE schema_name = 'main' AND starts_with(table_name, 'documents_')"
            ).fetchall()
            every = " UNION ALL ".join(f"SELECT document_id FROM {name}" for (name,) in tables)  # noqa: S608
            if not tables:
                continue
            ((count,),) = database.execute(
                f"SELECT count(*) FROM ({every}) AS found SEMI JOIN ("  # noqa: S608 - names of ours
                "SELECT left(sha256(file_id || ':' || ordinal), 32) AS document_id "
                "FROM (SELECT file_id, unnest(range(records)) AS ordinal FROM wanted) AS each) AS asked "
                "USING (document_id)"
            ).fetchall()
        if count:
            yield path, count


def attacher(home: Home) -> Attach:
    """What attaches the newest index as ``search`` before a connection's door closes."""
    known = numbered(home)
    extension()
    if not known:
        raise QueryError(f"{home.path} has no full-text index yet; build it with `newsmill index`")

    def attach(connection: duckdb.DuckDBPyConnection) -> None:
        _load(connection)
        connection.execute(f"ATTACH {quoted(str(known[-1][1].resolve()))} AS search (READ_ONLY)")

    return attach


def find(
    home: Home,
    words: str,
    *,
    language: str | None = None,
    is_every: bool = False,
    most: int = 20,
    is_ledger_elsewhere: bool = False,
    options: QueryOptions = queries.DEFAULTS,
) -> list[dict[str, Any]]:
    """The best documents for some words, best first: score, language, date, source, id, title, best sentence.

    ``is_every`` wants all of the words in a document, else one is enough.
    """
    values = {"words": words, "language": language, "is_every": is_every, "most": most}
    return queries.rows(
        home, _sql("find"), values, is_ledger_elsewhere=is_ledger_elsewhere, options=options, attach=attacher(home)
    )


def behind(home: Home) -> Iterator[int]:
    """The commits that the newest snapshot has and the newest index lacks, as one number; nothing where it has all."""
    found = queries.rows(
        home,
        "SELECT about.commit_no - indexed.commit_no AS behind FROM about, search.about AS indexed",
        is_ledger_elsewhere=True,
        attach=attacher(home),
    )
    yield from (row["behind"] for row in found if row["behind"] > 0)
