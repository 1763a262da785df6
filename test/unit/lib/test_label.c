// SPDX-License-Identifier: Apache-2.0
// Label keys and values at their borders.
#include "lib/label.h"

#include "lib/limits.h"
#include "test/unit/check.h"

static void test_keys(void)
{
    static const char *const good[] = {"a", "A_b.c-1", "example.com/a", "a/b",
                                       "node-role.kubernetes.io/worker"};
    static const char *const bad[] = {"",      "-a",       "a-",           "a b", "a/",   "/a",
                                      "a/b/c", "A.b/c",    "a..b/c",       "a:b", ".a/b", "a/-b",
                                      "a_b/c", "\xc3\xa4", "example.com/", "a,b", "a\n"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        CHECK(label_key_valid(good[i]) || (printf("    %s\n", good[i]), false));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(!label_key_valid(bad[i]) || (printf("    %s\n", bad[i]), false));
}

static void test_lengths(void)
{
    char key[LIMIT_NAME + LIMIT_LABEL + 4];
    memset(key, 'a', sizeof(key));
    key[LIMIT_NAME] = '/';
    key[LIMIT_NAME + 1 + LIMIT_LABEL] = '\0';
    CHECK(label_key_valid(key));
    key[LIMIT_NAME + 1 + LIMIT_LABEL] = 'a';
    key[LIMIT_NAME + 2 + LIMIT_LABEL] = '\0';
    CHECK(!label_key_valid(key)); // the name is too long
    key[LIMIT_NAME] = 'a';
    key[LIMIT_NAME + 1] = '/';
    CHECK(!label_key_valid(key)); // the prefix is
    memset(key, 'a', sizeof(key));
    key[sizeof(key) - 1] = '\0';
    CHECK(!label_key_valid(key) && !label_value_valid(key)); // no prefix at all
}

static void test_values(void)
{
    CHECK(label_value_valid("") && label_value_valid("a.B_1-c"));
    CHECK(!label_value_valid("-") && !label_value_valid("a/b") && !label_value_valid("a b"));
}

static const struct check_case cases[] = {
    {"keys", test_keys},
    {"lengths", test_lengths},
    {"values", test_values},
};
CHECK_MAIN(cases)
