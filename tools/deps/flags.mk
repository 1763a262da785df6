# SPDX-License-Identifier: Apache-2.0
# How the release binaries are compiled and linked, on top of the prefixes that `tools/deps/build KIND` prints. Include it after
# setting MUSL_PREFIX, GLIBC_PREFIX and JEMALLOC_PREFIX; it sets variables only. The programs:
#   kubecanary-agent            MUSL_CC  MUSL_CFLAGS    MUSL_LDFLAGS OBJECTS MUSL_AGENT_LIBS
#   kubecanary-agent-jemalloc   the same, with MUSL_JEMALLOC_AGENT_LIBS
#   kubecanary-http             GLIBC_CC GLIBC_CFLAGS   GLIBC_LDFLAGS OBJECTS GLIBC_HTTP_LIBS
#   kubecanary-operator         GLIBC_CC GLIBC_CFLAGS   GLIBC_LDFLAGS OBJECTS GLIBC_OPERATOR_LIBS
# The *_CFLAGS go after the common ones (-std, -I., warnings); the -isystem and -idirafter folders are beyond the warnings.
# All are static and position independent: an address of their own at each start for 8 kB (2 %) more of the small agent.
# `tools/deps/check` builds a small program with exactly these flags and runs each in an empty root.

RELEASE_CFLAGS := -g -ffunction-sections -fdata-sections -fPIE -fstack-protector-strong -fno-plt \
                  -ffile-prefix-map=$(CURDIR)=.
RELEASE_LDFLAGS := -Wl,--gc-sections,-z,relro,-z,now,-z,noexecstack,--build-id=sha1

# musl-gcc of Debian knows no -static-pie; its start files are named here by hand. musl has no _FORTIFY_SOURCE.
MUSL_CC := musl-gcc
MUSL_LIBDIR = /usr/lib/$(shell uname -m)-linux-musl/
MUSL_CFLAGS = $(RELEASE_CFLAGS) -Os -fno-asynchronous-unwind-tables -isystem $(MUSL_PREFIX)/include -idirafter $(MUSL_PREFIX)/kernel
MUSL_LDFLAGS = $(RELEASE_LDFLAGS) -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text \
               $(MUSL_LIBDIR)rcrt1.o $(MUSL_LIBDIR)crti.o
MUSL_LIBS = -L$(MUSL_PREFIX)/lib -lyaml -lmicrohttpd -lcares -lz
MUSL_AGENT_LIBS = $(MUSL_LIBS) $(MUSL_LIBDIR)crtn.o
# jemalloc without a prefix: it takes malloc's place and reads MALLOC_CONF. -u: an archive gives only what somebody asked for, and a weak reference
# to mallctl does not ask.
MUSL_JEMALLOC_AGENT_LIBS = $(MUSL_LIBS) -Wl,-u,malloc,-u,mallctl -ljemalloc $(MUSL_LIBDIR)crtn.o

GLIBC_CC := gcc
GLIBC_CFLAGS = $(RELEASE_CFLAGS) -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -isystem $(GLIBC_PREFIX)/include
GLIBC_LDFLAGS = $(RELEASE_LDFLAGS) -static-pie -pthread
# Debian's jemalloc on glibc is not shipped: the stand-in of make bench-allocator has it.
GLIBC_JEMALLOC_AGENT_LIBS = -Wl,--no-warnings -L$(GLIBC_PREFIX)/lib -lyaml -lmicrohttpd -lcares -lz -L$(JEMALLOC_PREFIX)/lib -Wl,-u,malloc,-u,mallctl \
                            -ljemalloc -lm
# OpenSSL and c-ares name dlopen, getaddrinfo and getservbyname, of which a static link warns. None is called: no engine is
# loaded, libcurl resolves by c-ares and gives it ports as numbers (tools/deps/check proves it without any shared library).
GLIBC_OPERATOR_LIBS = -Wl,--no-warnings -L$(GLIBC_PREFIX)/lib -lcurl -ljansson -lyaml -lmicrohttpd -lssl -lcrypto -lcares -lz
GLIBC_HTTP_LIBS = -Wl,--no-warnings -L$(GLIBC_PREFIX)/lib -lcurl -lssl -lcrypto -lcares -lz
