# `make demo` and `make test` set up what they need in .venv, once, and again when pyproject.toml
# changes. README.md gives the same lines for machines without make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check clean
.SILENT:

help:
	echo "make demo    20 simulated pumps, broker, monitor and a live view; Ctrl-C stops all of it"
	echo "             (make demo ARGS='--pumps 50 --speed 10' hands options to dripwatch up)"
	echo "make test    all checks, then all tests"
	echo "make check   the checks alone"
	echo "make clean   remove .venv, caches and builds"

demo: $(VENV)/ready-to-run
	$(BIN)/dripwatch up $(ARGS)

test: check
	$(BIN)/python -m pytest --numprocesses auto --dist loadgroup \
		--inline-snapshot disable $(ARGS)

check: $(VENV)/ready-to-test
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet || { echo "Not formatted; run $(BIN)/ruff format" >&2; exit 1; }
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo >$(VENV)/lint-imports.txt 2>&1 || { cat $(VENV)/lint-imports.txt >&2; exit 1; }
	$(BIN)/deptry . >$(VENV)/deptry.txt 2>&1 || { cat $(VENV)/deptry.txt >&2; exit 1; }
	$(BIN)/codespell
	echo "checks passed: ruff, mypy, import-linter, deptry, codespell"

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The two marks are written last, so that a set-up that was cut short is done again.

$(VENV)/ready-to-run: pyproject.toml
	$(create_venv)
	echo "Setting up $(VENV) (about a minute, only this once) ..."
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/ready-to-test: pyproject.toml
	$(create_venv)
	echo "Setting up $(VENV) for tests (about a minute, only this once) ..."
	$(PIP) install --quiet --editable ".[dev]"
	touch $(VENV)/ready-to-run $@

# Leaves a usable .venv alone. Debian and Ubuntu ship python3 without ensurepip, and then venv
# fails halfway; so look first, and say what to install.
define create_venv
if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	if ! command -v $(PYTHON) >/dev/null; then \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' was not found." \
			"Install it (Debian, Ubuntu: python3 and python3-venv)," \
			"or name one: make PYTHON=python3.12 ..." >&2; exit 1; fi; \
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "Python 3.11 or newer is needed; '$(PYTHON)' is" \
			"$$($(PYTHON) --version). Name another: make PYTHON=python3.12 ..." >&2; exit 1; fi; \
	if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "'$(PYTHON)' cannot make virtual environments: it lacks venv or ensurepip." \
			"Install them (Debian, Ubuntu: apt-get install python3-venv)," \
			"then run make again." >&2; exit 1; fi; \
	$(PYTHON) -m venv --clear $(VENV); fi
endef
