#!/bin/sh
# Builds FILE.wasm, as `npm run build` does.
set -eu
cd "$(dirname "$0")"
exec npm run --silent build
