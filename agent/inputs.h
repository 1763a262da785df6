// SPDX-License-Identifier: Apache-2.0
// The files the agent lives by: agent.yaml and peers-NN.yaml of one directory, read when they change and
// handed on only when all of them are good. It follows the kubelet's ..data symlink swaps (all files are then
// read from one generation of the mount) and plain edits alike. What is broken or incomplete leaves the last
// good files in force; it is logged once for each new reason, not at each look.
#ifndef KUBECANARY_AGENT_INPUTS_H
#define KUBECANARY_AGENT_INPUTS_H

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/peers.h"
#include "lib/spec_agent_file.h"

// All files of one moment, parsed. peers are sorted.
struct inputs_files {
    struct spec_agent_file agent;
    struct peers peers;
    unsigned slices; // of peers; 0: there was none, and none was needed
};
void inputs_files_release(struct inputs_files *f); // takes a zeroed struct
#define CLEANUP_INPUTS_FILES CLEANUP(inputs_files_release)

// Reads a directory once. Errors carry the file as path ("peers-01.yaml: peers[3].pod[0]"). ENOENT without
// agent.yaml, or without the slices that a mesh needs; EINVAL, E2BIG, ENOMEM. Slice 0 says how many there
// are; files of higher numbers are leftovers and ignored.
MUST_USE int inputs_read(const char *dir, struct inputs_files *ret, struct err *e);
// The lowest number of such a leftover beside so many slices; 0: there is none.
unsigned inputs_leftover(const char *dir, unsigned slices);

// Puts files in force. On failure they count as not loaded, like files that do not parse.
typedef int inputs_apply_fn(const struct inputs_files *f, void *arg, struct err *e);

struct inputs_state {
    bool loaded;          // something good was ever put in force
    bool last_ok;         // the last look found what is in force now
    uint64_t generation;  // of the files in force
    uint64_t loads;       // successful reloads, the first one included
    uint64_t failures;    // reloads that failed; one for each change of the files or of the reason
    uint64_t loaded_real; // wall-clock time of the last success, ns since 1970
    struct err err;       // why, if !last_ok
};

struct inputs;
// Watches dir (which need not exist yet) and tries it at once: apply is called from within. poll_ns: how
// often it looks when no event comes. NULL: no memory or no descriptors.
struct inputs *inputs_new(struct loop *l, const char *dir, uint64_t poll_ns, inputs_apply_fn *apply,
                          void *arg, struct err *e);
void inputs_free(struct inputs *in); // takes NULL
const struct inputs_state *inputs_state(const struct inputs *in);

#endif
