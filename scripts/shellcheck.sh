#!/bin/sh
# Checks the shell scripts. A missing shellcheck is reported, and a failure only in CI.
set -eu
cd "$(dirname "$0")/.."

if command -v shellcheck >/dev/null 2>&1; then
  shellcheck scripts/*.sh deploy/postgres/*.sh .ci/run
elif [ "${CI:-}" = true ]; then
  echo 'shellcheck is missing' >&2
  exit 1
else
  echo 'shellcheck is not installed: the shell scripts were not checked' >&2
fi
