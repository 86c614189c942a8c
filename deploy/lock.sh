#!/bin/sh
# Resolve pyproject.toml into the locks: one set of versions for every supported Python, hashes, no address of a registry.
# Pinned versions stay where they still fit; `sh deploy/lock.sh --upgrade-package NAME` renews one, `--upgrade` all.
set -eu
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links "$@"
}

# The pins without their hashes: uv copies the hashes of a pin that stays, and files that are new would lack theirs.
sed -nE 's/^([A-Za-z0-9._-]+==[^ ]+).*/\1/p' requirements-dev.lock >"$scratch/dev.lock"
compile pyproject.toml --group dev --output-file "$scratch/dev.lock" "$@"
# The runtime set is a part of the other: the same versions.
sed -nE 's/^([A-Za-z0-9._-]+==[^ ]+).*/\1/p' "$scratch/dev.lock" >"$scratch/pins"
compile pyproject.toml --constraints "$scratch/pins" --output-file "$scratch/runtime.lock"
cp "$scratch/dev.lock" requirements-dev.lock
cp "$scratch/runtime.lock" requirements.lock
# Patroni, for hosts with a standby (docs/operating/many-hosts.md) and for the drill.
compile deploy/failover/requirements.in --output-file deploy/failover/requirements.lock "$@"
awk '/^[a-z]/ { inside = /^(pip|uv)==/ } inside' requirements-dev.lock >requirements-setup.lock
