#!/bin/sh
# Checks the shell scripts. Without shellcheck it says so and passes, except in continuous integration.
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
