"""What each character is to the compiled look at sentences: one number a code point.

Belongs here: kinds of characters, and which are left to the library.  Does not belong here: what follows from them
(``kernel``).
"""

import numpy as np
from numpy.typing import NDArray

# Anything that has no number here is the library's: where it stands, the compiled look says nothing.
OTHER, UPPER, LOWER, DIGIT, BLANK, STOP, MARK, PLAIN, UNDERSCORE, QUOTE, OPEN, CLOSE, APOSTROPHE = range(13)

# Latin, Greek and Cyrillic letters, and the punctuation of their languages.
SIZE = 0x2100
_SCRIPTS = (range(0x41, 0x250), range(0x370, 0x530), range(0x1E00, 0x2000))
_SIGNS = {
    BLANK: " \n",
    STOP: ".",
    MARK: "!?",
    PLAIN: ",;:–—-/%&+=§€$£°*#~^|’”†…©®·×¿¡½¼¾²³′‐‑‒―›",
    UNDERSCORE: "_",
    QUOTE: '"«»“„‘‚‹',
    OPEN: "([{<",
    CLOSE: ")]}>",
    APOSTROPHE: "'",
}


def build() -> NDArray[np.uint8]:
    """The kinds of all code points below ``SIZE``."""
    made = np.full(SIZE, OTHER, np.uint8)
    for script in _SCRIPTS:
        for code in script:
            letter = chr(code)
            if letter.isalpha() and (letter.isupper() or letter.islower()):
                made[code] = UPPER if letter.isupper() else LOWER
    made[ord("0") : ord("9") + 1] = DIGIT
    for kind, signs in _SIGNS.items():
        for sign in signs:
            made[ord(sign)] = kind
    return made
