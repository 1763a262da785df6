// SPDX-License-Identifier: Apache-2.0
// The STAMP reflector with packets of the input's choice: this file has its own sock_reflect. Each packet is
// answered or refused for one reason, and an answer is no longer than its question, goes to who asked, and
// holds the question.
#include <sys/eventfd.h>

#include "agent/reflect_stamp.h"
#include "agent/sock_reflect.h"
#include "agent/stamp_wire.h"
#include "lib/limits.h"
#include "test/fuzz/fuzz.h"

static struct {
    struct fuzz_input in;
    int fd[FAMILIES];
    struct sock_reflect_packet now;    // the packet that was handed out last
    uint8_t copy[LIMIT_PROBE_PAYLOAD]; // as it was
    uint64_t packets, answers;
} net;

int sock_reflect_open(enum family f, const struct addr *addr UNUSED, uint16_t port, uint16_t *ret_port,
                      struct err *e UNUSED)
{
    net.fd[f] = eventfd(1, EFD_CLOEXEC);
    *ret_port = port;
    return net.fd[f];
}

bool sock_reflect_read(int fd, uint8_t *buf, size_t size, struct sock_reflect_packet *ret)
{
    size_t len;
    if (net.in.len == 0)
        return false;
    unsigned kind = (unsigned)fuzz_take(&net.in, 1);
    size_t more = kind & 1 ? fuzz_take(&net.in, 2) : STAMP_WIRE_BYTES;
    size_t want = MIN(more, size);
    struct addr a = {.family = fd == net.fd[FAMILY_IPV6], .set = 1};
    const uint8_t *bytes = fuzz_take_bytes(&net.in, kind & 2 ? MIN(want, (size_t)16) : want, &len);
    memset(buf, 0, size);
    if (len > 0)
        memcpy(buf, bytes, len);
    if (!(kind & 1) || kind & 4)
        len = want; // what the input does not have is zero, as a sender's packet is
    a.bytes[0] = (uint8_t)(kind >> 6);
    *ret = (struct sock_reflect_packet){.data = buf,
                                        .len = len,
                                        .cut = more > size,
                                        .from = a,
                                        .port = (uint16_t)fuzz_take(&net.in, 2),
                                        .to = a,
                                        .direct = !(kind & 8),
                                        .ttl = (uint8_t)kind,
                                        .class = (uint8_t)kind};
    ret->to.set = !(kind & 16);
    net.now = *ret;
    memcpy(net.copy, buf, len);
    net.packets++;
    return true;
}

int sock_reflect_answer(int fd UNUSED, const struct sock_reflect_packet *k, const uint8_t *data, size_t len,
                        bool whole UNUSED)
{
    struct stamp_wire_answer a;
    FUZZ_CHECK(addr_equal(&k->from, &net.now.from) && k->port == net.now.port && k->port >= 1024);
    FUZZ_CHECK(!net.now.cut && net.now.direct && net.now.to.set);
    FUZZ_CHECK(len == net.now.len && len >= STAMP_WIRE_BYTES);
    FUZZ_CHECK(stamp_wire_is_query(net.copy));
    FUZZ_CHECK(stamp_wire_get_answer(data, len, &a) == 0);
    FUZZ_CHECK(!stamp_wire_is_query(data)); // no reflector answers it
    FUZZ_CHECK(memcmp(data + 24, net.copy, 14) == 0 && memcmp(data + 14, net.copy + 14, 2) == 0);
    FUZZ_CHECK(a.ttl == net.now.ttl);
    FUZZ_CHECK(memcmp(data + STAMP_WIRE_BYTES, net.copy + STAMP_WIRE_BYTES, len - STAMP_WIRE_BYTES) == 0);
    net.answers++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err e;
    struct reflect_stamp_stats s;
    net.in = (struct fuzz_input){data, len};
    net.packets = net.answers = 0;
    struct loop *l = loop_new(&e);
    struct reflect_stamp *r = l ? reflect_stamp_new(l, &(struct addr){0}, 9964, 1, &e) : NULL;
    FUZZ_CHECK(r);
    while (net.in.len > 0)
        FUZZ_CHECK(loop_once(l, NS_PER_S, &e) == 0);
    reflect_stamp_stats(r, &s);
    uint64_t refused = 0;
    for (unsigned i = 0; i < REFLECT_STAMP_REFUSALS; i++)
        refused += s.refused[i];
    FUZZ_CHECK(s.answered == net.answers && s.answered + refused == net.packets);
    FUZZ_CHECK(s.sessions <= s.answered);
    reflect_stamp_free(r);
    loop_free(l);
    return 0;
}
