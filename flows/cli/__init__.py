"""The command line: one module a command, all listed in COMMANDS.

Belongs here: arguments, exit codes, and showing results.  Does not belong here: doing the work (``flows.run``,
``warehouse``).  Commands are import strings, so that ``newsmill sql`` does not pay for Prefect.
"""

# Name -> where it is, and the line that `newsmill --help` shows; a test holds the line equal to the docstring's first.
COMMANDS: dict[str, tuple[str, str]] = {
    "ingest": ("flows.cli.ingest:ingest", "Ingest everything new below PATHS, or in the inbox."),
    "watch": ("flows.cli.watch:watch", "Ingest files as they settle in the inbox, until it is stopped."),
    "up": (
        "flows.cli.up:up",
        "Run everything on this machine: Prefect's server and pages, the schedules, a worker, the watcher.",
    ),
    "down": ("flows.cli.up:down", "End the newsmill up of this home, and wait until it has ended."),
    "deploy": (
        "flows.cli.deploy:deploy",
        "Register the deployments on a Prefect server: ingest and maintain, with schedule and trigger.",
    ),
    "inspect": ("flows.cli.inspect:inspect", "What newsmill makes of files, without ingesting them."),
    "sql": ("flows.cli.sql:sql", "Ask the newest snapshot; reads the tables and nothing else."),
    "search": (
        "flows.cli.search:search",
        "Full-text search: the texts that fit some words best, in any of their forms.",
    ),
    "index": ("flows.cli.search:index", "Build the full-text index of the newest snapshot."),
    "status": ("flows.cli.status:status", "What is in the warehouse, what waits, and how the last runs ended."),
    "rejects": ("flows.cli.rejects:rejects", "What was refused, and why."),
    "replay": ("flows.cli.replay:replay", "Read files again: after a fix, by reason, or what an older version made."),
    "verify": ("flows.cli.verify:verify", "Prove that nothing is missing and nothing is double."),
    "rebuild": ("flows.cli.publish:rebuild", "Build the warehouse anew from parts and ledger, and publish it."),
    "publish": ("flows.cli.publish:publish", "Publish what is committed and not yet in a snapshot."),
    "export": (
        "flows.cli.export:export",
        "Write documents to a file for other tools: Parquet, JSON Lines, or a DuckDB file of their own.",
    ),
    "compact": ("flows.cli.compact:compact", "Merge small parts, and remove files that no commit needs."),
    "forget": (
        "flows.cli.forget:forget",
        "Take content down for good: out of the parts, every snapshot and the full-text index.",
    ),
    "settings": ("flows.cli.settings:settings", "Every setting, its value, and where that came from."),
}
