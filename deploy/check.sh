#!/bin/sh
# Checks a change before it is merged: small steps, each with the result yes or no.
set -u
bin=.venv/bin
failed=
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

step() {
    name=$1
    shift
    if "$@" >"$scratch/output" 2>&1; then
        printf '  yes  %s\n' "$name"
    else
        printf '  NO   %s\n' "$name"
        cat "$scratch/output"
        failed="$failed $name"
    fi
}

no_addresses() {
    # A lock or a source that names a registry, or a path of someone's machine, works for one person only.
    ! grep -nE 'https?://[^ "]+\.(whl|tgz|tar\.gz)|--(extra-)?index-url|"resolved": *"http' \
        $(find . -maxdepth 4 \( -name "*.lock" -o -name package-lock.json \) -not -path "*/node_modules/*" \
            -not -path "./.venv*/*") pyproject.toml Makefile deploy/*.sh
}

parse_models() {
    DBT_TARGET_PATH="$scratch/target" DBT_LOG_PATH="$scratch" $bin/dbt parse --project-dir . --profiles-dir . --warn-error
}

step "format" $bin/ruff format --check .
step "lint" $bin/ruff check .
step "types" $bin/mypy
step "types of the client" $bin/mypy --strict clients/python/zmart_client
step "layers" $bin/lint-imports
step "SQL" $bin/python deploy/lint_sql.py
step "models: parse" parse_models
step "no addresses in the locks" no_addresses
step "documents" $bin/pytest -q -p no:cacheprovider tests/unit/docs

if [ -n "$failed" ]; then
    printf 'These checks failed:%s\n' "$failed" >&2
    exit 1
fi
