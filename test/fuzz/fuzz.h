// SPDX-License-Identifier: Apache-2.0
// The fuzz targets' few words: input taken apart, and the properties that hold of every parser. A target is
// one file with LLVMFuzzerTestOneInput; what fails ends the program, and libFuzzer keeps the input.
#ifndef KUBECANARY_TEST_FUZZ_H
#define KUBECANARY_TEST_FUZZ_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/doc.h"
#include "lib/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FUZZ_CHECK(cond)                                \
    do {                                                \
        if (!(cond))                                    \
            fuzz_fail(__FILE__, __LINE__, "%s", #cond); \
    } while (0)

_Noreturn void fuzz_fail(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

// The bytes up to the first NUL as text, in memory that is exactly as long (so that reading past it is seen).
// Free with free.
char *fuzz_text(const uint8_t *data, size_t len);

// Takes the next n bytes (at most 8) as a number; what is missing is 0.
struct fuzz_input {
    const uint8_t *data;
    size_t len;
};
uint64_t fuzz_take(struct fuzz_input *in, unsigned n);
// Takes at most n bytes; *ret_len: how many there were.
const uint8_t *fuzz_take_bytes(struct fuzz_input *in, size_t n, size_t *ret_len);

// Strict UTF-8 (Unicode 15, table 3-7), written apart from lib/utf8 so that the two are held against each
// other. one_line: no control characters and no line or paragraph separators.
bool fuzz_is_utf8(const char *text, bool one_line);
// The error contract (lib/err.h): r is -e->code, not 0; message and path are short lines of valid UTF-8, and
// the message says something.
void fuzz_check_err(int r, const struct err *e);
// As fuzz_check_err, and the error names a place: a path, or a line or byte in the message. `whole`: what may
// be said of the input as a whole (a prefix of the message), NULL for nothing.
void fuzz_check_err_place(int r, const struct err *e, const char *whole);
// Parses text as a document; NULL if it is none (its error is checked). Free with doc_free.
struct doc *fuzz_doc(const uint8_t *data, size_t len);
// As fuzz_doc, of what our own code wrote: it must be one.
struct doc *fuzz_own_doc(const struct buf *b);

#endif
