# `make run` sets up what is missing and starts the gateway; `make help` lists the rest.
# Everything that needs more than one line lives in .ci/ as a small shell script.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV_PYTHON := .venv/bin/python
PYTEST := $(VENV_PYTHON) -m pytest
ARGS ?=
ONLY ?=
# as many tests at once as there are cores; ARGS=-n0 and ARGS='-p no:xdist' run them in one process
SHARED := $(if $(findstring no:xdist,$(ARGS)),,-n logical --maxprocesses 4 --dist loadfile)

.PHONY: help run demo test check format docs bench lock powercut fuzz clean

help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

run: ## set up what is missing and start the gateway (Ctrl-C stops it)
	@.ci/setup mosquitto gateway
	@exec .ci/start

demo: ## the main job on real input: a git push reaches two running units
	@.ci/setup mosquitto gateway micropython
	@exec $(VENV_PYTHON) -m tests.demo $(ARGS)

test: ## install what the tests need and run them all (ARGS='-k name' for some)
	@.ci/setup mosquitto postgresql redis dev micropython
	@exec $(PYTEST) $(SHARED) $(ARGS)

check: ## formatting, lint, types, import rules
	@.ci/setup dev stubs
	@.ci/check

format: ## format the sources and apply the safe fixes
	@.ci/setup dev
	@$(VENV_PYTHON) -m ruff format .
	@$(VENV_PYTHON) -m ruff check --fix-only .

docs: ## write the page that is made of the access table
	@.ci/setup dev
	@$(VENV_PYTHON) -m tests.support.access docs/access.md

bench: ## the benchmarks, one line per figure (ONLY=name for one)
	@.ci/setup mosquitto postgresql redis gateway micropython
	@exec $(VENV_PYTHON) -m tests.benchmarks $(ONLY)

powercut: ## power cuts at every write of an update, on a real littlefs
	@.ci/setup mosquitto dev micropython
	@PEPEUNIT_POWERCUT=full exec $(PYTEST) tests/powercut -o timeout=1800 $(ARGS)

fuzz: ## the property tests and the whole REST document with many more examples
	@.ci/setup mosquitto postgresql redis dev micropython
	@PU_TEST_EXAMPLES=$${PU_TEST_EXAMPLES:-5000} exec $(PYTEST) tests/property tests/fuzz $(SHARED) -o timeout=1800 $(ARGS)

lock: ## resolve the dependencies anew and write the lock files
	@.ci/lock

clean: ## remove environments and caches (never data/)
	@rm -rf .venv .venv-mpy .venv.lock build dist typings .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +
