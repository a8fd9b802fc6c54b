# Everything is set up in .venv on first use, and at once when it is there already.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
SPHINX := $(BIN)/python -m sphinx -c docs -b html --nitpicky --fail-on-warning --quiet --jobs 2

.PHONY: run test check docs docs-fast setup
.DEFAULT_GOAL := run

run: setup  ## the embedded study: three networks on digits, compared layer by layer
	$(BIN)/spanmatch run studies/digits.yaml

test: setup  ## every test, two at a time
	$(BIN)/pytest --numprocesses 2 --dist worksteal

check: setup  ## style, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: run  ## the documentation, in docs/_build/html; runs the notebooks, but those whose outputs are at hand
	@ln -sfn ../runs examples/runs
	$(SPHINX) . docs/_build/html

docs-fast: setup  ## the same, without running notebooks
	$(SPHINX) -D nb_execution_mode=off . docs/_build/html

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "spanmatch needs Python >= 3.11; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up .venv: some minutes and 5 GB, once."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all]' --group dev --group docs
	@touch $(READY)
