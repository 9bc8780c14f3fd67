#!/bin/sh
# Links .tools/bun to a usable Bun: the PATH's if new enough, else npm's pinned version. Keeps a
# usable link.
set -eu
cd "$(dirname "$0")/.."
wanted=$(cat .bun-version)
link=.tools/bun

# Without its install script, the npm package has only a stub that fails, so ask for the version.
version_of() {
  "$1" --version 2>/dev/null | grep -E '^[0-9]+\.[0-9]+\.[0-9]+' || true
}

is_new_enough() {
  version=$(version_of "$1")
  [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$wanted" "$version" | sort -V | head -n 1)" = "$wanted" ]
}

use() {
  mkdir -p .tools
  ln -sf "$1" "$link"
  exit 0
}

if is_new_enough "$link"; then exit 0; fi

on_path=$(command -v bun || true)
if [ -n "$on_path" ] && is_new_enough "$on_path"; then use "$on_path"; fi

# The binary is in its platform's package, or in the bun package if the install script moved it.
use_installed() {
  for binary in .tools/node_modules/@oven/bun-*/bin/bun .tools/node_modules/@oven/bun-*/bin/bun.exe \
    .tools/node_modules/bun/bin/bun.exe; do
    if [ -f "$binary" ] && [ "$(version_of "$binary")" = "$wanted" ]; then use "${binary#.tools/}"; fi
  done
}

use_installed
if ! command -v npm >/dev/null 2>&1; then
  echo "Bun $wanted or newer, or Node.js with npm (which fetches Bun), is needed: install one of them and try again." >&2
  exit 1
fi
echo "Fetching Bun $wanted by npm into .tools" >&2
mkdir -p .tools
# --prefix would hide npm's global settings, which may have the machine's CA, proxy and registry.
npm_config_globalconfig=$(npm config get globalconfig)
export npm_config_globalconfig
npm install --prefix .tools --no-save --ignore-scripts --no-audit --no-fund --loglevel=error "bun@$wanted" >&2
use_installed
echo "npm has no Bun $wanted that runs on this machine ($(uname -s) $(uname -m)): install Bun yourself and try again." >&2
exit 1
