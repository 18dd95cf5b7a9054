"""HTML: the article of a page, without what stands around it.

Belongs here: the page's encoding, and from trafilatura's answer to a raw document.  Does not belong here: finding the
article (trafilatura), the date of a page (``page_dates``), where a page came from (``warc``, ``mail``).
"""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from tasks.readers import fields, page_dates
from tasks.readers.bounded import PARSER_ERRORS, brief, whole
from tasks.readers.dates import Published
from tasks.readers.options import ReadOptions
from tasks.text.decoded import Decoded
from tasks.text.encoding import decode
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

_BEGIN = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*){0,5}<(?:!doctype\s+html|html|head)\b",
    re.IGNORECASE | re.DOTALL,
)
_CHARSET = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_DECLARED_WITHIN = 4096
# What a page says of itself and no column holds.
_KEPT = ("sitename", "hostname", "description", "categories", "tags", "license", "image", "pagetype")


def begins(head: bytes) -> bool:
    r"""Whether a file begins like a page.

    >>> begins(b"\n<!-- old --><!DOCTYPE html><html>"), begins(b"<p>Hello")
    (True, False)
    """
    return _BEGIN.match(head) is not None


def overrules(_named: str, head: bytes) -> bool:
    """A page is one under any name."""
    return begins(head)


def page_text(data: bytes, options: ReadOptions, declared: str | None = None) -> Decoded:
    """The characters of a page: by the hint, by what the transport or the page declares if that fits, else detected."""
    if options.encoding is None:
        meta = _CHARSET.search(data[:_DECLARED_WITHIN])
        for name in (declared, meta[1].decode() if meta else None):
            if name and not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
                # What says Latin-1 is Windows-1252 in every browser.
                codec = "cp1252" if name.lower() in ("iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii") else name
                if (text := _strictly(data, codec)) is not None:
                    return Decoded(text=text, encoding=codec.lower(), confidence=1.0, flags=())
    return decode(data, options.encoding)


def _strictly(data: bytes, codec: str) -> str | None:
    try:
        text = data.decode(codec)
    except (LookupError, ValueError):
        return None
    return text if isinstance(text, str) and "\0" not in text else None


def _article(text: str, url: str | None) -> tuple[Any, Published | None]:
    import lxml.etree
    from trafilatura import bare_extraction
    from trafilatura.utils import load_html

    try:
        tree = load_html(text)
        if tree is None:
            raise Refusal(Stage.READ, Reason.MALFORMED, "no tree can be made of the page")
        found = page_dates.published_of(tree)
        # The latest date is fixed: the clock must not decide what is read.
        article = bare_extraction(
            tree,
            url=url,
            with_metadata=True,
            include_comments=False,
            date_extraction_params={"original_date": True, "extensive_search": False, "max_date": "2199-12-31"},
        )
    except (*PARSER_ERRORS, lxml.etree.LxmlError) as error:
        raise Refusal(Stage.READ, Reason.MALFORMED, f"the page cannot be parsed: {brief(error)}") from error
    return article, found


def document(
    data: bytes, options: ReadOptions, *, ordinal: int = 0, declared: str | None = None, url: str | None = None
) -> RawDocument:
    """The article of one page; raises ``Refusal`` where there is none.

    ``declared`` is the charset and ``url`` the address that the transport gave.
    """
    most = options.max_page_bytes
    if len(data) > most:
        raise Refusal(Stage.READ, Reason.TOO_LARGE, f"a page of {len(data)} bytes; max_page_bytes is {most}")
    decoded = page_text(data, options, declared)
    article, when = _article(decoded.text, url)
    text = (getattr(article, "text", None) or "").strip()
    if not text:
        raise Refusal(Stage.READ, Reason.NO_TEXT, "no article on the page")
    if when is None:
        when = page_dates.confirmed(article.date, decoded.text)
    metadata = fields.kept({name: value for name in _KEPT if (value := getattr(article, name, None))})
    assert isinstance(metadata, dict)
    return RawDocument(
        ordinal=ordinal,
        # A line of trafilatura's is a block of the page.
        text=fields.scrubbed(text).replace("\n", "\n\n"),
        encoding=decoded.encoding,
        encoding_confidence=decoded.confidence,
        flags=decoded.flags,
        metadata=metadata,
        title=fields.one_line(article.title),
        url=fields.one_line(article.url) or url,
        authors=fields.authors_of(article.author),
        published_on=when.on if when else None,
        published_precision=when.precision if when else None,
        held_bytes=len(data),
    )


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    """The one record of a page."""
    yield document(whole(stream, options.max_page_bytes, "max_page_bytes"), options)
