// SPDX-License-Identifier: Apache-2.0
// Targets one after the other: one with an address has its pair at once, one with a name is remembered.
#include "agent/plan_targets.h"

#include <errno.h>
#include <string.h>

#include "agent/plan_parts.h"
#include "lib/spec_http.h"

static int add_http_target(struct plan *p, const struct spec_target *t)
{
    unsigned families = spec_http_families(t);
    enum family f = families == FAMILY_BIT(FAMILY_IPV6) ? FAMILY_IPV6 : FAMILY_IPV4;
    struct plan_http h = {.url = t->url,
                          .ca = t->ca_bundle ? t->ca_bundle : "",
                          .ca_len = t->ca_bundle ? strlen(t->ca_bundle) : 0,
                          .head = t->method == SPEC_METHOD_HEAD,
                          .follow = t->follow,
                          .insecure = t->insecure,
                          .any_family = families != FAMILY_BIT(f),
                          .n_statuses = (uint8_t)t->expect.n_statuses};
    for (size_t i = 0; i < t->expect.n_statuses; i++)
        h.statuses[i] = (uint16_t)t->expect.statuses[i];
    const struct plan_probe as = {.type = SPEC_HTTP,
                                  .target = true,
                                  .http = &h,
                                  .interval_ns = t->interval_ns,
                                  .timeout_ns = t->timeout_ns};
    if (!plan_parts_dest(p, t->name, "", p->network, true) ||
        plan_parts_probe(p, spec_probe_type_label(SPEC_HTTP), &as) != 0)
        return -ENOMEM;
    plan_parts_pair(p, p->n_dests - 1, p->n_probes - 1, f);
    return 0;
}

int plan_targets_add(struct plan *p, const struct spec *s)
{
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct spec_target *t = &s->targets[i];
        if (t->type == SPEC_HTTP) {
            if (add_http_target(p, t) != 0)
                return -ENOMEM;
            continue;
        }
        struct plan_probe as = {.type = t->type,
                                .port = t->port,
                                .target = true,
                                .interval_ns = t->interval_ns,
                                .timeout_ns = t->timeout_ns};
        const struct addr *to = spec_target_address(t);
        if (t->type == SPEC_DNS) {
            as.tcp = t->transport == SPEC_TRANSPORT_TCP;
            as.rcodes = (uint8_t)t->expect.rcodes;
            as.record = t->record_type;
            as.query = t->query;
            as.n_answers = (uint8_t)t->expect.n_answers;
            as.answers = (const char *const *)t->expect.answers;
        }
        as.named = t->host[0] != '\0';
        if (plan_parts_probe(p, spec_probe_type_label(t->type), &as) != 0)
            return -ENOMEM;
        if (as.named) {
            if (plan_parts_host(p, t->name, t->host, p->n_probes - 1, t->addresses == SPEC_ADDRESSES_ALL) !=
                0)
                return -ENOMEM;
            continue;
        }
        struct plan_dest *d = plan_parts_dest(p, t->name, "", p->network, true);
        if (!d)
            return -ENOMEM;
        d->addr[to->family] = *to;
        plan_parts_pair(p, p->n_dests - 1, p->n_probes - 1, (enum family)to->family);
    }
    return 0;
}
