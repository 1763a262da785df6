// SPDX-License-Identifier: Apache-2.0
// What the agent answers over HTTP: /metrics, /healthz (the loop turns), /readyz (files in force, sockets
// open; 503 with the reason otherwise), /report. Only reads.
#ifndef KUBECANARY_AGENT_WEB_H
#define KUBECANARY_AGENT_WEB_H

#include "agent/export.h"

struct web;

struct web_opts {
    struct addr addr;
    uint16_t port;
    const char *node; // must outlive the web, like prober
    const char *network;
    const struct prober *prober;
    const struct peer_link *link;
};

struct web *web_new(struct loop *l, const struct web_opts *o, struct err *e); // NULL on failure
void web_free(struct web *w);                                                 // takes NULL
uint16_t web_port(const struct web *w);
// What comes later than the server itself; NULL: gone again.
void web_set_inputs(struct web *w, const struct inputs_state *s);
void web_set_reflect(struct web *w, const struct reflect *tcp, const struct reflect_stamp *stamp);
// From now on /readyz says 503.
void web_set_leaving(struct web *w);

#endif
