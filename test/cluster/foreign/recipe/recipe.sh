# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# jemalloc with a prefix, as Debian does not build it: foreign_jemalloc DEST fills DEST/include and DEST/lib. Its functions are
# je_malloc ..., and its variable is JE_MALLOC_CONF. Runs under tools/cache.sh; how sources are fetched: tools/deps/recipe/recipe.sh.
foreign_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")

foreign_jemalloc() {
    local dest=$1
    # shellcheck source=tools/deps/recipe/recipe.sh
    . "$foreign_dir/../../../../tools/deps/recipe/recipe.sh"
    deps_dir=$foreign_dir # its pins are ours
    deps_source jemalloc
    (
        cd jemalloc || exit 1
        ./configure --prefix=/ --with-jemalloc-prefix=je_ --with-version=5.3.0-0-g0 --disable-cxx --disable-doc --disable-shared --enable-static
        make -j"$deps_jobs" build_lib_static
        make install_lib_static install_include DESTDIR="$dest"
    )
    nm "$dest/lib/libjemalloc.a" 2>/dev/null | grep ' T je_mallctl$'
    grep -q JE_MALLOC_CONF "$dest/lib/libjemalloc.a"
}
