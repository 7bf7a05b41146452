PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check golden manifests bench bench-quick clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "waypost needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[envoy,validation,dev]'
	touch $@

demo: $(READY)  ## Control plane, a real Envoy waypoint and real traffic, from examples/bookinfo
	$(BIN)/waypost demo

test: $(READY)  ## The test suite, real Envoys included
	$(BIN)/pytest

check: $(READY)  ## Format, lint, types and the rules between rooms
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

golden: $(READY)  ## Rewrite the expected files of the golden tests; reading the diff is the review
	$(BIN)/pytest tests/golden --update-golden -p no:randomly -q

manifests: $(READY)  ## Render envoy/install.yaml from the chart; needs helm
	$(BIN)/python -m tests.install.render

bench: $(READY)  ## Every benchmark; figures as JSON, and a table
	$(BIN)/python -m benchmarks.run

bench-quick: $(READY)  ## Counts that hold on any machine: who is sent what
	$(BIN)/python -m benchmarks.quick

clean:  ## Remove the virtual environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
