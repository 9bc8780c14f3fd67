#!/bin/sh
# Checks the Go code of the test bridge (tests/e2e/bridge): format, go vet, its own tests. With the flags that it is built with, so that what was
# compiled for that is used again.
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
