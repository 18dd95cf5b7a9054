"""langdetect's arithmetic a character and a trial, in a form that numba compiles: pure functions over pointers.

Belongs here: the replay, operation for operation, in langdetect's order.  Does not belong here: tables, caches,
cleaning, compiling.  Importing this imports numba; ``native`` does so only where no compiled form is cached.

Why a replay can be exact: with a seed, langdetect draws the same random stream for every text, so only the list
of known n-grams and its length depend on the text.  Sums run from left to right, division stays division and
``fastmath`` is never used, so the last bit of each probability agrees.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from tasks.text.language import tables

_ALPHA, _ALPHA_WIDTH, _BASE_FREQUENCY = 0.5, 0.05, 10_000
_TRIALS, _CONVERGED, _LAST_STEP = 7, 0.99999, 1000
_STRIDE, _ID, _UPPER, _LATIN, _NON_LATIN = tables.STRIDE, tables.ID, tables.UPPER, tables.LATIN, tables.NON_LATIN
# As unsigned constants: mixed with signed ones numba would compute in floating point.
_ONE, _CHARACTER_BITS, _ROW_BITS = np.uint64(1), np.uint64(tables.CHARACTER_BITS), np.uint64(tables.ROW_BITS)
_PAIR, _TRIPLE, _ROW = np.uint64(tables.PAIR), np.uint64(tables.TRIPLE), np.uint64(tables.ROW)
_FACTOR, _SLOT = np.uint64(tables.HASH_FACTOR), np.uint64(tables.SLOTS - 1)
_BUCKET_SHIFT, _SLOT_SHIFT = np.uint64(tables.BUCKET_SHIFT), np.uint64(tables.SLOT_SHIFT)

SIGNATURE = """void(
    CPointer(uint32), CPointer(int64), int64,
    CPointer(uint16), int64, CPointer(int32), CPointer(uint32), CPointer(uint64),
    CPointer(float64), CPointer(uint32), CPointer(float64), CPointer(float64), int64, int64,
    CPointer(uint16), CPointer(int32), CPointer(float64), CPointer(float64),
    CPointer(int32), CPointer(float64))"""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    # Inlined into the exported function, and numpy's error model: no path is left that could raise.
    return cast("_Function", numba.njit(error_model="numpy", fastmath=False, forceinline=True)(function))


@_compiled
def _row_of(key: Any, shifts: Any, entries: Any) -> Any:
    """Row of an n-gram, -1 if langdetect does not know it: two loads, no branch, no second try."""
    mixed = key * _FACTOR
    entry = entries[((mixed >> _SLOT_SHIFT) + np.uint64(shifts[mixed >> _BUCKET_SHIFT])) & _SLOT]
    return np.int64(entry & _ROW) if entry >> _ROW_BITS == key else np.int64(-1)


@_compiled
def _classify(text: Any, start: int, size: int, characters: Any, kept: Any) -> int:
    """Fills ``kept`` with one class a character; drops Latin letters where others dominate, as langdetect does."""
    latin = non_latin = 0
    for i in range(size):
        kind = characters[text[start + i]]
        kept[i] = kind
        latin += (kind & _LATIN) != 0
        non_latin += (kind & _NON_LATIN) != 0
    if latin * 2 >= non_latin:
        return size
    count: int = 0
    for i in range(size):
        kind = kept[i]
        kept[count] = kind
        count += (kind & _LATIN) == 0
    return count


@_compiled
def _extract(kept: Any, size: int, space: int, singles: Any, shifts: Any, entries: Any, rows: Any) -> int:
    """Fills ``rows`` with the rows of the known n-grams in langdetect's order: of 1, 2, 3 letters a character."""
    recent = np.uint64(space)  # the last three characters, twelve bits each; a text starts as after a space
    was_upper = False
    count = 0
    for i in range(size):
        kind = kept[i]
        last = kind & _ID
        upper = (kind & _UPPER) != 0
        recent = ((recent << _CHARACTER_BITS) | np.uint64(last)) & _TRIPLE
        # Two capitals in a row: langdetect ends no n-gram here.  Character 0 stands in no n-gram.
        if last != 0 and not (upper and was_upper):
            row: Any = np.int64(singles[last])
            rows[count] = row  # written always, counted if known: cheaper than a branch
            count += row >= 0
            row = _row_of(recent & _PAIR, shifts, entries)
            rows[count] = row
            count += row >= 0
            if recent > _PAIR:  # without a third character the key would be that of the pair
                row = _row_of(recent, shifts, entries)
                rows[count] = row
                count += row >= 0
        was_upper = upper
    return count


@_compiled
def _total(values: Any, languages: int, compensated: int) -> float:
    """``sum()`` as the interpreter has it: from Python 3.12 on with Neumaier's compensation."""
    total = 0.0
    if compensated == 0:
        for j in range(languages):
            total += values[j]
        return total
    lost = 0.0
    for j in range(languages):
        value = values[j]
        new = total + value
        if abs(total) >= abs(value):
            lost += (total - new) + value
        else:
            lost += (value - new) + total
        total = new
    return total + lost


@_compiled
def _normalise(prob: Any, languages: int, compensated: int) -> bool:
    """Divides by the sum; whether the highest probability has converged."""
    total = _total(prob, languages, compensated)
    converged = 0
    for j in range(_STRIDE):
        prob[j] = prob[j] / total
        converged |= prob[j] > _CONVERGED  # the highest is, if any is; this needs no chain of comparisons
    return converged != 0


@_compiled
def _draw(rows: Any, count: int, words: Any, shift: Any, position: Any) -> tuple[Any, Any]:
    """Where the row of the next n-gram begins, and the next unused word of the stream."""
    pick = np.int64(words[position] >> shift)  # choice() draws again until it is below the count
    position += 1
    while pick >= count:
        pick = np.int64(words[position] >> shift)
        position += 1
    return np.int64(rows[pick]) * _STRIDE, position


@_compiled
def _trials(
    rows: Any,
    count: int,
    matrix: Any,
    words: Any,
    cosines: Any,
    sines: Any,
    languages: int,
    compensated: int,
    prob: Any,
    mean: Any,
) -> None:
    """Seven trials over the n-grams of one text: the same stream, the same order of operations."""
    bits = 0
    while (count >> bits) > 0:
        bits += 1
    shift = np.uint32(32 - bits)
    position = 0  # the next unused word of the stream
    saved, has_saved = 0.0, False
    for j in range(_STRIDE):
        mean[j] = 0.0
    for _ in range(_TRIALS):
        for j in range(_STRIDE):
            prob[j] = 1.0 / languages
        if has_saved:  # gauss() makes two values at a time and keeps the second
            z, has_saved = saved, False
        else:
            z, saved, has_saved = cosines[position], sines[position], True
            position += 4  # two random() of two words each
        weight = (_ALPHA + z * _ALPHA_WIDTH) / _BASE_FREQUENCY
        row, position = _draw(rows, count, words, shift, position)
        for j in range(_STRIDE):
            prob[j] *= weight + matrix[row + j]
        step = 0
        # langdetect asks whether it has converged after the first step and after every fifth from there: five rows are
        # multiplied in one go, language by language in the same order.
        while not _normalise(prob, languages, compensated) and step < _LAST_STEP:
            first, position = _draw(rows, count, words, shift, position)
            second, position = _draw(rows, count, words, shift, position)
            third, position = _draw(rows, count, words, shift, position)
            fourth, position = _draw(rows, count, words, shift, position)
            fifth, position = _draw(rows, count, words, shift, position)
            for j in range(_STRIDE):
                value = prob[j]
                value *= weight + matrix[first + j]
                value *= weight + matrix[second + j]
                value *= weight + matrix[third + j]
                value *= weight + matrix[fourth + j]
                value *= weight + matrix[fifth + j]
                prob[j] = value
            step += 5
        for j in range(_STRIDE):
            mean[j] += prob[j] / _TRIALS


def replay(
    text: Any, starts: Any, texts: int, characters: Any, space: int, singles: Any, shifts: Any, entries: Any,
    matrix: Any, words: Any, cosines: Any, sines: Any, languages: int, compensated: int, kept: Any, rows: Any,
    prob: Any, mean: Any, best: Any, probability: Any
) -> None:  # fmt: skip
    """For each text the number of the best language, -1 without known n-grams, and its probability."""
    for k in range(texts):
        size = _classify(text, starts[k], starts[k + 1] - starts[k], characters, kept)
        count = _extract(kept, size, space, singles, shifts, entries, rows)
        best[k] = -1
        probability[k] = 0.0
        if count > 0:
            _trials(rows, count, matrix, words, cosines, sines, languages, compensated, prob, mean)
            for j in range(languages):
                if mean[j] > probability[k]:  # the first of equals, as langdetect's stable sort has it
                    best[k] = j
                    probability[k] = mean[j]
