#!/bin/sh
# Links .tools/go to a usable Go: the PATH's if new enough, else a pinned one. Any older Go (such as
# Debian's) fetches it, as Go's releases are modules of the module proxy. Keeps a usable link.
set -eu
cd "$(dirname "$0")/.."
# The oldest that mautrix builds with, and the one to fetch.
oldest=1.26
fetched=1.26.8

is_new_enough() { # program
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed -n 's/^go//p')
  [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ]
}

use() { # GOROOT
  mkdir -p .tools
  ln -sfn "$1" .tools/go
  exit 0
}

if is_new_enough .tools/go/bin/go; then exit 0; fi
if ! command -v go >/dev/null 2>&1; then
  echo "Go is missing: $oldest or newer, or any version to fetch $fetched with" >&2
  exit 1
fi
if is_new_enough go; then use "$(GOTOOLCHAIN=local go env GOROOT)"; fi

echo "Fetching Go $fetched from the module proxy into .tools" >&2
platform=$(go env GOOS)-$(go env GOARCH)
GOTOOLCHAIN=local GOFLAGS=-modcacherw GOMODCACHE=$PWD/.tools/go-releases \
  go mod download "golang.org/toolchain@v0.0.1-go$fetched.$platform"
root=.tools/go-releases/golang.org/toolchain@v0.0.1-go$fetched.$platform
# Modules have no executable files; newer Go commands do the same for toolchains.
chmod +x "$root"/bin/* "$root"/pkg/tool/*/*
is_new_enough "$root/bin/go" || {
  echo "Go $fetched doesn't run on this machine ($platform)" >&2
  exit 1
}
use "${root#.tools/}"
