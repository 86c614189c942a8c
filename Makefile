# Everything a person types. `make help` lists it.
# Empty: the newest supported Python; `make setup PYTHON=python3.12` rebuilds .venv on another.
PYTHON ?=
BIN := .venv/bin
PYTEST = $(if $(COVERAGE),$(BIN)/python .ci/measure.py run $(COVERAGE),$(BIN)/pytest) -n auto --maxprocesses 4 --dist loadfile
.DEFAULT_GOAL := help
.PHONY: help setup up test drills failover coverage coverage-report check bench fuzz audit clean force

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: .venv/.ready ## Build .venv from the locks (other targets do it if needed)

.venv/.ready: requirements-dev.lock requirements-setup.lock pyproject.toml $(if $(PYTHON),force)
	@sh deploy/setup.sh "$(PYTHON)"

up: setup ## Start everything: Postgres, development chain, ingest, API
	@exec $(BIN)/zmart up

test: setup ## Run the tests without the drills, on up to four cores; TESTS=path for some
	@$(PYTEST) -m "not drill" $(TESTS)

drills: setup ## Run the tests that need Debian packages or more than 30 s; TESTS=path for some
	@$(PYTEST) -m "drill and not failover" $(TESTS)

failover: setup ## Take the hosts of a Patroni cluster down in turn, in network namespaces, about 4 min
	@$(PYTEST) -n 0 -m failover

coverage: setup ## Measure statements and branches in all tests; renew .ci/uncovered
	@$(BIN)/python .ci/measure.py erase
	@$(MAKE) --no-print-directory test drills COVERAGE=branches
	@$(BIN)/python .ci/measure.py report --write

coverage-report: setup
	@$(BIN)/python .ci/measure.py report

check: setup ## Format, lint, types, layers, SQL, dbt parse, docs
	@sh deploy/check.sh

bench: setup ## Measure the figures of bench/README.md; ONLY=name for one
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

fuzz: setup ## Fuzz ingest (guided by coverage) and every API request; FUZZ_SECONDS=60
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) $(BIN)/python tests/fuzz/ingest_fuzz.py
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) $(BIN)/pytest -q tests/integration/api/test_fuzzed_requests.py

audit: setup ## Bill of materials, licences, secrets in the repository, advisories
	@$(BIN)/python deploy/audit.py

clean: ## Remove .venv and caches, never .state
	rm -rf .venv .venv-* .pytest_cache .mypy_cache .ruff_cache .sqlfluff_cache target
