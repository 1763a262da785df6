// SPDX-License-Identifier: Apache-2.0
// What arrives from the API server as text, cut at every byte: watch lines, lists. Paths to it.
#include <errno.h>

#include "operator/kube_http.h"
#include "operator/kube_items.h"
#include "operator/kube_lines.h"
#include "operator/kube_path.h"
#include "test/unit/check.h"

static int note_line(const char *line, size_t len, void *arg)
{
    struct buf *out = arg;
    buf_char(out, '<');
    buf_add(out, line, len);
    buf_char(out, '>');
    return 0;
}

static void lines_split_at_every_byte(void)
{
    static const char stream[] = "{\"a\":1}\n\n{\"b\":\"\xc3\xa9\\n\"}\r\n\r\n{\"c\":[]}\n{\"cut";
    size_t len = sizeof(stream) - 1;
    for (size_t i = 0; i <= len; i++) {
        for (size_t j = i; j <= len; j++) { // three pieces
            struct kube_lines l;
            CLEANUP_BUF struct buf out;
            buf_init(&out, 1000);
            kube_lines_init(&l);
            CHECK_INT(kube_lines_feed(&l, stream, i, note_line, &out), 0);
            CHECK_INT(kube_lines_feed(&l, stream + i, j - i, note_line, &out), 0);
            CHECK_INT(kube_lines_feed(&l, stream + j, len - j, note_line, &out), 0);
            CHECK_STR(buf_text(&out), "<{\"a\":1}><{\"b\":\"\xc3\xa9\\n\"}><{\"c\":[]}>");
            kube_lines_release(&l);
        }
    }
}

static void complete_lines_come_at_once(void)
{
    struct kube_lines l;
    CLEANUP_BUF struct buf out;
    buf_init(&out, 1000);
    kube_lines_init(&l);
    CHECK_INT(kube_lines_feed(&l, "one\ntwo\nthr", 11, note_line, &out), 0);
    CHECK_STR(buf_text(&out), "<one><two>");
    kube_lines_release(&l); // a new stream: the rest is forgotten
    CHECK_INT(kube_lines_feed(&l, "four\n", 5, note_line, &out), 0);
    CHECK_STR(buf_text(&out), "<one><two><four>");
    kube_lines_release(&l);
}

static int stop_at_first(const char *line UNUSED, size_t len UNUSED, void *arg)
{
    ++*(int *)arg;
    return -7;
}

static void lines_end_when_told(void)
{
    struct kube_lines l;
    int calls = 0;
    kube_lines_init(&l);
    CHECK_INT(kube_lines_feed(&l, "a\nb\n", 4, stop_at_first, &calls), -7);
    CHECK_INT(calls, 1);
    kube_lines_release(&l);
}

static void endless_line_is_refused(void)
{
    struct kube_lines l;
    struct buf out;
    static char piece[1 << 20];
    buf_init(&out, 10);
    memset(piece, 'x', sizeof(piece));
    kube_lines_init(&l);
    for (int i = 0; i < 8; i++)
        CHECK_INT(kube_lines_feed(&l, piece, sizeof(piece), note_line, &out), 0);
    CHECK_INT(kube_lines_feed(&l, piece, 1, note_line, &out), -E2BIG);
    kube_lines_release(&l);
}

static int note_item(const json_t *item, void *arg)
{
    char *text = json_dumps(item, JSON_COMPACT | JSON_SORT_KEYS);
    buf_str(arg, text);
    buf_char(arg, ';');
    free(text);
    return 0;
}

// Feeds text in pieces of `step` bytes and finishes. The rest as text, or NULL with e.
static char *read_list(const char *text, size_t step, struct buf *items, struct err *e)
{
    struct kube_items k;
    json_t *rest = NULL;
    char *out = NULL;
    int r = 0;
    kube_items_init(&k, note_item, items);
    for (size_t i = 0, len = strlen(text); i < len && r == 0; i += step)
        r = kube_items_feed(&k, text + i, MIN(step, len - i), e);
    if (r == 0 && kube_items_finish(&k, &rest, e) == 0)
        out = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(rest);
    kube_items_release(&k);
    return out;
}

static void list_split_at_every_step(void)
{
    static const char text[] =
        " {\"kind\":\"PodList\", \"x\": {\"items\": [ 7 ]}, \"note\":\"items\", \"metadata\":{\"continue\":\"a]}\\\"b\"},\n"
        "  \"items\" : [ {\"a\":\"}]\\\\\\\"{\",\"items\":[1,[2]]} ,\n{\"b\":{\"c\":[{}]}},{} ], \"after\":[{\"d\":1}] }\n";
    for (size_t step = 1; step < sizeof(text); step++) {
        struct err e = {0};
        CLEANUP_BUF struct buf items;
        buf_init(&items, 1000);
        CLEANUP_FREE char *rest = read_list(text, step, &items, &e);
        CHECK_STR(buf_text(&items), "{\"a\":\"}]\\\\\\\"{\",\"items\":[1,[2]]};{\"b\":{\"c\":[{}]}};{};");
        CHECK_STR(
            rest,
            "{\"after\":[{\"d\":1}],\"items\":[],\"kind\":\"PodList\",\"metadata\":{\"continue\":\"a]}\\\"b\"},"
            "\"note\":\"items\",\"x\":{\"items\":[7]}}");
    }
}

static void lists_that_are_none(void)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "nonsense",
        "{\"items\":[",
        "{\"items\":[{\"a\":1}",
        "}}}}",
        "{\"items\":[{]}",
        "{\"items\":[1,2]}",
        "{\"items\":[\"x\"]}",
        "{\"items\":[[1]]}",
        "{\"items\":[{\"a\" 1}]}",
        "{\"items\":[{}]} trailing",
        "{\"items\":[{}]}}",
        "{\"items\":[{}],",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        for (size_t step = 1; step < 4; step++) {
            struct err e = {0};
            CLEANUP_BUF struct buf items;
            buf_init(&items, 1000);
            CLEANUP_FREE char *rest = read_list(bad[i], step, &items, &e);
            CHECK_STR(rest ? rest : bad[i], bad[i]);
            CHECK_INT(e.code, EINVAL);
        }
    }
}

// xorshift64*: the same texts for the same seed.
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

// What jansson makes of the whole text: the items as note_item writes them, and the rest. NULL: no list.
static char *reference(const char *text, struct buf *items)
{
    json_t *list = json_loads(text, JSON_ALLOW_NUL, NULL);
    json_t *array = json_object_get(list, "items"), *item;
    bool ok = json_is_object(list);
    size_t i;
    json_array_foreach(array, i, item)
    {
        ok = ok && json_is_object(item);
        if (ok)
            note_item(item, items);
    }
    if (json_is_array(array))
        json_object_set_new(list, "items", json_array());
    char *rest = ok ? json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(list);
    return rest;
}

// A list with some bytes changed, left out or doubled: our reader and jansson's must agree on what it is.
static void agrees_with_jansson_on_broken_lists(void)
{
    static const char origin[] =
        "{\"kind\":\"L\",\"items\":[{\"a\":[1]}, {\"b\":\"}\\\"\"},{}],\"m\":{\"items\":[3]}}";
    static const char alphabet[] = "{}[]\",:\\ a1";
    const char *given = getenv("KUBECANARY_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20260101;
    uint64_t state = seed | 1;
    size_t whole = 0;
    for (int round = 0; round < 50000; round++) {
        char text[sizeof(origin) + 8];
        size_t len = sizeof(origin) - 1;
        memcpy(text, origin, sizeof(origin));
        for (uint64_t changes = next_random(&state) % 4; changes > 0; changes--) {
            size_t at = next_random(&state) % len;
            uint64_t how = next_random(&state) % 3;
            if (how == 0) {
                text[at] = alphabet[next_random(&state) % (sizeof(alphabet) - 1)];
            } else if (how == 1) {
                memmove(text + at, text + at + 1, len - at);
                len--;
            } else {
                memmove(text + at + 1, text + at, len - at + 1);
                len++;
            }
        }
        if (strstr(text, "\"items\"") != strstr(text, "\"items\":[{") || !strstr(text, "\"m\""))
            continue; // two of that key: jansson takes the last, we take both
        struct err e = {0};
        CLEANUP_BUF struct buf got, want;
        buf_init(&got, 1000);
        buf_init(&want, 1000);
        CLEANUP_FREE char *rest = read_list(text, 1 + next_random(&state) % 7, &got, &e);
        CLEANUP_FREE char *want_rest = reference(text, &want);
        bool same = (!rest && !want_rest) || (rest && want_rest && strcmp(rest, want_rest) == 0 &&
                                              strcmp(buf_text(&got), buf_text(&want)) == 0);
        whole += rest != NULL;
        if (!same)
            printf("    seed %" PRIu64 " round %d: %s\n    got %s %s\n    want %s %s\n", seed, round, text,
                   rest ? rest : e.msg, buf_text(&got), want_rest ? want_rest : "(none)", buf_text(&want));
        CHECK(same);
    }
    CHECK(whole > 1000); // the changes leave enough of them whole
}

static void paths(void)
{
    static const struct {
        enum store_kind kind;
        const char *namespace, *name, *want;
    } table[] = {
        {STORE_POD, "k", "p.1", "/api/v1/namespaces/k/pods/p.1"},
        {STORE_NODE, "", "n1", "/api/v1/nodes/n1"},
        {STORE_NODE, "ignored", "n1", "/api/v1/nodes/n1"},
        {STORE_DAEMONSET, "k", "d", "/apis/apps/v1/namespaces/k/daemonsets/d"},
        {STORE_FLEET, "a b", "../x?y#z%",
         "/apis/kubecanary.io/v1alpha1/namespaces/a%20b/probefleets/..%2Fx%3Fy%23z%25"},
        {STORE_POD, "..", ".", "/api/v1/namespaces/%2E%2E/pods/%2E"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_BUF struct buf b;
        buf_init(&b, LIMIT_API_PATH);
        kube_path_object(&b, table[i].kind, table[i].namespace, table[i].name);
        CHECK_STR(buf_text(&b), table[i].want);
    }
    CLEANUP_BUF struct buf b;
    bool first = true;
    buf_init(&b, LIMIT_API_PATH);
    kube_path_collection(&b, STORE_POD, "");
    kube_path_query(&b, &first, "labelSelector", "a in (b,c)");
    kube_path_query(&b, &first, "continue", "e30=");
    CHECK_STR(buf_text(&b), "/api/v1/pods?labelSelector=a%20in%20%28b%2Cc%29&continue=e30%3D");
}

// What a server says goes into logs and conditions.
static void status_is_lines(void)
{
    struct kube_http_result r = {.retry_after_s = -1};
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:{s:[{s:s, s:s}]}}", "kind", "Status", "reason", "a\x7f\xe2\x80\xa8z",
                  "message", "b\nc", "details", "causes", "field", "d\te", "reason",
                  "012345678901234567890123456789012345678901234567890123456789\xf0\x9f\x98\x80");
    bool is = kube_http_read_status(j, &r);
    json_decref(j);
    CHECK(is);
    CHECK_STR(r.reason, "a  z");
    CHECK_STR(r.err.msg, "b c");
    CHECK_STR(r.err.path, "d e");
    CHECK_STR(r.cause, "012345678901234567890123456789012345678901234567890123456789");
}

static const struct check_case cases[] = {
    {"lines_split_at_every_byte", lines_split_at_every_byte},
    {"complete_lines_come_at_once", complete_lines_come_at_once},
    {"lines_end_when_told", lines_end_when_told},
    {"endless_line_is_refused", endless_line_is_refused},
    {"list_split_at_every_step", list_split_at_every_step},
    {"lists_that_are_none", lists_that_are_none},
    {"agrees_with_jansson_on_broken_lists", agrees_with_jansson_on_broken_lists},
    {"paths", paths},
    {"status_is_lines", status_is_lines},
};
CHECK_MAIN(cases)
