"""All words of a piece of HTML: of a mail, or inside Markdown, where everything is content.

Belongs here: leaving tags out.  Does not belong here: telling an article from what stands around it (``html``).
"""

import re

_TAG = re.compile(r"<[^<>]*>")
_UNSEEN = ("script", "style", "head", "template")
# Elements behind which a line ends.
_BLOCKS = (
    "address", "article", "aside", "blockquote", "br", "caption", "dd", "details", "div", "dl", "dt", "figcaption",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "legend", "li", "main", "nav", "ol",
    "option", "p", "pre", "section", "summary", "table", "tr", "ul",
)  # fmt: skip
_CELLS = ("td", "th")


def untagged(markup: str) -> str:
    r"""The words, a block on a line of its own.

    >>> untagged("<p>It <b>rain</b>ed.<br>All day.</p><table><tr><td>a</td><td>b</td></tr></table><!-- c -->")
    'It rained.\nAll day.\na b'
    """
    from lxml import etree, html

    try:
        tree = html.fragment_fromstring(markup, create_parent="div")
        etree.strip_elements(tree, etree.Comment, *_UNSEEN, with_tail=False)
        for element in tree.iter(*_BLOCKS, *_CELLS):
            end = " " if element.tag in _CELLS else "\n"
            element.tail = end + (element.tail or "")
            if element.tag not in ("br", *_CELLS):
                before = element.getprevious()
                if before is not None:
                    before.tail = (before.tail or "") + "\n"
        text = str(tree.text_content())
    except (etree.LxmlError, ValueError):
        # Characters that XML has none of, or a declaration of an encoding.
        text = _TAG.sub("\n", markup)
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))
