# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Shell library (source it): the cache directory and products that are built once and kept there under a key.
# A product's key is its name, its version and a hash of its recipe, so an older recipe's product is never taken for it.
#
# cache_dir
#     Prints the cache directory and makes it: $KUBECANARY_CACHE, else $XDG_CACHE_HOME/kubecanary, else ~/.cache/kubecanary.
# cache_path NAME VERSION RECIPE [ARG...]
#     Prints where that product is or would be.
# cache_build NAME VERSION RECIPE FUNCTION [ARG...]
#     Prints the product's directory on stdout, having built it if it was not there; progress goes to stderr.
#     RECIPE is a shell file that only defines functions, or a directory that holds one as recipe.sh (the hash then covers
#     every file in it). It is sourced, after this library, by a shell of its own with `set -euo pipefail`, which runs
#     `FUNCTION DEST ARG...` in an empty scratch directory; the ARGs belong to the key. FUNCTION fills DEST, an empty
#     directory, and must not write DEST's name into the product: it is renamed when whole.
#     A lock lets two runs that want the same product build it once. A failed build shows the end of its log; returns 1.

cache_dir() {
    local dir=${KUBECANARY_CACHE:-${XDG_CACHE_HOME:-${HOME:?no home directory: set KUBECANARY_CACHE}/.cache}/kubecanary}
    [[ $dir == /* ]] || dir=$PWD/$dir
    mkdir -p -- "$dir" && printf '%s\n' "$dir"
}

# Hash of a file, or of a directory's tracked content: relative names and bytes, in a fixed order.
cache_hash() {
    if [[ -d $1 ]]; then
        (cd -- "$1" && find . -type f ! -name '*.pyc' ! -name '.*' ! -name README -print0 | LC_ALL=C sort -z |
            xargs -0 sha256sum | sha256sum | cut -c1-16)
    else
        sha256sum <"$1" | cut -c1-16
    fi
}

cache_path() {
    local name=$1 version=$2 recipe=$3 dir hash
    shift 3
    dir=$(cache_dir) && hash=$(cache_hash "$recipe") || return 1
    (($# == 0)) || hash=$(printf '%s\0' "$hash" "$@" | sha256sum | cut -c1-16)
    printf '%s/%s-%s-%s\n' "$dir" "$name" "$version" "$hash"
}

cache_say() { printf 'cache: %s\n' "$*" >&2; }

# Runs a recipe's function in a shell of its own: errexit does not work in a function that a condition called.
cache_run_recipe() {
    local recipe=$1 log=$2 work=$3
    shift 3
    [[ ! -d $recipe ]] || recipe=$recipe/recipe.sh
    recipe=$(readlink -f -- "$recipe")
    (cd -- "$work" && exec bash -euo pipefail -c '. "$1"; . "$2"; shift 2; "$@"' recipe \
        "$(readlink -f -- "${BASH_SOURCE[0]}")" "$recipe" "$@" >"$log" 2>&1 </dev/null)
}

cache_build_locked() {
    local path=$1 recipe=$2 function=$3 key=${1##*/} dir=${1%/*} tmp started=$SECONDS
    shift 3
    if [[ -d $path ]]; then # the run that held the lock before us made it
        cache_say "cached $key"
        return 0
    fi
    find "$dir/.tmp" -maxdepth 1 -type d -name "$key.*" -exec rm -rf {} + || return 1 # an interrupted run left it; we hold the lock
    tmp=$dir/.tmp/$key.$$
    mkdir -p -- "$tmp.work" "$tmp.dest" "$dir/log" || return 1
    cache_say "building $key (log: $dir/log/$key.log)"
    if ! cache_run_recipe "$recipe" "$dir/log/$key.log" "$tmp.work" "$function" "$tmp.dest" "$@"; then
        tail -n 40 -- "$dir/log/$key.log" | sed 's/^/    /' >&2
        cache_say "FAILED $key after $((SECONDS - started)) s; whole log: $dir/log/$key.log"
        return 1
    fi
    # The product appears last: who sees it, sees nothing else of this run.
    rm -rf -- "$tmp.work" && mv -T -- "$tmp.dest" "$path" && cache_say "built $key in $((SECONDS - started)) s"
}

cache_build() {
    local name=$1 version=$2 recipe=$3 function=$4 path
    shift 4
    path=$(cache_path "$name" "$version" "$recipe" "$@") || return 1
    if [[ ! -d $path ]]; then
        mkdir -p -- "${path%/*}/.tmp" || return 1
        (
            flock -n 9 || { cache_say "waiting for another run that builds ${path##*/}" && flock 9; }
            cache_build_locked "$path" "$recipe" "$function" "$@"
        ) 9>"${path%/*}/.tmp/${path##*/}.lock" || return 1
    fi
    printf '%s\n' "$path"
}
