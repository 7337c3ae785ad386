# contrib/debian.sh - what contrib/check and contrib/quickstart have in common: telling, and installing with apt-get.
# Sourced by bash, with `program` set; it goes to the top of the checkout and leaves its path in `top`.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1

# What postern is built from, and with.
build_packages=(gcc libc6-dev make autoconf automake pkg-config libglib2.0-dev libuv1-dev libinih-dev libsqlite3-dev libssl-dev libgmime-3.0-dev libmicrohttpd-dev libgsasl-dev libcrypt-dev libseccomp-dev libcurl4-openssl-dev libjson-glib-dev)

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$program" "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root, and there is no sudo: $*"
    fi
}

# Installs those of the packages that are missing, and asks the network for nothing if none is.
need_packages() {
    local package missing=()
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
        die "this works on Debian and what derives from it; README.md says what to install elsewhere"
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status} ' "$package" 2>/dev/null | tr ' ' '\n' | grep -cx installed)" -gt 0 ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing: ${missing[*]}"
    mkdir -p build
    # Lists that cannot be brought up to date may still be good enough.
    as_root apt-get -q -o DPkg::Lock::Timeout=300 update >build/apt.log 2>&1 || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
        "${missing[@]}" >>build/apt.log 2>&1 || { tail -n 15 build/apt.log >&2; die "apt-get could not install them"; }
}

# configure_in FOLDER ARGUMENT...: makes what autoreconf makes, if it is not there, and configures in FOLDER, if that was not done
# with these arguments. What changes later, make itself notices.
configure_in() {
    local folder=$1; shift
    [ ! -e config.status ] || die "the checkout itself was configured; run 'make distclean' in it first"
    if [ ! -x configure ] || [ ! -e Makefile.in ]; then
        mkdir -p m4 build-aux
        autoreconf -fi || return
    fi
    mkdir -p "$folder"
    [ -e "$folder/config.status" ] && [ "$(cat "$folder/configured-with" 2>/dev/null)" = "$*" ] && return
    rm -f "$folder/configured-with"
    (cd "$folder" && "$top/configure" -q "$@") || return
    printf '%s' "$*" >"$folder/configured-with"
}
