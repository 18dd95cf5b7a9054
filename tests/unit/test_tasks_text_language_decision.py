"""The decision: golden texts, the rules by themselves, scripts, and what holds for any text at all."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks.text.language as package
from tasks.text.language import close_pairs, codes, decision, detector, script, second_opinion
from tasks.text.language.codes import Opinion
from tasks.text.language.decision import Evidence, decide
from warehouse.vocabulary import DecidedBy

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
GOLDEN = [json.loads(line) for line in (ROOT / "tests/golden/language/decisions.jsonl").open(encoding="ascii")]
SENTENCES = ROOT.parent / "shared" / "data" / "languages"


@pytest.fixture(scope="module", autouse=True)
def cache_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Built once a run, and never in the home of whoever runs the tests."""
    detector.configure(tmp_path_factory.getbasetemp() / "language-cache")


@pytest.mark.parametrize("case", GOLDEN, ids=[case["case"] for case in GOLDEN])
def test_golden(case: dict[str, str]) -> None:
    (found,) = package.detect_many([case["text"]])
    got = {"language": found.language, "decided_by": found.language_decided_by.value, "script": found.script}
    assert got == {name: case[name] for name in got}


def never() -> decision.Ranking:
    raise AssertionError("the third source costs most and is asked only where the others differ")


def seen(
    label: str | None,
    second: str | None,
    third: list[tuple[str, float]] | None = None,
    *,
    script: str | None = "Latn",
    letters: int = 40,
    text: str = "",
    reliable: bool = True,
) -> Evidence:
    ask: Callable[[], decision.Ranking] = never if third is None else lambda: third
    probability = None if label is None else 0.999
    return Evidence(text, (label, probability), script, letters, Opinion(second, 0.98, reliable, second), ask)


RULES = {
    "nothing": (seen(None, None, script=None, letters=0), "und", DecidedBy.NO_EVIDENCE),
    "too few letters": (seen("id", "fi", letters=5), "und", DecidedBy.NO_EVIDENCE),
    "enough letters": (seen("de", "de", letters=6), "de", DecidedBy.AGREEMENT),
    "one ideograph": (seen(None, None, script="Hani", letters=1), "zh", DecidedBy.SCRIPT),
    "Han is never Korean": (seen("ko", "ko", script="Hani"), "zh", DecidedBy.SCRIPT),
    "a settled script beats agreement": (seen("et", "et", script="Geor"), "ka", DecidedBy.SCRIPT),
    "Yiddish": (seen("he", "yi", script="Hebr"), "yi", DecidedBy.SECOND_OPINION),
    "Yiddish, doubted": (seen("he", "yi", script="Hebr", reliable=False), "he", DecidedBy.SCRIPT),
    "variants agree": (seen("zh-tw", "zh", script="Zzzz"), "zh", DecidedBy.AGREEMENT),
    "third with the first": (seen("de", "nl", [("de", 0.9)]), "de", DecidedBy.MAJORITY),
    "third with the second": (seen("tr", "az", [("az", 0.9)]), "az", DecidedBy.MAJORITY),
    "only the second has it": (seen("sw", "ts", [("sw", 0.5), ("zu", 0.3)]), "ts", DecidedBy.SECOND_OPINION),
    "only the second, others sure": (seen("de", "war", [("de", 0.8)]), "de", DecidedBy.MAJORITY),
    "beyond langdetect": (seen("sw", "zu", [("xh", 0.5), ("zu", 0.4)]), "zu", DecidedBy.SECOND_OPINION),
    "two specialists, one sure": (seen("sw", "zu", [("xh", 0.95), ("zu", 0.04)]), "xh", DecidedBy.THIRD_OPINION),
    "third alone": (seen("it", "en", [("la", 0.6), ("en", 0.1)]), "la", DecidedBy.THIRD_OPINION),
    "third guessing": (seen("nl", "ca", [("no", 0.03)]), "ca", DecidedBy.SECOND_OPINION),
    "second silent": (seen("nl", None, [("af", 0.6)]), "af", DecidedBy.THIRD_OPINION),
    "first alone": (seen("nl", None, []), "nl", DecidedBy.DETECTOR),
    "nobody": (seen(None, None, []), "und", DecidedBy.NO_EVIDENCE),
    "wrong letters are no vote": (seen("en", "en", [("ru", 0.9)], script="Cyrl"), "ru", DecidedBy.THIRD_OPINION),
    "Latin letters are not Russian": (seen("ru", "ru", [("de", 0.9)]), "de", DecidedBy.THIRD_OPINION),
    "cues overrule": (seen("hr", "hr", text="tokom sedmice učestvovao hiljadu"), "bs", DecidedBy.CUES),
    "cues confirm": (seen("hr", "hr", text="tijekom tjedna sudjelovao tisuću"), "hr", DecidedBy.AGREEMENT),
    "cues are silent": (seen("hr", "hr", text="grad"), "hr", DecidedBy.AGREEMENT),
}


@pytest.mark.parametrize("name", RULES)
def test_rule(name: str) -> None:
    evidence, language, decided_by = RULES[name]
    found = decide(evidence)
    assert (found.language, found.language_decided_by) == (language, decided_by)
    assert (found.detector_label, found.detector_probability) == evidence.label
    assert found.second_language == evidence.second.language


def test_every_decider_but_the_hint_decides_here() -> None:
    assert {by for _, _, by in RULES.values()} == set(DecidedBy) - {DecidedBy.HINT}


def test_confidence_is_higher_where_cues_confirm() -> None:
    silent, confirmed = decide(RULES["cues are silent"][0]), decide(RULES["cues confirm"][0])
    assert silent.language_confidence < 0.6 < 0.95 < confirmed.language_confidence


def test_confidence_falls_with_the_detector_s_own_doubt() -> None:
    sure = seen("de", "de")
    doubting = sure._replace(label=("de", 0.43))
    assert decide(doubting).language_confidence < decide(sure).language_confidence


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(("", None), ("12 %", None), ("abc", "Latn"), ("Straße", "Latn"), ("ɓɗ", "Latn"), ("ẹ̀kọ́", "Latn")),
        *(("мост", "Cyrl"), ("iPhone и мост", "Cyrl"), ("an English text, мост", "Latn"), ("γέφυρα", "Grek")),
        *(("橋", "Hani"), ("橋の建設", "Jpan"), ("ひらがな", "Jpan"), ("ｶﾀｶﾅ", "Jpan"), ("다리 建設", "Kore")),
        *(
            ("市议会将建桥决定推迟到下周の", "Hani"),
            ("ＡＢＣ", "Latn"),
            ("ᎠᎡ", "Cher"),
            ("𐐀", "Zzzz"),
            ("\ud800", None),
        ),
    ],
)
def test_script(text: str, code: str | None) -> None:
    assert script.read(text, 6)[0] == code


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_letters_are_exact_below_enough(text: str) -> None:
    for enough in (1, 6, 50):
        _, letters = script.read(text, enough)
        exact = sum(map(str.isalpha, text))
        assert letters == exact or (letters >= enough and exact >= enough)


@given(st.text(st.characters(), max_size=200))
@settings(max_examples=400, deadline=None)
def test_any_text_gets_a_detection(text: str) -> None:
    (found,) = package.detect_many([text])
    assert re.fullmatch("[a-z]{2,3}", found.language)
    assert 0.0 <= found.language_confidence <= 1.0
    assert found.script is None or re.fullmatch("[A-Z][a-z]{3}", found.script)
    assert found.second_language is None or re.fullmatch("[a-z]{2,3}", found.second_language)
    assert (found.language == "und") == (found.language_decided_by is DecidedBy.NO_EVIDENCE)
    assert (found.language == "und") == (found.language_confidence == 0.0)


def test_a_batch_answers_as_single_texts_do() -> None:
    detector.preload()
    texts = [case["text"] for case in GOLDEN]
    together = package.detect_many(texts)
    assert together == [package.detect_many([text])[0] for text in texts]
    assert together[::-1] == package.detect_many(texts[::-1])
    assert package.detect_many([]) == []


def test_threads_decide_as_one_does() -> None:
    texts = [case["text"] for case in GOLDEN] * 3
    want = package.detect_many(texts)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(package.detect_many, [texts] * 8)) == [want] * 8


def test_few_text_path_equals_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [case["text"] for case in GOLDEN]
    detector.preload()
    fast = package.detect_many(texts)
    monkeypatch.setattr(detector, "_state", detector._State(cache=None))
    assert package.detect_many(texts) == fast
    assert detector._state.replay is None


def test_known_languages_are_those_of_langdetect() -> None:
    from tasks.text.language import labels

    assert {codes.fold(label) for label in labels.factory().langlist} == codes.KNOWN


@pytest.mark.parametrize("rivals", [("ms", "id"), ("hr", "+"), ("bs", "sr"), ("sr", "mk"), ("mk", "bg"), ("sr", "bg")])
def test_no_cue_speaks_for_two_rivals(rivals: tuple[str, str]) -> None:
    """A word on both lists would cancel itself; compared are the plain words among the patterns."""
    group = next(group for group in close_pairs.GROUPS if set(rivals) <= set(group))
    one, other = ({word for word in group[rival].split() if word.isalpha()} for rival in rivals)
    assert not one & other


def test_evidence_skips_addresses_and_tables() -> None:
    address = "https" + "://news.example/english/words/about/everything " + "a.b@c.example"
    assert "english" not in second_opinion.evidence(address + " Der Rat")
    assert "Rat" in second_opinion.evidence("1;2;3\n" * 300 + "Der Rat der Stadt " * 9)
    assert len(second_opinion.evidence("Der Rat der Stadt " * 99)) == second_opinion.PREFIX


@pytest.mark.skipif(not SENTENCES.is_dir(), reason="the public evaluation material is not beside this clone")
def test_accuracy_on_the_half_that_the_rules_were_not_made_on() -> None:
    gold, texts = [], []
    for file in sorted(SENTENCES.glob("*.txt")):
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        texts += lines[1::2]
        gold += [codes.fold(file.stem)] * len(lines[1::2])
    right = [g == found.language for g, found in zip(gold, package.detect_many(texts), strict=True)]
    known = [ok for ok, g in zip(right, gold, strict=True) if g in codes.KNOWN]
    assert len(right) == 5_625
    assert sum(right) / len(right) >= 0.965
    assert sum(known) / len(known) >= 0.987
