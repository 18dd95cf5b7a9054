"""Running a flow, or a change of Prefect's database, from the command line under Prefect.

Belongs here: making Prefect ready before it is imported, and finding a server.  Does not belong here: the flows.
"""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows import password, processes, running, settings, stuck
from flows.cli.render import Bar
from flows.server import answers, refusal, shown, tell_at_last
from flows.settings import Settings
from flows.summary import Outcome, RunFailed
from warehouse.errors import TransientError

if TYPE_CHECKING:
    from tasks.template import Template


@contextlib.contextmanager
def _temporary() -> Iterator[None]:
    """Forget a server that does not answer, so that Prefect starts a temporary one.

    Its password is a person's own, or one that nobody keeps.
    """
    from prefect import settings as of

    given = of.get_current_settings().server.api.auth_string
    secret = (given and given.get_secret_value()) or password.new()
    closed = {
        of.PREFECT_SERVER_API_AUTH_STRING: secret,
        of.PREFECT_API_AUTH_STRING: secret,
        of.PREFECT_SERVER_CSRF_PROTECTION_ENABLED: True,
        # It has no pages.
        of.PREFECT_SERVER_CORS_ALLOWED_ORIGINS: "http://127.0.0.1",
        of.PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True,
    }
    with of.temporary_settings(closed, restore_defaults={of.PREFECT_API_URL}):
        yield


@contextlib.contextmanager
def _server(bar: Bar, hint: str) -> Iterator[None]:
    """The server that is configured, else a temporary one, which is said; it ends with this process."""
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is not None and answers(url):
        yield
        return
    words = "no Prefect server is configured" if url is None else f"the Prefect server at {shown(url)} does not answer"
    bar.console.print(f"{words}: starting a temporary one, which takes some seconds{hint}")
    from prefect.logging.handlers import APILogHandler
    from prefect.server.api.server import SubprocessASGIServer

    with _temporary():
        server = SubprocessASGIServer()
        try:
            server.start()
        except RuntimeError as error:
            server.stop()
            raise TransientError(
                f"the temporary Prefect server did not start in time; run the command again, or name a server in "
                f"PREFECT_API_URL{hint}"
            ) from error
        assert server.server_process is not None
        # Nobody could stop the server of a process that is killed alone: whoever reads of its end does.
        watcher = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r _ || kill {server.server_process.pid}"], stdin=subprocess.PIPE
        )
        try:
            yield
        finally:
            # What is still on its way to the server would complain that it is gone.
            APILogHandler().flush()
            server.stop()
            watcher.communicate(b"stopped\n")


@contextlib.contextmanager
def _without_heartbeat() -> Iterator[None]:
    """Run without heartbeats, unless a person has set their frequency.

    Their thread sleeps by the second, and the end of a run waits for it.  Of a run that was killed the next one tells.
    """
    from prefect import settings as of

    if "heartbeat_frequency" in of.get_current_settings().flows.model_fields_set:
        yield
        return
    with of.temporary_settings({of.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def _tell_of_killed(api_url: str | None) -> None:
    """Tell a server which runs on this machine were killed, as ``newsmill up`` tells its own."""
    import httpx

    if api_url is not None:
        # No run depends on it, and the next one asks again.
        with contextlib.suppress(httpx.HTTPError):
            stuck.mark(api_url)


def tracked(chosen: Settings, bar: Bar, call: Callable[[], Outcome], template: "Template | None" = None) -> Outcome:
    """Call a flow under Prefect: a person's own server, that of ``newsmill up`` where it runs, else a temporary one."""
    up = running.current(chosen.layout)
    settings.prepare_prefect(chosen.layout, up.api_url if up is not None and up.is_ready else None)
    password.find(chosen.layout)
    with _server(bar, " (--direct does without)"):
        import httpx
        from prefect import tags
        from prefect.settings import get_current_settings

        from flows.handed import HANDED, Handed

        handed = Handed(progress=bar, template=template)
        token = HANDED.set(handed)
        try:
            _tell_of_killed(get_current_settings().api.url)
            with _without_heartbeat(), tags(settings.TAG, processes.tag()):
                return call()
        except RunFailed as failed:
            return failed.outcome
        except httpx.HTTPError as error:
            if handed.outcome is None:
                if (refused := refusal(error, get_current_settings().api.url or "")) is not None:
                    raise refused from error
                raise TransientError(
                    "the Prefect server is gone; what was committed stays, run the command again for the rest"
                ) from error
            bar.console.print("the Prefect server is gone; the run came to its end all the same")
            return handed.outcome
        finally:
            HANDED.reset(token)
            tell_at_last(get_current_settings().api.url)


@dataclass(frozen=True, slots=True)
class Hidden:
    """How many of the artifacts on Prefect's pages were rid of texts, or why that could not be done."""

    artifacts: int = 0
    problem: str | None = None


def hide_examples(chosen: Settings, bar: Bar) -> Hidden:
    """Take the texts of contents out of what earlier runs left on Prefect's pages.

    On a person's own server, on that of ``newsmill up`` where it runs, else in the database that temporary servers and
    ``up`` have in the home.
    """
    up, is_own = running.current(chosen.layout), settings.has_own_prefect()
    has_database = (chosen.layout.prefect / "prefect.db").exists()
    if up is None and not is_own and not has_database:
        return Hidden()
    settings.prepare_prefect(chosen.layout, up.api_url if up is not None else None)
    password.find(chosen.layout)
    from prefect.settings import get_current_settings

    found = [_hide_examples(get_current_settings().api.url, bar)]
    if is_own and up is not None:
        found.append(_hide_examples(up.api_url, bar, password.kept(chosen.layout)))
    elif is_own and has_database:
        found.append(Hidden(problem="newsmill up, which has a database of its own in the home, does not run"))
    problems = [one.problem for one in found if one.problem is not None]
    return Hidden(sum(one.artifacts for one in found), "; ".join(problems) or None)


def _hide_examples(url: str | None, bar: Bar, secret: str | None = None) -> Hidden:
    """Do it on one server, with the password that is its own; without an address in the database of temporary ones."""
    import httpx
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, get_current_settings, temporary_settings

    from flows.retention import hide_examples
    from warehouse.clock import now_us

    if url is None and not (get_current_settings().home / "prefect.db").exists():
        return Hidden()
    if url is not None and not answers(url):
        return Hidden(problem=f"the Prefect server at {shown(url)} does not answer")
    try:
        named = {PREFECT_API_URL: url} | ({} if secret is None else {PREFECT_API_AUTH_STRING: secret})
        with _server(bar, "") if url is None else temporary_settings(named):
            return Hidden(hide_examples(now_us()))
    except httpx.HTTPError as error:
        return Hidden(problem=f"the Prefect server refused: {error!r}")
    except TransientError as error:
        return Hidden(problem=str(error))
