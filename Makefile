# SPDX-License-Identifier: Apache-2.0
# The one Makefile; `make help` lists what it can do. It compiles in variants, one folder each: build/dev (dynamic, sanitizers), build/musl and
# build/glibc (static), build/deps (as build/dev, with the release's libraries), build/fuzz (clang, libFuzzer). build/release has the programs that
# are shipped: `make release`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
Q := @

VERSION := $(shell cat VERSION)
REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
V ?= dev
B := build/$(V)

WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wwrite-strings -Wformat=2 -Wformat-overflow=2 -Wnull-dereference -Wduplicated-cond -Wlogical-op -Wvla \
        -Wimplicit-fallthrough=5 -Wswitch-enum -Wundef -Wconversion -Wno-sign-conversion -Werror
BASE := -std=gnu17 -D_GNU_SOURCE -I. $(WARN) -DKUBECANARY_VERSION='"$(VERSION)"'

include tools/deps/flags.mk
# Without them the linker takes this host's libraries, and the program crashes.
needed_prefixes := $(if $(filter musl,$(V)),MUSL_PREFIX)$(if $(filter glibc,$(V)),GLIBC_PREFIX JEMALLOC_PREFIX)$(if $(filter deps,$(V)),GLIBC_PREFIX)
$(foreach p,$(needed_prefixes),$(if $($(p)),,$(error V=$(V) needs $(p), the folder of its libraries: tools/deps/with make V=$(V) ...)))
ifeq ($(V),musl)
CC := $(MUSL_CC)
CFLAGS = $(BASE) $(MUSL_CFLAGS)
LDFLAGS = $(MUSL_LDFLAGS)
AGENT_LIBS = $(MUSL_AGENT_LIBS)
AGENT_JEMALLOC_LIBS = $(MUSL_JEMALLOC_AGENT_LIBS)
else ifeq ($(V),glibc)
CC := $(GLIBC_CC)
CFLAGS = $(BASE) $(GLIBC_CFLAGS)
LDFLAGS = $(GLIBC_LDFLAGS)
AGENT_LIBS = $(GLIBC_JEMALLOC_AGENT_LIBS)
OPERATOR_LIBS = $(GLIBC_OPERATOR_LIBS)
HTTP_LIBS = $(GLIBC_HTTP_LIBS)
else ifeq ($(V),fuzz)
# Warnings are the other variants' business: clang does not know all of gcc's.
CC := clang-14
CFLAGS := $(filter-out $(WARN),$(BASE)) -Wall -Wextra -Werror -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
          -fno-sanitize-recover=undefined
LDFLAGS := -fsanitize=fuzzer,address,undefined
AGENT_LIBS := -lyaml -lmicrohttpd -lcares -lz
OPERATOR_LIBS := -lcurl -ljansson -lyaml -lmicrohttpd
HTTP_LIBS := -lcurl -lssl -lcrypto
else
CC := gcc
CFLAGS := $(BASE) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS := -fsanitize=address,undefined
AGENT_LIBS := -lyaml -lmicrohttpd -lcares -lz
OPERATOR_LIBS := -lcurl -ljansson -lyaml -lmicrohttpd
HTTP_LIBS := -lcurl -lssl -lcrypto
ifeq ($(V),deps)
CFLAGS += -isystem $(GLIBC_PREFIX)/include
AGENT_LIBS = -L$(GLIBC_PREFIX)/lib -lyaml -lmicrohttpd -lcares -lz
OPERATOR_LIBS = $(GLIBC_OPERATOR_LIBS)
HTTP_LIBS = $(GLIBC_HTTP_LIBS)
endif
endif

LIB_SRC := $(sort $(wildcard lib/*.c))
# Only the agent is built against musl, and it speaks to nobody by HTTP: there is no libcurl there (kubecanary-http has it).
ifeq ($(V),musl)
LIB_SRC := $(filter-out lib/fetch%.c,$(LIB_SRC))
endif
AGENT_SRC := $(sort $(wildcard agent/*.c))
HTTP_SRC := $(sort $(wildcard agent/http/*.c))
OPERATOR_SRC := $(sort $(wildcard operator/*.c operator/*.S))
UNIT_SRC := $(sort $(wildcard test/unit/*/test_*.c test/sim/test_*.c test/torture/test_*.c))
FUZZ_SRC := $(sort $(wildcard test/fuzz/*/*.c))
obj = $(patsubst %,$(B)/%.o,$(1))
LIB_A := $(B)/lib.a
AGENT_A := $(B)/agent.a
OPERATOR_A := $(B)/operator.a

.PHONY: help
help: ## list the targets
	@echo "kubecanary $(VERSION)"
	@grep -hE '^[a-z0-9-]+:.*##' $(firstword $(MAKEFILE_LIST)) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# --- the two commands --------------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: packages-build packages-demo ## a fleet of five nodes on this machine, with a real Prometheus (DEMO_EXIT=1: one round)
	@test/demo/run

.PHONY: test
test: ## all tests, a real Kubernetes included
	@test/all

# --- building ----------------------------------------------------------------------------------------------------------------------

.PHONY: build
build: $(B)/kubecanary-agent $(B)/kubecanary-http $(B)/kubecanary-operator ## the development build, with sanitizers

.PHONY: release
release: packages-build ## the static programs in build/release
	@tools/release

.PHONY: order
order: release packages-order ## finds out again which functions of the agent run in a mesh (root, valgrind)
	@tools/order/measure build/musl/kubecanary-agent >build/order
	@tools/order/measure build/musl/kubecanary-agent-jemalloc build/order >build/order-jemalloc
	@mv build/order tools/order/agent && mv build/order-jemalloc tools/order/jemalloc

.PHONY: images
images: release ## the container images in build/images
	@tools/images

# Whatever is compiled first on a new machine finds its headers.
$(B)/%.c.o: %.c Makefile VERSION tools/deps/flags.mk | packages-build $(if $(filter fuzz,$(V)),packages-fuzz)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/%.S.o: %.S Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
# Which commit it is stands in this one object, so that a commit does not rebuild everything.
$(B)/lib/version.c.o: CFLAGS += -DKUBECANARY_REVISION='"$(REVISION)"'
$(B)/lib/version.c.o: build/revision
build/revision: FORCE
	@mkdir -p build; echo "$(REVISION)" | cmp -s - $@ || echo "$(REVISION)" >$@
# .incbin is no include that the compiler could report.
$(B)/operator/rules.S.o: charts/kubecanary/rules/fleet.yaml

$(LIB_A): $(call obj,$(LIB_SRC))
$(AGENT_A): $(call obj,$(filter-out agent/main.c,$(AGENT_SRC)))
$(OPERATOR_A): $(call obj,$(filter-out operator/main.c,$(OPERATOR_SRC)))
$(B)/%.a:
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# What runs all the time lies together (tools/order/script says why), and what writes each sample of a scrape is quick before it is small.
ifeq ($(V),musl)
$(B)/lib/metric.c.o: CFLAGS += -O2
$(B)/kubecanary-agent: LDFLAGS += -Wl,-T,$(B)/agent.ld
$(B)/kubecanary-agent: $(B)/agent.ld
$(B)/kubecanary-agent-jemalloc: LDFLAGS += -Wl,-T,$(B)/jemalloc.ld
$(B)/kubecanary-agent-jemalloc: $(B)/jemalloc.ld
endif
$(B)/agent.ld: tools/order/agent
$(B)/jemalloc.ld: tools/order/agent tools/order/jemalloc
$(B)/%.ld: tools/order/script tools/order/lists.py
	@mkdir -p $(@D)
	@$< $(filter-out tools/order/script %.py,$^) >$@
$(B)/kubecanary-agent: $(B)/agent/main.c.o $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter-out %.ld,$^) $(AGENT_LIBS)
# With another malloc, V=musl only.
$(B)/kubecanary-agent-jemalloc: $(B)/agent/main.c.o $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter-out %.ld,$^) $(AGENT_JEMALLOC_LIBS)
# The agent's helper: what both know of each other is one file.
$(B)/kubecanary-http: $(call obj,$(HTTP_SRC) agent/http_wire.c) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(HTTP_LIBS)
$(B)/kubecanary-operator: $(B)/operator/main.c.o $(OPERATOR_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(OPERATOR_LIBS)

# --- tests -------------------------------------------------------------------------------------------------------------------------

UNIT_BIN := $(patsubst %.c,$(B)/%,$(UNIT_SRC))
$(B)/test/unit/lib/%: $(B)/test/unit/lib/%.c.o $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(OPERATOR_LIBS)
# It counts allocations, with V=musl those of libmicrohttpd too.
$(B)/test/unit/lib/test_serve_kept: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc
$(B)/test/unit/lib/test_serve_kept: OPERATOR_LIBS := $(AGENT_LIBS)
$(B)/test/system/%: $(B)/test/system/%.c.o $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)
# An agent whose allocations are counted (V=musl): test/system/counted.c says which.
COUNTED := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=__libc_malloc,--wrap=__libc_calloc,--wrap=mmap,--wrap=mremap
$(B)/test/system/counted-agent: $(B)/test/system/counted.c.o $(B)/agent/main.c.o $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) $(COUNTED) -o $@ $^ $(AGENT_LIBS)
$(B)/test/bench/%: $(B)/test/bench/%.c.o
	$(Q)$(CC) $(LDFLAGS) -o $@ $^
# The same program on each allocator: V=musl: musl's, V=glibc: Debian's jemalloc, and glibc's.
$(B)/test/bench/allocator/standin: $(B)/test/bench/allocator/standin.c.o $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)
$(B)/test/bench/allocator/standin-system: $(B)/test/bench/allocator/standin.c.o $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^
$(B)/test/unit/operator/%: $(B)/test/unit/operator/%.c.o $(OPERATOR_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(OPERATOR_LIBS)
$(B)/test/kube/%: $(B)/test/kube/%.c.o $(OPERATOR_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(OPERATOR_LIBS)
$(B)/test/unit/agent/%: $(B)/test/unit/agent/%.c.o $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)
$(B)/test/sim/%: $(B)/test/sim/%.c.o $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)

# What allocates goes through test/torture/torture.c, in our code and in the libraries that are static here.
TORTURE := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup,--wrap=strndup,--wrap=asprintf,--wrap=vasprintf \
           -Wl,--wrap=mmap
$(B)/test/torture/test_agent: $(B)/test/torture/test_agent.c.o $(B)/test/torture/torture.c.o $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) $(TORTURE) -Wl,--wrap=inotify_init1 -o $@ $^ -l:libyaml.a -l:libcares.a -lmicrohttpd -lz
$(B)/test/torture/test_operator $(B)/test/torture/test_reports: %: %.c.o $(B)/test/torture/torture.c.o $(OPERATOR_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) $(TORTURE) -o $@ $^ -l:libyaml.a -l:libjansson.a -lcurl -lmicrohttpd

FUZZ_O := $(B)/test/fuzz/fuzz.c.o
FUZZ_BIN := $(patsubst %.c,$(B)/%,$(FUZZ_SRC))
$(B)/test/fuzz/lib/pem: OPERATOR_LIBS += -lcrypto
$(B)/test/fuzz/lib/%: $(B)/test/fuzz/lib/%.c.o $(FUZZ_O) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(OPERATOR_LIBS)
$(B)/test/fuzz/agent/%: $(B)/test/fuzz/agent/%.c.o $(FUZZ_O) $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)
$(B)/test/fuzz/operator/%: $(B)/test/fuzz/operator/%.c.o $(FUZZ_O) $(OPERATOR_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(OPERATOR_LIBS)

.PHONY: unit
unit: $(UNIT_BIN) ## unit and simulation tests, under sanitizers
	@test/run-unit $(UNIT_BIN)

.PHONY: wire
wire: $(B)/test/system/test_probe_icmp ## the sockets against a network of their own (root: a TUN device)
	@test/run-unit $^

.PHONY: fuzz fuzz-programs
fuzz: ## fuzz every parser of foreign input, FUZZ_SECONDS each (60), FUZZ=NAME... only these
	@test/fuzz/run --seconds $(or $(FUZZ_SECONDS),60) $(FUZZ)
fuzz-programs: $(FUZZ_BIN) # with V=fuzz

.PHONY: golden
golden: build ## resources in, objects out (UPDATE=1 writes what comes out)
	@test/golden/run $(if $(UPDATE),--update)

.PHONY: lint
lint: packages-lint ## format, banned functions, sizes, layering
	@tools/lint/run

.PHONY: check
check: packages-build packages-lint ## the quick part: no root, no cluster
	@test/all --quick

.PHONY: e2e
e2e: packages-test packages-cluster $(if $(filter command line,$(origin KUBECONFIG)),,images) ## the end-to-end test; KUBECONFIG=FILE (on the command line) runs it on a cluster that is there
	@test/cluster/e2e $(if $(filter command line,$(origin KUBECONFIG)),--kubeconfig $(KUBECONFIG))

.PHONY: bench
bench: release packages-bench ## the agent beside fping and smokeping_prober: memory, processor time, errors against the truth (BENCH="--rounds 1": test/bench/run --help)
	@tools/deps/with $(MAKE) --no-print-directory V=glibc build/glibc/test/bench/hold
	@test/bench/run $(BENCH)

.PHONY: bench-allocator
bench-allocator: release packages-bench ## memory by cores, arenas and threads: docs/allocator.md (UPDATE=1 writes it)
	@test/bench/allocator/run $(if $(UPDATE),--update)

# --- machine -----------------------------------------------------------------------------------------------------------------------

packages-%: FORCE
	@tools/install-packages $*

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: FORCE
FORCE:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
