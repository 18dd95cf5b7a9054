# Every target sets up what it needs in .venv; a machine with Python 3.11, make and a C library is enough.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# langdetect is published as source only; it is pure Python and built with the pinned setuptools of build.txt.
PINNED := --require-hashes --no-deps --only-binary :all: --no-binary langdetect --no-build-isolation
INPUT ?= seeds/raw
SECONDS ?= 600
NEWSMILL := $(BIN)/newsmill

.DEFAULT_GOAL := help
.PHONY: help ingest test test-long eval fuzz check format docs lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

ingest: .venv/core.done ## ingest INPUT (default: the samples) and show what came of it
	$(NEWSMILL) ingest $(INPUT)
	$(NEWSMILL) sql "SELECT language, month, sum(documents) AS documents, sum(words) AS words FROM v_documents_monthly GROUP BY ALL ORDER BY ALL"

test: .venv/dev.done ## the tests, below ten minutes on two cores
	$(BIN)/python -m pytest

test-long: .venv/dev.done ## the long campaigns: crash points, hostile input
	$(BIN)/python -m pytest -m long

eval: .venv/dev.done ## what the text core promises, measured: one table
	$(BIN)/python -m benchmarks.evaluate

fuzz: .venv/fuzz.done ## fuzz the text core, SECONDS (default 600) a target
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS)

check: .venv/dev.done ## formatting, lint, types, import contracts, doctests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q --doctest-modules --ignore=warehouse/ledger/migrations flows tasks warehouse

format: .venv/dev.done ## apply the formatter and the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/core.done ## renew docs/formats.md from the code
	$(BIN)/python -m docs.formats

lock: ## renew requirements/*.txt from pyproject.toml
	$(PYTHON) requirements/lock.py

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

.venv/fuzz.done: .venv/dev.done requirements/fuzz.txt
	$(PIP) install $(PINNED) -r requirements/fuzz.txt
	@touch $@
