# shellcheck shell=bash
# Sourced by the scripts beside it. `need PROGRAM PACKAGE…` installs Debian's packages if the program is missing.
need() {
    local program=$1
    shift
    command -v "$program" >/dev/null && return
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "$program is missing: install ${*}, or run this as root on Debian" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# What `python3 -m venv` needs, which Debian has in a package of its own.
need_venv() {
    python3 -c 'import ensurepip' 2>/dev/null || need ensurepip python3-venv
}
