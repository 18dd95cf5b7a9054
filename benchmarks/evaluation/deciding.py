"""The final language of sentences, against the language of the file they stand in.

Belongs here: accuracy.  Does not belong here: langdetect's label (``equality``).
"""

from collections import Counter
from collections.abc import Iterator

from benchmarks.evaluation.material import Material
from benchmarks.evaluation.row import Row, percent
from tasks.text import language
from tasks.text.language.codes import KNOWN

LEAST_OF_ALL, LEAST_OF_KNOWN = 0.955, 0.985
FOLDED = {"nb": "no", "nn": "no", "zh-cn": "zh", "zh-tw": "zh"}


def rows(material: Material) -> Iterator[Row]:
    """All languages, then those that langdetect has a profile for."""
    gold = [FOLDED.get(code, code) for code, _ in material.sentences]
    found = language.detect_many([line for _, line in material.sentences])
    answers = [(code, FOLDED.get(one.language, one.language)) for code, one in zip(gold, found, strict=True)]
    confused = Counter(f"{code} as {said}" for code, said in answers if code != said)
    for name, least, wanted in (
        (f"all {len({code for code, _ in material.sentences})} languages", LEAST_OF_ALL, set(gold)),
        ("the 51 that langdetect knows", LEAST_OF_KNOWN, KNOWN),
    ):
        chosen = [code == said for code, said in answers if code in wanted]
        # The rules were made on every other sentence of each file, from the first on.
        others = [answers[n][0] == answers[n][1] for n in range(1, len(answers), 2) if answers[n][0] in wanted]
        yield Row(
            what=f"final language: {name}",
            least=f"{100 * least:.1f} %",
            found=percent(sum(chosen), len(chosen)),
            holds=sum(chosen) >= least * len(chosen) > 0,
            how="nb/nn and Chinese variants folded; the half not used for rules " + percent(sum(others), len(others)),
            details={"confused": dict(confused.most_common(20))},
        )
