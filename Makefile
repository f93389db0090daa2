# Every target sets up what it needs in .venv, and touches nothing else on the machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES := $(shell find sockkit -name '*.py') $(wildcard completions/* man/*)
JOBS := 4# tests at once: on 2 cores, as most wait for a program
# pytest keeps its assertions compiled, whatever this shell says: without them each of its processes
# needs ten seconds before the first test.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

.PHONY: help demo test unit torture test-all unit-others check suite completions events man pyz picture bench clean

help:
	@echo 'make demo         install sockkit in $(VENV) and watch it work'
	@echo 'make test         run every check and test but those of make torture'
	@echo 'make unit         run the tests that start no program and open no terminal'
	@echo 'make torture      run the long and the timed tests; 15 minutes on an idle machine'
	@echo 'make test-all     run the tests on each Python found'
	@echo 'make bench        measure against nc, ncat and socat, where installed'
	@echo 'make completions  write completions/ anew'
	@echo 'make events       write docs/events.md anew'
	@echo 'make man          write man/ anew'
	@echo 'make pyz          make sockkit.pyz, one file that runs with nothing installed'
	@echo 'make picture      draw the pictures in docs/ anew'
	@echo 'make clean        remove $(VENV), $(VENV)-*, sockkit.pyz and caches'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'sockkit needs Python 3.11 or newer: try make PYTHON=python3.11'; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo 'Python cannot make a virtual environment: try sudo apt install python3-venv'; exit 1; }

$(VENV)/installed: $(BIN)/python pyproject.toml $(SOURCES)
	$(PIP) '.[tls]'
	@touch $@

# sockkit itself and all that its checks and tests need. pip would compile with one process, and
# also what never runs from source.
$(VENV)/dev: $(BIN)/python pyproject.toml $(SOURCES)
	$(PIP) --no-compile '.[dev]'
	@$(BIN)/python -m compileall -qq -j 2 -x '/(mypyc?|pygments)/' $(VENV)/lib || true
	@touch $(VENV)/installed $@

demo: $(VENV)/installed
	$(BIN)/python scripts/demo.py $(BIN)/sockkit

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/check_structure.py
	$(BIN)/python scripts/make_completions.py --check
	$(BIN)/python scripts/make_events.py --check
	$(BIN)/python scripts/make_man.py --check

# The checks run while the tests are compiled, of which nothing is printed.
test: $(VENV)/dev
	@$(MAKE) --no-print-directory -j 2 check $(VENV)/collected
	@$(MAKE) --no-print-directory suite

# What has changed is compiled once, by two processes, before all of them need it. What a file says
# against being collected, the run that follows says again.
$(VENV)/collected: $(VENV)/dev $(shell find tests -name 'test_*.py')
	@printf '%s\n' $(filter tests/%,$?) \
	  | xargs -r -P 2 -n 140 env $(PYTEST) -p no:cacheprovider --collect-only -qq >/dev/null 2>&1 || true
	@touch $@

suite: $(VENV)/dev $(VENV)/collected
	$(PYTEST) -n $(JOBS) --dist worksteal

unit: $(VENV)/dev $(VENV)/collected
	$(PYTEST) -n 2 --dist worksteal -m 'not process and not torture'

torture: $(VENV)/dev
	$(PYTEST) -m torture --durations=0 --durations-min=5
	HYPOTHESIS_PROFILE=full $(PYTEST) -n 2 --dist worksteal tests/core \
	  $(shell grep -rl --include='test_*.py' '^@given' tests/net)

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

man: $(VENV)/installed
	$(BIN)/python scripts/make_man.py

pyz: $(VENV)/installed
	$(BIN)/python -m scripts.make_pyz

picture: $(VENV)/dev
	$(BIN)/python scripts/make_picture.py $(BIN)/sockkit

clean:
	rm -rf $(VENV) $(VENV)-* .mypy_cache .pytest_cache .ruff_cache .hypothesis sockkit.pyz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
