// SPDX-License-Identifier: Apache-2.0
// ProbeFleets of the local backend: reads the file, or the *.yaml of the directory, and reads again when one
// changes. What does not parse leaves the last good one in force. Puts fleets into the objects and takes them
// away, with everything that they own.
#ifndef KUBECANARY_OPERATOR_LOCAL_FLEETS_H
#define KUBECANARY_OPERATOR_LOCAL_FLEETS_H

#include "lib/loop.h"
#include "operator/local_objects.h"

// How often the files' metadata is looked at: an edit is carried out within that time.
#define LOCAL_FLEETS_PERIOD_NS (500 * NS_PER_MS)
// A file is deleted when so many looks in a row did not find it: editors move a file away before they put the
// new one there.
#define LOCAL_FLEETS_MISSING 2

struct local_fleets;

// deleted: after a fleet went away (its children are gone from the objects then).
struct local_fleets *local_fleets_new(struct loop *l, struct local_objects *o, const char *path,
                                      void (*deleted)(void *arg), void *arg, struct err *e);
// Reads for the first time and starts to look after the files. Fails when there is no fleet to begin with.
MUST_USE int local_fleets_start(struct local_fleets *f, struct err *e);
void local_fleets_free(struct local_fleets *f); // takes NULL

#endif
