// SPDX-License-Identifier: Apache-2.0
// The unit tests' few words: CHECK* compare and print both values, TEST names a case, check_main runs them
// all and closes with `N passed, N failed`. A case ends at its first failed check.
#ifndef KUBECANARY_TEST_CHECK_H
#define KUBECANARY_TEST_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct check_case {
    const char *name;
    void (*fn)(void);
};

static bool check_failed;

#define CHECK(cond)                                                         \
    do {                                                                    \
        if (!(cond)) {                                                      \
            printf("    %s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
            check_failed = true;                                            \
            return;                                                         \
        }                                                                   \
    } while (0)

#define CHECK_INT(got, want)                                                                           \
    do {                                                                                               \
        int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                                        \
        if (got_ != want_) {                                                                           \
            printf("    %s:%d: %s is %" PRId64 ", want %" PRId64 "\n", __FILE__, __LINE__, #got, got_, \
                   want_);                                                                             \
            check_failed = true;                                                                       \
            return;                                                                                    \
        }                                                                                              \
    } while (0)

#define CHECK_STR(got, want)                                                                         \
    do {                                                                                             \
        const char *got_ = (got), *want_ = (want);                                                   \
        if (!got_ || strcmp(got_, want_) != 0) {                                                     \
            printf("    %s:%d: %s is\n      \"%s\", want\n      \"%s\"\n", __FILE__, __LINE__, #got, \
                   got_ ? got_ : "(null)", want_);                                                   \
            check_failed = true;                                                                     \
            return;                                                                                  \
        }                                                                                            \
    } while (0)

#define CHECK_CONTAINS(got, want)                                                                          \
    do {                                                                                                   \
        const char *got_ = (got), *want_ = (want);                                                         \
        if (!got_ || !strstr(got_, want_)) {                                                               \
            printf("    %s:%d: %s is\n      \"%s\", want in it\n      \"%s\"\n", __FILE__, __LINE__, #got, \
                   got_ ? got_ : "(null)", want_);                                                         \
            check_failed = true;                                                                           \
            return;                                                                                        \
        }                                                                                                  \
    } while (0)

// Runs all cases and closes with the counts; the program's exit status.
static inline int check_all(const struct check_case *cases, size_t n)
{
    int passed = 0, failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0); // a leak report ends the program without a flush
    for (size_t i = 0; i < n; i++) {
        check_failed = false;
        cases[i].fn();
        if (check_failed)
            printf("not ok %s\n", cases[i].name);
        check_failed ? failed++ : passed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}

#define CHECK_MAIN(cases) CHECK_MAIN_IN(true, cases)

// `enter` is what all cases need (a network namespace); if that is false, it says why and none is run.
#define CHECK_MAIN_IN(enter, cases)                                  \
    int main(void)                                                   \
    {                                                                \
        if (enter)                                                   \
            return check_all(cases, sizeof(cases) / sizeof(*cases)); \
        printf("0 passed, 1 failed\n");                              \
        return 1;                                                    \
    }

#endif
