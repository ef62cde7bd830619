# Each target makes the virtual environment it needs; nothing but Python >= 3.11 and make is assumed.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UNFINISHED := $(VENV)/.installing

# The first interpreter that runs, is new enough and can make a virtual environment.
ifndef PYTHON
PYTHON := $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo $$python && break; done)
endif

.NOTPARALLEL:
.PHONY: help install demo test lint docs pytest format notebooks clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## Make .venv with the tested versions (the other targets do it by themselves)

demo: $(STAMP)  ## Burgers, viscosity 0.01/pi to 0.02/pi: PAC, warm start and scratch side by side
	@mkdir -p runs/demo
	$(BIN)/pacpde compare burgers --source nu=0.01/pi --target nu=0.02/pi \
		--methods pac,warm_start,scratch --json runs/demo/records.json -o runs/demo --overwrite

test: lint docs pytest  ## Style, types, import rows, the documentation site, then the tests

lint: $(STAMP)  ## Style, types and import rows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: export NO_MKDOCS_2_WARNING := 1  # mkdocs-material's note on its successor
docs: $(STAMP)  ## The documentation site, into site/: open site/index.html; warnings are errors
	$(BIN)/mkdocs build --strict  # --quiet would hide warnings from --strict

pytest: $(STAMP)  ## The tests alone, in two processes; a file's tests stay in one
	$(BIN)/python -m pytest -n 2 --dist loadfile

format: $(STAMP)  ## Rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(STAMP)  ## Execute each notebook's .py pair and store it with its outputs
	$(BIN)/python benchmarks/notebooks.py

clean:  ## Remove caches and build output; .venv, data/ and runs/ stay
	rm -rf build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

# The stamp is the marker of an unfinished installation, renamed at the end. An installation that
# was cut off leaves the marker and starts again from nothing. The stamp carries the time of the
# start, so that an edit during the installation counts.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 with venv found: install one (on Debian also" \
		"python3-venv) or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@if test -e $(UNFINISHED); then rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(UNFINISHED) && rm -f $(STAMP)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt setuptools torch==2.13.0
	$(BIN)/python -m pip install -c constraints.txt --no-build-isolation -e '.[deepxde,soap,studies,report,docs,dev]'
	@mv $(UNFINISHED) $(STAMP)
