# Everything sets itself up in .venv; only Python 3.11+, make and pip are assumed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?= --heads 4 --chan 64
# A process a core, and in each one thread: the tensors of tests are too small to share
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto

.DEFAULT_GOAL := help
.PHONY: help run test check lint types architecture build smoke bench golden clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

run: $(VENV)/ready ## Trace an attention layer; ARGS="--heads 8 --explain" to change it
	@$(BIN)/attntrace run $(ARGS)

test: $(VENV)/ready ## Run the tests
	$(PYTEST)

check: lint types architecture build smoke ## Everything that CI does
	$(PYTEST) --cov --cov-report=term

lint: $(VENV)/ready ## Style: ruff, format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/ready ## Types: mypy --strict
	$(BIN)/mypy

architecture: $(VENV)/ready ## Who may import whom: import-linter
	$(BIN)/lint-imports

build: $(VENV)/ready ## Build the wheel, and look into it
	rm -rf dist
	$(BIN)/python -m hatchling build -t wheel
	$(BIN)/python -m zipfile -l dist/*.whl | grep -q attntrace/configs/multi-head.yaml

smoke: $(VENV)/ready ## Run every config, and hold it to its baseline
	$(BIN)/attntrace check configs/

bench: $(VENV)/ready ## Measure start-up and tracing, as ratios in one run
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.tracing
	$(BIN)/python -m benchmarks.explain
	$(BIN)/python -m benchmarks.models
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.large
	$(BIN)/python -m benchmarks.check

golden: $(VENV)/ready ## Write the golden files and the README's output block anew
	$(BIN)/pytest tests/golden --update-golden

clean: ## Remove what was built
	rm -rf $(VENV) dist .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
