# Everything runs inside .venv, which is made from the hashed locks and reused while they are unchanged.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(BIN)/uv
INSTALL := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --fork-strategy fewest $(if $(UPGRADE),--upgrade)

# Some images forbid Python to write bytecode: every process would then compile torch and the others again, which
# takes ten seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help env demo test test-slow test-pages coverage check docs format page bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

env: $(READY) ## Create or update the environment in .venv

demo: $(READY) ## Run the main job on an invented landscape, into demo-results/ (ARGS="..." adds options)
	@$(BIN)/geoseg demo --overwrite $(ARGS)

# Files of tests side by side, four at most, each on one thread: threads of all of them would wait for one another.
test: $(READY) ## Run the tests (ARGS="..." is passed to pytest)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m "not slow and not pages" $(ARGS)

test-slow: $(READY) ## Run the tests that take long: services under faults, several processes, hostile input, whole trainings
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 2 --dist loadfile -m slow $(ARGS)

test-pages: $(READY) ## Run the commands on the pages of the documentation, which takes minutes
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m pages tests/test_documentation.py $(ARGS)

# Apart from "test", because exporting a network takes minutes while its lines are counted.
coverage: $(READY) ## Run the tests and name the lines that none of them runs
	@$(BIN)/python -m pytest --cov --cov-report=term:skip-covered $(ARGS)

check: $(READY) ## Check format, lint, types, the contracts between packages, and build the documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory docs

# --strict: a broken link, a missing anchor or a page outside the navigation is an error.
docs: $(READY) ## Build the documentation into build/site, without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(READY) ## Format the code and apply the safe fixes of the linter
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The wheel ships what this writes, so users need no npm. Packages run no scripts of their own.
page: ## Check and build the page of geoseg label from page/, with npm
	npm ci --prefix page --ignore-scripts --no-audit --no-fund --silent
	npm run --prefix page --silent check
	npm run --prefix page --silent build

bench: $(READY) ## Run every benchmark in benchmarks/
	@for script in $(sort $(wildcard benchmarks/*.py)); do \
		echo "== $$script"; $(BIN)/python "$$script" || exit 1; \
	done

lock: $(READY) ## Write the locks again from pyproject.toml (UPGRADE=1 takes newer versions)
	$(COMPILE) --extra dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra serve --constraints requirements.lock --output-file docker/requirements.lock pyproject.toml
	echo uv | $(COMPILE) --output-file requirements-uv.lock -

clean: ## Remove the environment, the caches and what was built; results are kept
	rm -rf $(VENV) build dist .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(READY): pyproject.toml requirements.lock requirements-uv.lock
	@command -v $(PYTHON) >/dev/null || { echo "GeoSeg-PointAI needs Python 3.11 or newer: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "GeoSeg-PointAI needs Python 3.11 or newer, got $$($(PYTHON) --version): name another one, as in 'make PYTHON=python3.12 $(MAKECMDGOALS)'" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make environments: apt install python3-venv" >&2; exit 1; }
	@echo "Preparing the environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(INSTALL) sync --quiet --require-hashes --compile-bytecode requirements.lock
	@$(INSTALL) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
