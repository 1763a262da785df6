// SPDX-License-Identifier: Apache-2.0
// buf_json, err and log with any bytes: what is written is valid JSON and YAML of the same text (invalid
// bytes aside), an error and a log line are one line of valid UTF-8.
#include <errno.h>
#include <jansson.h>
#include <sys/mman.h>

#include "lib/limits.h"
#include "lib/log.h"
#include "lib/yamlout.h"
#include "test/fuzz/fuzz.h"

static void check_yaml(const struct buf *out, const char *want)
{
    struct doc *d = fuzz_own_doc(out);
    const struct doc_node *root = doc_root(d);
    FUZZ_CHECK(root && root->kind == DOC_SCALAR && strcmp(root->text, want) == 0);
    doc_free(d);
}

static void check_string(const char *text)
{
    struct buf out;
    buf_init(&out, LIMIT_DOC_BYTES);
    buf_json(&out, text);
    json_t *json = json_loads(buf_text(&out), JSON_DECODE_ANY, NULL);
    const char *read = json_string_value(json);
    FUZZ_CHECK(read);
    FUZZ_CHECK(fuzz_is_utf8(buf_text(&out), true));
    if (fuzz_is_utf8(text, false))
        FUZZ_CHECK(strcmp(read, text) == 0);
    check_yaml(&out, read);
    if (fuzz_is_utf8(text, false)) {
        buf_reset(&out);
        yamlout_text(&out, text);
        check_yaml(&out, text);
    }
    json_decref(json);
    buf_release(&out);
}

static void check_error(const char *text)
{
    struct err e;
    char line[sizeof(e)];
    fuzz_check_err(err_set(&e, EINVAL, "is \"%s\"", text), &e);
    err_at(&e, "%s", text);
    fuzz_check_err(err_wrap(&e, "%s", text), &e);
    fuzz_check_err(err_at(&e, "a"), &e);
    for (size_t size = 1; size <= sizeof(line); size = size * 2 + 1)
        FUZZ_CHECK(fuzz_is_utf8(err_text(&e, line, size), true));
}

static void check_log(const char *text)
{
    static int fd = -1;
    char line[LIMIT_LOG_LINE + 1];
    if (fd < 0)
        fd = memfd_create("log", MFD_CLOEXEC);
    log_init(LOG_INFO, fd);
    FUZZ_CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    log_info("a line", LOG_STR("path", text), LOG_STR("error", text));
    ssize_t n = pread(fd, line, sizeof(line) - 1, 0);
    FUZZ_CHECK(n > 1 && line[n - 1] == '\n');
    line[n - 1] = '\0';
    FUZZ_CHECK(fuzz_is_utf8(line, true));
    json_t *json = json_loads(line, 0, NULL);
    FUZZ_CHECK(json_is_object(json));
    const char *read = json_string_value(json_object_get(json, "path"));
    if (fuzz_is_utf8(text, false) && strlen(text) < 256)
        FUZZ_CHECK(text[0] == '\0' ? !read : read && strcmp(read, text) == 0);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = fuzz_text(data, len);
    check_string(text);
    check_error(text);
    check_log(text);
    free(text);
    return 0;
}
