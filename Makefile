# Every target works on a fresh clone: what it needs is made first, and only once.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
DEPS := .venv/.deps
BENCH_DEPS := .venv-bench/.deps
TESTS ?= tests
WORKERS ?= 2
IMAGE ?= jarvis-backend:latest
AGENT_IMAGE ?= flxdr-agent:latest

export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help deps demo test test-faults test-images lint format run-backend build-backend build-agent bench docs screenshots browser lock clean verify

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-14s %s\n", $$1, $$2 }'

deps: $(DEPS) ## create .venv with everything, developers' tools included

$(DEPS): requirements/dev.txt
$(BENCH_DEPS): requirements/bench.txt
$(DEPS) $(BENCH_DEPS): pyproject.toml
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(filter requirements/%,$^)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(DEPS) ## a whole federation on this machine (DATA=folder, PROTECTION=plain|secagg|paillier, DEMO_EXIT=1, KEEP=1)
	$(BIN)/python manage.py demo

verify: $(DEPS) ## does this installation work? seven groups, each the real thing, in a folder that is thrown away
	$(BIN)/python manage.py verify_installation

test: $(DEPS) ## the whole test suite (TESTS=path for a part of it)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

test-faults: $(DEPS) ## every fault that this must survive, into docs/reliability.md (FAULTS_SEED=n; meant to take 40 minutes)
	FAULTS=all FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-3} $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile \
	  tests/faults tests/api/test_every_operation.py tests/api/test_update_parsers.py tests/api/test_body.py \
	  tests/platform/test_tokens.py tests/core

test-images: $(DEPS) ## execute the Dockerfile's instructions and what compose and Kubernetes start (as root; minutes)
	IMAGES=all $(BIN)/python -m pytest -n 1 tests/deploy

lint: $(DEPS) ## formatting, style, types, import contracts, templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/djlint templates flxdr --lint --check --quiet

format: $(DEPS) ## rewrite code and templates in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djlint templates flxdr --reformat --quiet

run-backend: $(DEPS) ## migrate, then supervise web, worker and beat (port: BACKEND_PORT)
	exec $(BIN)/python manage.py up

build-backend: ## build the coordinator's container image
	docker build --target coordinator --tag $(IMAGE) .

build-agent: ## build the agent's container image
	docker build --target agent --tag $(AGENT_IMAGE) .

bench: $(BENCH_DEPS) ## measure against targets and peers (.venv-bench), write docs/benchmarks.md (ONLY=group)
	.venv-bench/bin/python -m benchmarks $(ONLY)

docs: $(DEPS) ## write the documents that are generated from the code
	$(BIN)/python manage.py settings_doc
	$(BIN)/python -m benchmarks.attacks --write
	$(BIN)/python -m benchmarks --document
	$(BIN)/python -m benchmarks.scale_document --write

screenshots: $(DEPS) ## make the pictures of docs/ anew, in the browser tests (needs `make browser`)
	REFRESH_SCREENSHOTS=1 $(BIN)/python -m pytest -n 0 tests/browser/test_every_page.py

browser: ## install the browser of the browser tests and what its driver needs (apt, as root)
	apt-get update --quiet=2
	apt-get install --quiet=2 --yes --no-install-recommends chromium libatomic1

lock: $(DEPS) ## resolve the dependencies anew into requirements/
	for set in dev:coordinator,dev coordinator:coordinator agent: bench:coordinator,bench; do \
	  name=$${set%%:*}; extras=$${set#*:}; \
	  case $$name in (coordinator|agent) constraint='--constraints requirements/dev.txt';; (*) constraint=;; esac; \
	  $(BIN)/uv pip compile pyproject.toml $${extras:+--extra=$${extras//,/ --extra=}} $$constraint --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate --output-file requirements/$$name.txt || exit 1; \
	done

clean: ## remove what was built here; a coordinator's state in var/ stays, except the demo's
	rm -rf .venv .venv-bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist staticfiles *.egg-info .schemathesis var/demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
