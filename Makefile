# Everything a newcomer needs, on a bare machine with Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo dev test lint types check bench format lock clean

help:
	@echo "make demo    sync a week of a simulated company into a simulated ServiceNow, and show the result"
	@echo "make dev     sandbox, Redis and the Dagster UI together; Ctrl-C stops them all"
	@echo "make test    the whole test suite"
	@echo "make check   format, lint, types and tests, as CI runs them"
	@echo "make bench   measure beside other clients (BENCH=write,adaptive,read,council); some minutes, on a quiet machine"

install: $(STAMP)

# `dev` extras come along so that one environment serves demo and tests; pins are in requirements.lock.
$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (set PYTHON=...)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing pinned dependencies into $(VENV) (once; about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[dev]"
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/nsn demo

dev: $(STAMP)
	@$(BIN)/nsn dev

# A module's tests stay on one worker, as they share what is costly to set up.
test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/basedpyright

check: lint types test

# The peers it measures beside come with an extra of their own; tests and demo do without.
BENCH_STAMP := $(VENV)/.installed-bench
$(BENCH_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[dev,bench]"
	@touch $(BENCH_STAMP)

bench: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks $(if $(BENCH),--only $(BENCH)) $(BENCH_OPTIONS)

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Needs uv: resolves pins for every supported Python version and platform, without registry addresses.
lock:
	uv pip compile --universal --python-version 3.11 --extra dev --extra bench pyproject.toml -o requirements.lock --no-header --no-annotate --upgrade

clean:
	rm -rf $(VENV) .nsn .dagster_home .tmp_dagster_home_* .pytest_cache .ruff_cache .hypothesis
