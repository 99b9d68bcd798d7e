#!/bin/sh
# Usage: tools.sh DIRECTORY
# What the tests use beside Python packages: Chromium, installed from the system's packages where it is missing and
# the user may install; promtool, put into DIRECTORY; and axe-core, put below tests/browser by npm. Where that cannot
# be done it says what to do: the tests that need them then skip, or fail in CI.
set -u
into=$1

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    as_root=none
fi

apt() { # quiet, without questions; package lists may never have been fetched
    command -v apt-get >/dev/null 2>&1 && [ "$as_root" != none ] || return 1
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >/dev/null 2>&1
}

if ! command -v chromium >/dev/null 2>&1 && ! command -v chromium-browser >/dev/null 2>&1 &&
    ! command -v google-chrome >/dev/null 2>&1; then
    echo "installing Chromium from the system's packages"
    apt install -y --no-install-recommends chromium ||
        { apt update && apt install -y --no-install-recommends chromium; } ||
        echo "tests: no Chromium; install it (Debian: apt-get install chromium) for the tests in a browser" >&2
fi

if ! command -v promtool >/dev/null 2>&1 && [ ! -x "$into/promtool" ]; then
    echo "fetching promtool from the system's packages"
    # Unpacked, not installed: the package would start a Prometheus service.
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    fetch() { (cd "$scratch" && apt-get -qq download prometheus >/dev/null 2>&1 && dpkg-deb -x prometheus_*.deb x); }
    # apt downloads as a user of its own where it can.
    chmod 755 "$scratch"
    if fetch || { apt update && fetch; }; then
        cp "$scratch/x/usr/bin/promtool" "$into/promtool"
    else
        echo "tests: no promtool; put it on PATH (Debian: package prometheus) for the tests of deploy/prometheus" >&2
    fi
fi

browser=$(dirname "$0")/browser
if [ ! -f "$browser/node_modules/axe-core/axe.min.js" ]; then
    echo "fetching axe-core with npm"
    # By the lock, and nothing of it runs.
    (cd "$browser" && npm ci --ignore-scripts --silent) ||
        echo "tests: no axe-core; run npm ci in tests/browser for the tests of what everybody can use" >&2
fi
exit 0
