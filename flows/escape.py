r"""Texts from outside in places that interpret what they are given.

Belongs here: the escapes for Markdown and HTML.  Does not belong here: terminals (``flows.cli.render``), SQL
(``warehouse.schema``).

Names of files, titles and details of rejects are written by strangers: wherever they are shown they must be text and
nothing else, no tag, link, image or heading.
"""

import html as standard
import string

# Whatever Markdown or one of its dialects may give a meaning to; a backslash before it takes that away everywhere.
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in string.punctuation if mark not in "&<>"})


def visible(text: str) -> str:
    r"""The text in one line: control, bidirectional and other unprintable characters as escapes.

    >>> visible("a\nb\x1b[2J\u202ec")
    'a\\nb\\x1b[2J\\u202ec'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def html(text: str) -> str:
    """A text for HTML, between tags or inside a quoted attribute.

    >>> html('<script>alert("1")</script>')
    '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;'
    """
    return standard.escape(visible(text), quote=True)


def markdown(text: str, most: int = 200) -> str:
    r"""A text for Markdown, also for a cell of a table, of at most so many characters before the escapes.

    Brackets of HTML become entities: not every renderer honours a backslash before them.

    >>> markdown("[x](javascript:alert(1)) <b>|")
    '\\[x\\]\\(javascript\\:alert\\(1\\)\\) &lt;b&gt;\\|'
    """
    shown = visible(text)
    if len(shown) > most:
        shown = shown[: most - 1] + "…"
    # Blanks at the begin would make a block of code, a number with a full stop a list.
    return standard.escape(shown.translate(_MARKS), quote=False).strip()
