// SPDX-License-Identifier: Apache-2.0
// Bundles of certificates: what is taken, OpenSSL reads too, block by block, and nothing but certificates.
#include "lib/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "test/fuzz/fuzz.h"

static void check_read_by_openssl(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    char *name, *header;
    unsigned char *data;
    long len;
    unsigned n = 0;
    FUZZ_CHECK(bio);
    ERR_clear_error();
    for (; PEM_read_bio(bio, &name, &header, &data, &len); n++) {
        FUZZ_CHECK(strcmp(name, "CERTIFICATE") == 0 && header[0] == '\0');
        FUZZ_CHECK(len >= 9 && data[0] == 0x30); // the least that has three parts
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
    }
    FUZZ_CHECK(ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE); // its end, and no other error
    FUZZ_CHECK(n > 0);
    BIO_free(bio);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = fuzz_text(data, len);
    struct err e;
    int r = pem_check_certificates(text, &e);
    if (r < 0)
        fuzz_check_err_place(r, &e, "has no certificate");
    else
        check_read_by_openssl(text);
    free(text);
    return 0;
}
