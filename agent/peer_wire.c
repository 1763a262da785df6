// SPDX-License-Identifier: Apache-2.0
// The agents' message, written and read.
#include "agent/peer_wire.h"

#include <string.h>

#include "lib/bytes.h"

static const uint8_t magic[4] = {'k', 'c', 'p', '1'};

const char *peer_wire_kind_name(enum peer_wire_kind k)
{
    static const char *const names[PEER_WIRE_KINDS] = {"hint", "query", "answer"};
    return names[k];
}

void peer_wire_write(uint8_t out[static PEER_WIRE_BYTES], const struct peer_wire *m)
{
    memcpy(out, magic, sizeof(magic));
    out[4] = (uint8_t)(m->kind + 1);
    out[5] = m->leaving;
    out[6] = out[7] = 0;
    bytes_put(out + 8, m->fleet, 8);
    bytes_put(out + 16, m->agent, 8);
    bytes_put(out + 24, m->nonce, 8);
}

bool peer_wire_read(const uint8_t *data, size_t len, struct peer_wire *ret)
{
    if (len != PEER_WIRE_BYTES || memcmp(data, magic, sizeof(magic)) != 0)
        return false;
    if (data[4] < 1 || data[4] > PEER_WIRE_KINDS || data[5] > 1 || data[6] || data[7])
        return false;
    *ret = (struct peer_wire){
        .kind = (enum peer_wire_kind)(data[4] - 1),
        .leaving = data[5],
        .fleet = bytes_get(data + 8, 8),
        .agent = bytes_get(data + 16, 8),
        .nonce = bytes_get(data + 24, 8),
    };
    return true;
}

uint64_t peer_wire_fleet(const char *fleet)
{
    return base_hash(base_hash(BASE_HASH_INIT, fleet, strlen(fleet) + 1), "Pod", 3);
}

uint64_t peer_wire_agent(const char *node, enum spec_network network)
{
    uint64_t h = base_hash(BASE_HASH_INIT, node, strlen(node));
    return network == SPEC_NETWORK_NODE ? base_hash(h, "\0Node", 5) : h;
}
