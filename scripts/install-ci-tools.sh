#!/bin/sh
# Installs by apt what CI's lint and tests need beside Bun; runs as root on Debian or Ubuntu.
set -eu

packages=
need() { # command, package
  command -v "$1" >/dev/null 2>&1 || packages="$packages $2"
}

need make make
need git git
need shellcheck shellcheck
need chromium chromium
need caddy caddy
# Debian puts nginx into /usr/sbin, which isn't in every PATH.
[ -x /usr/sbin/nginx ] || need nginx nginx-light
# npm installs Bun.
command -v bun >/dev/null 2>&1 || need npm npm

[ -n "$packages" ] || exit 0
echo "Installing$packages" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=300 update -qq
# shellcheck disable=SC2086 # a list of package names
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $packages
