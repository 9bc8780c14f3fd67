#!/bin/sh
# Builds the test bridge (tests/e2e/bridge) into .tools/testbridge/testbridge, unless it was already
# built from the same sources. Needs Go, and a C compiler for SQLite.
set -eu
cd "$(dirname "$0")/../tests/e2e/bridge"
tools=$(cd ../../.. && pwd)/.tools
target=$tools/testbridge
# Prefers the Go of scripts/install-go.sh.
PATH=$tools/go/bin:$PATH

if ! command -v go >/dev/null 2>&1; then
  echo 'building the test bridge needs Go 1.26 or newer: https://go.dev/dl' >&2
  exit 1
fi
sources=$(find . -name '*.go' -o -name '*.yaml' -o -name 'go.*' | sort)
# shellcheck disable=SC2086 # a list of files without blanks in their names
stamp="$(go version) $(cat $sources | cksum)"
if [ -x "$target/testbridge" ] && [ "$(cat "$target/stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi

echo 'building the test bridge' >&2
mkdir -p "$target"
mautrix=$(awk '$1 == "maunium.net/go/mautrix" { print $2; exit }' go.mod)
# goolm is encryption in Go, without libolm. Built aside, as tests may be using the present one.
CGO_ENABLED=1 go build -tags goolm -trimpath -o "$target/testbridge.$$" \
  -ldflags "-s -w -X maunium.net/go/mautrix.GoModVersion=$mautrix" .
mv "$target/testbridge.$$" "$target/testbridge"
printf '%s\n' "$stamp" >"$target/stamp"
