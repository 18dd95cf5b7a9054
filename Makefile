# Every target sets up what it needs in .venv; a machine with Python 3.11, make and a C library is enough.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# langdetect is published as source only; it is pure Python and built with the pinned setuptools of build.txt.
PINNED := --require-hashes --no-deps --only-binary :all: --no-binary langdetect --no-build-isolation
INPUT ?= seeds/raw
# What of the warehouse talks to DuckDB.
ON_DUCKDB := apply ddl export loader projection queries snapshots verify
SECONDS ?= 600
# A module's tests share a process; the order of the folders stays, in which the long ones come first.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
NEWSMILL := $(BIN)/newsmill
PEERS := naive datatrove dlt dask
# What bench and bench-peers found; git ignores it.
MEASURED := data/benchmarks

.DEFAULT_GOAL := help
.PHONY: help ingest test test-faults test-long test-duckdb2 eval fuzz bench bench-peers bench-page check format docs lock sbom audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

ingest: .venv/core.done ## ingest INPUT (default: the samples) and show what came of it
	$(NEWSMILL) ingest $(INPUT)
	$(NEWSMILL) sql "SELECT language, month, sum(documents) AS documents, sum(words) AS words FROM v_documents_monthly GROUP BY ALL ORDER BY ALL"

test: .venv/dev.done ## the tests, below ten minutes on two cores
	$(BIN)/python -m pytest $(PARALLEL)

test-faults: .venv/dev.done ## campaigns of crashes and errors: every step of an ingest, replay and compaction
	$(BIN)/python -m pytest -m faults --numprocesses auto --maxprocesses 4 --dist load

test-long: .venv/dev.done ## the long campaigns: crash points, hostile input, fuzzing
	@# Without atheris, which has no wheel for every Python, inputs are made by chance.
	-$(MAKE) .venv/fuzz.done
	$(BIN)/python -m pytest -m long

test-duckdb2: .venv/duckdb2/done ## the tests of warehouse and SQL on DuckDB 2
	.venv/duckdb2/bin/python -m pytest -q tests/sql tests/flows/test_sql.py $(patsubst %,tests/unit/test_warehouse_%.py,$(ON_DUCKDB))

eval: .venv/dev.done ## what the text core promises, measured: one table
	$(BIN)/python -m benchmarks.evaluate

fuzz: .venv/fuzz.done ## fuzz the text core, SECONDS (default 600) a target
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS)

bench: .venv/dev.done ## newsmill beside itself: growth, memory, no-op, sizes, start
	$(BIN)/python -m benchmarks.compare prefect noop scale size start --tracked --json $(MEASURED)/bench.json

bench-peers: .venv/dev.done $(PEERS:%=.venv-peers/%.done) ## newsmill beside its peers, each in its own environment
	$(BIN)/python -m benchmarks.compare peers --tracked --json $(MEASURED)/bench-peers.json

bench-page: .venv/dev.done ## put what bench and bench-peers found into docs/performance.md
	$(BIN)/python -m benchmarks.report $(MEASURED)/bench-peers.json $(MEASURED)/bench.json --page docs/performance.md

check: .venv/dev.done ## formatting, lint, types, import contracts, doctests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q --doctest-modules --ignore=warehouse/ledger/migrations flows tasks warehouse

format: .venv/dev.done ## apply the formatter and the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/core.done ## renew the pages that are made from the code: formats, data dictionary
	$(BIN)/python -m docs.formats
	$(BIN)/python -m docs.dictionary

lock: ## renew requirements/*.txt from pyproject.toml
	$(PYTHON) requirements/lock.py

sbom: ## write newsmill.cdx.json: every package of the locks, with hashes (CycloneDX)
	$(PYTHON) requirements/sbom.py > newsmill.cdx.json

audit: .venv/dev.done ## hold the locks against ADVISORIES, a folder or zip of known holes in the OSV format
	$(BIN)/python requirements/audit.py $(ADVISORIES)

clean: ## remove the environment and caches; data/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.venv/made:
	$(PYTHON) -m venv .venv
	@touch $@

.venv/core.done: .venv/made requirements/build.txt requirements/core.txt pyproject.toml
	$(PIP) install --require-hashes --no-deps --only-binary :all: -r requirements/build.txt
	$(PIP) install $(PINNED) -r requirements/core.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.done: .venv/core.done requirements/dev.txt
	$(PIP) install $(PINNED) -r requirements/dev.txt
	@touch $@

# An environment on top of the other, in which only DuckDB is another one.
.venv/duckdb2/done: .venv/dev.done requirements/duckdb2.txt
	rm -rf .venv/duckdb2
	$(BIN)/python -m venv .venv/duckdb2
	.venv/duckdb2/bin/python -m pip --quiet --disable-pip-version-check --no-input install $(PINNED) -r requirements/duckdb2.txt
	$(BIN)/python -c 'import site; print(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")' \
	  > $$(.venv/duckdb2/bin/python -c 'import site; print(site.getsitepackages()[0])')/below.pth
	sed "1s|.*|#!$(CURDIR)/.venv/duckdb2/bin/python|" $(BIN)/newsmill > .venv/duckdb2/bin/newsmill
	chmod +x .venv/duckdb2/bin/newsmill
	@touch $@

.venv-peers/%.done: requirements/peer-%.txt
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/python -m pip --quiet --disable-pip-version-check --no-input install --require-hashes --no-deps -r $<
	@touch $@

.venv/fuzz.done: .venv/dev.done requirements/fuzz.txt
	$(PIP) install $(PINNED) -r requirements/fuzz.txt
	@touch $@
