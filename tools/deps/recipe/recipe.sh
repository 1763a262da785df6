# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# How the static libraries are made: deps_KIND DEST fills DEST/include and DEST/lib. Runs under tools/cache.sh, in an empty
# scratch directory. Sources come from Debian's mirror by pinned checksum (tools/deps/recipe/pins); the machine's apt set-up is read
# for the mirror's address and never changed.

deps_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
deps_jobs=$(nproc)
deps_common="-fPIE -ffunction-sections -fdata-sections -fstack-protector-strong -ffile-prefix-map=$PWD=."

# The base addresses of the configured Debian mirrors, each with a slash at its end; $KUBECANARY_DEB_MIRROR comes first.
deps_mirrors() {
    [[ -z ${KUBECANARY_DEB_MIRROR:-} ]] || printf '%s/\n' "${KUBECANARY_DEB_MIRROR%/}"
    # shellcheck disable=SC2016 # apt expands these
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | sort -u
}

# deps_fetch VERSION DIR FILE SHA256: prints the path of that file in the cache.
deps_fetch() {
    local version=$1 dir=$2 file=$3 sha=$4 store mirror
    store=$(cache_dir)/sources/$sha
    if [[ ! -f $store/$file ]]; then
        mkdir -p -- "$store"
        for mirror in $(deps_mirrors); do
            if /usr/lib/apt/apt-helper -o APT::Sandbox::User="$(id -un)" download-file "$mirror$dir/$file" \
                "$PWD/$file" "SHA256:$sha" >&2; then
                mv -- "$file" "$store/$file"
                break
            fi
            rm -f -- "$file"
        done
    fi
    if [[ ! -f $store/$file ]]; then
        printf '%s\n' "Could not get $file (version $version) from any of: $(deps_mirrors | tr '\n' ' ')" \
            "If Debian's stable release has moved on to a newer version, its mirror no longer holds this one. Then either" \
            "update the pin (tools/deps/pin PACKAGE prints the current lines for tools/deps/recipe/pins), or set" \
            "KUBECANARY_DEB_MIRROR to an archive that keeps old versions." >&2
        return 1
    fi
    printf '%s/%s\n' "$store" "$file"
}

# deps_source PACKAGE [PATCH-TO-LEAVE-OUT...]: unpacks it, patched as Debian does and then by our PACKAGE.patch, into ./PACKAGE.
deps_source() {
    local package=$1 name version dir file sha path patch
    shift
    mkdir -p -- "$package"
    while read -r name version dir file sha; do
        [[ $name == "$package" ]] || continue
        path=$(deps_fetch "$version" "$dir" "$file" "$sha")
        case $file in
        *.debian.tar.*) tar -C "$package" -xf "$path" ;;
        *) tar -C "$package" --strip-components=1 -xf "$path" ;;
        esac
    done <"$deps_dir/pins"
    if [[ -f $package/debian/patches/series ]]; then
        while read -r patch _; do
            [[ -z $patch || $patch == \#* || " $* " == *" $patch "* ]] && continue
            printf '== %s: %s\n' "$package" "$patch"
            patch -d "$package" -s -f -p1 <"$package/debian/patches/$patch"
        done <"$package/debian/patches/series"
    fi
    patch=$deps_dir/$package.patch
    [[ ! -f $patch ]] || patch -d "$package" -s -f -p1 <"$patch"
}

# deps_yaml DEST CC CFLAGS: Debian's source has no configure script; it is nine plain files.
deps_yaml() {
    local dest=$1 cc=$2 cflags=$3 file
    deps_source libyaml
    for file in libyaml/src/*.c; do
        # shellcheck disable=SC2086
        $cc $cflags -Ilibyaml/include -DYAML_VERSION_STRING='"0.2.5"' -DYAML_VERSION_MAJOR=0 -DYAML_VERSION_MINOR=2 \
            -DYAML_VERSION_PATCH=5 -c "$file" -o "$file.o"
    done
    ar rcsD "$dest/lib/libyaml.a" libyaml/src/*.o
    cp libyaml/include/yaml.h "$dest/include/"
}

# deps_microhttpd DEST CC CFLAGS: no TLS, no messages (nobody reads its log), nothing but plain requests. Its thread support stays in, as 0.9.75 does not link
# without; with MHD_USE_EPOLL alone it starts no thread. recipe/libmicrohttpd.patch: an answer in chunks may be queued again (lib/serve.c).
deps_microhttpd() {
    local dest=$1 cc=$2 cflags=$3
    deps_source libmicrohttpd
    (
        cd libmicrohttpd || exit 1
        ./configure CC="$cc" CFLAGS="$cflags" --prefix=/ --disable-shared --enable-static --disable-https --disable-doc \
            --disable-examples --disable-curl --disable-dauth --disable-bauth --disable-postprocessor \
            --disable-httpupgrade --disable-messages --disable-nls --enable-epoll=yes --disable-dependency-tracking
        make -C src/microhttpd -j"$deps_jobs" install DESTDIR="$dest"
        make -C src/include install DESTDIR="$dest"
    )
}

# deps_ares DEST CC CFLAGS: the library alone.
deps_ares() {
    local dest=$1 cc=$2 cflags=$3
    deps_source c-ares
    (
        cd c-ares || exit 1
        ./configure CC="$cc" CFLAGS="$cflags" --prefix=/ --disable-shared --enable-static --disable-tests \
            --disable-dependency-tracking
        make -C include install DESTDIR="$dest"
        make -C src/lib -j"$deps_jobs" install DESTDIR="$dest"
    )
}

# deps_zlib DEST CC CFLAGS: what compressing takes; five plain files. The tables of the checksum are made when they are needed:
# ready ones are 27 kB of the program that everybody has resident.
deps_zlib() {
    local dest=$1 cc=$2 cflags=$3 file
    deps_source zlib
    for file in adler32 crc32 deflate trees zutil; do
        # shellcheck disable=SC2086
        $cc $cflags -DHAVE_HIDDEN -DDYNAMIC_CRC_TABLE -c "zlib/$file.c" -o "zlib/$file.o"
    done
    ar rcsD "$dest/lib/libz.a" zlib/{adler32,crc32,deflate,trees,zutil}.o
    cp zlib/{zlib,zconf}.h "$dest/include/"
}

deps_jansson() {
    local dest=$1 cc=$2 cflags=$3
    deps_source jansson
    (
        cd jansson || exit 1
        autoreconf -fi
        ./configure CC="$cc" CFLAGS="$cflags" --prefix=/ --disable-shared --enable-static --disable-dependency-tracking
        make -C src -j"$deps_jobs" install DESTDIR="$dest"
    )
}

# deps_curl DEST CC CFLAGS: HTTP and HTTPS only. Names are resolved by c-ares in the caller's loop, so no thread is started
# for a look-up; no CA bundle is built in, so a caller that names none trusts nobody.
deps_curl() {
    local dest=$1 cc=$2 cflags=$3
    deps_source curl 90_gnutls.patch 99_nss.patch
    (
        cd curl || exit 1
        ./configure CC="$cc" CFLAGS="$cflags" --prefix=/ --disable-shared --enable-static --disable-dependency-tracking \
            --with-openssl --enable-ares --with-zlib --without-ca-bundle --without-ca-path --without-brotli \
            --without-zstd --without-libpsl --without-libidn2 --without-nghttp2 --without-librtmp --without-libssh2 \
            --without-gssapi --without-libgsasl --disable-ftp --disable-file --disable-ldap --disable-ldaps \
            --disable-rtsp --disable-dict --disable-telnet --disable-tftp --disable-pop3 --disable-imap --disable-smb \
            --disable-smtp --disable-gopher --disable-mqtt --disable-manual --disable-libcurl-option --disable-ntlm \
            --disable-ntlm-wb --disable-tls-srp --disable-cookies --disable-alt-svc --disable-hsts --disable-doh \
            --disable-netrc --disable-mime --disable-progress-meter --disable-get-easy-options --disable-websockets \
            --disable-openssl-auto-load-config
        make -C lib -j"$deps_jobs" install DESTDIR="$dest"
        make -C include install DESTDIR="$dest"
    )
    grep -q 'define USE_ARES 1' curl/lib/curl_config.h
}

# What a program has that sets nothing: MALLOC_CONF comes after it and outweighs it, option by option. For one thread that works for a moment and then
# waits: pages that it has freed go back at once, and no cache keeps what is above 1 KiB.
deps_jemalloc_conf=dirty_decay_ms:0,lg_tcache_max:10

# deps_jemalloc_source DEST CC CFLAGS: without a prefix, so it replaces malloc and reads MALLOC_CONF. No profiler, as nothing unwinds the stack here; no dss, as
# musl's sbrk gives nothing. Addresses of 48 bits are what a kernel hands out unasked, and configure's own guess is the building machine's.
# recipe/jemalloc.patch: it answers questions without a table for each arena that there could be (4 kB each, four for each processor).
deps_jemalloc_source() {
    local dest=$1 cc=$2 cflags=$3
    deps_source jemalloc
    (
        cd jemalloc || exit 1
        ./configure CC="$cc" CFLAGS="$cflags -fno-unroll-loops" ac_cv_func_sbrk=no --prefix=/ --disable-shared --enable-static --disable-cxx --disable-doc --disable-libdl \
            --with-version=5.3.0-0-g0 --with-lg-page=12 --with-lg-hugepage=21 --with-lg-vaddr=48 --with-malloc-conf="$deps_jemalloc_conf"
        make -j"$deps_jobs" lib/libjemalloc.a
    )
    cp -- jemalloc/lib/libjemalloc.a "$dest/lib/"
}

deps_finish() {
    rm -rf -- "${1:?}"/{share,bin,lib/pkgconfig,lib/*.la}
    ls -l "$1/lib"
}

# musl-gcc does not see the kernel's headers (error queue, time stamps): DEST/kernel holds links to them, for -idirafter.
deps_musl() {
    local dest=$1 flags arch dir
    arch=/usr/include/$(gcc -print-multiarch)
    mkdir -p "$dest"/{include,lib,kernel}
    for dir in /usr/include/linux /usr/include/asm-generic "$arch/asm"; do
        ln -s "$dir" "$dest/kernel/"
    done
    flags="-Os $deps_common -fno-asynchronous-unwind-tables -idirafter $dest/kernel" # tables to unwind: 40 KiB that nobody reads
    deps_yaml "$dest" musl-gcc "$flags"
    deps_microhttpd "$dest" musl-gcc "$flags"
    deps_ares "$dest" musl-gcc "$flags"
    deps_zlib "$dest" musl-gcc "$flags"
    deps_jemalloc_source "$dest" musl-gcc "$flags"
    deps_finish "$dest"
}

deps_glibc() {
    local dest=$1 flags="-O2 $deps_common -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"
    mkdir -p "$dest"/{include,lib}
    deps_yaml "$dest" gcc "$flags"
    deps_microhttpd "$dest" gcc "$flags"
    deps_jansson "$dest" gcc "$flags"
    deps_curl "$dest" gcc "$flags"
    deps_finish "$dest"
}

# Debian's own archive, for the stand-in of make bench-allocator: built without a prefix, so it replaces malloc and reads MALLOC_CONF.
deps_jemalloc() {
    local dest=$1 lib
    lib=/usr/lib/$(gcc -print-multiarch)/libjemalloc.a
    mkdir -p "$dest"/{include,lib}
    nm "$lib" 2>/dev/null | grep ' T malloc$' || { echo "$lib does not replace malloc" >&2 && return 1; }
    grep -q MALLOC_CONF "$lib" || { echo "$lib does not read MALLOC_CONF" >&2 && return 1; }
    cp -- "$lib" "$dest/lib/"
    cp -r -- /usr/include/jemalloc "$dest/include/"
    ls -l "$dest/lib"
}
