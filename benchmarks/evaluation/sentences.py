"""Segments: hard cases, and that segments with what lies between them are the text.

Belongs here: where segments begin and end.  Does not belong here: what paragraphs are called.
"""

from collections.abc import Iterator

from benchmarks.evaluation.material import Material
from benchmarks.evaluation.row import Row, documents, percent
from tasks.text.paragraphs import split
from tasks.text.segments import segment
from warehouse.records import Document

LEAST = 0.88
FEWEST_CASES, FEWEST_LANGUAGES = 120, 10
AT_ONCE = 500


def rows(material: Material) -> Iterator[Row]:
    """The gold set, then everything."""
    yield _gold(material)
    yield _reassembly(material)


def _exact(case: dict[str, str | list[str]]) -> bool:
    language, expected = str(case["language"]), list(case["segments"])
    text = str(case.get("join", " ")).join(expected)
    found = segment(text, split(text, language), language)
    return [text[one.start : one.end] for one in found] == expected


def _gold(material: Material) -> Row:
    right = {half: [_exact(case) for case in material.gold if case["half"] == half] for half in ("tuning", "test")}
    languages = {case["language"] for case in material.gold}
    is_large = len(material.gold) >= FEWEST_CASES and len(languages) >= FEWEST_LANGUAGES
    return Row(
        what="segmentation: test half of the hard cases, exact",
        least="88 %",
        found=percent(sum(right["test"]), len(right["test"])),
        holds=is_large and sum(right["test"]) >= LEAST * len(right["test"]),
        how=f"{len(material.gold)} cases in {len(languages)} languages; tuning half "
        + percent(sum(right["tuning"]), len(right["tuning"])),
    )


def is_whole(document: Document) -> bool:
    """Whether segments and the blanks between them are the text, byte for byte, each inside its paragraph."""
    text, segments = document.text, document.segments
    starts = [one.start for one in segments]
    if not segments or starts[0] != 0 or segments[-1].end != len(text):
        return False
    joined = []
    for one, following in zip(segments, [*starts[1:], len(text)], strict=True):
        around = document.paragraphs[one.paragraph_no]
        if not around.start <= one.start < one.end <= around.end or text[one.end : following].strip(" \n"):
            return False
        joined.append(text[one.start : one.end] + text[one.end : following])
    return "".join(joined).encode() == text.encode()


def _everything(material: Material) -> list[bytes]:
    sentences = material.sentences[:: 10 if material.quick else 1]
    return [
        *material.samples,
        *(data for _, _, data in material.labelled),
        *(text.encode() for text in material.articles),
        *(side.encode() for case in material.mojibake for side in (case["original"], case["fixed"])),
        *(sentence.encode() for _, sentence in sentences),
        *(" ".join(case["segments"]).encode() for case in material.gold),
        # Ten sentences of ten languages a document, as a page with comments has them.
        *("\n\n".join(text for _, text in sentences[n :: len(sentences) // 10]).encode() for n in range(100)),
    ]


def _reassembly(material: Material) -> Row:
    contents = _everything(material)
    made = broken = rejects = 0
    for start in range(0, len(contents), AT_ONCE):
        for result in documents(contents[start : start + AT_ONCE]):
            made += len(result.documents)
            rejects += len(result.rejects)
            broken += sum(not is_whole(document) for document in result.documents)
    return Row(
        what="segments and separators are the text",
        least="byte-exact on everything",
        found=f"{broken} broken of {made:,}",
        holds=broken == 0 and made + rejects == len(contents),
        how=f"every text of the material through documents_of, {rejects} refused with a reason",
    )
