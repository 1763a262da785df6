// SPDX-License-Identifier: Apache-2.0
// Sessions: a hash table of sets of eight places; each session may be in either of two. Rates: one moment a
// place, of when its allowance is whole again (the generic cell rate algorithm).
#include "agent/stamp_session.h"

#include <errno.h>
#include <string.h>

#include "lib/limits.h"

#define WAYS 8
#define SESSIONS_MIN 64 // who has newer files than we may ask already
#define SOURCES_MIN 64
#define SPARE_SESSIONS 2 // so that hardly a set overflows when all sessions are there
#define SPARE_SOURCES 4  // so that few sources share a place

struct session {
    uint8_t address[16];
    uint16_t port;
    uint16_t ssid;
    uint8_t family;
    bool used;
    uint32_t next;
    uint32_t used_s; // when it was last asked for
};

struct stamp_session {
    uint64_t seed;
    uint64_t whole_ns; // of all together
    size_t n_sessions, n_sources;
    size_t count;
    struct session *sessions;
    uint64_t *sources;
};

static size_t power(size_t need, size_t min, size_t max)
{
    size_t n = min;
    while (n < need && n < max)
        n *= 2;
    return n;
}

static size_t session_places(size_t sessions)
{
    return power(SPARE_SESSIONS * sessions, SESSIONS_MIN, LIMIT_STAMP_SESSIONS);
}

static size_t source_places(size_t sources)
{
    return power(SPARE_SOURCES * sources, SOURCES_MIN, LIMIT_STAMP_SOURCES);
}

size_t stamp_session_bytes(size_t sessions, size_t sources)
{
    return sizeof(struct stamp_session) + session_places(sessions) * sizeof(struct session) +
           source_places(sources) * sizeof(uint64_t);
}

struct stamp_session *stamp_session_new(size_t sessions, size_t sources, uint64_t seed, struct err *e)
{
    struct stamp_session *t = calloc(1, sizeof(*t));
    if (t) {
        t->seed = seed;
        t->n_sessions = session_places(sessions);
        t->n_sources = source_places(sources);
        t->sessions = calloc(t->n_sessions, sizeof(*t->sessions));
        t->sources = calloc(t->n_sources, sizeof(*t->sources));
    }
    if (t && t->sessions && t->sources)
        return t;
    stamp_session_free(t);
    err_set(e, ENOMEM, "no memory for %zu sessions of STAMP", sessions);
    return NULL;
}

void stamp_session_free(struct stamp_session *t)
{
    if (!t)
        return;
    free(t->sessions);
    free(t->sources);
    free(t);
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 31;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t hash_address(const struct stamp_session *t, const uint8_t address[static 16], uint8_t family)
{
    uint64_t h = base_hash(BASE_HASH_INIT, &t->seed, sizeof(t->seed));
    h = base_hash(h, &family, sizeof(family));
    return mix(base_hash(h, address, 16));
}

// --- rates ---------------------------------------------------------------------------------------

static bool take(uint64_t *whole_ns, uint64_t rate, uint64_t now_ns)
{
    uint64_t from = MAX(*whole_ns, now_ns);
    if (from - now_ns > NS_PER_S - NS_PER_S / rate)
        return false;
    *whole_ns = from + NS_PER_S / rate;
    return true;
}

enum stamp_session_verdict stamp_session_admit(struct stamp_session *t, const struct addr *from,
                                               uint64_t now_ns)
{
    uint64_t h = hash_address(t, from->bytes, from->family);
    uint64_t *source = &t->sources[h & (t->n_sources - 1)], before = *source;
    if (!take(source, LIMIT_STAMP_SOURCE_RATE, now_ns))
        return STAMP_SESSION_SOURCE_RATE;
    if (take(&t->whole_ns, LIMIT_STAMP_RATE, now_ns))
        return STAMP_SESSION_ADMITTED;
    *source = before; // it is not charged for what others took
    return STAMP_SESSION_RATE;
}

// --- sessions ------------------------------------------------------------------------------------

// The two sets that a session may be in: with a choice hardly any is full while others are empty.
static void sets_of(const struct stamp_session *t, const struct session *key, struct session *ret[static 2])
{
    uint64_t h = hash_address(t, key->address, key->family);
    h = mix(h ^ ((uint64_t)key->port << 16 | key->ssid));
    ret[0] = &t->sessions[(h & (t->n_sessions - 1)) / WAYS * WAYS];
    ret[1] = &t->sessions[(h >> 32 & (t->n_sessions - 1)) / WAYS * WAYS];
}

static bool same(const struct session *a, const struct session *b)
{
    return a->used && a->port == b->port && a->ssid == b->ssid && a->family == b->family &&
           memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

struct choice { // of a place for a session
    struct session *own;
    struct session *free; // in the emptier set
    struct session *oldest;
    unsigned n_free;
};

static void look(struct choice *c, struct session *set, const struct session *key)
{
    struct session *empty = NULL;
    unsigned n_free = 0;
    for (struct session *s = set; s < set + WAYS; s++) {
        if (same(s, key))
            c->own = s;
        if (!s->used) {
            empty = s;
            n_free++;
        } else if (!c->oldest || s->used_s < c->oldest->used_s) {
            c->oldest = s;
        }
    }
    if (n_free > c->n_free) {
        c->free = empty;
        c->n_free = n_free;
    }
}

// The place of a session: its own, a free one, or that of the one that has been idle for the longest, and
// long enough; NULL without one.
static struct session *place(struct stamp_session *t, const struct session *key)
{
    struct session *sets[2];
    struct choice c = {0};
    sets_of(t, key, sets);
    look(&c, sets[0], key);
    look(&c, sets[1], key);
    if (c.own)
        return c.own;
    if (!c.free && c.oldest->used_s + LIMIT_STAMP_IDLE_NS / NS_PER_S > key->used_s)
        return NULL;
    struct session *s = c.free ? c.free : c.oldest;
    t->count += c.free != NULL;
    *s = *key;
    return s;
}

bool stamp_session_number(struct stamp_session *t, const struct addr *from, uint16_t port, uint16_t ssid,
                          uint64_t now_ns, uint32_t *ret)
{
    struct session key = {.port = port,
                          .ssid = ssid,
                          .family = from->family,
                          .used = true,
                          .used_s = (uint32_t)(now_ns / NS_PER_S)};
    memcpy(key.address, from->bytes, sizeof(key.address));
    struct session *s = place(t, &key);
    if (!s)
        return false;
    s->used_s = key.used_s;
    *ret = s->next++;
    return true;
}

size_t stamp_session_count(const struct stamp_session *t)
{
    return t->count;
}

void stamp_session_copy(struct stamp_session *t, const struct stamp_session *from)
{
    for (size_t i = 0; i < from->n_sessions; i++)
        if (from->sessions[i].used)
            (void)place(t, &from->sessions[i]);
    t->whole_ns = from->whole_ns;
}
