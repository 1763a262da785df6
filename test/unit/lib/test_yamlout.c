// SPDX-License-Identifier: Apache-2.0
// What is quoted, and that a reader gets the same text back.
#include "lib/yamlout.h"

#include "lib/doc.h"
#include "test/unit/check.h"

static void test_quoting(void)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"n1", "n1"},         {"a/b.c-d_e", "a/b.c-d_e"},
        {"10%", "10%"},       {"192.0.2.1", "192.0.2.1"},
        {"", "\"\""},         {"no", "\"no\""},
        {"True", "\"True\""}, {"10", "\"10\""},
        {"1e3", "\"1e3\""},   {"1.10", "\"1.10\""},
        {"0x1f", "\"0x1f\""}, {"2001:db8::7", "\"2001:db8::7\""},
        {"a: b", "\"a: b\""}, {"- a", "\"- a\""},
        {"*a", "\"*a\""},     {"a\nb", "\"a\\u000ab\""},
        {"~", "\"~\""},       {"-", "\"-\""},
        {"a,b", "\"a,b\""},   {"null", "\"null\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b CLEANUP_BUF;
        struct doc *d CLEANUP_DOC = NULL;
        struct err e = {0};
        buf_init(&b, 1000);
        yamlout_text(&b, cases[i].in);
        CHECK_STR(buf_text(&b), cases[i].out);
        CHECK_INT(doc_parse(buf_text(&b), b.len, &d, &e), 0);
        CHECK_STR(doc_root(d)->text, cases[i].in);
        CHECK(doc_root(d)->quoted || !yamlout_resolves(cases[i].in));
    }
}

static const struct check_case cases[] = {{"quoting", test_quoting}};
CHECK_MAIN(cases)
