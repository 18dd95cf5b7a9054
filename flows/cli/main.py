"""The entry point: finds the command, and turns every expected error into one line and an exit code.

Belongs here: exit codes 0 done, 1 failed, 2 usage.  Does not belong here: commands.
"""

import gc
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from importlib import metadata

from cyclopts import App, CycloptsError, Parameter

from flows.cli import COMMANDS
from warehouse.errors import ConfigError, NewsmillError

# Enough for a server that answers; all that counts is committed long before.
_LAST_SECONDS = 3.0

HELP = """Turns folders of raw news files into a DuckDB warehouse that anyone can query at any moment.

Begin with `newsmill ingest PATH`, then ask: `newsmill sql "FROM v_languages"`.
"""


def application(chosen: str | None = None) -> App:
    """The command line with every command, none of them imported yet.

    The command that was ``chosen`` shows its own docstring; the others the line in COMMANDS, which needs no import.
    """
    app = App(
        name="newsmill",
        version=lambda: metadata.version("newsmill"),
        help=HELP,
        help_format="markdown",
        default_parameter=Parameter(negative=()),
        print_error=False,
        exit_on_error=False,
    )
    for name, (where, line) in COMMANDS.items():
        app.command(where, name=name, help=None if name == chosen else line)
    return app


def _complain(message: str) -> None:
    line = " ".join(message.split())
    sys.stderr.write("newsmill: " + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line) + "\n")


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    app = application(next(iter(arguments), None))
    try:
        code = app(list(arguments), result_action="return_value")
    except CycloptsError as error:
        _complain(f"{error}; see `newsmill {' '.join(error.command_chain or ())} --help`".replace("  ", " "))
        return 2
    except NewsmillError as error:
        if "--debug" in arguments:
            raise
        _complain(str(error))
        return 2 if isinstance(error, ConfigError) else 1
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is still buffered must not complain at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if "--debug" in arguments:
            raise
        _complain(f"{error}; nothing that was committed is lost, run the command again when that is mended")
        return 1
    except Exception as error:
        # The last net: whatever a library raises is one line, too; what is wrong in newsmill shows with --debug.
        if "--debug" in arguments:
            raise
        _complain(f"unexpected {type(error).__name__}: {error}; run the command again with --debug for all of it")
        return 1
    except KeyboardInterrupt:
        _complain("stopped; what was committed stays, the next ingest goes on from there")
        return 130
    return code if isinstance(code, int) else 0


def _stop(number: int, _frame: object) -> None:
    # As Ctrl-C does, so that whatever was started is stopped and the run is recorded as failed.
    sys.exit(128 + number)


def _end_within(seconds: float, code: int) -> None:
    """End this process in time, whatever still wants to be done behind the last line of the command.

    At its end Prefect sends what is left of its own events, and if the server is gone it tries for seconds with each.
    """

    def end() -> None:
        time.sleep(seconds)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    threading.Thread(target=end, daemon=True).start()


def main() -> None:
    """What the console script calls."""
    # A pipe or file gets UTF-8 whatever the locale says, a terminal never an error for a letter that it lacks.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace", encoding=None if stream.isatty() else "utf-8")
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    code: str | int | None = 1
    try:
        code = run(sys.argv[1:])
    except SystemExit as stopped:
        code = 0 if stopped.code is None else stopped.code
    finally:
        if "prefect" in sys.modules:
            _end_within(_LAST_SECONDS, code if isinstance(code, int) else 1)
    # The interpreter would look through all modules for cycles before it goes: 0.2 s of what it took to import them.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
