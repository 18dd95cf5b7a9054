"""The watcher: every file is in once, however it arrived."""

import gc
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import tracemalloc

import pytest

from flows.settling import Marks, Settling
from flows.touched import Touched
from flows.watch import WatchOptions, direct_runs, watch


def _until(check, seconds=90):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.1)


def _count(mill):
    return mill.one("SELECT count(*) FROM v_documents") if (mill.home / "warehouse.duckdb").exists() else 0


@pytest.fixture
def inbox(mill):
    folder = mill.home / "inbox"
    (folder / "a").mkdir(parents=True)
    return folder


@pytest.fixture
def watching(mill, inbox):
    over = threading.Event()
    errors = []

    def work():
        try:
            options = WatchOptions(settle_seconds=0.3, sweep_seconds=600)
            settings = mill.settings(workers=0)
            watch(settings, direct_runs(settings, options), options, is_over=over.is_set)
        except Exception as error:  # noqa: BLE001 - raised again where the test can see it
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join(90)
    assert errors == []


def test_a_growing_file_settles_when_it_is_left_alone(tmp_path):
    settling, folder, path = Settling(0.0), os.fsencode(tmp_path), tmp_path / "a.txt"
    settling.settle_seconds = 5.0
    path.write_text("one")
    os.utime(path, (1, 1))
    assert settling.look(folder, 0.0) == {}
    path.write_text("one two")
    os.utime(path, (2, 2))
    assert settling.look(folder, 5.0) == {}
    assert settling.look(folder, 9.0) == {}
    ready = settling.look(folder, 10.0)
    assert list(ready) == [b"a.txt"]
    settling.settle(ready)
    assert settling.look(folder, 20.0) == {}
    path.write_text("anew")
    os.utime(path, (3, 3))
    assert settling.look(folder, 21.0) == {}
    assert list(settling.look(folder, 26.0)) == [b"a.txt"]


def test_half_written_names_never_settle(tmp_path):
    for name in ("a.part", "b.tmp", "c.crdownload", "d~", "e.swp", ".f.txt.Xy12"):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (1, 1))
    settling = Settling(0.0)
    assert settling.look(os.fsencode(tmp_path), 0.0) == {}
    (tmp_path / "a.part").rename(tmp_path / "a")
    assert list(settling.look(os.fsencode(tmp_path), 0.0)) == [b"a"]


def test_a_look_at_what_was_touched_sees_what_a_walk_sees(tmp_path):
    folder, outside = tmp_path / "inbox", tmp_path / "outside"
    for name in ("inbox/a/b", "inbox/.hidden", "outside"):
        (tmp_path / name).mkdir(parents=True)
    for path in (folder / "top.txt", folder / "a" / "b" / "deep.txt", folder / ".hidden" / "x.txt", outside / "x.txt"):
        path.write_text("x")
        os.utime(path, (1, 1))
    (folder / "link").symlink_to(outside)
    (folder / "a" / "ring").symlink_to(folder)
    root = os.fsencode(folder)
    told = {
        b"top.txt",
        b"a",
        b".hidden/x.txt",
        b".hidden",
        b"link/x.txt",
        b"a/ring/top.txt",
        b"gone.txt",
        b"a/b/deep.txt",
    }
    walking, looking = Settling(0.0), Settling(0.0)
    regular = {b"top.txt", b"a/b/deep.txt"}
    assert {path for path in walking.look(root, 0.0) if path in regular} == regular
    assert looking.look(root, 0.0, told | {b"link", b"a/ring"}) == walking.look(root, 0.0)
    looking.settle({path: stamp for path, (stamp, _) in looking.waiting.items()})
    assert looking.look(root, 1.0, told) == {}
    (folder / "top.txt").write_text("anew")
    os.utime(folder / "top.txt", (2, 2))
    assert list(looking.look(root, 2.0, {b"top.txt"})) == [b"top.txt"]
    (folder / "top.txt").unlink()
    assert looking.look(root, 3.0, set()) == {}
    assert looking.waiting == {}


def test_an_inbox_may_be_a_symlink(tmp_path):
    (tmp_path / "share" / "a").mkdir(parents=True)
    (tmp_path / "inbox").symlink_to(tmp_path / "share")
    (tmp_path / "share" / "a" / "b.txt").write_text("x")
    os.utime(tmp_path / "share" / "a" / "b.txt", (1, 1))
    for touched in (None, {b"a/b.txt"}, {b"a"}):
        assert list(Settling(0.0).look(os.fsencode(tmp_path / "inbox"), 0.0, touched)) == [b"a/b.txt"]


def test_a_file_that_was_taken_costs_a_watcher_next_to_nothing(tmp_path):
    """Raw files stay, and a watcher runs for years: 54,000 of them made it grow by 1.8 MB a minute once."""
    count, folder, settling = 5_000, os.fsencode(tmp_path), Settling(0.0)
    for number in range(count):
        path = tmp_path / f"{number:07d}.txt"
        path.touch()
        os.utime(path, (1, 1))
    tracemalloc.start()
    try:
        settling.settle(settling.look(folder, 0.0))
        assert settling.look(folder, 1.0) == {}
        gc.collect()  # the interpreter keeps 2,000 freed tuples of each length, however many files there are
        (held, _) = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert settling.look(folder, 2.0) == {}
        (_, peak) = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"{held / count:.0f} bytes a file, {(peak - held) / count:.0f} more while it looks")
    assert held / count < 50
    assert (peak - held) / count < 500, "what was asked of an entry is kept until the folder ends"


def test_marks_are_a_set():
    dice, marks, model = random.Random(7), Marks(), set()
    for size in (1, 10, 5_000, 300, 9_000, 2, 20_000):
        some = [dice.randrange(-(2**63), 2**63) for _ in range(size)]
        marks.update(some)
        model.update(some)
        assert all(mark in marks for mark in model)
        assert not any(mark in marks for mark in (dice.randrange(-(2**63), 2**63) for _ in range(1_000)))
    again = Marks(model)
    assert all(mark in again for mark in model)


def test_what_is_touched_is_heard_and_what_is_not_is_owned_up_to(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    with Touched(os.fsencode(folder)) as touched:
        heard = set()

        def hears(name):
            def check():
                names = touched.taken()
                heard.update(names or ())
                return name is None if names is None else name in heard

            return check

        _until(hears(None))
        # Listening has begun when it says for the second time that something may have been missed.
        _until(hears(None))
        (folder / "a").mkdir()
        (folder / "a" / "1.txt").write_text("x")
        _until(lambda: hears(b"a")() or b"a/1.txt" in heard)
        (folder / "2.txt").write_text("x")
        _until(hears(b"2.txt"))
        with open(os.path.join(os.fsencode(folder), b"\xff.txt"), "w"):
            pass
        _until(hears(None))
        _until(hears(None))
        (folder / "3.txt").write_text("x")
        _until(hears(b"3.txt"))
        shutil.rmtree(folder)
        folder.mkdir()
        _until(hears(None))
        _until(hears(None))
        (folder / "4.txt").write_text("x")
        _until(hears(b"4.txt"))


def test_what_is_told_is_taken_without_another_walk(mill, inbox, write_news):
    """A walk that takes as long as thousands of seconds of rest: what arrives is known by what was touched alone."""
    over, looks = threading.Event(), []
    options = WatchOptions(settle_seconds=0.3, sweep_seconds=3600, share=1e-7)
    settings = mill.settings(workers=0)
    thread = threading.Thread(
        target=watch,
        args=(settings, direct_runs(settings, options), options),
        kwargs={"on_look": looks.append, "is_over": over.is_set},
    )
    thread.start()
    try:
        # The first look and its run, and another look when listening has begun.
        _until(lambda: len(looks) >= 3)
        (inbox / "a" / "1.txt.part").write_text(write_news(1))
        (inbox / "a" / "1.txt.part").rename(inbox / "a" / "1.txt")
        (mill.raw / "b" / "deep").mkdir(parents=True)
        (mill.raw / "b" / "deep" / "x.txt").write_text(write_news(2))
        (mill.raw / "b").rename(inbox / "b")
        _until(lambda: _count(mill) == 2)
        (inbox / "b" / "deep" / "y.txt").write_text(write_news(3))
        _until(lambda: _count(mill) == 3)
    finally:
        over.set()
        (inbox / "wake.part").write_text("")
        thread.join(30)
    assert not thread.is_alive()
    assert mill.problems() == []


def test_every_way_to_arrive(mill, inbox, watching, write_news):
    (inbox / "a" / "1.txt").write_text(write_news(1))
    (inbox / "a" / "2.txt.part").write_text(write_news(2))
    (inbox / "a" / "2.txt.part").rename(inbox / "a" / "2.txt")
    with open(os.path.join(os.fsencode(inbox), b"a", b"\xff\xfe.txt"), "w") as stream:
        stream.write(write_news(3))
    for number in range(10):
        (mill.raw / f"{number}" / "deep").mkdir(parents=True)
        (mill.raw / f"{number}" / "deep" / "x.txt").write_text(write_news(100 + number))
        (mill.raw / f"{number}").rename(inbox / f"{number}")
    _until(lambda: _count(mill) == 13)
    (inbox / "a" / "1.txt").write_text(write_news(50))
    _until(lambda: mill.one("SELECT count(*) FROM v_documents WHERE text LIKE '%Nummer 50,%'") == 1)
    assert _count(mill) == 13
    shutil.rmtree(inbox)
    (mill.raw / "new" / "b").mkdir(parents=True)
    (mill.raw / "new" / "b" / "9.txt").write_text(write_news(9))
    os.makedirs(inbox / "b", exist_ok=True)
    (mill.raw / "new" / "b" / "9.txt").rename(inbox / "b" / "9.txt")
    _until(lambda: _count(mill) == 14)
    assert mill.problems() == []


def test_nothing_is_missed_while_it_stood_still_or_was_killed(mill, inbox, started, write_news):
    command = [*mill.command("watch", "--settle", "0.3")]
    process = started(command, stderr=subprocess.DEVNULL)
    (inbox / "a" / "0.txt").write_text(write_news(0))
    _until(lambda: _count(mill) == 1)
    process.send_signal(signal.SIGSTOP)
    for number in range(1, 201):
        (inbox / "a" / f"{number}.txt").write_text(write_news(number))
    process.send_signal(signal.SIGCONT)
    _until(lambda: _count(mill) == 201)
    process.kill()
    process.wait()
    (inbox / "a" / "last.txt").write_text(write_news(500))
    again = started(command, stderr=subprocess.DEVNULL)
    _until(lambda: _count(mill) == 202)
    again.terminate()
    assert again.wait(60) == 143
    assert mill.problems() == []


def test_a_run_that_something_stops_is_tried_again(mill, inbox, monkeypatch, write_news):
    from flows import run
    from warehouse.errors import TransientError

    calls, real = [], run.ingest

    def failing(*arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            raise TransientError("the disk is full")
        return real(*arguments, **options)

    monkeypatch.setattr(run, "ingest", failing)
    (inbox / "a" / "1.txt").write_text(write_news(1))
    os.utime(inbox / "a" / "1.txt", (1, 1))
    options = WatchOptions(settle_seconds=0.0, sweep_seconds=600, retry_seconds=0.1)
    settings = mill.settings(workers=0)
    watch(settings, direct_runs(settings, options), options, is_over=lambda: len(calls) >= 2)
    assert _count(mill) == 1
