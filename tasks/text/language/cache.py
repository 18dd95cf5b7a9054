"""Where tables and compiled code are kept between processes: built once, checked, shared.

Belongs here: the folder, its key, publishing whole or not at all, checksums.  Does not belong here: what is in the
tables.  A cache that cannot be written, read or trusted costs time, never an answer.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.text.native import Code, compiled, machine

if TYPE_CHECKING:
    from tasks.text.language.tables import Tables

_MANIFEST = "manifest.json"
# The compiled functions, by their field in Parts; the machine code of each lies beside it.
_CODE = {"replay": "kernel.ll", "scan": "scan.ll", "sentences": "sentences.ll"}
_MACHINE_CODE = ".o"


class Parts(NamedTuple):
    """All that the replay, py3langid and the looks at texts and at their sentences need."""

    languages: list[str]
    arrays: "Tables"
    replay: Code
    scan: Code
    sentences: Code


def is_built(root: Path | None, fingerprint: str) -> bool:
    """Whether someone has published the parts; they may still turn out damaged."""
    return root is not None and (_folder(root, fingerprint) / _MANIFEST).is_file()


def load(root: Path | None, fingerprint: str) -> Parts:
    """The parts from ``root``, built and kept there if they are missing or damaged; without root, built."""
    if root is None:
        return _build()
    folder = _folder(root, fingerprint)
    found = _read(folder)
    if found is not None:
        return found
    parts = None
    try:
        with _locked(root):
            found = _read(folder)  # another process may have built it while this one waited
            if found is not None:
                return found
            parts = _build()
            _publish(folder, parts)
    except OSError:  # no place to write, or none left: nothing is kept, and nothing else is lost
        return parts or _build()
    # Read back, so that processes share the pages of one file instead of each holding 45 MB.
    return _read(folder) or parts


def _folder(root: Path, fingerprint: str) -> Path:
    return root / f"language-{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}"


def _build() -> Parts:
    from tasks.text.language import kernel, second_opinion, tables
    from tasks.text.scan import kernel as scan_kernel
    from tasks.text.scan import marks
    from tasks.text.sentences import kernel as sentence_kernel
    from tasks.text.sentences import kinds

    languages, arrays = tables.build()
    arrays |= {"marks": marks.build(), "kinds": kinds.build(), **second_opinion.unpacked()}
    return Parts(
        languages,
        arrays,
        replay=compiled(kernel.replay, kernel.SIGNATURE),
        scan=compiled(scan_kernel.look, scan_kernel.SIGNATURE),
        sentences=compiled(sentence_kernel.look, sentence_kernel.SIGNATURE),
    )


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One builder at a time; a second waits and then finds the work done."""
    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root / "language.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _publish(folder: Path, parts: Parts) -> None:
    """Written beside its place, then renamed: no reader sees half of it."""
    import numpy as np

    for left in folder.parent.glob("draft-language-*"):  # whoever made it was killed: the lock is ours now
        shutil.rmtree(left, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-language-", dir=folder.parent))
    try:
        for name, array in parts.arrays.items():
            np.save(draft / f"{name}.npy", array, allow_pickle=False)
        codes = {name: getattr(parts, name) for name in _CODE}
        for name, code in codes.items():
            file = draft / _CODE[name]
            file.write_text(code.intermediate, encoding="utf-8")
            file.with_suffix(_MACHINE_CODE).write_bytes(code.machine_code)
        manifest = {
            "files": {path.name: _checksum(path) for path in sorted(draft.iterdir())},
            "languages": parts.languages,
            "symbols": {name: code.symbol for name, code in codes.items()},
            "machine": machine(),
        }
        (draft / _MANIFEST).write_text(json.dumps({**manifest, "sha256": _digest(manifest)}), encoding="utf-8")
        if folder.exists():  # damaged, or it would have been read; whoever has it mapped keeps it
            damaged = Path(tempfile.mkdtemp(prefix="draft-language-", dir=folder.parent))
            folder.rename(damaged / "damaged")
            shutil.rmtree(damaged, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _read(folder: Path) -> Parts | None:
    """The parts as published, mapped read-only; None if anything about them is not as it was written."""
    try:
        status = folder.stat()
        # It holds code: only a folder that nobody else could have filled is used.
        if status.st_uid not in {0, os.geteuid()} or status.st_mode & 0o022:
            return None
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest.pop("sha256") != _digest(manifest):
            return None
        names: dict[str, str] = manifest["files"]
        if any(_checksum(folder / name) != checksum for name, checksum in names.items()):
            return None
        import numpy as np

        arrays: Tables = {
            name.removesuffix(".npy"): np.load(folder / name, mmap_mode="r", allow_pickle=False)
            for name in names
            if name.endswith(".npy")
        }
        # A home may be shared by machines of several kinds: the others make their code from the LLVM form each time.
        is_ours = manifest["machine"] == machine()
        codes = {
            name: Code(
                (folder / file).read_text(encoding="utf-8"),
                str(manifest["symbols"][name]),
                (folder / file).with_suffix(_MACHINE_CODE).read_bytes() if is_ours else b"",
            )
            for name, file in _CODE.items()
        }
        return Parts(list(manifest["languages"]), arrays, **codes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(manifest: object) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
