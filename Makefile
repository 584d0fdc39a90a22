# `make export` and `make test` are the two commands of the README; both set everything up first.
.DEFAULT_GOAL := help
SHELL := /bin/bash

VENV ?= .venv
BUILD ?= build
UV_VERSION := 0.13.9
# The newest Python the pinned packages have wheels for; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.10 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null \
	&& echo $$p && break; done)
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup export verify test test-slow apk android-check android-assets ios-check lint types lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(READY) ## Create the environment from pinned versions

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.10, 3.11 or 3.12 found; install one or set PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON) (about 6 GB on Linux, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@UV_HTTP_TIMEOUT=600 $(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

export: $(READY) ## Export the shipped checkpoint to three runtimes, verify, write build/report.html
	$(BIN)/igf export --build $(BUILD)

verify: $(READY) ## Run every artifact of build/ again and hold it to its gates
	$(BIN)/igf verify --build $(BUILD)

test: $(READY) ## The whole fast suite
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --cov=igf_mobile --cov-report=term:skip-covered

test-slow: $(READY) ## The checks that take minutes each
	$(BIN)/python -m pytest -m slow

apk: $(READY) ## Build the signed Android app of $(BUILD) and check it (installs Debian packages when root)
	$(BIN)/python android_demo/tools/build.py apk --build $(BUILD)

android-check: $(READY) ## The Android core's tests, the APK, its checks, and the checks' own tests
	$(BIN)/python android_demo/tools/build.py check --build $(BUILD)
	$(BIN)/python -m pytest -m "apk or not slow" tests/android

android-assets: $(READY) ## What Android Studio needs of $(BUILD)
	$(BIN)/python android_demo/tools/build.py assets --build $(BUILD)

lint: $(READY) ## Style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Strict type check
	$(BIN)/mypy

ios-check: ## Check ios_demo without a Mac: Swift from PATH, or Debian's in a cache folder
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) ios_demo/tools/ios_check.py

lock: $(READY) ## Resolve the versions again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --extra dev --extra data --extra peers \
		--no-emit-index-url --no-header pyproject.toml -o requirements.lock

clean: ## Remove build/ and caches, keep the environment
	rm -rf $(BUILD) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
