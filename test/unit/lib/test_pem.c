// SPDX-License-Identifier: Apache-2.0
// Bundles of certificates: what is taken, what is refused and where.
#include "test/unit/check.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/pem.h"

#define B "-----BEGIN CERTIFICATE-----\n"
#define E "-----END CERTIFICATE-----\n"
#define LEAST "MAcwADAAAwEA\n" // the least that has the parts of one

// Made by `openssl req -x509`.
static const char real[] = "-----BEGIN CERTIFICATE-----\n"
                           "MIIBljCCATugAwIBAgIUEcmoTAneLjcxhoZEXI+ktdhXBEowCgYIKoZIzj0EAwIw\n"
                           "HzEdMBsGA1UEAwwUYSB0ZXN0IG9mIGt1YmVjYW5hcnkwIBcNMjYxMTI2MTgxNDI2\n"
                           "WhgPMjEyNjExMDIxODE0MjZaMB8xHTAbBgNVBAMMFGEgdGVzdCBvZiBrdWJlY2Fu\n"
                           "YXJ5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEA/3mpyH9SCr1D/jS4FuEFQSu\n"
                           "WK5cSu66/o8PUoAWAgqH+jXKQDZDTDyYyKK7trWRAgpdxTV82YRKeeeVjr+NfaNT\n"
                           "MFEwHQYDVR0OBBYEFGMmNiTNSUhhmk6EFij6FMpgh3XAMB8GA1UdIwQYMBaAFGMm\n"
                           "NiTNSUhhmk6EFij6FMpgh3XAMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwID\n"
                           "SQAwRgIhAIsmbfA3e/qdYVyEjnwx4HyN9YQWaFxqnxSxXSCgmslMAiEA8UaHoftY\n"
                           "lZref7fv4256ny6EtTQaYWc/FNajFRHJgA4=\n"
                           "-----END CERTIFICATE-----\n";

static void test_real(void)
{
    struct err e = {0};
    char text[2 * sizeof(real) + 64];
    CHECK_INT(pem_check_certificates(real, &e), 0);
    snprintf(text, sizeof(text), "the root:\n%s\n\nits other one:\n%s", real, real);
    CHECK_INT(pem_check_certificates(text, &e), 0);
    for (size_t i = 0; i + 2 < sizeof(real); i++) { // cut anywhere, but for the last line's end
        snprintf(text, sizeof(text), "%.*s", (int)i, real);
        CHECK_INT(pem_check_certificates(text, &e), -EINVAL);
    }
    for (size_t i = 0; i + 2 < sizeof(real);
         i++) { // or without one byte; ends of lines aside, which may be anywhere
        snprintf(text, sizeof(text), "%.*s%s", (int)i, real, real + i + 1);
        if (real[i] != '\n' || real[i + 1] == '-')
            CHECK_INT(pem_check_certificates(text, &e), -EINVAL);
    }
}

static void test_each(void)
{
    static const struct {
        const char *text, *why; // NULL: taken
    } cases[] = {
        {B LEAST E, NULL},
        {"-----BEGIN CERTIFICATE-----\r\nMAcw\r\nADAA \r\n\tAwEA\r\n-----END CERTIFICATE-----", NULL},
        {"# a comment\n" B LEAST E "-----\n", NULL},
        {B "MAgwADAAAwIAAQ==\n" E, NULL},
        {B "MIEHMAAwAAMBAA==\n" E, NULL}, // its length in two bytes: BER, and harmless
        {B "MAcwADAAAwEAA===\n" E,
         "line 1: the certificate that begins here is cut"}, // six bits over, and three signs
        {B "\n" LEAST E, "line 2: an empty line in the certificate that begins in line 1"},
        {B LEAST " \n" E, "line 3: an empty line in the certificate that begins in line 1"},
        {"", "has no certificate in PEM"},
        {"x\n", "has no certificate in PEM"},
        {" " B LEAST E, "has no certificate in PEM"}, // OpenSSL does not see it
        {B, "line 1: the certificate that begins here has no end"},
        {"\n" B LEAST, "line 2: the certificate that begins here has no end"},
        {B LEAST B LEAST E, "line 3: no base64 in the certificate that begins in line 1"},
        {B LEAST E B "MAcw*\n" E, "line 5: no base64 in the certificate that begins in line 4"},
        {B "MAgwADAAAwIAAQ==AA\n" E, "line 2: no base64 in the certificate that begins in line 1"},
        {B "MAgwADAAAwIAAQ=\n" E, "line 1: the certificate that begins here is cut"},
        {B "MAgwADAAAwIAAQ===\n" E, "line 1: the certificate that begins here is cut"},
        {B "MAgwADAAAwIAAR==\n" E, "line 1: the certificate that begins here is cut"},
        {B "MAgwADAAAwIAA\n" E, "line 1: the certificate that begins here is cut"},
        {B E, "line 1: what begins here is no certificate (X.509)"},
        {B "AAAA\n" E, "line 1: what begins here is no certificate (X.509)"},
        {B "MAcwADAAAwEAAAAA\n" E,
         "line 1: what begins here is no certificate (X.509)"},                       // something behind it
        {B "MAgwADAAAwEA\n" E, "line 1: what begins here is no certificate (X.509)"}, // longer than it is
        {B "MIAwADAAAwEA\n" E, "line 1: what begins here is no certificate (X.509)"}, // no length
        {B "MAYwADAAMAA=\n" E, "line 1: what begins here is no certificate (X.509)"}, // no signature
        {"-----BEGIN CERTIFICATE----- MAcwADAAAwEA -----END CERTIFICATE-----\n",
         "line 1: -----BEGIN CERTIFICATE----- must have its line to itself"},
        {B LEAST "-----END CERTIFICATE------\n",
         "line 3: -----END CERTIFICATE----- must have its line to itself"},
        {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" B LEAST E,
         "line 1: no certificate begins or ends here, but something else"},
        {B LEAST "-----END PRIVATE KEY-----\n",
         "line 3: no certificate begins or ends here, but something else"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        int r = pem_check_certificates(cases[i].text, &e);
        CHECK_STR(e.msg, cases[i].why ? cases[i].why : "");
        CHECK_INT(r, cases[i].why ? -EINVAL : 0);
    }
}

static const struct check_case cases[] = {
    {"a real one, whole and cut", test_real},
    {"each reason", test_each},
};
CHECK_MAIN(cases)
