"""The cache costs time at worst: damage, strangers, races and missing places never change an answer."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.text import native
from tasks.text.language import cache, detector, second_opinion
from tasks.text.language.replay import Replay

TEXTS = ["Der Rat der Stadt hat den Haushalt beschlossen.", "", "Le conseil a voté le budget.", "\ud800 市议会"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def cache_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Built once a run, and never in the home of whoever runs the tests."""
    detector.configure(tmp_path_factory.getbasetemp() / "language-cache")


@pytest.fixture(scope="module")
def parts() -> cache.Parts:
    detector.preload()
    assert detector._state.replay is not None
    return detector._state.replay.parts


@pytest.fixture
def built(parts: cache.Parts, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands in for the build, which takes seconds; one entry a build."""
    builds: list[int] = []

    def build() -> cache.Parts:
        builds.append(1)
        return parts

    monkeypatch.setattr(cache, "_build", build)
    return builds


def folder_in(root: Path) -> Path:
    (found,) = root.glob("language-*")
    return found


def labels(parts: cache.Parts) -> object:
    return Replay(parts).labels(TEXTS)


def test_built_once_then_mapped_read_only(tmp_path: Path, parts: cache.Parts, built: list[int]) -> None:
    root = tmp_path / "deep" / "cache"
    assert not cache.is_built(root, "a")
    first, second = cache.load(root, "a"), cache.load(root, "a")
    assert cache.is_built(root, "a")
    assert len(built) == 1
    for name, array in parts.arrays.items():
        for loaded in (first, second):
            assert np.array_equal(loaded.arrays[name], array)
            assert isinstance(loaded.arrays[name], np.memmap)
            assert not loaded.arrays[name].flags.writeable
    assert labels(first) == labels(second) == labels(parts)
    assert sorted(path.name.split("-")[0] for path in root.iterdir()) == ["language", "language.lock"]
    assert folder_in(root).stat().st_mode & 0o077 == 0


def test_another_fingerprint_another_folder(tmp_path: Path, built: list[int]) -> None:
    cache.load(tmp_path, "a")
    cache.load(tmp_path, "b")
    assert len(built) == 2
    assert len(list(tmp_path.glob("language-*"))) == 2


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    **{
        f"one bit of {name}": lambda folder, name=name: flip(folder / name)  # type: ignore[misc]
        for name in (
            "matrix.npy",
            "entries.npy",
            "characters.npy",
            "words.npy",
            "kernel.ll",
            "manifest.json",
            "marks.npy",
            "scan.ll",
            "kernel.o",
            "third_nb_ptc.npy",
        )
    },
    "cut short": lambda folder: (folder / "matrix.npy").write_bytes((folder / "matrix.npy").read_bytes()[:-8]),
    "empty file": lambda folder: (folder / "kernel.ll").write_bytes(b""),
    "missing file": lambda folder: (folder / "sines.npy").unlink(),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "manifest of another shape": lambda folder: (folder / "manifest.json").write_text("[]"),
    "manifest is no JSON": lambda folder: (folder / "manifest.json").write_bytes(b"\xff\0"),
    "others may write": lambda folder: folder.chmod(0o777),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_damage_is_rebuilt(damage: str, tmp_path: Path, parts: cache.Parts, built: list[int]) -> None:
    cache.load(tmp_path, "a")
    DAMAGES[damage](folder_in(tmp_path))
    again = cache.load(tmp_path, "a")
    assert len(built) == 2
    assert labels(again) == labels(parts)
    cache.load(tmp_path, "a")
    assert len(built) == 2  # and the rebuilt one holds
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"language", "language.lock"}


def test_a_pickle_is_never_loaded(tmp_path: Path, built: list[int]) -> None:
    """Even one with the right checksums: numpy is told to refuse it."""
    cache.load(tmp_path, "a")
    folder = folder_in(tmp_path)
    np.save(folder / "words.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("sha256")
    manifest["files"]["words.npy"] = cache._checksum(folder / "words.npy")
    (folder / "manifest.json").write_text(json.dumps({**manifest, "sha256": cache._digest(manifest)}))
    cache.load(tmp_path, "a")
    assert len(built) == 2


def test_no_place_to_write(tmp_path: Path, parts: cache.Parts, built: list[int]) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    assert labels(cache.load(occupied, "a")) == labels(parts)
    assert labels(cache.load(None, "a")) == labels(parts)
    assert not cache.is_built(None, "a")
    assert len(built) == 2


def test_disk_full_keeps_nothing_and_builds_once(
    tmp_path: Path, built: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    cache.load(tmp_path, "a")
    assert len(built) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["language.lock"]


def test_builders_that_meet_build_once(tmp_path: Path, built: list[int]) -> None:
    found: list[cache.Parts] = []
    threads = [threading.Thread(target=lambda: found.append(cache.load(tmp_path, "a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(built) == 1


def test_what_a_killed_builder_left_is_removed(tmp_path: Path, built: list[int]) -> None:
    (tmp_path / "draft-language-killed").mkdir()
    (tmp_path / "draft-language-killed" / "matrix.npy").write_bytes(b"half")
    cache.load(tmp_path, "a")
    assert sorted(path.name.split("-")[0] for path in tmp_path.iterdir()) == ["language", "language.lock"]


def test_code_that_reaches_outside_is_refused() -> None:
    calls_out = "declare void @system(ptr)\ndefine void @f(ptr %p) {\n call void @system(ptr %p)\n ret void\n}\n"
    with pytest.raises(ValueError, match="system"):
        native.Native(native.Code(calls_out, "f"), ())
    with pytest.raises(ValueError, match="no function"):
        native.Native(native.Code("define void @f() {\n ret void\n}\n", "g"), ())


def test_machine_code_is_for_the_machine_that_it_was_made_for(
    tmp_path: Path, parts: cache.Parts, built: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.load(tmp_path, "a")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(cache, "machine", lambda: "another")
        there = cache.load(tmp_path, "a")
    assert [code.machine_code for code in (there.replay, there.scan, there.sentences)] == [b"", b"", b""]
    assert labels(there) == labels(parts)
    here = cache.load(tmp_path, "a")
    assert len(built) == 1
    # Nothing is made anew.
    monkeypatch.setattr(native, "_assembled", lambda _: pytest.fail("assembled"))
    assert labels(here) == labels(parts)


def test_py3langid_says_the_same_from_the_cache_as_from_its_model(tmp_path: Path, built: list[int]) -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(second_opinion, "_arrays", cache.load(tmp_path, "a").arrays)
        second_opinion._identifier.cache_clear()
        patch.setattr(second_opinion, "unpacked", lambda: pytest.fail("unpacked"))
        kept = second_opinion._identifier()
        second_opinion._identifier.cache_clear()
    texts = [*TEXTS[:3], "Mesto leží na rieke.", "Град лежи на реката.", "ALL CAPITALS", "1234", "東京都", "x" * 5000]
    assert [kept.rank(text) for text in texts] == [model.rank(text) for text in texts]


def resident(folder: Path, name: str) -> int:
    """How many KB this process has mapped in of files of this name below a folder."""
    found, is_here = 0, False
    for first, *rest in map(str.split, Path("/proc/self/smaps").read_text().splitlines()):
        if not first.endswith(":"):
            is_here = rest[-1].startswith(str(folder)) and rest[-1].endswith(name)
        elif first == "Rss:" and is_here:
            found += int(rest[0])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="no other system says what is resident")
def test_pages_of_py3langid_that_were_read_are_let_go_and_come_back(tmp_path: Path, built: list[int]) -> None:
    cache.load(tmp_path, "a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(second_opinion, "_arrays", cache.load(tmp_path, "a").arrays)
        second_opinion._identifier.cache_clear()
        before = second_opinion.third("Mesto leží na rieke.")
        assert resident(tmp_path, "third_nb_ptc.npy") > 0
        second_opinion.set_aside()
        assert resident(tmp_path, "third_nb_ptc.npy") == 0
        assert second_opinion.third("Mesto leží na rieke.") == before
        second_opinion._identifier.cache_clear()


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


HEAVY = "[m for m in ('numba', 'numpy', 'langdetect', 'llvmlite', 'pycld2', 'py3langid') if m in sys.modules]"


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert run(f"import sys, tasks.text.language as l; l.fingerprint(); print({HEAVY})") == "[]"


def test_few_texts_build_nothing_and_warm_starts_need_no_numba(tmp_path: Path) -> None:
    ask = "l.detect_many(['Der Rat hat den Haushalt beschlossen.'])[0].detector_probability"
    prepare = f"import sys, pathlib, tasks.text.language as l; l.configure(pathlib.Path({str(tmp_path)!r}))"
    few = run(f"{prepare}; print({ask}, {HEAVY})")
    assert few.endswith("['langdetect', 'pycld2']")
    assert list(tmp_path.iterdir()) == []
    run(f"{prepare}; l.preload()")
    warm = run(f"{prepare}; print({ask}, {HEAVY})")
    assert warm.endswith("['numpy', 'langdetect', 'llvmlite', 'pycld2']")
    assert few.split()[0] == warm.split()[0]


def test_many_small_calls_are_not_few(tmp_path: Path, built: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "_state", detector._State(cache=tmp_path))
    monkeypatch.setattr(detector, "FEW_CHARACTERS", 100)
    text = "Der Rat hat den Haushalt beschlossen. "
    answers = [detector.detector_labels([text]) for _ in range(4)]
    assert len(built) == 1
    assert answers == [answers[0]] * 4


def test_fingerprint_names_what_can_change_an_answer() -> None:
    names = [part.split("=")[0] for part in detector.fingerprint().split(";")]
    assert names == [
        *("rules", "langdetect", "profiles", "order", "seed"),
        *("pycld2", "py3langid", "python", "unicode"),
    ]
