#!/bin/sh
# Installs into .tools what the tests with real bridges need: Synapse, mautrix-whatsapp and the test bridge. What is there in the
# version asked for isn't touched. In continuous integration also, by apt, what these are made with.
set -eu
cd "$(dirname "$0")/.."

synapse=tests/e2e/synapse/requirements.txt
whatsapp=tests/e2e/whatsapp

fail() {
  echo "$1" >&2
  exit 1
}

has_python() { # 3.10 or newer, able to make virtual environments
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

# Installs by apt what is missing; as root, on Debian or Ubuntu.
install_by_apt() {
  packages=
  command -v go >/dev/null 2>&1 || [ -x .tools/go/bin/go ] || packages="$packages golang-go"
  command -v gcc >/dev/null 2>&1 || packages="$packages gcc libc6-dev"
  has_python || packages="$packages python3-venv"
  [ -n "$packages" ] || return 0
  echo "Installing$packages" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update -qq
  # shellcheck disable=SC2086 # a list of package names
  apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $packages
}

# A tool is as it should be when the stamp beside it is the same as what it was made from.
is_made_from() { # stamp, files
  stamp=$1
  shift
  [ -f "$stamp" ] && cat "$@" | cmp -s - "$stamp"
}

install_synapse() {
  if is_made_from .tools/synapse/made-from "$synapse"; then return; fi
  has_python || fail 'Synapse needs Python 3.10 or newer with venv (Debian: python3-venv)'
  rm -rf .tools/synapse
  python3 -m venv .tools/synapse
  # Only what is run gets compiled, when it is.
  .tools/synapse/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --only-binary :all: -r "$synapse"
  cat "$synapse" >.tools/synapse/made-from
}

install_whatsapp() {
  if is_made_from .tools/mautrix-whatsapp/made-from "$whatsapp/go.mod" "$whatsapp/go.sum"; then return; fi
  rm -rf .tools/mautrix-whatsapp
  mkdir -p .tools/mautrix-whatsapp
  binary=$PWD/.tools/mautrix-whatsapp/mautrix-whatsapp
  # goolm: encryption in Go, so that no C library is needed for it.
  (cd "$whatsapp" && go build -trimpath -ldflags='-s -w' -tags goolm -o "$binary" go.mau.fi/mautrix-whatsapp/cmd/mautrix-whatsapp)
  cat "$whatsapp/go.mod" "$whatsapp/go.sum" >.tools/mautrix-whatsapp/made-from
}

install_bridges() {
  sh scripts/install-go.sh
  command -v gcc >/dev/null 2>&1 || fail 'The bridges need a C compiler, for SQLite (Debian: gcc libc6-dev)'
  PATH=$PWD/.tools/go/bin:$PATH
  # No other toolchain, and no other Go's library.
  unset GOROOT
  export PATH GOTOOLCHAIN=local
  sh scripts/build-test-bridge.sh
  install_whatsapp
}

if [ "${CI:-}" = true ]; then install_by_apt; fi
# Downloads and compiling go well together. In the background, as there the first failing command ends a function.
install_synapse &
synapse_pid=$!
install_bridges &
bridges_pid=$!
status=0
wait "$synapse_pid" || status=1
wait "$bridges_pid" || status=1
exit "$status"
