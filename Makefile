# SPDX-License-Identifier: Apache-2.0
# The one Makefile. `make help` lists what it can do. Variants: build/dev (dynamic, sanitizers), build/release (static).
SHELL := /bin/bash
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
VERSION := $(shell cat VERSION)
REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
V ?= dev
B := build/$(V)
Q := @

WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wwrite-strings -Wformat=2 -Wformat-overflow=2 -Wnull-dereference -Wduplicated-cond -Wduplicated-branches -Wlogical-op \
        -Wvla -Wimplicit-fallthrough=5 -Wswitch-enum -Wundef -Wconversion -Wno-sign-conversion -Werror
BASE := -std=gnu17 -D_GNU_SOURCE -I. -pthread $(WARN) -DKUBECANARY_VERSION='"$(VERSION)"' -DKUBECANARY_REVISION='"$(REVISION)"'

ifeq ($(V),dev)
CC := gcc
CFLAGS := $(BASE) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS := -fsanitize=address,undefined -rdynamic
AGENT_LIBS := -lyaml -lmicrohttpd
OPERATOR_LIBS := -lcurl -ljansson -lyaml -lmicrohttpd
endif

LIB_SRC := $(sort $(wildcard lib/*.c))
AGENT_SRC := $(sort $(wildcard agent/*.c))
OPERATOR_SRC := $(sort $(wildcard operator/*.c) $(wildcard operator/*.S))
# Sources that need libcurl or jansson stay in an archive member of their own: the agent never pulls them in.
obj = $(patsubst %,$(B)/%.o,$(1))
LIB_A := $(B)/lib.a
AGENT_A := $(B)/agent.a
OPERATOR_A := $(B)/operator.a

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

.PHONY: build
build: $(B)/kubecanary-agent $(B)/kubecanary-operator ## the development build (dynamic, with sanitizers)

$(B)/%.c.o: %.c Makefile VERSION | packages-build
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/%.S.o: %.S Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(LIB_A): $(call obj,$(LIB_SRC))
$(AGENT_A): $(call obj,$(filter-out agent/main.c,$(AGENT_SRC)))
$(OPERATOR_A): $(call obj,$(filter-out operator/main.c,$(OPERATOR_SRC)))
$(B)/%.a:
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/kubecanary-agent: $(B)/agent/main.c.o $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)
$(B)/kubecanary-operator: $(B)/operator/main.c.o $(OPERATOR_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(OPERATOR_LIBS)

# --- unit tests: test/unit/{lib,agent,operator}/test_X.c, each a program linked with that part's archive ---------------------------
UNIT_SRC := $(sort $(wildcard test/unit/*/test_*.c) $(wildcard test/sim/test_*.c))
UNIT_BIN := $(patsubst %.c,$(B)/%,$(UNIT_SRC))
$(B)/test/unit/lib/%: $(B)/test/unit/lib/%.c.o $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(OPERATOR_LIBS)
$(B)/test/unit/agent/%: $(B)/test/unit/agent/%.c.o $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)
$(B)/test/sim/%: $(B)/test/sim/%.c.o $(AGENT_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)
$(B)/test/unit/operator/%: $(B)/test/unit/operator/%.c.o $(OPERATOR_A) $(LIB_A)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(OPERATOR_LIBS)

.PHONY: unit
unit: $(UNIT_BIN) ## the unit and simulation tests, under sanitizers
	@test/run-unit $(UNIT_BIN)

.PHONY: packages-build
packages-build:
	@[ ! -x tools/install-packages ] || tools/install-packages build

.PHONY: clean
clean: ## remove build/
	rm -rf build

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
