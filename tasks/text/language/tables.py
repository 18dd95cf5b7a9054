"""The arrays that the replay works on, made from langdetect's own profiles, rules and random stream.

Belongs here: how n-grams, characters and random numbers are laid out in memory.  Does not belong here: where the
arrays are kept (``cache``) or the arithmetic over them (``kernel``).
"""

import math
import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.text.language import labels
from tasks.text.language.cleaning import LIMIT

# A character: its number among those that occur in n-grams (0: in none), and three flags.
CHARACTER_BITS = 12
ID = (1 << CHARACTER_BITS) - 1
UPPER, LATIN, NON_LATIN = 1 << 12, 1 << 13, 1 << 14
# An n-gram: the numbers of its characters, twelve bits each; an entry of the hash table: n-gram and row.
PAIR = (1 << 2 * CHARACTER_BITS) - 1
TRIPLE = (1 << 3 * CHARACTER_BITS) - 1
ROW_BITS = 20
ROW = (1 << ROW_BITS) - 1
# The hash table is perfect: a bucket's shift moves all of its n-grams to slots of their own.
EMPTY = (1 << 64) - 1
SLOT_BITS, BUCKET_BITS = 17, 15
SLOTS = 1 << SLOT_BITS
BUCKET_SHIFT, SLOT_SHIFT = 64 - BUCKET_BITS, 64 - BUCKET_BITS - SLOT_BITS
HASH_FACTOR = 0x9E3779B97F4A7C15
# langdetect has 55 languages; rows of 56 numbers fill whole cache lines, and the last one changes nothing.
STRIDE = 56
MOST_ROWS = 3 * LIMIT + 1
STREAM = 40_000
"""Random numbers kept; ``_check_stream`` shows that no text needs more."""

Tables = dict[str, NDArray[Any]]

ADDRESSED = ("singles", "shifts", "entries", "matrix", "words", "cosines", "sines")
"""The arrays in the order in which the compiled function takes them, after characters and space."""


def build() -> tuple[list[str], Tables]:
    """The languages in langdetect's order, and every array by its name."""
    factory = labels.factory()
    languages = [str(language) for language in factory.langlist]
    known: dict[str, list[float]] = factory.word_lang_prob_map
    # langdetect meets a space only at either end of an n-gram, and never alone.
    ngrams = [gram for gram in known if 1 <= len(gram) <= 3 and gram.strip(" ") and " " not in gram[1:-1]]
    # Frequent rows side by side: a text then touches few pages of the matrix.
    ngrams.sort(key=lambda gram: -sum(known[gram]))
    alphabet = sorted({character for gram in ngrams for character in gram} | {" "})
    if len(alphabet) > ID or len(ngrams) > 0.8 * SLOTS or len(languages) > STRIDE or alphabet[-1] > "\uffff":
        raise RuntimeError(f"these are not the profiles of langdetect {labels.SUPPORTED}; install that version")
    numbers = {character: number for number, character in enumerate(alphabet, start=1)}
    matrix = np.zeros((len(ngrams), STRIDE))
    for row, gram in enumerate(ngrams):
        matrix[row, : len(languages)] = known[gram][: len(languages)]
    words, cosines, sines = _random_stream()
    shifts, entries = _hash_table(ngrams, numbers)
    return languages, {
        "characters": _characters(numbers),
        "space": np.array([numbers[" "]], np.int64),
        "singles": _singles(ngrams, numbers),
        "shifts": shifts,
        "entries": entries,
        "matrix": matrix,
        "words": words,
        "cosines": cosines,
        "sines": sines,
    }


def _characters(numbers: dict[str, int]) -> NDArray[np.uint16]:
    """Number and flags of each code point, found by asking langdetect about every one."""
    from langdetect.utils.ngram import NGram
    from langdetect.utils.unicode_block import unicode_block

    found = np.zeros(0x110000, np.uint16)
    # Beyond U+FFFF langdetect normalises nothing and knows no n-gram, and no letter is read as Latin.
    for code in range(0x110000):
        character = chr(code)
        normalised = NGram.normalize(character) if code < 0x10000 else character
        flags = UPPER if normalised.isupper() else 0
        if "A" <= character <= "z":
            flags |= LATIN
        # unicode_block() answers with a number, so langdetect's comparison with a name never fails: Vietnamese
        # letters from U+1E00 count as non-Latin.  The fault is kept, the labels depend on it.
        elif character >= "\u0300" and unicode_block(character) != "Latin Extended Additional":
            flags |= NON_LATIN
        found[code] = numbers.get(normalised, 0) | flags
    return found


def _singles(ngrams: list[str], numbers: dict[str, int]) -> NDArray[np.int32]:
    """Row of each character as an n-gram of its own, -1 where there is none."""
    rows = np.full(ID + 1, -1, np.int32)
    for row, gram in enumerate(ngrams):
        if len(gram) == 1:
            rows[numbers[gram]] = row
    return rows


def _hash_table(ngrams: list[str], numbers: dict[str, int]) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
    """Shifts and entries for the n-grams of two and three characters; the fullest buckets choose first."""
    buckets: dict[int, list[tuple[int, int]]] = {}
    for row, gram in enumerate(ngrams):
        if len(gram) > 1:
            key = 0
            for character in gram:
                key = key << CHARACTER_BITS | numbers[character]
            mixed = key * HASH_FACTOR & EMPTY
            buckets.setdefault(mixed >> BUCKET_SHIFT, []).append((mixed >> SLOT_SHIFT, key << ROW_BITS | row))
    shifts, slots = [0] * (1 << BUCKET_BITS), [EMPTY] * SLOTS
    for bucket, members in sorted(buckets.items(), key=lambda item: (-len(item[1]), item[0])):
        for shift in range(SLOTS):
            wanted = {(start + shift) % SLOTS for start, _ in members}
            if len(wanted) == len(members) and all(slots[slot] == EMPTY for slot in wanted):
                break
        else:
            raise RuntimeError("no place for some n-grams; raise SLOT_BITS")
        shifts[bucket] = shift
        for start, entry in members:
            slots[(start + shift) % SLOTS] = entry
    return np.array(shifts, np.uint32), np.array(slots, np.uint64)


def _random_stream() -> tuple[NDArray[np.uint32], NDArray[np.float64], NDArray[np.float64]]:
    """The generator's 32-bit numbers, and for each place what gauss() would make of those that follow.

    ``math``, not numpy: langdetect computes with the C library, and the last bits must be its own.
    """
    generator = random.Random(labels.SEED)  # noqa: S311 - the stream of langdetect, not a secret
    words = [generator.getrandbits(32) for _ in range(STREAM)]
    cosines, sines = np.zeros(STREAM), np.zeros(STREAM)
    uniform = [((words[i] >> 5) * 67108864.0 + (words[i + 1] >> 6)) / 9007199254740992.0 for i in range(STREAM - 1)]
    for i in range(STREAM - 3):
        angle = uniform[i] * (2.0 * math.pi)
        radius = math.sqrt(-2.0 * math.log(1.0 - uniform[i + 2]))
        cosines[i], sines[i] = math.cos(angle) * radius, math.sin(angle) * radius
    stream = np.array(words, np.uint32)
    _check_stream(stream)
    return stream, cosines, sines


def _check_stream(words: NDArray[np.uint32]) -> None:
    """Refuses a stream that some text could exhaust: seven full trials at the worst number of n-grams."""
    draws = 7 * 1001
    for bits in range(1, MOST_ROWS.bit_length() + 1):
        # Just above a power of two nearly half of the draws are rejected; four gauss() take sixteen words.
        usable = np.flatnonzero((words[16:] >> np.uint32(32 - bits)) < max(1, 1 << (bits - 1)))
        if len(usable) <= draws or usable[draws] >= STREAM - 32:
            raise RuntimeError("the random stream is too short; raise STREAM")
