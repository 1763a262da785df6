// SPDX-License-Identifier: Apache-2.0
// Values that every backend shares.
#include "operator/cluster.h"

void action_release(struct action *a)
{
    json_decref(a->body);
    a->body = NULL;
}
