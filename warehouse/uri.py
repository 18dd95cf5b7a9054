"""Path bytes to uri and back.

Belongs here: how a name from outside becomes a safe ASCII word, losslessly.  Does not belong here: roots and
the home (``layout``), opening files (``raw_files``).
"""

import string
from urllib.parse import quote_from_bytes, unquote_to_bytes

_PLAIN = f"{string.ascii_letters}{string.digits}/-._~".encode()


def to_uri(path: bytes) -> str:
    r"""Percent-encode a path; every byte but letters, digits, ``/ - . _ ~`` is encoded, so nothing is lost.

    >>> to_uri(b"wire/2019/a.txt")
    'wire/2019/a.txt'
    >>> to_uri(b"caf\xe9 [1]\n!.txt")
    'caf%E9%20%5B1%5D%0A%21.txt'
    """
    # Most names need nothing, and there may be millions.
    return quote_from_bytes(path, safe="/") if path.translate(None, _PLAIN) else path.decode("ascii")


def is_plain(path: str) -> bool:
    """Whether a path, decoded as the system does, is its own uri.

    >>> is_plain("wire/2019/a.txt"), is_plain("wire/2019/ä.txt"), is_plain("50%")
    (True, False, False)
    """
    return path.isascii() and not path.encode("ascii").translate(None, _PLAIN)


def to_path(uri: str) -> bytes:
    r"""The path bytes of a uri.

    >>> to_path("caf%E9%20%5B1%5D%0A%21.txt")
    b'caf\xe9 [1]\n!.txt'
    """
    return unquote_to_bytes(uri) if "%" in uri else uri.encode("ascii")


def member_uri(uri: str, member: str | None) -> str:
    """The uri of what stands in an archive; a ``!`` of a name is encoded, so ``!/`` is said by nothing else.

    >>> member_uri("wire/2019.zip", "april/a.txt"), member_uri("wire/a.txt", None)
    ('wire/2019.zip!/april/a.txt', 'wire/a.txt')
    """
    return uri if member is None else f"{uri}!/{member}"


def name_of(uri: str) -> str:
    r"""The last component for people and rules: decoded as UTF-8, other bytes as ``\xNN``.

    >>> name_of("wire/Z%C3%BCrich%0A.txt"), name_of("caf%E9.txt")
    ('Zürich\n.txt', 'caf\\xe9.txt')
    """
    return to_path(uri.rsplit("/", 1)[-1]).decode("utf-8", "backslashreplace")
