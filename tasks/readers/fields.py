"""From the fields of a record to a raw document: which field is the text, the title, the date.

Belongs here: the guesses, the mapping that a person sets, and keeping everything that is not mapped.  Does not belong
here: how a format spells its records.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time

from tasks.readers.dates import Published, published
from tasks.readers.options import ReadOptions
from tasks.text.decoded import Decoded
from warehouse.errors import Refusal
from warehouse.records import RawDocument
from warehouse.vocabulary import Flag, Reason, Stage

# In the order of preference; case, hyphens, blanks and underscores do not count.
GUESSES: dict[str, tuple[str, ...]] = {
    "text": ("text", "body", "content", "maintext", "articlebody", "articletext", "fulltext", "plaintext",
             "textcontent", "bodytext", "article", "story", "rawtext", "texte", "texto", "testo", "inhalt"),
    "title": ("title", "headline", "heading", "subject", "articletitle", "titel", "titre", "titulo", "titolo",
              "überschrift"),
    "date": ("publishedon", "publishedat", "datepublished", "publisheddate", "publicationdate", "publishdate",
             "publishtime", "publicationtime", "datepublish", "webpublicationdate", "published", "pubdate", "date",
             "firstpublished", "datetime", "timestamp", "created", "createdat", "datecreated", "datum", "fecha"),
    "url": ("url", "link", "sourceurl", "articleurl", "canonicalurl", "originalurl", "weburl", "uri"),
    "authors": ("authors", "author", "byline", "creator", "writer", "autor", "autoren", "auteur"),
    "id": ("id", "externalid", "docid", "articleid", "documentid", "guid", "uuid", "identifier"),
}  # fmt: skip
# Names the list of a JSON object whose members are the records, where the object is only what stands around them.
RECORDS = "records"
_MOST_NODES = 50_000
_MOST_LEVELS = 50
_SHORT = 4_000
_MOST_KNOWN = 200


def _folded(name: str) -> str:
    return "".join(c for c in name.casefold() if c not in "_- ")


def scrubbed(text: str) -> str:
    r"""The text without halves of surrogate pairs, which no encoding can write.

    >>> scrubbed("a\ud800b")
    'a\ufffdb'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def one_line(value: object) -> str | None:
    """A title, address or id on one line, without control characters; None where nothing is left."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    words = " ".join(scrubbed(str(value)).split())
    return "".join(c for c in words if c.isprintable() or c == " ")[:_SHORT].strip() or None


def kept(value: object) -> object:
    """A value as JSON can hold it, whatever the format made of it; a Refusal where it is a maze."""
    return _kept(value, 0, iter(range(_MOST_NODES)))


def _kept(value: object, level: int, left: Iterator[int]) -> object:
    if next(left, None) is None or level > _MOST_LEVELS:
        raise Refusal(Stage.READ, Reason.MALFORMED, f"fields in fields: beyond {_MOST_LEVELS} levels or {_MOST_NODES}")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {scrubbed(str(name)): _kept(member, level + 1, left) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(member, level + 1, left) for member in value]
    return scrubbed(str(value))


def chosen(names: Iterable[str], options: ReadOptions) -> dict[str, str]:
    """For each wanted field the name that holds it: the one that was set, else the best guess.

    >>> chosen(["Headline", "body", "Body_Text"], ReadOptions())
    {'text': 'body', 'title': 'Headline'}
    """
    found = tuple(names)
    if len(found) > _MOST_KNOWN or sum(map(len, found)) > _SHORT:
        return _choose(found, options.fields)
    return _chosen(found, options.fields)


# The records of a file have the same names over and over.
@functools.lru_cache(maxsize=64)
def _chosen(names: tuple[str, ...], fields: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return _choose(names, fields)


def _choose(names: tuple[str, ...], fields: tuple[tuple[str, str], ...]) -> dict[str, str]:
    folded = _by_folded(names)
    found = dict(fields)
    for wanted in GUESSES:
        guessed = _guessed(wanted, folded)
        if wanted not in found and guessed:
            found[wanted] = guessed[0]
    return {wanted: found[wanted] for wanted in GUESSES if wanted in found}


def _by_folded(names: Iterable[str]) -> dict[str, str]:
    folded: dict[str, str] = {}
    for name in names:
        folded.setdefault(_folded(name), name)
    return folded


def _guessed(wanted: str, folded: Mapping[str, str]) -> list[str]:
    return [folded[guess] for guess in GUESSES[wanted] if guess in folded]


def _value(values: Mapping[str, object], name: str) -> object:
    if name in values:
        return values[name]
    here: object = values
    for step in name.split("."):
        if not isinstance(here, Mapping) or step not in here:
            return None
        here = here[step]
    return here


def listed(values: Mapping[str, object], options: ReadOptions) -> list[object] | None:
    """The members of the list that a person has named as the records; None where there is none of that name.

    >>> listed({"page": 1, "data": {"items": [{"text": "a"}]}}, ReadOptions(fields=(("records", "data.items"),)))
    [{'text': 'a'}]
    """
    name = dict(options.fields).get(RECORDS)
    found = None if name is None else _value(values, name)
    return found if isinstance(found, list) else None


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple) and value and all(isinstance(block, str) for block in value):
        return "\n\n".join(str(block) for block in value)
    return None


def authors_of(value: object) -> tuple[str, ...]:
    """The authors as printed: a list of names or of things with a name, or names between semicolons.

    >>> authors_of("By Ada Holm; Kim Ruiz"), authors_of([{"name": "Ada Holm"}, "Kim Ruiz"])
    (('Ada Holm', 'Kim Ruiz'), ('Ada Holm', 'Kim Ruiz'))
    """
    found = value if isinstance(value, list | tuple) else [value]
    names: list[str] = []
    for entry in found:
        line = one_line(entry.get("name") if isinstance(entry, Mapping) else entry)
        names.extend((line or "").split(";"))
    cleaned = [name.strip() for name in names]
    return tuple(dict.fromkeys(name[3:] if name[:3].lower() == "by " else name for name in cleaned if name))


def document(
    values: Mapping[str, object], options: ReadOptions, decoded: Decoded, *, ordinal: int, held: int,
    byte_offset: int | None = None,
) -> RawDocument:  # fmt: skip
    """The record as a raw document; ``decoded`` says how its bytes were read.

    Raises ``Refusal`` where no field is a text.
    """
    names = chosen(values, options)
    got = {wanted: _value(values, name) for wanted, name in names.items()}
    text = _text(got.get("text"))
    if not (text and text.strip()) and not any(wanted == "text" for wanted, _ in options.fields):
        # An empty one beside a full one: the next best that holds something.
        full = (name for name in _guessed("text", _by_folded(values)) if (_text(values[name]) or "").strip())
        if (name := next(full, None)) is not None:
            text, names = _text(values[name]), {**names, "text": name}
    if text is None:
        known = ", ".join(sorted(str(name) for name in values)[:12])
        wanted = f"{names['text']!r} holds none" if "text" in names else "no field looks like one"
        lists = [str(name) for name, value in values.items() if isinstance(value, list) and value]
        if any(isinstance(values[name][0], Mapping) for name in lists):  # type: ignore[index]
            wanted += f", and records may stand in {scrubbed(', '.join(lists))[:100]}"
        raise Refusal(
            Stage.READ,
            Reason.NO_TEXT,
            f"no text: {wanted}; the fields are {scrubbed(known)[:300]}; the setting fields says which it is",
        )
    when: Published | None = published(got.get("date"))
    used = {"text": True, "date": when is not None}
    title, url, external_id = (one_line(got.get(wanted)) for wanted in ("title", "url", "id"))
    authors = authors_of(got.get("authors"))
    used |= {"title": title is not None, "url": url is not None, "id": external_id is not None}
    used["authors"] = bool(authors)
    gone = {name for wanted, name in names.items() if used[wanted]}
    rest = {scrubbed(str(name)): value for name, value in values.items() if name not in gone and value is not None}
    clean = scrubbed(text)
    flags = decoded.flags if clean is text else (*decoded.flags, Flag.REPLACEMENT_CHARACTERS)
    metadata = kept(rest)
    assert isinstance(metadata, dict)
    return RawDocument(
        ordinal=ordinal,
        text=clean,
        encoding=decoded.encoding,
        encoding_confidence=decoded.confidence,
        flags=flags,
        metadata=metadata,
        title=title,
        url=url,
        authors=authors,
        external_id=external_id,
        published_on=when.on if when else None,
        published_precision=when.precision if when else None,
        byte_offset=byte_offset,
        held_bytes=held,
    )
