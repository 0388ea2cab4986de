# Two commands for a new machine with Python 3.11+ and make: `make demo`, `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
FUZZ_SECONDS ?= 600
FUZZ_SEED    ?= $(shell date +%s)
.PHONY: help demo test mutants fuzz faults soak bench bench-api bench-growth fix schemas lock clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A stamp for each extra: reinstalled only when pyproject.toml (or, for the plain install, a source) changes.
$(VENV)/.demo: $(BIN)/python pyproject.toml $(shell find consumer schemas deploy/demo -type f 2>/dev/null)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[demo]'
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(VENV)/.demo ## a usage record becomes a signed webhook, before your eyes (ARGS=--keep goes on running)
	$(BIN)/tollbell demo $(ARGS)

test: $(VENV)/.test ## format, lint, types, layers and all tests, on real servers (ARGS='-k crossing' picks some)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest $(if $(ARGS),,--cov) $(ARGS)

mutants: $(VENV)/.test ## does a test notice? about 160 small changes of the judgement, each against its tests (ARGS=verdict picks some)
	$(BIN)/python -m tests.mutants $(ARGS)

fuzz: $(VENV)/.test ## records, rules files, formats, batches; then the running API: half the time each (FUZZ_SECONDS=600 FUZZ_SEED=1)
	@echo FUZZ_SEED=$(FUZZ_SEED)
	$(BIN)/python -m tests.fuzz_longer $$(( $(FUZZ_SECONDS) / 2 )) $(FUZZ_SEED)
	FUZZ_SECONDS=$$(( $(FUZZ_SECONDS) / 2 )) FUZZ_SEED=$(FUZZ_SEED) $(BIN)/python -m pytest -q tests/integration/test_api_fuzz.py

faults: $(VENV)/.test ## everything is broken while records flow, and nothing is lost or made twice (ARGS=killed SEED=7 SEEDS=1)
	$(BIN)/python -m tests.faults $(ARGS)

$(VENV)/.soak: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[soak]'
	@touch $@

soak: $(VENV)/.soak ## steady load and something broken every minute: what was lost, what grows, a picture (MINUTES=60 RATE=200 SEED=7)
	$(BIN)/python -m tests.soak

bench: $(VENV)/.test ## how fast each stage is beside the floor of its libraries (ARGS='judging latency' for some)
	$(BIN)/python -m tests.bench $(ARGS)

bench-api: $(VENV)/.test ## what a page of events costs among a million, filter by filter (ARGS=100000 for fewer)
	$(BIN)/python -m tests.bench.api $(ARGS)

bench-growth: $(VENV)/.test ## what grows with entitlements, rules, channels, history and processes, and how much (ARGS=rules RUNS=3 SCALE=0.01)
	$(BIN)/python -m tests.bench.growth $(ARGS)

fix: $(VENV)/.test ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schemas: $(VENV)/.test ## write the JSON Schemas under schemas/json anew
	$(BIN)/python -c 'from consumer.serve.role import document; from schemas import export; \
	  export.main({"openapi.json": document()})'

LOCK := --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-emit-options --no-emit-index-url \
	--no-emit-trusted-host --no-emit-find-links
lock: ## pin, with hashes, what the container image is made of (run it with the oldest Python that is supported)
	tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && export CUSTOM_COMPILE_COMMAND='make lock' \
	  && $(PYTHON) -m venv "$$tools" && "$$tools/bin/pip" install --quiet pip-tools==7.6.2 \
	  && "$$tools/bin/pip-compile" $(LOCK) --output-file deploy/requirements.txt pyproject.toml \
	  && "$$tools/bin/pip-compile" $(LOCK) --build-deps-for wheel --only-build-deps \
	       --output-file deploy/requirements-build.txt pyproject.toml

clean: ## away with .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
