#!/bin/sh
# Build .venv from the locks: hashes checked, nothing resolved again.
set -eu
python=${1:-python3}

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)
if [ "$version" != 3.11 ]; then
    echo "zmart needs Python 3.11, found $version as '$python'. Install it (Debian: apt-get install python3.11) or run: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "This Python has no venv module. On Debian: apt-get install python3-venv" >&2
    exit 1
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-setup.lock
echo "Installing the pinned packages into .venv ..."
VIRTUAL_ENV="$PWD/.venv" .venv/bin/uv pip sync --quiet --require-hashes requirements-dev.lock
VIRTUAL_ENV="$PWD/.venv" .venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
touch .venv/.ready
