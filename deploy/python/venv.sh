#!/bin/sh
# Usage: venv.sh DIRECTORY
# Makes a virtual environment with a Python of 3.11 or newer. PYTHON names a certain one. Keeps one that works.
set -eu
venv=$1

usable='import sys; sys.exit(sys.version_info < (3, 11))'
if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c "$usable" 2>/dev/null &&
    "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi

without_venv=
for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
    # Run it: a version manager's stand-in may be on PATH without a Python behind it.
    "$name" -c "$usable" >/dev/null 2>&1 || continue
    if "$name" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        echo "making $venv with $("$name" --version)"
        exec "$name" -m venv --clear "$venv"
    fi
    without_venv=$name
done

if [ -n "$without_venv" ]; then
    version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "install: $without_venv has no venv module" >&2
    echo "  -> Debian, Ubuntu: apt-get install python$version-venv" >&2
else
    echo "install: no Python 3.11 or newer found as ${PYTHON:-python3, python3.11, python3.12, python3.13}" >&2
    echo "  -> Debian, Ubuntu: apt-get install python3 python3-venv; or name one: make install PYTHON=/path/to/python" >&2
fi
exit 2
