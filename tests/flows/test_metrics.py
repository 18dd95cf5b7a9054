"""Metrics: what a watcher tells Prometheus, and the dashboard that shows it."""

import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows import run
from flows.metrics import Metrics, serve
from flows.watch import WatchOptions, direct_runs, watch
from tasks import direct
from warehouse.errors import ConfigError

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana.json"


def told(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name with its labels."""
    return {
        sample.name + "".join(f",{value}" for value in sample.labels.values()): sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
    }


def names(metrics: Metrics) -> set[str]:
    """The names as Prometheus stores them, without what it adds to a histogram."""
    endings = {"counter": "_total", "gauge": "", "histogram": ""}
    return {metric.name + endings[metric.type] for metric in metrics.registry.collect()}


def test_a_run_is_counted_and_measured(mill: Any) -> None:
    mill.fill(3)
    mill.put("copy.txt", (mill.raw / "0000.txt").read_bytes())
    mill.put("empty.txt", "")
    mill.put("rows.jsonl", '{"text": "Der Rat der Stadt tagte am Abend."}\n{"text": \n')
    metrics = Metrics()
    settings = mill.settings(workers=0)
    before = time.time()
    outcome = run.ingest(settings, direct, [bytes(mill.raw)], progress=metrics)
    metrics.ended(settings.layout, outcome)
    found = told(metrics)
    assert found["newsmill_files_total,ingested"] == outcome.counts["ingested"] == 4
    assert found["newsmill_files_total,duplicate"] == 1
    assert found["newsmill_files_total,rejected"] == 1
    assert found["newsmill_documents_total"] == mill.one("SELECT count(*) FROM documents") == 4
    refused = {row["reason"]: row["n"] for row in mill.rows("SELECT reason, count(*) AS n FROM rejects GROUP BY ALL")}
    assert len(refused) == 2
    assert {name: found[f"newsmill_rejects_total,{name}"] for name in refused} == refused
    assert found["newsmill_runs_total,completed"] == 1
    assert found["newsmill_batch_seconds_count"] >= 1
    assert 0 < found["newsmill_batch_seconds_sum"] < 120
    assert found["newsmill_lag_seconds_count"] == 4
    assert 0 < found["newsmill_lag_seconds_sum"] < 4 * 120
    assert before <= found["newsmill_last_success_timestamp_seconds"] <= time.time()
    again = run.ingest(settings, direct, [bytes(mill.raw)], progress=metrics)
    metrics.ended(settings.layout, again)
    later = told(metrics)
    assert later["newsmill_runs_total,completed"] == 2
    for name in (
        "newsmill_documents_total",
        "newsmill_lag_seconds_count",
        *(f"newsmill_rejects_total,{r}" for r in refused),
    ):
        assert later[name] == found[name]


def test_a_failed_run_is_no_success() -> None:
    from flows.summary import Outcome

    metrics = Metrics()
    metrics.ended(Path("nowhere"), Outcome("r", failures=["batch 0 (1 files): the disk is full"]))  # type: ignore[arg-type]
    found = told(metrics)
    assert found["newsmill_runs_total,failed"] == 1
    assert found["newsmill_last_success_timestamp_seconds"] == 0


def test_waiting_files_are_pending_until_a_run_takes_them(mill: Any, write_news: Any) -> None:
    (mill.home / "inbox" / "a").mkdir(parents=True)
    for number in range(4):
        (mill.home / "inbox" / "a" / f"{number}.txt").write_text(write_news(number))
    metrics, seen, over = Metrics(), list[float](), threading.Event()
    options = WatchOptions(settle_seconds=1.0, sweep_seconds=600)
    settings = mill.settings(workers=0)

    def look(waiting: int) -> None:
        metrics.pending.set(waiting)
        seen.append(told(metrics)["newsmill_pending_files"])
        if seen[-1] == 0 and 4 in seen:
            over.set()

    watch(settings, direct_runs(settings, options, metrics), options, on_look=look, is_over=over.is_set)
    assert seen[0] == 4
    assert seen[-1] == 0


def test_prometheus_reads_it_on_the_loopback_interface_only() -> None:
    metrics = Metrics()
    port = serve(metrics, 0, "127.0.0.1")
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert {
        line.split()[2] for line in text.splitlines() if line.startswith("# TYPE") and "_created" not in line
    } == names(metrics)
    with pytest.raises(ConfigError, match="name another"):
        serve(Metrics(), port, "127.0.0.1")
    with socket.socket() as elsewhere:
        elsewhere.settimeout(5)
        with pytest.raises(OSError):
            elsewhere.connect(("127.0.0.2", port))


def test_the_dashboard_names_every_metric_and_no_other() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name.removesuffix("_bucket") for text in expressions for name in re.findall(r"newsmill_\w+", text)}
    assert named == names(Metrics())
    labels = {(name, label) for text in expressions for name, label in re.findall(r"(newsmill_\w+)\{(\w+)=", text)}
    assert labels == {("newsmill_runs_total", "status")}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
