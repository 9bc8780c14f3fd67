#!/bin/sh
# Installs the dependencies by Bun. Bun ignores npm's global settings, where a machine may have its
# registry, proxy and CA: this passes them on, unless the environment or the user has others.
set -eu
cd "$(dirname "$0")/.."

# Prints a global setting of npm; nothing when unset.
npm_global() {
  npm_config_userconfig=/dev/null npm config get "$1" 2>/dev/null | grep -vxE 'null|undefined' || true
}

# Sets the variable $1 to $2, unless it is already set or $2 is empty.
hand_on() {
  eval "current=\${$1:-}"
  if [ -n "$2" ] && [ -z "$current" ]; then export "$1=$2"; fi
}

names_registry() {
  grep -qsE '^ *registry *=' "$1"
}

if command -v npm >/dev/null 2>&1; then
  hand_on NODE_EXTRA_CA_CERTS "$(npm_global cafile)"
  hand_on HTTPS_PROXY "${https_proxy:-$(npm_global https-proxy)}"
  hand_on HTTP_PROXY "${http_proxy:-$(npm_global proxy)}"
  # npm always has a registry: pass on only one set for the machine, if the user has none.
  if names_registry "$(npm_global globalconfig)" && ! names_registry "$HOME/.npmrc"; then
    hand_on BUN_CONFIG_REGISTRY "$(npm_global registry)"
  fi
fi
exec .tools/bun install --frozen-lockfile
