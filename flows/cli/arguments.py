"""What every command takes: home, format, debug.

Belongs here: shared arguments and loading the settings from them.  Does not belong here: arguments of one command.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flows.settings import Loaded, Settings, load
from warehouse.errors import ConfigError


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Arguments of every command."""

    home: Annotated[Path | None, Parameter(help="Folder of inbox, lake, ledger and warehouse; default ./data.")] = None
    set: Annotated[
        tuple[str, ...],
        Parameter(name="--set", help="Any setting as name=value; see `newsmill settings`.", show_default=False),
    ] = ()
    debug: Annotated[bool, Parameter(help="Show the traceback of an error.")] = False

    def flags(self) -> dict[str, Any]:
        """The settings that were given as flags."""
        pairs = [word.partition("=") for word in self.set]
        for name, sign, _ in pairs:
            if not sign:
                raise ConfigError(f"--set takes name=value, not {name!r}")
        if any(name.replace("-", "_") == "ledger_url" for name, *_ in pairs):
            raise ConfigError("ledger_url may hold a password: set it in NEWSMILL_LEDGER_URL or newsmill.toml")
        given: dict[str, Any] = {name.replace("-", "_"): value for name, _, value in pairs}
        if self.home is not None:
            given["home"] = str(self.home)
        return given

    def load(self) -> Loaded:
        """The effective settings and their origins."""
        return load(self.flags())

    @property
    def settings(self) -> Settings:
        """The effective settings."""
        return self.load().settings


DEFAULT = Common()
Format = Annotated[Literal["table", "json"], Parameter(help="How to show the result.")]
