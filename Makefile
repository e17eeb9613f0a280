# Two commands: `make try` shows the main job on embedded data, `make test` is all that CI runs.
# Choose another interpreter with `make try PYTHON=python3.12`.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
# torch compiles for 2 s in every process that finds no bytecode, and tests start many
BYTECODE := PYTHONDONTWRITEBYTECODE=

.PHONY: try test lint types contracts fast slow docs format clean

try: .venv/.demo
	$(BIN)/senet compare

test: lint types contracts fast

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

contracts: .venv/.dev
	$(BIN)/lint-imports

# each worker begins with one half of the files, so that few fixtures and libraries are needed in both
fast: .venv/.dev
	$(BYTECODE) OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist worksteal

slow: .venv/.dev
	$(BYTECODE) SENET_TESTS=all $(BIN)/pytest -m "not gpu"

docs: .venv/.docs
	$(BIN)/python -m sphinx -q -W --keep-going -b html -c docs/site . site
	@echo "site/docs/index.html"

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "senet needs Python 3.11 or newer, $(PYTHON) is older: make try PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $@

.venv/.demo: .venv/.uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[demo]'
	@touch $@

.venv/.dev: .venv/.uv pyproject.toml constraints.txt
	$(INSTALL) --compile-bytecode --editable '.[dev]'
	@touch $@

.venv/.docs: .venv/.uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[docs,timm]'
	@touch $@
