"""The repairs of a decoded text, run until nothing changes and only where they can change something.

Belongs here: running the steps and the evidence that they leave.  Does not belong here: the steps (``steps``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.text import characters, mojibake
from tasks.text.scan import Scan, bits, look
from tasks.text.steps import REPAIRS, Step
from warehouse.vocabulary import Flag

__all__ = ["REPAIRS", "Repaired", "repair", "repair_many", "repair_ungated"]

# One pass is not enough where a repair uncovers what another looks for; more than this only a constructed text needs.
_MAX_PASSES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A repaired text with the evidence: each step that changed something, with its count."""

    text: str
    repairs: tuple[tuple[str, int], ...]
    flags: tuple[Flag, ...]
    # What a look at the text tells those who come after.
    scan: Scan = field(compare=False, repr=False)


def repair(text: str) -> Repaired:
    r"""The repaired text, with only those steps run that can change something.

    >>> repair(" Caf&eacute;\u00a0 fÃ¼r\u200b alle\n").text
    'Café für alle'
    """
    return repair_many([text])[0]


def repair_many(texts: Sequence[str]) -> list[Repaired]:
    """``repair`` of each text, in order; the first look is taken at all of them together."""
    # Almost every file ends in a newline: what is left is looked at once.
    stripped = [REPAIRS["outer_blanks"].apply(text) for text in texts]
    return [
        _repair(scan, {"outer_blanks": count} if count else {})
        for scan, (_, count) in zip(look([text for text, _ in stripped]), stripped, strict=True)
    ]


def _repair(scan: Scan, counts: dict[str, int]) -> Repaired:
    flags: set[Flag] = set()
    for _ in range(_MAX_PASSES):
        if not scan.could & bits.REPAIRABLE:
            break
        before = scan.text
        for name, step in REPAIRS.items():
            if scan.could & step.needs:
                scan = _run(name, step, scan, counts, flags)
        if scan.text == before:
            break
    return _repaired(scan, counts, flags)


def repair_ungated(text: str) -> Repaired:
    """The same with every step run on every text, ftfy on every line: what ``repair`` is proved equal to."""
    counts: dict[str, int] = {}
    flags: set[Flag] = set()
    for _ in range(_MAX_PASSES):
        before = text
        for name, step in REPAIRS.items():
            fixed, count = mojibake.fix_everywhere(text) if name == "mojibake" else step.apply(text)
            if fixed != text:
                _note(name, count, text, counts, flags)
                text = fixed
        if text == before:
            break
    return _repaired(Scan(text), counts, flags)


def _run(name: str, step: Step, scan: Scan, counts: dict[str, int], flags: set[Flag]) -> Scan:
    """What a step leaves to look at; the same scan where it changes nothing."""
    if not step.can_fire(scan):
        return scan
    apply = step.apply if step.apply_to_clean is None or scan.odd else step.apply_to_clean
    fixed, count = apply(scan.text)
    if fixed == scan.text:
        return scan
    _note(name, count, scan.text, counts, flags)
    return look([fixed])[0]


def _note(name: str, count: int, before: str, counts: dict[str, int], flags: set[Flag]) -> None:
    counts[name] = counts.get(name, 0) + count
    if name == "control_characters" and "\x00" in before:
        flags.add(Flag.NUL_CHARACTERS)
    elif name == "combining_marks":
        flags.add(Flag.CAPPED_MARKS)


def _repaired(scan: Scan, counts: dict[str, int], flags: set[Flag]) -> Repaired:
    if scan.could & (bits.ODD | bits.MOJIBAKE):
        if "\ufffd" in scan.odd:
            flags.add(Flag.REPLACEMENT_CHARACTERS)
        tells = scan.is_suspicious or not characters.GBK_TELLING.isdisjoint(scan.odd)
        if tells and mojibake.is_suspect(scan.text):
            flags.add(Flag.MOJIBAKE_SUSPECT)
    return Repaired(
        text=scan.text,
        repairs=tuple((name, counts[name]) for name in REPAIRS if name in counts) if counts else (),
        flags=tuple(flag for flag in Flag if flag in flags) if flags else (),
        scan=scan,
    )
