# Two commands for a new machine with Python 3.11+ and make: `make demo`, `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
FUZZ_SECONDS ?= 600
FUZZ_SEED    ?= $(shell date +%s)
.PHONY: help demo test test-latest pictures shape mutants fuzz faults soak observability bench bench-api bench-console bench-growth fix schemas dashboards lock clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# What an extra installs is pinned with hashes, the tools that build the project too. pip refuses an editable project
# beside hashes: first the lock, then the project alone. Wheels only: a build of their own would fetch what is not pinned.
PIP    := -m pip install --quiet --disable-pip-version-check
PINNED := $(PIP) --require-hashes --only-binary=:all: --requirement=deploy/requirements-build.txt
ALONE  := $(PIP) --no-deps --no-build-isolation
PROJECT := pyproject.toml deploy/requirements-build.txt

# A stamp for each extra: reinstalled only when its pins (or, for the plain install, a source) change.
$(VENV)/.demo: $(BIN)/python $(PROJECT) deploy/requirements-demo.txt $(shell find consumer schemas deploy/demo deploy/enforcement -type f 2>/dev/null)
	$(BIN)/python $(PINNED) --requirement=deploy/requirements-demo.txt
	$(BIN)/python $(ALONE) .
	@touch $@

$(VENV)/.test: $(BIN)/python $(PROJECT) tests/requirements.txt
	$(BIN)/python $(PINNED) --requirement=tests/requirements.txt
	$(BIN)/python $(ALONE) --editable .
	@touch $@

demo: $(VENV)/.demo ## a usage record becomes a signed webhook, before your eyes (ARGS=--keep goes on running)
	$(BIN)/tollbell demo $(ARGS)

# Each worker has servers of its own. By file, so that a file's tests share what they set up. Four on two cores as well: what
# tests do most is to wait for processes and clocks.
WORKERS ?= --numprocesses=4 --dist=loadfile

test: $(VENV)/.test ## format, lint, types, layers and all tests, on real servers (ARGS='-k crossing' picks some)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest $(if $(ARGS),,--cov $(WORKERS)) $(ARGS)

test-latest: ## the same with the newest release of everything, in an environment of its own (.venv-latest)
	$(PYTHON) -m venv --clear .venv-latest
	{ .venv-latest/bin/python -c '$(BUILD_REQUIRES)'; echo editables; } > .venv-latest/build.txt
	.venv-latest/bin/python $(PIP) --requirement=.venv-latest/build.txt --editable '.[test]'
	@touch .venv-latest/.test
	$(MAKE) test VENV=.venv-latest

pictures: $(VENV)/.test ## what the README and docs/ show: the demo as it runs here, and the console's pages in Chromium
	$(BIN)/python -m tests.pictures
	TOLLBELL_TEST_PICTURES=docs/images $(BIN)/python -m pytest -q tests/browser/test_pages.py

shape: $(VENV)/.test ## the code in figures: lines, complexity, documented functions, double names, words
	$(BIN)/python -m tests.shape

mutants: $(VENV)/.test ## does a test notice? over 350 small bugs, each against its tests (ARGS=verdict picks some)
	$(BIN)/python -m tests.mutants $(ARGS)

fuzz: $(VENV)/.test ## records, rules files, formats, batches; then the running API: half the time each (FUZZ_SECONDS=600 FUZZ_SEED=1)
	@echo FUZZ_SEED=$(FUZZ_SEED)
	$(BIN)/python -m tests.fuzz_longer $$(( $(FUZZ_SECONDS) / 2 )) $(FUZZ_SEED)
	FUZZ_SECONDS=$$(( $(FUZZ_SECONDS) / 2 )) FUZZ_SEED=$(FUZZ_SEED) $(BIN)/python -m pytest -q tests/integration/serve/test_api_fuzz.py

faults: $(VENV)/.test ## everything is broken while records flow, and nothing is lost or made twice (ARGS=killed SEED=7 SEEDS=1)
	$(BIN)/python -m tests.faults $(ARGS)

$(VENV)/.soak: $(VENV)/.test tests/requirements-soak.txt
	$(BIN)/python $(PINNED) --requirement=tests/requirements-soak.txt
	@touch $@

soak: $(VENV)/.soak ## steady load and something broken every minute: what was lost, what grows, a picture (MINUTES=60 RATE=200 SEED=7)
	$(BIN)/python -m tests.soak

observability: $(VENV)/.test ## a real Prometheus on the demo's story and two faults: every panel has data, three alerts fire and no other
	$(BIN)/python -m tests.observability

bench: $(VENV)/.test ## how fast each stage is beside the floor of its libraries (ARGS='judging latency' for some)
	$(BIN)/python -m tests.bench $(ARGS)

bench-api: $(VENV)/.test ## what a page of events costs among a million, filter by filter (ARGS=100000 for fewer)
	$(BIN)/python -m tests.bench.api $(ARGS)

bench-console: $(VENV)/.test ## what each page of the console costs among a million events (ARGS='100000 20' for fewer events, rounds)
	$(BIN)/python -m tests.bench.console $(ARGS)

bench-growth: $(VENV)/.test ## what grows with entitlements, rules, channels, history and processes, and how much (ARGS=rules RUNS=3 SCALE=0.01)
	$(BIN)/python -m tests.bench.growth $(ARGS)

fix: $(VENV)/.test ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schemas: $(VENV)/.test ## write the JSON Schemas under schemas/json again
	$(BIN)/python -c 'from consumer.serve.role import document; from schemas import export; \
	  export.main({"openapi.json": document()})'

dashboards: ## write Grafana's dashboards under deploy/grafana again
	$(PYTHON) deploy/grafana/generate.py

# One file for all Pythons and platforms (markers); neither pip's settings nor uv's, so no wheel of this machine, gets in.
# The image first, and what is larger holds to it: the tests run with what is deployed.
LOCK := uv pip compile --quiet --no-config --no-cache --no-sources --universal --python-version=3.11 --upgrade \
	--generate-hashes --custom-compile-command='make lock'
BUILD_REQUIRES := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")
lock: ## pin, with hashes, what the image, the demo, the tests and the soak are made of
	tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && $(PYTHON) -m venv "$$tools" \
	  && "$$tools/bin/pip" install --quiet uv==0.13.9 && export PATH="$$tools/bin:$$PATH" \
	  && $(LOCK) --output-file=deploy/requirements.txt pyproject.toml \
	  && $(LOCK) --output-file=deploy/requirements-demo.txt --extra=demo --constraint=deploy/requirements.txt pyproject.toml \
	  && $(LOCK) --output-file=tests/requirements.txt --extra=test --constraint=deploy/requirements-demo.txt pyproject.toml \
	  && $(LOCK) --output-file=tests/requirements-soak.txt --extra=soak --constraint=tests/requirements.txt pyproject.toml \
	  && { $(PYTHON) -c '$(BUILD_REQUIRES)'; echo editables; } \
	    | $(LOCK) --output-file=deploy/requirements-build.txt --constraint=tests/requirements-soak.txt -

clean: ## away with .venv, .venv-latest and caches
	rm -rf $(VENV) .venv-latest .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
