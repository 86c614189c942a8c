# Everything a person types. `make help` lists it.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup up test check bench fuzz audit clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: .venv/.ready ## Build .venv from the locks (the other targets do it by themselves)

.venv/.ready: requirements-dev.lock requirements-setup.lock pyproject.toml
	@sh deploy/setup.sh "$(PYTHON)"

up: setup ## Start everything: Postgres, development chain, ingest, API
	@exec $(BIN)/zmart up

test: setup ## Run the whole test suite, on up to four cores; TESTS=path for some of it
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile $(TESTS)

check: setup ## Format, lint, types, layers, SQL, dbt parse, docs
	@sh deploy/check.sh

bench: setup ## Measure the figures of bench/README.md; ONLY=name for one
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

fuzz: setup ## Fuzz what reads strangers' bytes, led by coverage, and every request; FUZZ_SECONDS=60
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) $(BIN)/python tests/fuzz/ingest_fuzz.py
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) $(BIN)/pytest -q tests/integration/api/test_fuzzed_requests.py

audit: setup ## Verify the chain of the log
	@$(BIN)/zmart audit

clean: ## Remove .venv and caches, never .state
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache target
