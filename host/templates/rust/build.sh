#!/bin/sh
# Builds the component with the same bytes in every directory and for every user. Panic messages hold the paths of sources, so
# those are replaced: the digest of a policy is its identity. Cargo.lock and the version of Rust decide the rest.
set -eu
cd "$(dirname "$0")"
# Incremental builds divide the code in another way.
export CARGO_INCREMENTAL=0
home=${CARGO_HOME:-$HOME/.cargo}
flags="'--remap-path-prefix=$PWD=project', '--remap-path-prefix=$home=cargo'"
# rustc takes the last prefix that fits, and each registry has a directory named for its index's URL.
for registry in "$home"/registry/src/*; do
    flags="$flags, '--remap-path-prefix=$registry=registry'"
done
exec cargo build --release --config "target.wasm32-wasip2.rustflags = [$flags]" "$@"
