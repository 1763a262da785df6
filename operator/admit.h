// SPDX-License-Identifier: Apache-2.0
// Whether a fleet may be carried out on this cluster as it is: its spec parsed and checked, what it refers to
// looked up, and its load held against its budget. Reads the store, changes nothing.
#ifndef KUBECANARY_OPERATOR_ADMIT_H
#define KUBECANARY_OPERATOR_ADMIT_H

#include "lib/peers.h"
#include "lib/spec_check.h"
#include "operator/store.h"

struct admit {
    struct spec spec;
    bool have_spec; // it could be parsed and the next two are filled, whatever else is wrong
    struct spec_scale scale;
    struct spec_load load; // of the whole fleet
};
void admit_release(struct admit *a); // takes a zeroed struct

// First its spec alone: EINVAL with the field's path, ENOMEM. *ret is to be released on failure too.
MUST_USE int admit_spec(const struct store_fleet *fleet, struct admit *ret, struct err *e);
// Then the rest; peers: the fleet's members now. EINVAL with the field's path; EDQUOT if the budget does not
// hold what the fleet would send once it is on all its nodes. ENOMEM.
MUST_USE int admit_fleet(const struct store *s, const struct peers *peers, struct admit *a, struct err *e);

#endif
