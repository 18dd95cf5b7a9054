"""Every path in the home.

Belongs here: names of folders and files below the home.  Does not belong here: creating or reading them.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """One home: the inbox, the truth (lake and ledger) and its projection (versions and warehouse).

    >>> Home(Path("data")).part("documents", "ab.parquet").as_posix()
    'data/lake/documents/ab.parquet'
    """

    path: Path

    @property
    def inbox(self) -> Path:
        """Where files arrive, one folder a source."""
        return self.path / "inbox"

    @property
    def lake(self) -> Path:
        """Parquet parts, one folder a kind of part."""
        return self.path / "lake"

    @property
    def ledger(self) -> Path:
        """The SQLite ledger, where no other is named by URL."""
        return self.path / "ledger.sqlite"

    @property
    def tombstones(self) -> Path:
        """A copy of the ledger's tombstones, for the day when the ledger is lost."""
        return self.path / "ledger.tombstones"

    @property
    def versions(self) -> Path:
        """Published snapshots."""
        return self.path / "versions"

    @property
    def warehouse(self) -> Path:
        """The symlink to the newest snapshot: what analysts open."""
        return self.path / "warehouse.duckdb"

    @property
    def indexes(self) -> Path:
        """Full-text indexes."""
        return self.path / "search"

    @property
    def search(self) -> Path:
        """The symlink to the newest full-text index."""
        return self.path / "search.duckdb"

    @property
    def locks(self) -> Path:
        """Lock files; their content means nothing."""
        return self.path / "locks"

    @property
    def prefect(self) -> Path:
        """State of a Prefect server that newsmill starts itself."""
        return self.path / "prefect"

    @property
    def password(self) -> Path:
        """What the Prefect server of ``newsmill up`` asks for, readable by the owner alone."""
        return self.prefect / "password"

    @property
    def up(self) -> Path:
        """What ``newsmill up`` remembers, and the logs of what it runs."""
        return self.path / "up"

    def part(self, kind: str, name: str) -> Path:
        """Path of one part, by the kind of part and its content-addressed name."""
        return self.lake / kind / name

    def lock(self, name: str) -> Path:
        """Path of one lock file."""
        return self.locks / f"{name}.lock"

    def has_data(self) -> bool:
        """Whether parts or snapshots stand here, so that a ledger must, too."""
        return any(
            entry.name.endswith((".parquet", ".duckdb"))
            for folder in (self.versions, *(self.lake.iterdir() if self.lake.is_dir() else ()))
            if folder.is_dir()
            for entry in os.scandir(folder)
        )
