# Every target sets up what it needs in .venv, and touches nothing else on the machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS := 4# tests at once: on 2 cores, as most wait for a program
# pytest keeps its assertions compiled, whatever this shell says: without them each of its processes
# needs ten seconds before the first test.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

.PHONY: help demo test unit torture test-all unit-others check suite completions events picture bench clean

help:
	@echo 'make demo         install sockkit in $(VENV) and watch it work'
	@echo 'make test         run every check and test but those of make torture'
	@echo 'make unit         run the tests that start no program and open no terminal'
	@echo 'make torture      run the long and the timed tests; 15 minutes on an idle machine'
	@echo 'make test-all     run the tests on each Python found'
	@echo 'make bench        measure against nc, ncat and socat, where installed'
	@echo 'make completions  write completions/ anew'
	@echo 'make events       write docs/events.md anew'
	@echo 'make picture      draw the pictures in docs/ anew'
	@echo 'make clean        remove $(VENV), $(VENV)-* and caches'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'sockkit needs Python 3.11 or newer: try make PYTHON=python3.11'; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo 'Python cannot make a virtual environment: try sudo apt install python3-venv'; exit 1; }

$(VENV)/installed: $(BIN)/python pyproject.toml $(shell find sockkit -name '*.py')
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[tls]'
	@touch $@

$(VENV)/dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[dev]'
	@touch $@

demo: $(VENV)/installed
	$(BIN)/python scripts/demo.py $(BIN)/sockkit

check: $(VENV)/dev $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/check_structure.py
	$(BIN)/python scripts/make_completions.py --check
	$(BIN)/python scripts/make_events.py --check

test: check suite

# What has changed is compiled once, by two processes, before all of them need it. What a file says
# against being collected, the run that follows says again.
$(VENV)/collected: $(VENV)/dev $(shell find tests -name 'test_*.py')
	@printf '%s\n' $(filter tests/%,$?) \
	  | xargs -r -P 2 -n 80 env $(PYTEST) -p no:cacheprovider --collect-only -qq >/dev/null 2>&1 || true
	@touch $@

suite: $(VENV)/dev $(VENV)/installed $(VENV)/collected
	$(PYTEST) -n $(JOBS) --dist worksteal

unit: $(VENV)/dev $(VENV)/installed $(VENV)/collected
	$(PYTEST) -n 2 --dist worksteal -m 'not process and not torture'

torture: $(VENV)/dev $(VENV)/installed
	$(PYTEST) -m torture --durations=0 --durations-min=5
	HYPOTHESIS_PROFILE=full $(PYTEST) -n 2 --dist worksteal tests/core

test-all: check
	$(BIN)/python scripts/each_python.py suite

unit-others: $(BIN)/python
	$(BIN)/python scripts/each_python.py --not $(BIN)/python unit

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks

completions: $(VENV)/installed
	$(BIN)/python scripts/make_completions.py

events: $(VENV)/installed
	$(BIN)/python scripts/make_events.py

picture: $(VENV)/dev $(VENV)/installed
	$(BIN)/python scripts/make_picture.py $(BIN)/sockkit

clean:
	rm -rf $(VENV) $(VENV)-* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
