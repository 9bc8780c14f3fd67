#!/bin/sh
# Installs the end-to-end tests' tools into .tools, unless present in the pinned version: Synapse,
# mautrix-whatsapp in two versions, the test bridge, Schemathesis, generators of clients. CI also
# gets compilers and PostgreSQL by apt.
set -eu
cd "$(dirname "$0")/.."

synapse=tests/e2e/synapse/requirements.txt
schemathesis=tests/e2e/schemathesis/requirements.txt
clients=tests/e2e/clients
whatsapp=tests/e2e/whatsapp

fail() {
  echo "$1" >&2
  exit 1
}

has_python() { # 3.10 or newer, able to make virtual environments
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

has_postgres() { # Debian keeps initdb out of the PATH
  command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

# Installs missing packages by apt; runs as root on Debian or Ubuntu.
install_by_apt() {
  packages=
  command -v go >/dev/null 2>&1 || [ -x .tools/go/bin/go ] || packages="$packages golang-go"
  command -v gcc >/dev/null 2>&1 || packages="$packages gcc libc6-dev"
  has_python || packages="$packages python3-venv"
  has_postgres || packages="$packages postgresql"
  [ -n "$packages" ] || return 0
  echo "Installing$packages" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update -qq
  # shellcheck disable=SC2086 # a list of package names
  apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $packages
}

# A tool is current when the stamp beside it equals the files it was made from.
is_made_from() { # stamp, files
  stamp=$1
  shift
  [ -f "$stamp" ] && cat "$@" | cmp -s - "$stamp"
}

install_python_tool() { # folder, requirements
  if is_made_from "$1/made-from" "$2"; then return; fi
  has_python || fail "$1 needs Python 3.10 or newer with venv (Debian: python3-venv)"
  rm -rf "$1"
  python3 -m venv "$1"
  # pip compiles nothing: Python compiles a module at its first import.
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --only-binary :all: -r "$2"
  cat "$2" >"$1/made-from"
}

install_python_tools() {
  install_python_tool .tools/synapse "$synapse"
  install_python_tool .tools/schemathesis "$schemathesis"
  install_python_tool .tools/python-client "$clients/requirements.txt"
}

install_generators() {
  folder=.tools/clients
  if is_made_from "$folder/made-from" "$clients/package.json" "$clients/bun.lock"; then return; fi
  rm -rf "$folder"
  mkdir -p "$folder"
  cp "$clients/package.json" "$clients/bun.lock" "$folder"
  .tools/bun install --frozen-lockfile --silent --cwd "$folder"
  cat "$clients/package.json" "$clients/bun.lock" >"$folder/made-from"
}

install_whatsapp() { # oldest or current
  source=$whatsapp/$1
  folder=$PWD/.tools/mautrix-whatsapp/$1
  if is_made_from "$folder/made-from" "$source/go.mod" "$source/go.sum"; then return; fi
  rm -rf "$folder"
  mkdir -p "$folder"
  # goolm is encryption in Go, without a C library.
  (cd "$source" && go build -trimpath -ldflags='-s -w' -tags goolm -o "$folder/mautrix-whatsapp" go.mau.fi/mautrix-whatsapp/cmd/mautrix-whatsapp)
  cat "$source/go.mod" "$source/go.sum" >"$folder/made-from"
}

install_bridges() {
  sh scripts/install-go.sh
  command -v gcc >/dev/null 2>&1 || fail 'The bridges need a C compiler, for SQLite (Debian: gcc libc6-dev)'
  PATH=$PWD/.tools/go/bin:$PATH
  # Keeps Go from fetching another toolchain, or using another Go's library.
  unset GOROOT
  export PATH GOTOOLCHAIN=local
  sh scripts/build-test-bridge.sh
  install_whatsapp oldest
  install_whatsapp current
}

if [ "${CI:-}" = true ]; then install_by_apt; fi
[ -x .tools/bun ] || sh scripts/install-bun.sh
has_postgres || echo 'Without PostgreSQL (Debian: postgresql) the tests of bridges on Synapse are left out' >&2
# Downloads and compiling overlap well. In the background, a function ends at its first failure.
install_python_tools &
python_pid=$!
install_generators &
generators_pid=$!
install_bridges &
bridges_pid=$!
status=0
wait "$python_pid" || status=1
wait "$generators_pid" || status=1
wait "$bridges_pid" || status=1
exit "$status"
