"""The beginning of refused content, for a person.

Belongs here: making bytes safe to show.  Does not belong here: deciding what is refused.
"""

PREVIEW_CHARACTERS = 120


def preview(data: bytes) -> str:
    r"""The beginning of refused content for a person; nothing in it can move a terminal's cursor.

    >>> preview(b"\x00\x01 caf\xe9 \x1b[2J")
    '\\x00\\x01 caf\\xe9 \\x1b[2J'
    """
    text = data[: 4 * PREVIEW_CHARACTERS].decode("utf-8", "backslashreplace")[:PREVIEW_CHARACTERS]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
