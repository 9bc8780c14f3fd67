#!/bin/sh
# Checks the test bridge's Go code (tests/e2e/bridge): format, go vet, tests. The flags are those of
# its build, so that Go reuses compiled packages.
set -eu
cd "$(dirname "$0")/../tests/e2e/bridge"
PATH=$(cd ../../.. && pwd)/.tools/go/bin:$PATH

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
  echo "not formatted by gofmt: $unformatted" >&2
  exit 1
fi
go vet -trimpath -tags goolm ./...
go test -trimpath -tags goolm ./phonenet
