"""What a watcher counts and measures, for Prometheus.

Belongs here: the metrics and the port where they are read.  Does not belong here: the dashboard, which names exactly
these (``deploy/grafana.json``), what a run does (``flows.run``).
"""

from collections import deque

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from flows.summary import Outcome, Progress
from warehouse import queries
from warehouse.clock import now_us
from warehouse.errors import ConfigError
from warehouse.layout import Home
from warehouse.records import Receipt
from warehouse.vocabulary import FileStatus

_REJECTS = "SELECT reason, count(*) AS count FROM rejects WHERE run_id = $run_id GROUP BY reason"
# Half a second of settling is in every lag; a batch of 8 MB takes seconds.
_LAG = (0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 3600)
_BATCH = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics(Progress):
    """The metrics of one process; a run reports to it what it commits and publishes."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.files = Counter(
            "newsmill_files", "Files that runs dealt with, by what became of them", ["status"], registry=registry
        )
        self.documents = Counter("newsmill_documents", "Documents committed", registry=registry)
        self.rejects = Counter("newsmill_rejects", "Files and records refused", ["reason"], registry=registry)
        self.runs = Counter("newsmill_runs", "Runs by how they ended", ["status"], registry=registry)
        self.batch_seconds = Histogram(
            "newsmill_batch_seconds", "Seconds of work on one batch", buckets=_BATCH, registry=registry
        )
        self.lag_seconds = Histogram(
            "newsmill_lag_seconds",
            "Seconds from a file's last change, or its coming in, until its documents can be queried",
            buckets=_LAG,
            registry=registry,
        )
        self.pending = Gauge("newsmill_pending_files", "Files seen that no run has taken yet", registry=registry)
        self.last_success = Gauge(
            "newsmill_last_success_timestamp_seconds", "When the last run ended without a failure", registry=registry
        )
        # Of each commit that nobody can query yet its number, and since when its files lay ready.
        self._committed: deque[tuple[int, list[int]]] = deque()

    def committed(self, receipt: Receipt, commit_no: int) -> None:
        """Take the seconds of a batch, and the moments since when its files lay ready."""
        self.batch_seconds.observe(sum(receipt.timings.values()))
        ready = [
            # What was moved in keeps the time of its last change; the other one is that of the move.
            max(sighting.stamp.mtime_ns, sighting.stamp.ctime_ns)
            for sighting in receipt.sightings
            if sighting.status == FileStatus.INGESTED
        ]
        self._committed.append((commit_no, ready))

    def published(self, commit_no: int) -> None:
        """Now what was committed up to there can be queried."""
        now = now_us() * 1000
        while self._committed and self._committed[0][0] <= commit_no:
            for since in self._committed.popleft()[1]:
                self.lag_seconds.observe(max(0, now - since) / 1e9)

    def ended(self, home: Home, outcome: Outcome) -> None:
        """Count what a run did."""
        counts = outcome.counts
        for status in FileStatus:
            self.files.labels(status.value).inc(counts.get(status, 0))
        self.documents.inc(counts.get("documents", 0))
        self.runs.labels("failed" if outcome.failures else "completed").inc()
        if not outcome.failures:
            self.last_success.set(now_us() / 1e6)
        if outcome.published and (counts.get("rejected") or counts.get("record_rejects")):
            for row in queries.rows(home, _REJECTS, {"run_id": outcome.run_id}):
                self.rejects.labels(row["reason"]).inc(row["count"])


def serve(metrics: Metrics, port: int, host: str) -> int:
    """Let Prometheus read the metrics at a port (0 for any free one) until this process ends; the port."""
    try:
        listening, _ = start_http_server(port, addr=host, registry=metrics.registry)
    except OSError as error:
        raise ConfigError(f"--metrics-port {port}: {error.strerror or error}; name another") from error
    return int(listening.server_port)
