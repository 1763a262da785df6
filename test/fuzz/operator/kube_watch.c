// SPDX-License-Identifier: Apache-2.0
// A watch's bytes in pieces: the lines are those of the text, whatever the pieces; each line as an event, as
// a Status, and as an object of each kind.
#include "operator/kube_http.h"
#include "operator/kube_lines.h"
#include "operator/project.h"
#include "test/fuzz/fuzz.h"

struct reading {
    const uint8_t *text, *end; // what is expected
};

static void check_status(const json_t *object)
{
    struct kube_http_result r = {.retry_after_s = -1};
    if (!kube_http_read_status(object, &r))
        return;
    fuzz_check_err(-r.err.code, &r.err);
    FUZZ_CHECK(fuzz_is_utf8(r.reason, true) && fuzz_is_utf8(r.cause, true));
    FUZZ_CHECK(r.retry_after_s >= -1 && r.status >= 0 && r.status < 600);
}

static void check_object(const json_t *object)
{
    for (unsigned kind = 0; kind < STORE_KINDS; kind++) {
        union project p = {0};
        struct store_meta meta = {0};
        struct err e;
        int r = project_object(kind, object, &p, &e), key = project_key(kind, object, &meta, &e);
        if (r < 0)
            fuzz_check_err(r, &(struct err){.code = -r, .msg = "x"});
        if (r == 0)
            FUZZ_CHECK(key == 0 && strcmp(meta.name, p.meta.name) == 0 && p.meta.name[0]);
        if (key < 0)
            fuzz_check_err(key, &e);
        project_release(kind, &p);
    }
}

static int on_line(const char *line, size_t len, void *arg)
{
    struct reading *x = arg;
    // The next line of the text that is not empty.
    size_t n;
    for (;;) {
        const uint8_t *end = memchr(x->text, '\n', (size_t)(x->end - x->text));
        FUZZ_CHECK(end);
        const uint8_t *from = x->text;
        n = (size_t)(end - from);
        n -= n > 0 && from[n - 1] == '\r';
        x->text = end + 1;
        if (n > 0) {
            FUZZ_CHECK(n == len && memcmp(from, line, n) == 0);
            break;
        }
    }
    json_t *event = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    const json_t *object = json_object_get(event, "object");
    if (json_is_object(object)) {
        check_status(object);
        check_object(object);
    }
    json_decref(event);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    size_t piece = fuzz_take(&in, 1) + 1;
    struct reading x = {in.data, in.data + in.len};
    struct kube_lines l;
    kube_lines_init(&l);
    while (in.len > 0) {
        size_t n;
        const uint8_t *bytes = fuzz_take_bytes(&in, piece, &n);
        FUZZ_CHECK(kube_lines_feed(&l, (const char *)bytes, n, on_line, &x) == 0);
    }
    while (x.text && x.text < x.end) { // of what is left no line is complete, or it is empty
        const uint8_t *end = memchr(x.text, '\n', (size_t)(x.end - x.text));
        if (!end)
            break;
        FUZZ_CHECK(end == x.text || (end == x.text + 1 && *x.text == '\r'));
        x.text = end + 1;
    }
    kube_lines_release(&l);
    return 0;
}
