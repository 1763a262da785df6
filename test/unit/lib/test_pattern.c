// SPDX-License-Identifier: Apache-2.0
// The matcher against the C library's on every pattern of the spec: chosen texts, then random ones over the
// letters that matter. SEED in the environment repeats a run.
#include "lib/pattern.h"

#include <regex.h>
#include <stdlib.h>

#include "lib/spec_table.h"
#include "test/unit/check.h"

static const char *const more[] = {
    "^a$",     "^$",          "^(a|b)*c$",       "^(a?b?)*c{2}$", "^(ab|a)(bc|c)?$",
    "^[a-]+$", "^[-a]{2,3}$", "^((a|b)c?){1,2}$"};

static bool library_says(const regex_t *compiled, const char *text)
{
    return regexec(compiled, text, 0, NULL, 0) == 0;
}

static void random_text(char *out, size_t size)
{
    static const char letters[] = "aAbzZc019-._:,/@%mkMKGi ";
    size_t len = (size_t)rand() % size;
    for (size_t i = 0; i < len; i++)
        out[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
    out[len] = '\0';
}

static void compare(const char *pattern)
{
    static const char *const texts[] = {
        "",    "a",   "5m",      "1.5",      "16Mi",      "100%",  "101%", "0",     "99999",         "100000",
        "a-b", "-a",  "a-",      "A_1",      "1A",        "a:b,c", "a b",  "abc",   "abcc",          "abacc",
        "cc",  "aab", "123456m", "1234.567", "1234.5678", "1.",    ".5",   "16KiB", "aaaaaaaaaaaab", "a\n"};
    regex_t compiled;
    CHECK_INT(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    const char *wrong = NULL;
    char text[12];
    for (size_t i = 0; i < ARRAY_LEN(texts) && !wrong; i++) {
        if (pattern_match(pattern, texts[i]) != library_says(&compiled, texts[i]))
            wrong = texts[i];
    }
    for (size_t i = 0; i < 20000 && !wrong; i++) {
        random_text(text, sizeof(text));
        if (pattern_match(pattern, text) != library_says(&compiled, text))
            wrong = text;
    }
    if (wrong)
        printf("    %s and \"%s\": %d\n", pattern, wrong, pattern_match(pattern, wrong));
    regfree(&compiled);
    CHECK(wrong == NULL);
}

static void test_against_library(void)
{
    const char *seed = getenv("SEED");
    srand(seed ? (unsigned)strtoul(seed, NULL, 10) : 1);
    for (size_t i = 0; i < spec_fields_count && !check_failed; i++) {
        if (spec_fields[i].pattern)
            compare(spec_fields[i].pattern);
    }
    for (size_t i = 0; i < ARRAY_LEN(more) && !check_failed; i++)
        compare(more[i]);
}

static void test_length(void)
{
    char text[PATTERN_TEXT_MAX + 2];
    memset(text, 'a', sizeof(text));
    text[PATTERN_TEXT_MAX] = '\0';
    CHECK(pattern_match("^[a-z]*$", text));
    CHECK(pattern_match("^([a-z]|b)+$", text));
    CHECK(!pattern_match("^[b-z]*$", text));
    text[PATTERN_TEXT_MAX] = 'a';
    text[PATTERN_TEXT_MAX + 1] = '\0';
    CHECK(!pattern_match("^[a-z]*$", text));
    for (size_t i = 0; i < spec_fields_count; i++)
        CHECK(!spec_fields[i].pattern || spec_fields[i].max <= PATTERN_TEXT_MAX);
}

static const struct check_case cases[] = {{"against the library", test_against_library},
                                          {"length", test_length}};
CHECK_MAIN(cases)
