// SPDX-License-Identifier: Apache-2.0
// The environment of the agent's container: which variables the fields of a spec may set, and that no two set
// the same one. Pure. All functions: 0, or EINVAL.
#ifndef KUBECANARY_LIB_SPEC_ENV_H
#define KUBECANARY_LIB_SPEC_ENV_H

#include "lib/spec.h"

// Variables that hold neither an allocator's options nor a number of threads: what the operator and
// Kubernetes set in every container, and what every program reads for something else (a PATH of 4 breaks it).
// The CRD has the same expression (a test compares them).
#define SPEC_ENV_RESERVED \
    "^(NODE_NAME|HOSTNAME|PATH|HOME|PWD|USER|SHELL|TERM|TMPDIR|TZ|LANG|(LC|LD|KUBERNETES)_[A-Za-z0-9_]*)$"

// The allocator's variable. Path "allocator.variable".
MUST_USE int spec_env_check_allocator(const struct spec_agent *a, struct err *e);
// Those of threads and env, each apart from all others. Path "agent.threads.variable", "agent.env[0].name".
MUST_USE int spec_env_check(const struct spec_agent *a, struct err *e);
// That no two of allocator, threads and env set the same variable, for an override's allocator. No path.
MUST_USE int spec_env_check_apart(const struct spec_agent *a, struct err *e);

#endif
