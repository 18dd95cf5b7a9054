"""Point 6: whatever lies in the folder, the others land, nothing hangs, and every path ends in a named state."""

import contextlib
import csv
import ctypes
import dataclasses
import io
import json
import os
import pty
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from warehouse.uri import to_path, to_uri

# Linux, sys/prctl.h and linux/capability.h: what lets root read files whose mode says that nobody may.
PR_CAPBSET_DROP = 24
CAPABILITIES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
CAPABILITY_VERSION_3 = 0x20080522

NAMES = [
    b"caf\xe9 latin1.txt",
    b"\xff\xfe\x80.txt",
    b"new\nline.txt",
    b"carriage\rreturn.txt",
    b"'single' \"double\" `back`.txt",
    b"array[1].txt",
    b"star*.txt",
    b"what?.txt",
    b"{a,b}.txt",
    b"x..%2F..%2Fetc%2Fpasswd.txt",
    b"%00%0A.txt",
    b"-rf.txt",
    b"--home.txt",
    b"$(touch pwned);`id`.txt",
    b"key=value.txt",
    b"back\\slash.txt",
    b"tab\there.txt",
    b" leading and trailing .txt",
    b"esc\x1b[2Jape.txt",
    "emoji-\N{NEWSPAPER}-\N{FAMILY}.txt".encode(),
    "bidi-\u202etxt.exe.txt".encode(),
    "nfd-u\u0308.txt".encode(),
    "nfc-\u00fc.txt".encode(),
    b"n" * 251 + b".txt",
    b"a...txt",
    b"a!b.txt",
    b"UPPER.TXT",
]


def without_override() -> None:
    """In a child before its exec: give up what lets root read everything, so that permissions count."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in CAPABILITIES:
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


@contextlib.contextmanager
def powerless() -> Iterator[None]:
    """The same for a while and for this thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice, for 64 capabilities
    if libc.capget(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    before = sets[0]
    for capability in CAPABILITIES:
        sets[0] &= ~(1 << capability)
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    try:
        yield
    finally:
        sets[0] = before
        libc.capset(header, sets)


@dataclasses.dataclass(frozen=True)
class Somebody:
    """Ways to be somebody whom chmod 000 stops."""

    command: dict[str, Callable[[], None]]
    here: Callable[[], contextlib.AbstractContextManager[None]]


@pytest.fixture(scope="module")
def somebody(tmp_path_factory: pytest.TempPathFactory) -> Somebody:
    """For a person nothing needs to be done; root gives up a part of its power."""
    probe = tmp_path_factory.mktemp("probe") / "secret"
    probe.write_text("x")
    probe.chmod(0)
    if os.geteuid():
        return Somebody({}, contextlib.nullcontext)
    try:
        read = [sys.executable, "-c", f"open({str(probe)!r}).read()"]
        done = subprocess.run(read, capture_output=True, preexec_fn=without_override)
        with powerless(), pytest.raises(PermissionError):
            probe.read_text()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"capabilities cannot be dropped here, and root reads everything: {error}")
    if b"PermissionError" not in done.stderr:
        pytest.skip("root without these capabilities still reads everything here")
    return Somebody({"before_exec": without_override}, powerless)


@pytest.fixture(scope="module")
def zoo(new_mill: Any, write_news: Callable[[int], str]) -> Any:
    """Everything odd at once, ingested by the installed command."""
    mill = new_mill("zoo")
    mill.put("good.txt", write_news(1))
    mill.put("sub/deep/good.txt", write_news(2))
    mill.put("empty.txt", b"")
    mill.put("header.txt", b" date 2019-04 ")
    mill.put("blanks.txt", b" \t\r\n\n   \xc2\xa0\n")
    mill.put("binary.txt", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    mill.put("photo.jpg", b"\xff\xd8\xff\xe0 JFIF")
    mill.put("no-suffix", write_news(3))
    mill.put(".hidden.txt", write_news(4))
    mill.put("..%2Fhidden-too.txt", write_news(6))
    mill.put("unfinished.txt.part", write_news(5))
    mill.put("twice.txt", write_news(1))
    os.symlink("good.txt", mill.raw / "link.txt")
    os.symlink("/nowhere/at/all.txt", mill.raw / "dangling.txt")
    os.symlink("..", mill.raw / "loop")
    os.mkfifo(mill.raw / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        before = Path.cwd()
        os.chdir(mill.raw)  # the name of a socket may only have 108 bytes
        try:
            listening.bind("socket.txt")
        finally:
            os.chdir(before)
    for number, name in enumerate(NAMES, start=100):
        mill.put(b"names/" + name, write_news(number))
    answer = mill.newsmill("ingest", "--direct", mill.raw, "--format", "json", seconds=120)
    assert answer.code == 0, answer
    return mill, answer


def test_the_good_ones_land_and_everything_is_counted(zoo: Any) -> None:
    mill, answer = zoo
    counts = answer.json()["counts"]
    assert counts["ingested"] == 2 + len(NAMES)
    assert counts["duplicate"] == 1
    assert counts["ignored"] == 3
    assert counts["rejected"] == 6 + 5
    assert mill.one("SELECT count(*) FROM documents") == 2 + len(NAMES)
    assert mill.problems(deep=True) == []


@pytest.mark.parametrize(
    ("name", "stage", "reason"),
    [
        ("empty.txt", "read", "empty"),
        ("header.txt", "normalise", "header_only"),
        ("blanks.txt", "normalise", "empty"),
        ("binary.txt", "decode", "binary"),
        ("photo.jpg", "read", "unknown_format"),
        ("no-suffix", "read", "unknown_format"),
        ("link.txt", "discover", "symlink"),
        ("dangling.txt", "discover", "symlink"),
        ("loop", "discover", "symlink"),
        ("pipe.txt", "discover", "not_regular"),
        ("socket.txt", "discover", "not_regular"),
    ],
)
def test_what_is_refused_has_a_stage_and_a_reason(zoo: Any, name: str, stage: str, reason: str) -> None:
    mill, _ = zoo
    rows = mill.rows("SELECT * FROM rejects WHERE uri = $uri", uri=name)
    assert [(row["stage"], row["reason"]) for row in rows] == [(stage, reason)]
    assert rows[0]["detail"]
    (file,) = mill.rows("SELECT * FROM files WHERE uri = $uri", uri=name)
    assert file["status"] == "rejected"
    listed = mill.cli("rejects", "--reason", reason, "--format", "json").json()
    assert name in [row["uri"] for row in listed]


def test_a_second_run_is_quiet(zoo: Any) -> None:
    mill, _ = zoo
    before, commit = mill.tree("ledger.sqlite"), mill.last_commit()
    outcome = mill.ingest()
    assert mill.last_commit() == commit
    assert mill.tree("ledger.sqlite") == before
    assert outcome.published is None
    assert set(outcome.counts) == {"unchanged", "ignored"}


def test_names_come_back_to_the_byte(zoo: Any) -> None:
    mill, _ = zoo
    uris = mill.column("SELECT uri FROM documents WHERE starts_with(uri, 'names/')")
    assert sorted(to_path(uri) for uri in uris) == sorted(b"names/" + name for name in NAMES)
    assert all(uri.isascii() and uri.isprintable() for uri in mill.column("SELECT uri FROM files"))
    for table in ("documents", "files"):
        for name in NAMES:
            assert mill.rows(f"SELECT uri FROM {table} WHERE uri = $uri", uri=to_uri(b"names/" + name)), name


def test_each_name_has_the_text_of_its_own_file(zoo: Any) -> None:
    mill, _ = zoo
    for number, name in enumerate(NAMES, start=100):
        text = mill.one("SELECT text FROM documents WHERE uri = $uri", uri=to_uri(b"names/" + name))
        assert text.startswith(f"Meldung Nummer {number},")


def test_no_name_from_outside_names_anything_of_ours(zoo: Any, only_safe_names: Callable[[Path], None]) -> None:
    mill, _ = zoo
    only_safe_names(mill.home)
    assert sorted(path.name for path in mill.home.parent.iterdir()) == ["home", "raw"]
    assert not (mill.raw / "pwned").exists()
    assert not (mill.raw.parent / "pwned").exists()


# ESC, CSI in one character, DEL, BEL, a carriage return, a tab, what turns the direction, what ends a line elsewhere.
UNSEEN = "\x1b[2J\x9b2J\x7f\x07\r\t\u202e\u2066\u200f\u061c\u2028\x85"
UNSEEN_QUERY = "SELECT 'a' || " + " || ".join(f"chr({ord(c)})" for c in UNSEEN) + ' AS a, [a] AS "\x9b\u202e"'


@pytest.mark.parametrize(
    "command",
    [["sql", "SELECT uri FROM files", "--rows", "500"], ["rejects", "--all"], ["rejects", "--all", "--format", "json"],
     ["status"], ["status", "--format", "json"], ["sql", UNSEEN_QUERY, "--format", "table"],
     ["sql", UNSEEN_QUERY, "--format", "json"], ["sql", UNSEEN_QUERY, "--format", "jsonl"]],
    ids=" ".join,
)  # fmt: skip
def test_no_command_prints_a_control_character(zoo: Any, command: list[str]) -> None:
    mill, _ = zoo
    answer = mill.cli(*command)
    assert answer.code == 0, answer.err
    assert answer.out
    assert [c for c in answer.out if not c.isprintable() and c != "\n"] == []


@pytest.mark.parametrize("words", [[], ["--raw"]], ids=["guarded", "raw"])
def test_csv_prints_no_control_character_on_a_terminal_and_is_whole_elsewhere(zoo: Any, words: list[str]) -> None:
    """A person looks at the one, a program reads the other, which has to have what is stored."""
    mill, _ = zoo
    command = mill.command("sql", UNSEEN_QUERY, "--format", "csv", *words)
    screen, theirs = pty.openpty()
    try:
        done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 0, done.stderr
        shown = os.read(screen, 65536).decode()
    finally:
        os.close(theirs)
        os.close(screen)
    assert [c for c in shown.replace("\r\n", "\n") if not c.isprintable() and c != "\n"] == []
    assert "a\\x1b[2J" in shown
    piped = mill.cli("sql", UNSEEN_QUERY, "--format", "csv", *words).out
    _, (text, _) = csv.reader(io.StringIO(piped, newline=""))
    assert text == "a" + UNSEEN


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_has_what_is_stored_whatever_is_escaped(zoo: Any, form: str) -> None:
    mill, _ = zoo
    answer = mill.cli("sql", UNSEEN_QUERY, "--format", form)
    found = json.loads(answer.out)
    assert (found if form == "jsonl" else found[0]) == {"a": "a" + UNSEEN, "\x9b\u202e": ["a" + UNSEEN]}
    assert len(answer.out.splitlines()) == 1


def test_names_can_be_named(new_mill: Any, write_news: Callable[[int], str]) -> None:
    mill = new_mill("named")
    paths = [mill.put(name, write_news(number)) for number, name in enumerate(NAMES)]
    answer = mill.newsmill("ingest", "--direct", *paths, "--format", "json")
    assert answer.code == 0, answer.err
    assert answer.json()["counts"]["ingested"] == len(NAMES)
    assert sorted(map(to_path, mill.column("SELECT uri FROM documents"))) == sorted(NAMES)
    again = mill.newsmill("ingest", "--direct", "--format", "json", "--", "-rf.txt", "--home.txt", cwd=mill.raw)
    assert again.code == 0, again.err
    assert again.json()["counts"] == {"unchanged": 2}


def test_a_source_is_any_folder_name(new_mill: Any, write_news: Callable[[int], str]) -> None:
    mill = new_mill("inbox")
    inbox = os.fsencode(mill.home / "inbox")
    for number, source in enumerate((b"reuters", b"caf\xe9 [1]", b"%2F..\n")):
        os.makedirs(os.path.join(inbox, source))
        with open(os.path.join(inbox, source, b"a.txt"), "w") as stream:
            stream.write(write_news(number))
    with open(os.path.join(inbox, b"loose.txt"), "w") as stream:
        stream.write(write_news(9))
    answer = mill.newsmill("ingest", "--direct")
    assert answer.code == 0, answer.err
    assert sorted(map(to_path, mill.column("SELECT source FROM documents"))) == sorted(
        [b"reuters", b"caf\xe9 [1]", b"%2F..\n", b"default"]
    )
    assert mill.column("SELECT DISTINCT root FROM files") == ["inbox"]


def test_only_rejects_are_an_ingest_too(mill: Any) -> None:
    mill.put("empty.txt", b"")
    mill.put("photo.jpg", b"\xff\xd8\xff")
    answer = mill.cli("ingest", "--direct", str(mill.raw), "--format", "json")
    assert answer.code == 0, answer.err
    assert answer.json()["counts"]["rejected"] == 2
    assert mill.one("SELECT count(*) FROM rejects") == 2
    assert mill.one("SELECT count(*) FROM documents") == 0
    assert mill.problems(deep=True) == []


def test_an_empty_folder_is_no_error(mill: Any) -> None:
    answer = mill.cli("ingest", "--direct", str(mill.raw))
    assert answer.code == 0
    assert "Nothing to do" in answer.out


def test_the_home_inside_the_folder_is_not_ingested(new_mill: Any, write_news: Callable[[int], str]) -> None:
    mill = new_mill("inside")
    mill = type(mill)(home=mill.raw / "data", raw=mill.raw)
    mill.put("a.txt", write_news(1))
    first = mill.ingest()
    assert first.counts["ingested"] == 1
    assert set(mill.column("SELECT uri FROM files")) == {"a.txt"}
    again = mill.ingest()
    assert again.counts["unchanged"] == 1
    assert again.published is None
    assert set(mill.column("SELECT uri FROM files")) == {"a.txt"}


@pytest.mark.parametrize("seconds", [1e11, 253_402_300_800.0, -1e9, 0.0])
def test_an_absurd_time_stops_nobody(mill: Any, write_news: Callable[[int], str], seconds: float) -> None:
    path = mill.put("a.txt", write_news(1))
    mill.put("b.txt", write_news(2))
    os.utime(path, (seconds, seconds))
    outcome = mill.ingest()
    assert outcome.counts["ingested"] == 2
    assert mill.ingest().counts == {"unchanged": 2}
    assert mill.problems(deep=True) == []


def test_an_absurd_time_where_the_file_system_keeps_it(new_mill: Any, write_news: Callable[[int], str]) -> None:
    """ext4 cuts a time off at the year 2446; a tmpfs keeps any."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        pytest.skip("no /dev/shm to write to")
    mill = new_mill("absurd")
    folder = shared / f"newsmill-test-{os.getpid()}"
    folder.mkdir()
    try:
        for number, seconds in enumerate((10**11, 9_300_000_000, -(10**11))):
            (folder / f"{number}.txt").write_text(write_news(number))
            os.utime(folder / f"{number}.txt", (seconds, seconds))
        assert mill.ingest(folder).counts["ingested"] == 3
        assert mill.ingest(folder).counts == {"unchanged": 3}
        assert mill.problems(deep=True) == []
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_what_cannot_be_read_is_deferred_and_taken_when_it_can(
    new_mill: Any, write_news: Callable[[int], str], somebody: Somebody
) -> None:
    mill = new_mill("unreadable")
    mill.put("good.txt", write_news(1))
    secret = Path(os.fsdecode(mill.put("secret.txt", write_news(2))))
    closed = Path(os.fsdecode(mill.put("closed/a.txt", write_news(3)))).parent
    listed = Path(os.fsdecode(mill.put("listed/b.txt", write_news(4)))).parent
    secret.chmod(0)
    closed.chmod(0)
    listed.chmod(stat.S_IRUSR)  # names can be listed, but nothing below can be looked at
    try:
        first = mill.newsmill("ingest", "--direct", mill.raw, "--format", "json", **somebody.command)
        with somebody.here():
            again = mill.cli("ingest", "--direct", mill.raw, "--format", "json")
        told = mill.cli("status")
    finally:
        secret.chmod(0o600)
        closed.chmod(0o700)
        listed.chmod(0o700)
    assert first.code == 0, first.err
    assert first.json()["counts"]["ingested"] == 1
    assert first.json()["counts"]["deferred"] == 3
    assert first.json()["reasons"] == {"permission": 3}
    assert again.code == 0
    assert again.json()["published"] is None, "still unreadable is no news"
    assert again.json()["counts"]["deferred"] == 3
    deferred = {row["uri"]: row for row in mill.rows("SELECT * FROM files WHERE status = 'deferred'")}
    assert {uri.rstrip("/") for uri in deferred} == {"secret.txt", "closed", "listed/b.txt"}
    assert all(row["reason"] == "permission" and not row["is_current"] for row in deferred.values())
    assert mill.one("SELECT count(*) FROM rejects") == 0, "what could not be read is no reject"
    assert "secret.txt" in told.out

    outcome = mill.ingest()
    assert outcome.counts["ingested"] == 3
    assert mill.one("SELECT count(*) FROM documents") == 4
    assert mill.rows("SELECT uri FROM files WHERE status = 'deferred'") == []
    assert mill.cli("status", "--format", "json").json()["paths"]["deferred"] == 0
    assert mill.problems(deep=True) == []
    assert mill.ingest().published is None


def test_a_known_file_that_becomes_unreadable_stays_current(
    new_mill: Any, write_news: Callable[[int], str], somebody: Somebody
) -> None:
    mill = new_mill("closing")
    path = Path(os.fsdecode(mill.put("a.txt", write_news(1))))
    mill.ingest()
    path.chmod(0)
    try:
        with somebody.here():
            assert mill.ingest().counts == {"deferred": 1}
    finally:
        path.chmod(0o600)
    assert mill.one("SELECT count(*) FROM v_documents") == 1
    mill.ingest()
    assert mill.rows("SELECT uri, status, is_current FROM files") == [
        {"uri": "a.txt", "status": "ingested", "is_current": True}
    ]
    assert mill.problems(deep=True) == []


def test_a_deferred_file_that_is_deleted_is_not_waited_for(
    new_mill: Any, write_news: Callable[[int], str], somebody: Somebody
) -> None:
    mill = new_mill("leaving")
    mill.put("good.txt", write_news(1))
    path = Path(os.fsdecode(mill.put("secret.txt", write_news(2))))
    path.chmod(0)
    with somebody.here():
        assert mill.ingest().counts["deferred"] == 1
    path.unlink()
    mill.ingest()
    assert mill.cli("status", "--format", "json").json()["paths"]["deferred"] == 0
    assert mill.problems(deep=True) == []


def test_a_folder_that_cannot_be_listed_is_no_reason_to_forget_what_was_in_it(
    new_mill: Any, write_news: Callable[[int], str], somebody: Somebody
) -> None:
    mill = new_mill("shut")
    folder = Path(os.fsdecode(mill.put("sub/a.txt", write_news(1)))).parent
    mill.ingest()
    folder.chmod(0)
    try:
        with somebody.here():
            assert mill.ingest().counts == {"deferred": 1}
        assert mill.one("SELECT count(*) FROM v_documents") == 1
    finally:
        folder.chmod(0o700)
    assert mill.ingest().counts == {"unchanged": 1}
    assert mill.cli("status", "--format", "json").json()["paths"]["deferred"] == 0
    assert mill.problems(deep=True) == []


def test_inspect_refuses_what_is_no_file_without_hanging(zoo: Any) -> None:
    mill, _ = zoo
    for name in ("pipe.txt", "socket.txt", "sub", "absent.txt"):
        # One in a process of its own, which can be ended if it hangs.
        answer = (
            mill.newsmill("inspect", mill.raw / name, seconds=60)
            if name == "pipe.txt"
            else mill.cli("inspect", mill.raw / name)
        )
        assert answer.code == 2, answer
        assert len(answer.err.splitlines()) == 1
        assert name in answer.err


def test_a_pipe_that_is_named_does_not_hang(mill: Any) -> None:
    os.mkfifo(mill.raw / "pipe.txt")
    answer = mill.newsmill("ingest", "--direct", mill.raw / "pipe.txt", "--format", "json", seconds=60)
    assert answer.code == 0, answer.err
    assert answer.json()["reasons"] == {"not_regular": 1}


def test_a_symlink_that_is_named_is_followed_to_its_file(mill: Any, write_news: Callable[[int], str]) -> None:
    target = mill.put("there/a.txt", write_news(1))
    os.symlink(target, mill.raw / "link.txt")
    assert mill.ingest(mill.raw / "link.txt").counts["ingested"] == 1
    assert mill.column("SELECT uri FROM documents") == ["a.txt"]


def test_a_hidden_folder_is_ignored_as_a_hidden_file_is(mill: Any, write_news: Callable[[int], str]) -> None:
    """`rsync --partial-dir` keeps half-written files in one, under their final names."""
    mill.put("good.txt", write_news(1))
    mill.put(".rsync-partial/half.txt", write_news(2))
    mill.put("sub/.git/objects/a.txt", write_news(3))
    outcome = mill.ingest()
    assert outcome.counts["ingested"] == 1
    assert outcome.counts["ignored"] >= 2
    assert mill.column("SELECT uri FROM files") == ["good.txt"]


@pytest.mark.parametrize("paths", [("", ""), ("", "sub"), ("sub", ""), ("sub/a.txt", "sub", "sub/a.txt", "")])
def test_paths_that_overlap_find_each_file_once(
    mill: Any, write_news: Callable[[int], str], paths: tuple[str, ...]
) -> None:
    mill.put("sub/a.txt", write_news(1))
    mill.put("b.txt", write_news(2))
    named = [mill.raw / path for path in paths]
    assert mill.ingest(*named).counts["ingested"] == 2
    assert mill.column("SELECT status FROM files") == ["ingested", "ingested"]
    assert mill.problems(deep=True) == []
    assert mill.ingest(*named).counts == {"unchanged": 2}


def test_a_folder_above_a_known_one_is_the_same_files(mill: Any, write_news: Callable[[int], str]) -> None:
    mill.put("sub/a.txt", write_news(1))
    mill.ingest(mill.raw / "sub")
    assert mill.ingest().counts == {"unchanged": 1}
    mill.put("sub/a.txt", write_news(2))
    mill.ingest()
    assert mill.one("SELECT count(*) FROM v_documents") == 1, (
        "one file has one current content, wherever it is found from"
    )
    assert mill.problems(deep=True) == []


def test_a_home_with_an_odd_name(mill: Any, write_news: Callable[[int], str]) -> None:
    mill.put("a.txt", write_news(1))
    for name in ("100%41", "q'u\"o te [1]*", "a;b&c=d", ":memory:", "\N{NEWSPAPER}", "-home"):
        odd = type(mill)(home=mill.home.parent / name, raw=mill.raw)
        odd.ingest()
        assert odd.one("SELECT count(*) FROM documents") == 1
        assert odd.problems(deep=True) == [], name
        assert (mill.home.parent / name / "warehouse.duckdb").exists()
    assert sorted(path.name for path in mill.home.parent.iterdir()) == sorted(
        ["raw", "100%41", "q'u\"o te [1]*", "a;b&c=d", ":memory:", "\N{NEWSPAPER}", "-home"]
    )


@pytest.mark.parametrize("name", ["we?ird", "new\nline", "ho\udcffme"])
def test_a_home_that_no_database_can_have_is_refused(mill: Any, name: str) -> None:
    odd = type(mill)(home=mill.home.parent / name, raw=mill.raw)
    answer = odd.cli("ingest", "--direct", str(mill.raw))
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    assert sorted(path.name for path in mill.home.parent.iterdir()) == ["raw"]


def test_a_source_that_is_no_text_is_a_matter_of_usage(mill: Any, write_news: Callable[[int], str]) -> None:
    mill.put("a.txt", write_news(1))
    answer = mill.newsmill("ingest", "--direct", "--source", b"x\xff", mill.raw)
    assert answer.code == 2, answer
    assert len(answer.err.splitlines()) == 1
    assert not (mill.home / "lake").exists()


def test_nothing_in_the_folder_that_it_is_started_in_is_run(
    mill: Any, write_news: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever unpacks foreign files and works among them runs none: not in the command, its server or its workers."""
    mark = mill.home.parent / "was run"
    for name in ("random.py", "uvicorn.py", "pyarrow.py", "tasks.py"):
        (mill.raw.parent / name).write_text(f"open({str(mark)!r}, 'a').write(__name__)")
    (mill.raw / "a.txt").write_text(write_news(1))
    monkeypatch.chdir(mill.raw.parent)
    answer = mill.under_prefect("ingest", mill.raw)
    assert answer.code == 0, answer.err
    assert not mark.exists()
