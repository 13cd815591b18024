# Causeway's commands. `make lab` and `make test` set up what they need; both work on a fresh Debian machine.
SHELL := /usr/bin/env bash
PYTHON := .venv/bin/python

.PHONY: help setup lab down test check unit kernel e2e pair drill-figures bench lock schema clean

help: ## Show this list
	@grep -hE '^[a-z0-9_-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: ## Install what a fresh Debian machine lacks: Debian packages, .venv
	@tools/setup.sh

lab: setup ## Bring the reference network up on this machine, check the path, draw it
	@$(PYTHON) -m lab up

down: ## Take the lab down; leaves nothing behind
	@$(PYTHON) -m lab down

test: check e2e ## Everything: checks, unit tests, end to end in the lab

check: setup ## Format, lint, types, shellcheck, unit tests; a minute and a half when warm
	@tools/check.sh

unit: setup ## The fast tests alone
	@$(PYTHON) -m pytest -q -n auto --dist worksteal -m "not lab and not slow" tests/unit tests/hostscripts

kernel: setup ## The host scripts on this machine's kernel, in namespaces of their own (three minutes)
	@$(PYTHON) -m pytest -q -n 4 --dist worksteal -m slow tests/hostscripts

e2e: setup ## The tests with real guests, and then three drills
	@tools/e2e.sh

pair: setup ## Every drill and change of two proxies of real guests (two hours; nothing else should run on the machine)
	@tools/pair.sh

drill-figures: setup ## Twenty runs each of failovers and a switch, on a pair of its own; writes build/drill-figures.json (hours)
	@tools/drill_figures.sh

bench: setup ## Measure speed and memory; prints a table, writes build/bench.json
	@$(PYTHON) -m ops bench

schema: ## Write stacks/schema.json anew from the settings
	@$(PYTHON) -m components.schema

lock: ## Resolve requirements.lock anew from pyproject.toml
	@$(PYTHON) -m pip install -q uv && .venv/bin/uv pip compile -q --universal --all-extras --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 pyproject.toml -o requirements.lock

clean: ## Remove what was built inside the repository
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
