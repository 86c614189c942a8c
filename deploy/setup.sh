#!/bin/sh
# Build a virtual environment from the locks: hashes checked, nothing resolved again.
#   sh deploy/setup.sh [PYTHON] [FOLDER]
# Without PYTHON, the newest supported Python on PATH or among pyenv's versions; FOLDER is .venv.
set -eu
wanted=${1:-}
folder=${2:-.venv}
supported="3.13 3.12 3.11"

version_of() {
    # A shim of pyenv exists for versions that are not active, and fails: only a run decides.
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none
}

can_build() {
    "$1" -c 'import venv, ensurepip' 2>/dev/null
}

candidates() {
    echo "python$1"
    echo python3
    echo python
    for each in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        [ ! -x "$each" ] || echo "$each"
    done
}

find_python() {
    for version in $supported; do
        for candidate in $(candidates "$version"); do
            if [ "$(version_of "$candidate")" = "$version" ] && can_build "$candidate"; then
                echo "$candidate"
                return
            fi
        done
    done
}

if [ -z "$wanted" ]; then
    wanted=$(find_python)
    # Nothing usable: the checks below name the reason.
    [ -n "$wanted" ] || wanted=python3
fi
version=$(version_of "$wanted")
case " $supported " in
*" $version "*) ;;
*)
    echo "zmart needs Python 3.11, 3.12 or 3.13, found $version as '$wanted'. Install one (Debian: apt-get install python3 python3-venv) or run: make setup PYTHON=/path/to/python3" >&2
    exit 1
    ;;
esac
if ! can_build "$wanted"; then
    echo "This Python ('$wanted') has no venv module. On Debian: apt-get install python3-venv" >&2
    exit 1
fi

if [ "$(version_of "$folder/bin/python")" != "$version" ]; then
    "$wanted" -m venv --clear "$folder"
fi
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-setup.lock
echo "Installing the pinned packages for Python $version into $folder ..."
VIRTUAL_ENV=$(cd "$folder" && pwd)
export VIRTUAL_ENV
# Python 3.11 puts an old setuptools into each environment, which nothing here uses.
"$folder/bin/uv" pip uninstall --quiet setuptools 2>/dev/null || true
"$folder/bin/uv" pip sync --quiet --require-hashes requirements-dev.lock
"$folder/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable .
touch "$folder/.ready"
