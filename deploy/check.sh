#!/bin/sh
# What must hold before a change lands, in small steps that each answer yes or no.
set -u
bin=.venv/bin
failed=
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

step() {
    name=$1
    shift
    if "$@" >"$scratch/said" 2>&1; then
        printf '  yes  %s\n' "$name"
    else
        printf '  NO   %s\n' "$name"
        cat "$scratch/said"
        failed="$failed $name"
    fi
}

no_addresses() {
    # A lock or a source that names a registry, or a path of someone's machine, works for one person only.
    ! grep -nE 'https?://[^ "]+\.(whl|tgz|tar\.gz)|--(extra-)?index-url|"resolved": *"http' \
        requirements*.lock pyproject.toml Makefile deploy/*.sh
}

lint_sql() {
    # sqlfluff has one dialect and one templater in each run. The runs share the cores.
    $bin/sqlfluff lint sql_models tests/data >"$scratch/models" 2>&1 &
    models=$!
    $bin/sqlfluff lint --config deploy/statements.sqlfluff api >"$scratch/api" 2>&1 &
    api=$!
    $bin/sqlfluff lint --config deploy/statements.sqlfluff zmart/db/functions zmart/db/*.sql zmart/run ingest \
        orchestration analytics bench >"$scratch/statements" 2>&1 &
    statements=$!
    $bin/sqlfluff lint --config deploy/statements.sqlfluff --dialect sqlite devchain >"$scratch/sqlite" 2>&1 &
    sqlite=$!
    # Migrations are never edited, so newer rules of layout must not fail them.
    $bin/sqlfluff lint --templater raw --rules CP01,CP03,CP04,CP05 zmart/db/migrations >"$scratch/migrations" 2>&1 &
    migrations=$!
    result=0
    for run in models api statements sqlite migrations; do
        eval "wait \$$run" || { result=1; cat "$scratch/$run"; }
    done
    return $result
}

parse_models() {
    DBT_TARGET_PATH="$scratch/target" DBT_LOG_PATH="$scratch" $bin/dbt parse --project-dir . --profiles-dir . --warn-error
}

step "format" $bin/ruff format --check .
step "lint" $bin/ruff check .
step "types" $bin/mypy
step "types of the client" $bin/mypy --strict clients/python/zmart_client
step "layers" $bin/lint-imports
step "SQL" lint_sql
step "models: parse" parse_models
step "no addresses in the locks" no_addresses
step "documents" $bin/pytest -q -p no:cacheprovider tests/unit/docs

if [ -n "$failed" ]; then
    printf 'These do not hold:%s\n' "$failed" >&2
    exit 1
fi
