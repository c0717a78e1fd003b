#!/bin/sh
# Builds FILE.wasm, with componentize-py of an environment in this directory if there is one.
set -eu
cd "$(dirname "$0")"
PATH="$PWD/venv/bin:$PWD/.venv/bin:$PATH"
exec componentize-py -d wit -w policy componentize app -o FILE.wasm --stub-wasi "$@"
