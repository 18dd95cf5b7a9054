"""Label and probability equal langdetect's to the last bit: hostile texts, seeded mixes, public material."""

import builtins
import json
import os
import random
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tasks.text.language import detector, labels
from tasks.text.language.cleaning import LIMIT, clean
from tasks.text.language.replay import Replay

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_material = pytest.mark.skipif(
    not (SHARED / "languages").is_dir(), reason="the public evaluation material is not beside this clone"
)

DE = "Die Gemeinde Übersee hat am Mittwoch über den Haushalt beraten; größere Straßenarbeiten müssen warten. "
RU = "Городской совет отложил решение о строительстве моста до следующей недели. "
JA = "市議会は橋の建設について来週まで決定を延期した。"
ZH = "市议会将建桥决定推迟到下周。"
KO = "시의회는 다리 건설 결정을 다음 주로 미뤘다. "
AR = "أجل مجلس المدينة قراره بشأن الجسر إلى الأسبوع المقبل. "
FA = "شورای شهر تصمیم دربارهٔ ساخت پل را به هفتهٔ آینده موکول کرد و یک میلیارد کنار گذاشت. "
VI = "Hội đồng thành phố hoãn quyết định xây cầu đến tuần sau vì thiếu tiền. "
HI = "नगर परिषद ने पुल के निर्माण का निर्णय अगले सप्ताह तक टाल दिया। "
EL = "Το δημοτικό συμβούλιο ανέβαλε την απόφαση για τη γέφυρα. "
RO = "Consiliul local a amânat decizia privind podul până săptămâna viitoare și așteaptă soluții. "
TH = "สภาเทศบาลเลื่อนการตัดสินใจเรื่องสะพานไปสัปดาห์หน้า "
URL = "https" + "://news.example/a_b-c/d.e?x=1;y=~2&z=+3#top"
MAIL = "first.last-name_1@mail.example.org"
BASES = [DE, RU, JA, ZH, KO, AR, FA, VI, HI, EL, RO, TH, unicodedata.normalize("NFD", VI)]

HOSTILE = [
    *(
        "",
        " ",
        "\n",
        "\t\r\n",
        "\0",
        "\0" * 50,
        "a\0b",
        "\x7f",
        "\ufeff",
        "\u200b\u200d\u200e",
        "\ufdd0\uffff",
        "\U0010ffff",
    ),
    *(
        "a",
        "Z",
        "é",
        "ß",
        "я",
        "あ",
        "ア",
        "한",
        "栈",
        "ß ",
        " ä",
        "ab",
        "AB",
        "Ab",
        "aB",
        "ABC",
        "Ja",
        "OK!",
        "İ",
        "ı",
        "ŉ",
    ),
    *("1234567890", "3,14 % 15. 9. 1926", "…—–„“”", "!?" * 99, "😀" * 9, "👩‍👩‍👧 🇩🇪", "①②③", "Ⅷ Ⅸ ⅷ", "ﬁﬂ ﬃ", "ǅ ǆ Ǆ"),
    *("\ud800", "\udfff\ud800", "a\ud800b\udc00c", "\ud83d" + DE, "\udc80\udcff " * 30 + DE, RU + "\ud800" * 99),
    *(
        URL,
        MAIL,
        f"{URL} {MAIL}",
        URL + MAIL,
        MAIL + URL,
        f"<{MAIL}>;<{URL}>",
        "http" + "://",
        "http" + "://ü.example/" + DE,
    ),
    *(
        "http" + DE,
        "@" + DE,
        "a@b",
        "a@bc",
        "a@b@c.d",
        "@@@",
        "x" * 64 + "@" + "y" * 255 + "z" * 255,
        "x" * 999 + "@y.zz " + DE,
    ),
    *(URL.upper() + " " + DE, (URL + " ") * 30 + DE, (MAIL + ", ") * 30 + RU, "http" + "://" + "a" * 5000 + " " + DE),
    *(
        DE.upper(),
        DE.upper() * 30,
        DE.title(),
        "".join(c.upper() if i % 2 else c for i, c in enumerate(DE)),
        "USA EU NATO G7 " * 9,
    ),
    *(
        DE.replace(" ", ""),
        "  ".join(DE),
        DE.replace(" ", "  "),
        DE.replace(" ", "\u00a0"),
        DE.replace(" ", "\u2003"),
        DE * 3 + " " * 99,
    ),
    *(
        VI,
        unicodedata.normalize("NFD", VI),
        VI.upper(),
        unicodedata.normalize("NFD", VI.upper()),
        "a\u0300e\u0301o\u0309u\u0323y\u0303" * 20,
    ),
    *("\u0300", "\u0300a", "e\u0301", "E\u0323\u0302", "a\u0300\u0301\u0303", "x\u0323", "ạặộ" * 20, "Ạ Ặ Ộ " * 20),
    *(
        DE + RU,
        RU + DE,
        RU + "Bundestag NATO",
        ZH + "iPhone NATO EU 15",
        ZH * 3 + DE,
        JA + KO + ZH,
        AR + DE,
        HI + "Delhi 2024",
        EL + "[\\]^_`",
    ),
    *(
        RU + "[\\]^_`" * 9,
        "[\\]^_`",
        "A[z]",
        ZH + "[" * 50,
        "ѐ" * 3 + "abc",
        "яabя",
        "яяab",
        "я" * 5 + "ab",
        "я" * 4 + "ab",
        "я" * 3 + "ab",
    ),
    *(
        "ㄅㄆㄇㄈ",
        "ㆠㆡㆢ",
        "ｶﾀｶﾅ",
        "ゟヿ",
        "ᄒ\u1161ᆫ",
        "㐀㐁",
        "豈更",
        "𠀀𠀁",
        "𝐁𝐨𝐥𝐝 " + DE,
        "𐐀𐐨",
        "ᎠᎡ",
        "ⴰⵣⵓⵍ",
        "ქართული",
        "հայերեն",
    ),
    *(
        "یک ييی " * 20,
        "șțȘȚşţ " * 20,
        RO,
        RO.replace("ș", "ş").replace("ț", "ţ"),
        "ªº«»µ¿¡ " + DE,
        "©®°±²³ " * 9,
        "Ææ Øø Åå " * 9,
    ),
    *(
        "e" * 9_999 + "ü",
        "ab " * 3_333 + "ü",
        " " * LIMIT + DE,
        " " * (LIMIT - 10) + DE,
        "?" * (LIMIT - 1) + "ja",
        "." * LIMIT + RU,
    ),
    *(
        DE * 99,
        DE * 97 + RU * 99,
        DE * 500,
        RU * 300,
        JA * 900,
        "x" * 9_990 + " " + URL + " " + DE * 9,
        (URL + " ") * 900 + DE * 9,
    ),
    *(
        DE * 96 + URL * 20,
        (MAIL + " ") * 3_000 + EL,
        unicodedata.normalize("NFD", VI) * 400,
        "a" * 30_000 + "@b.cd " + DE,
        URL * 9_000 + HI,
    ),
    *(
        DE.encode().decode("latin-1"),
        RU.encode().decode("cp1252", "ignore"),
        DE.encode("utf-16-le").decode("latin-1"),
        DE[::-1],
    ),
    *(
        "<p class='x'>" + DE + "</p>",
        "&auml;&nbsp;&#228; " + DE,
        "{'a': [1, 2]}",
        "\t".join("abc" * 9),
        "A\n" * 99,
        "der\n" * 99,
        "la " * 99,
    ),
]

RANGES = [
    (0x20, 0x7E),
    (0x80, 0xFF),
    (0x100, 0x17F),
    (0x180, 0x2FF),
    (0x300, 0x36F),
    (0x370, 0x3FF),
    (0x400, 0x52F),
    (0x530, 0x5FF),
    (0x600, 0x6FF),
    (0x700, 0x8FF),
    (0x900, 0xDFF),
    (0xE00, 0x10FF),
    (0x1100, 0x11FF),
    (0x1200, 0x1DFF),
    (0x1E00, 0x1EFF),
    (0x1F00, 0x1FFF),
    (0x2000, 0x2BFF),
    (0x2C00, 0x2FFF),
    (0x3000, 0x312F),
    (0x3130, 0x33FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA000, 0xABFF),
    (0xAC00, 0xD7FF),
    (0xD800, 0xDFFF),
    (0xE000, 0xFAFF),
    (0xFB00, 0xFFFF),
    (0x10000, 0x1FFFF),
    (0x20000, 0x2FFFF),
    (0xE0000, 0x10FFFF),
]


def mixes(count: int, seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(count):
        text = ""
        for _ in range(rng.randint(1, 7)):
            kind = rng.random()
            if kind < 0.35:
                low, high = rng.choice(RANGES)
                text += "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 40)))
            elif kind < 0.9:
                base = rng.choice(BASES)
                start = rng.randrange(len(base))
                text += base[start : start + rng.randint(1, 60)]
            else:
                text += rng.choice((URL, MAIL, "@", "http", "2024", "  ", "\0"))
            text += rng.choice(("", "", " ", "\n", "  "))
        yield text


def pieces(count: int, seed: int) -> Iterator[str]:
    """Words, pairs, prefixes and windows of the public sentences, in equal parts."""
    rng = random.Random(seed)
    lines = sentences()
    for n in range(count):
        line = rng.choice(lines)
        words = line.split() or [line]
        at = rng.randrange(len(words))
        start = rng.randrange(len(line))
        yield (words[at], " ".join(words[at : at + 2]), line[: start + 1], line[start : start + 25])[n % 4]


def sentences() -> list[str]:
    files = sorted((SHARED / "languages").glob("*.txt"))
    return [line for file in files for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def articles() -> list[str]:
    return [json.loads(line)["text"] for line in (SHARED / "articles_de.jsonl").open(encoding="utf-8")]


@pytest.fixture(scope="module", autouse=True)
def cache_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Built once a run, and never in the home of whoever runs the tests."""
    detector.configure(tmp_path_factory.getbasetemp() / "language-cache")


@pytest.fixture(scope="module")
def replay() -> Replay:
    detector.preload()
    assert detector._state.replay is not None
    return detector._state.replay


def differences(replay: Replay, texts: list[str]) -> list[tuple[str, object, object]]:
    # Tuples of str and float compare with ==: every bit of the probability counts.
    pairs = zip(texts, replay.labels(texts), labels.labels_of(texts), strict=True)
    return [(ascii(text[:60]), got, want) for text, got, want in pairs if got != want]


def test_hostile_texts(replay: Replay) -> None:
    assert len(set(HOSTILE)) > 150
    assert differences(replay, HOSTILE) == []


def test_alone_as_in_a_batch(replay: Replay) -> None:
    """Alone, a text also is the last one of its buffer: NULs at its end must count."""
    assert [replay.labels([text])[0] for text in HOSTILE] == replay.labels(HOSTILE)
    for size in (0, 1, 3, 50):
        assert len(np.array(["a" + size * "\0"]).view(np.uint32)) == size + 1


def test_every_pair_of_bases(replay: Replay) -> None:
    assert differences(replay, [a[:30] + b for a in BASES for b in BASES]) == []


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, 12_999, 13_000, 15_999, 16_000, 16_001])
def test_around_the_limit(replay: Replay, size: int) -> None:
    texts = [(filler * 2_000)[:size] + tail for filler in (DE, URL + " ", ". ") for tail in ("", RU, MAIL, URL + DE)]
    assert differences(replay, texts) == []


def test_seeded_mixes(replay: Replay) -> None:
    assert differences(replay, list(mixes(1_200, seed=1))) == []


@needs_material
def test_public_material(replay: Replay) -> None:
    assert differences(replay, sentences()[::25] + articles()[::16] + list(pieces(1_000, seed=2))) == []


def test_single_characters(replay: Replay) -> None:
    step = 97  # a prime, so that no block is missed
    assert differences(replay, [chr(code) for code in range(0, 0x110000, step * 3)]) == []
    assert differences(replay, [chr(code) + "a" + chr(code) for code in range(0x80, 0x3200, step)]) == []


def neumaier(values: list[float]) -> float:
    total = lost = 0.0
    for value in values:
        new = total + value
        lost += (total - new) + value if abs(total) >= abs(value) else (value - new) + total
        total = new
    return total + lost


def plain(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


@pytest.mark.parametrize("compensated", [False, True])
def test_either_kind_of_sum(replay: Replay, compensated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.12 changed sum(); each interpreter checks both arithmetics, its own and the other one's."""
    import langdetect.detector

    assert builtins.sum([0.1] * 10) == (neumaier if sys.version_info >= (3, 12) else plain)([0.1] * 10)
    monkeypatch.setattr(langdetect.detector, "sum", neumaier if compensated else plain, raising=False)
    other = Replay(replay.parts, compensated=compensated)
    texts = [*HOSTILE[::2], *mixes(150, seed=3)]
    assert differences(other, texts) == []


def test_the_two_sums_differ_somewhere(replay: Replay) -> None:
    """Otherwise the test above would prove nothing."""
    texts = list(mixes(300, seed=4))
    assert Replay(replay.parts, compensated=True).labels(texts) != Replay(replay.parts, compensated=False).labels(texts)


def test_threads_answer_as_one_does(replay: Replay) -> None:
    texts = [*HOSTILE, *mixes(400, seed=5)]
    want = replay.labels(texts)
    got: dict[int, object] = {}

    def run(number: int) -> None:
        got[number] = replay.labels(texts)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(got[number] == want for number in range(6))


def test_first_use_from_threads_is_no_race() -> None:
    """langdetect's own first use is one: threads see an unfinished factory and answer wrongly, without an error."""
    code = """
import sys, threading
sys.setswitchinterval(1e-6)
from tasks.text.language import labels
found, barrier = [], threading.Barrier(8)
def run():
    barrier.wait()
    found.append(labels.label_of("Der Rat der Stadt hat am Montag den Haushalt beschlossen."))
threads = [threading.Thread(target=run) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
assert len(found) == 8 and len(set(found)) == 1 and found[0][0] == "de", found
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_equals_langdetect_as_anyone_calls_it() -> None:
    """Its module functions in a fresh process: seed 0, and a listing that happens to be sorted."""
    code = """
import json, os, sys
listdir = os.listdir
os.listdir = lambda folder: sorted(listdir(folder))
import langdetect
langdetect.DetectorFactory.seed = 0
answers = []
for text in json.load(sys.stdin):
    try:
        best = langdetect.detect_langs(text)[0]
        answers.append([best.lang, best.prob])
    except langdetect.LangDetectException:
        answers.append([None, None])
json.dump(answers, sys.stdout)
"""
    texts = [text for text in HOSTILE if len(text) < 2_000]
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(texts), capture_output=True, check=True, text=True
    )
    assert [tuple(answer) for answer in json.loads(done.stdout)] == labels.labels_of(texts)


def test_global_random_state_is_left_alone(replay: Replay) -> None:
    random.seed(7)
    before = random.getstate()
    replay.labels([DE])
    labels.label_of(DE)
    assert random.getstate() == before


@pytest.mark.parametrize("text", [text for text in HOSTILE if len(text) > LIMIT])
def test_cleaning_a_prefix_is_cleaning_the_whole(text: str) -> None:
    from langdetect.detector import Detector
    from langdetect.utils.ngram import NGram

    whole = NGram.normalize_vi(Detector.MAIL_RE.sub(" ", Detector.URL_RE.sub(" ", text)))
    assert clean(text) == whole[:LIMIT]


@pytest.mark.long
@needs_material
def test_campaign(replay: Replay) -> None:
    texts = [*HOSTILE, *articles(), *sentences(), *mixes(30_000, seed=6), *pieces(60_000, seed=7)]
    assert len(texts) > 100_000
    print(len(texts), "texts", os.linesep)
    assert differences(replay, texts) == []
