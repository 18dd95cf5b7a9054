"""Which language a text is in, given what each source says: pure rules.

Belongs here: the order of the rules and the confidence each earns.  Does not belong here: asking the sources, or
the cues of close languages (``close_pairs``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tasks.text.language import close_pairs
from tasks.text.language.codes import KNOWN, SETTLED, Opinion, fits, fold
from tasks.text.language.labels import Label
from warehouse.vocabulary import DecidedBy

UNDETERMINED = "und"
FEWEST_LETTERS = 6
"""Letters below which nothing is said: langdetect takes "Ja" for Indonesian."""
# A single letter of these settles the language, or few make a word.
_FEWER_ARE_ENOUGH = {"Hani": 1, "Jpan": 1, "Kore": 1, "Deva": 3, "Beng": 3, "Ethi": 3}
# Below this py3langid is guessing among many.
_UNSURE = 0.25
# From this on, what it shares with langdetect stands even against pycld2 naming a language that only pycld2 has.
_SURE, _VERY_SURE = 0.7, 0.85

Ranking = list[tuple[str, float]]

# How often a decider was right on the half of the sentences that the rules were made on, docs/language.md; a
# member of a close group without a cue is right less often, whoever decided.
_EARNED = {
    DecidedBy.SCRIPT: 0.999,
    DecidedBy.AGREEMENT: 0.99,
    DecidedBy.MAJORITY: 0.985,
    DecidedBy.SECOND_OPINION: 0.93,
    DecidedBy.THIRD_OPINION: 0.7,
    DecidedBy.DETECTOR: 0.5,
    DecidedBy.CUES: 0.85,
}
_EARNED_WITHOUT_CUE = 0.55


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What newsmill says of a text's language, and what each source said."""

    detector_label: str | None
    detector_probability: float | None
    language: str
    language_confidence: float
    language_decided_by: DecidedBy
    second_language: str | None
    script: str | None


class Evidence(NamedTuple):
    """All that a decision rests on; ``third`` is asked only where the first two sources differ."""

    text: str
    label: Label
    script: str | None
    letters: int
    second: Opinion
    third: Callable[[], Ranking]


def decide(seen: Evidence) -> Detection:
    """The decision, with the evidence that is kept beside it."""
    language, decided_by, is_confirmed = _decide(seen)
    script = seen.script
    if script == "Hani":  # only pycld2 tells the two written forms apart
        script = {"zh": "Hans", "zh-Hant": "Hant"}.get(seen.second.variant or "", script)
    return Detection(
        detector_label=seen.label[0],
        detector_probability=seen.label[1],
        language=language,
        language_confidence=_confidence(decided_by, seen, is_confirmed=is_confirmed),
        language_decided_by=decided_by,
        second_language=seen.second.language,
        script=script,
    )


def _decide(seen: Evidence) -> tuple[str, DecidedBy, bool]:
    """Language, decider, and whether nothing is known that makes another close language as likely."""
    script = seen.script
    if script is None or seen.letters < _FEWER_ARE_ENOUGH.get(script, FEWEST_LETTERS):
        return UNDETERMINED, DecidedBy.NO_EVIDENCE, True
    if script in SETTLED:
        if script == "Hebr" and seen.second.language == "yi" and seen.second.is_reliable:
            return "yi", DecidedBy.SECOND_OPINION, True
        return SETTLED[script], DecidedBy.SCRIPT, True
    first, second = fits(fold(seen.label[0]), script), fits(seen.second.language, script)
    if first is not None and first == second:
        language, decided_by = first, DecidedBy.AGREEMENT
    else:
        language, decided_by = _among_three(first, second, seen)
    if language not in close_pairs.MEMBERS:
        return language, decided_by, True
    chosen = close_pairs.choose(language, seen.text, script)
    if chosen in {None, language}:
        return language, decided_by, chosen is not None or script != "Latn"
    return str(chosen), DecidedBy.CUES, True


def _among_three(first: str | None, second: str | None, seen: Evidence) -> tuple[str, DecidedBy]:
    """The first two sources differ: what the third shares with either, unless it cannot know better."""
    ranking = [(language, share) for language, share in seen.third() if fits(language, seen.script or "")]
    third, share = ranking[0] if ranking else (None, 0.0)
    lonely = second is not None and second not in KNOWN and all(language != second for language, _ in ranking)
    # Where neither other source has the language, their agreeing on a neighbour means little.
    if third is not None and third in {first, second} and not (lonely and seen.second.is_reliable and share < _SURE):
        return third, DecidedBy.MAJORITY
    # Of two that both have the language beyond langdetect's, the one that is very sure of another.
    if third is not None and third not in KNOWN and not lonely and share >= _VERY_SURE:
        return third, DecidedBy.THIRD_OPINION
    # pycld2 takes Bosnian and Croatian in Latin letters for Serbian; real Serbian shows in the cues.
    is_serbian_guess = second == "sr" and seen.script == "Latn" and third in {"bs", "hr"}
    if second is not None and not is_serbian_guess and (second not in KNOWN or share < _UNSURE):
        return second, DecidedBy.SECOND_OPINION
    if third is not None:
        return third, DecidedBy.THIRD_OPINION
    return (first, DecidedBy.DETECTOR) if first is not None else (UNDETERMINED, DecidedBy.NO_EVIDENCE)


def _confidence(decided_by: DecidedBy, seen: Evidence, *, is_confirmed: bool) -> float:
    """The share of right answers that this decider earned, less for what its sources themselves doubt."""
    if decided_by is DecidedBy.NO_EVIDENCE:
        return 0.0
    earned = _EARNED[decided_by] if is_confirmed else min(_EARNED[decided_by], _EARNED_WITHOUT_CUE)
    if decided_by in {DecidedBy.SCRIPT, DecidedBy.CUES}:
        return earned
    probability = seen.label[1] if decided_by is DecidedBy.AGREEMENT else seen.second.share
    return round(earned * (0.75 + 0.25 * min(1.0, probability or 0.0)), 4)
