"""What a look at a text can find, one bit each.

Belongs here: names of bits.  Does not belong here: which characters have them (``marks``).

Every bit is a matter of two neighbours: it is set where the first has it on its left half and the second on its right
half of ``marks``.  What a single character tells has every character before it.
"""

# A character that some repair could touch, "&", and a character beyond the tables of plain words.
ODD, REFERENCE, OTHER_WORDS = 1 << 0, 1 << 1, 1 << 2
# Places that could be mojibake: a telling character before or behind one beyond ASCII, one that tells alone, an œ
# before no letter.
TELLS_BEFORE, TELLS_BEHIND, TELLS_ALONE, TELLS_LIGATURE = 1 << 3, 1 << 4, 1 << 5, 1 << 6
MOJIBAKE = TELLS_BEFORE | TELLS_BEHIND | TELLS_ALONE | TELLS_LIGATURE
# A blank before or behind a blank or a newline; a newline behind a newline.
BLANK_BEFORE, BLANK_BEHIND, NEWLINES = 1 << 7, 1 << 8, 1 << 9
BLANKS = BLANK_BEFORE | BLANK_BEHIND
# A full stop before a letter.
GLUE = 1 << 10
# Where words begin, as plain text and as all other text has them, and words of one character.
WORD_BIT, ANY_WORD_BIT, WORD_ALONE_BIT = 11, 12, 13
# A blank or newline at the beginning of a text, and at its end.
EDGE_BEFORE, EDGE_BEHIND = 1 << 14, 1 << 15
EDGES = EDGE_BEFORE | EDGE_BEHIND

# What has to be looked after; how many words there are is no finding.
EVERYTHING = ODD | REFERENCE | MOJIBAKE | BLANKS | NEWLINES | EDGES | GLUE
REPAIRABLE = EVERYTHING & ~GLUE
HALF = 16

# What a single character tells.  The beginning of a text is behind no word; its end is no letter.
SINGLE = ODD | REFERENCE | OTHER_WORDS | TELLS_ALONE | 1 << WORD_ALONE_BIT
BEFORE = (SINGLE | 1 << WORD_BIT | 1 << ANY_WORD_BIT | EDGE_BEFORE) << HALF
BEHIND = TELLS_LIGATURE | EDGE_BEHIND
