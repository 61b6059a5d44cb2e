# Two commands on a fresh machine: `make quickstart` and `make test`. Both make the environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
QUICKSTART_OUT ?= quickstart
# Tests of one file run in one process; 0 runs them all in this one.
TEST_PROCESSES ?= 2
# One thread each: two processes that both want all cores wait for each other more than they compute.
TEST_THREADS ?= 1
# What ruff reads; mypy reads the same but the notebooks (pyproject.toml).
LINTED := src tests benchmarks examples docs/*.py notebooks/*.py

.PHONY: help setup quickstart test test-real lint docs notebooks clean-venv

help:
	@echo "make quickstart  the whole way on built-in data: train, predict, evaluate, report"
	@echo "make test        the tests, without real data and long runs"
	@echo "make test-real   the tests on real data too (REASONDISTILL_DATA=folder)"
	@echo "make lint        ruff and mypy"
	@echo "make docs        the documentation's site, in build/docs; fails on any warning or broken link"
	@echo "make notebooks   run notebooks/*.py and write them, with their figures, as .ipynb"
	@echo "make setup       only the environment, in $(VENV)"

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "reasondistill needs Python 3.11 or newer; found: $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 …"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,serve,mcp,teach,local,excel,sql,offline,peft,privacy,tracking,notebooks,docs,dev]"
	@touch $@

setup: $(VENV)/.ready

quickstart: setup
	$(BIN)/reasondistill quickstart --out $(QUICKSTART_OUT)

test: setup
	OMP_NUM_THREADS=$(TEST_THREADS) $(BIN)/python -m pytest -m "not real and not slow" -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test-real: setup
	OMP_NUM_THREADS=$(TEST_THREADS) $(BIN)/python -m pytest -m "real or slow" -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/ruff check $(LINTED)
	$(BIN)/mypy

# Strict: a warning, a link within the site or to a file that is not there ends it.
docs: setup
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs build/docs
	@echo "build/docs/index.html"

# NOTEBOOKS="04 05" makes only those.
notebooks: setup
	$(BIN)/python notebooks/build.py $(NOTEBOOKS)

.PHONY: builtin-student
# Rebuilds the student that the package ships. The folder it replaces is in git.
builtin-student: setup
	$(BIN)/reasondistill quickstart --out build/quickstart
	rm -rf src/reasondistill/builtin/scenes
	cp -r build/quickstart/scenes/student src/reasondistill/builtin/scenes

.PHONY: builtin-judge
# Rebuilds the judge of scenes that the package ships.
builtin-judge: setup
	rm -rf build/judges
	$(BIN)/reasondistill judge train configs/scenes_judge.yaml --set judges_dir=build/judges
	rm -rf src/reasondistill/builtin/scenes_judge
	cp -r build/judges/scenes_judge src/reasondistill/builtin/scenes_judge
