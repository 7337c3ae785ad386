/* What is told about certificates, good ones and bad ones, and about the options of a store. */
#include "tls_rig.h"

#include <glib/gstdio.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_S = 24 * 3600 };

static struct tls_rig *rig; /* made once, with more files than it has itself */

static void save(const char *name, unsigned mode, const char *first, const char *second)
{
    g_autofree char *content = g_strconcat(first, second, NULL);
    g_free(certificate_file(rig->folder, name, content, mode));
}

static void save_pair(const char *name, struct certificate *take_certificate)
{
    g_autofree char *pem = certificate_pem(take_certificate);
    g_autofree char *key = certificate_key_pem(take_certificate, NULL);
    g_autofree char *pem_name = g_strconcat(name, ".pem", NULL);
    g_autofree char *key_name = g_strconcat(name, ".key", NULL);
    save(pem_name, 0644, pem, "");
    save(key_name, 0600, key, "");
    certificate_free(take_certificate);
}

static void make_files(void)
{
    g_autofree char *ec = certificate_pem(rig->ec);
    g_autofree char *key = certificate_key_pem(rig->ec, NULL);
    g_autofree char *locked = certificate_key_pem(rig->ec, "secret");
    g_autofree char *stranger = certificate_pem(rig->stranger);
    save("alone.pem", 0644, ec, "");
    save("both.pem", 0600, key, ec);
    save("swapped.pem", 0644, rig->ca_pem, ec);
    save("strange.pem", 0644, ec, stranger);
    save("open.key", 0604, key, "");
    save("locked.key", 0600, locked, "");
    save("empty.pem", 0644, "", "");
    save("text.pem", 0644, "It is in the other file.\n", "");
    save("broken.pem", 0644, ec, "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n");
    save("no.der.pem", 0644, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "");
    g_autofree char *large = g_strnfill(1024 * 1024, '\n');
    save("large.pem", 0644, large, ec);
    g_autofree char *folder = g_build_filename(rig->folder, "folder", NULL);
    assert_int_equal(g_mkdir(folder, 0700), 0);
    save_pair("weak",
              certificate_new(&(struct certificate_wish){ "weak", "DNS:weak.example.org", KEY_RSA_WEAK }));
    save_pair("nameless",
              certificate_new(&(struct certificate_wish){ "mail server", "email:a@example.org" }));
    save_pair("cn", certificate_new(&(struct certificate_wish){ "CN.example.org" }));
    save_pair("edwards", certificate_new(&(struct certificate_wish){
                             "ed", "DNS:ed.example.org,DNS:*.ed.example.org,IP:192.0.2.1", KEY_ED25519 }));
    save_pair("old", certificate_new(&(struct certificate_wish){ "old", "DNS:old.example.org",
                                                                 .from_days = -20, .to_days = -10 }));
}

/* ---- problems ---- */

struct files {
    const char *certificate, *key;
};

static const struct problem_row {
    const char *name;
    struct files first, second, other; /* [tls], twice, and [tls other] */
    const char *client_ca;
    const char *want[4]; /* patterns */
} problem_rows[] = {
    { "a file that is not there",
      { "none.pem", "none.key" },
      .want = { "postern.conf:10: certificate = */none.pem: cannot be read: No such file or directory",
                "postern.conf:11: private-key = */none.key: cannot be read: No such file or directory" } },
    { "a folder",
      { "folder", "ec.key" },
      .want = { "postern.conf:10: certificate = */folder: is not a regular file" } },
    { "an empty file",
      { "empty.pem", "empty.pem" },
      .want = { "postern.conf:10: certificate = */empty.pem: has no certificate in it; expected: PEM, "
                "\"-----BEGIN CERTIFICATE-----\"",
                "postern.conf:11: private-key = */empty.pem: is open to every user (mode 0644); expected: "
                "owner "
                "and group only, chmod o-rwx" } },
    { "any text",
      { "text.pem", "ec.key" },
      .want = { "postern.conf:10: certificate = */text.pem: has no certificate in it; expected: PEM, *" } },
    { "a large file",
      { "large.pem", "ec.key" },
      .want = { "postern.conf:10: certificate = */large.pem: is larger than 1048576 octets, and so no file "
                "of "
                "keys or certificates" } },
    { "base64 that is none",
      { "broken.pem", "ec.key" },
      .want = { "postern.conf:10: certificate = */broken.pem: certificate 2 in it cannot be read: bad base64 "
                "decode" } },
    { "base64 of anything",
      { "no.der.pem", "ec.key" },
      .want = { "postern.conf:10: certificate = */no.der.pem: certificate 1 in it cannot be read: *" } },
    { "who signed stands first",
      { "swapped.pem", "ec.key" },
      .want = { "postern.conf:10: certificate = */swapped.pem: certificate 2 in it (CN=mx,O=Test) has not "
                "signed "
                "number 1 (CN=Test CA,O=Test); expected: the server's first, each one behind the one that it "
                "has "
                "signed",
                "postern.conf:11: private-key = */ec.key: does not fit certificate = */swapped.pem" } },
    { "a chain of strangers",
      { "strange.pem", "ec.key" },
      .want = { "postern.conf:10: certificate = */strange.pem: certificate 2 in it (CN=alice,O=Test) has not "
                "signed number 1 (CN=mx,O=Test); *" } },
    { "another's key",
      { "ec.pem", "wildcard.key" },
      .want = { "postern.conf:11: private-key = */wildcard.key: does not fit certificate = */ec.pem" } },
    { "a key of another kind",
      { "ec.pem", "rsa.key" },
      .want = { "postern.conf:11: private-key = */rsa.key: does not fit certificate = */ec.pem" } },
    { "a key that all can read",
      { "ec.pem", "open.key" },
      .want = { "postern.conf:11: private-key = */open.key: is open to every user (mode 0604); expected: "
                "owner and "
                "group only, chmod o-rwx" } },
    { "a key with a passphrase",
      { "ec.pem", "locked.key" },
      .want = { "postern.conf:11: private-key = */locked.key: is encrypted; expected: a key without a "
                "passphrase" } },
    { "a file without a key",
      { "ec.pem", "cn.key" },
      .second = { "rsa.pem", "both.pem" },
      .want = { "postern.conf:11: private-key = */cn.key: does not fit certificate = */ec.pem",
                "postern.conf:21: private-key = */both.pem: does not fit certificate = */rsa.pem" } },
    { "two of a kind",
      { "ec.pem", "ec.key" },
      .second = { "exact.pem", "exact.key" },
      .want = { "postern.conf:20: certificate = */exact.pem: is EC 256, and */ec.pem is EC 256; expected: "
                "one of "
                "each kind, the others in [tls NAME] sections" } },
    { "a key that is too weak",
      { "weak.pem", "weak.key" },
      .want = { "postern.conf:10: certificate = */weak.pem: is RSA 512 and cannot be used: ee key too "
                "small" } },
    { "nobody's name",
      { "ec.pem", "ec.key" },
      .other = { "nameless.pem", "nameless.key" },
      .want = { "postern.conf:30: certificate = */nameless.pem: has no name of a host in it, and so nobody "
                "can "
                "ask for it" } },
    { "problems of every section",
      { "none.pem", "ec.key" },
      .other = { "ec.pem", "none.key" },
      .client_ca = "empty.pem",
      .want = { "postern.conf:5: client-ca = */empty.pem: has no certificate in it; *",
                "postern.conf:10: certificate = */none.pem: cannot be read: *",
                "postern.conf:31: private-key = */none.key: cannot be read: *" } },
};

struct paths {
    char *certificate, *key;
};

static struct tls_pair pair_of(const struct files *files, unsigned line, struct paths *paths)
{
    paths->certificate = g_build_filename(rig->folder, files->certificate, NULL);
    paths->key = g_build_filename(rig->folder, files->key, NULL);
    return (struct tls_pair){ { paths->certificate, { "postern.conf", line } },
                              { paths->key, { "postern.conf", line + 1 } } };
}

static struct tls_store *load(const struct files *files, size_t count, const struct files *other,
                              const struct tls_policy *policy, struct diag *problems)
{
    struct tls_pair pairs[3];
    struct paths paths[3] = { 0 };
    for (size_t i = 0; i < count; i++)
        pairs[i] = pair_of(&files[i], 10 * (unsigned)(i + 1), &paths[i]);
    if (other->key != NULL)
        pairs[2] = pair_of(other, 30, &paths[2]);
    const struct tls_host hosts[] = { { NULL, pairs, count }, { "other", &pairs[2], 1 } };
    struct tls_store *store = tls_store_new(policy, hosts, other->key != NULL ? 2 : 1, problems);
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_free(paths[i].certificate);
        g_free(paths[i].key);
    }
    return store;
}

static void check_problems(const struct diag *problems, const char *const *want, size_t count)
{
    for (unsigned i = 0; i < diag_count(problems); i++) {
        const char *line = g_ptr_array_index(problems->problems, i);
        if (i >= count || want[i] == NULL || !g_pattern_match_simple(want[i], line))
            fail_msg("unwanted: %s", line);
    }
    assert_true(diag_count(problems) == count || want[diag_count(problems)] == NULL);
}

static void check_problem(void **state)
{
    const struct problem_row *row = *state;
    g_autofree char *client_ca =
        row->client_ca != NULL ? g_build_filename(rig->folder, row->client_ca, NULL) : NULL;
    struct tls_policy policy = { .client_ca = { client_ca, { "postern.conf", 5 } } };
    const struct files files[] = { row->first, row->second };
    auto_val(diag) problems = { 0 };
    assert_null(load(files, row->second.key != NULL ? 2 : 1, &row->other, &policy, &problems));
    check_problems(&problems, row->want, G_N_ELEMENTS(row->want));
}

static const struct policy_row {
    const char *name;
    const char *ciphers, *suites, *curves;
    const char *want; /* NULL: nothing is wrong */
} policy_rows[] = {
    { "good lists", "ECDHE+AESGCM:DHE+AESGCM:!aNULL:-SHA1:@STRENGTH", "TLS_AES_128_GCM_SHA256",
      "P-384:X448" },
    { "ciphers with other separators", "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE+CHACHA20" },
    { "an unknown cipher among known ones", "ECDHE+AESGCM:ECDHE-ROT13:!aNULL",
      .want = "postern.conf:1: ciphers = ECDHE+AESGCM:ECDHE-ROT13:!aNULL: \"ECDHE-ROT13\" is not known; "
              "expected: names as "
              "`openssl ciphers -s -tls1_2` lists them, with \":\" between them" },
    { "an unknown cipher that is excluded", "HIGH:!ROT13",
      .want = "postern.conf:1: ciphers = HIGH:!ROT13: \"ROT13\" is not known; *" },
    { "an old cipher that is excluded, in all ways", "HIGH:!aNULL:!MD5:!RC4:!3DES:!EXPORT:!LOW:!MEDIUM:-RSA+"
                                                     "3DES:!EDH-RSA-DES-CBC3-SHA:!kDHd:!LOW@STRENGTH" },
    { "an old cipher that is not excluded", "HIGH:RC4",
      .want = "postern.conf:1: ciphers = HIGH:RC4: \"RC4\" is not known; *" },
    { "an old cipher that is preferred less", "HIGH:+RC4",
      .want = "postern.conf:1: ciphers = HIGH:+RC4: \"RC4\" is not known; *" },
    { "a list that excludes all", "AES128:!AES128",
      .want = "postern.conf:1: ciphers = AES128:!AES128: leaves nothing to offer; *" },
    { "only such as do not encrypt", "eNULL",
      .want = "postern.conf:1: ciphers = eNULL: leaves nothing to offer; *" },
    { "only such as need keys of both", "PSK",
      .want = "postern.conf:1: ciphers = PSK: leaves nothing to offer; *" },
    { "a list that is usual elsewhere", "HIGH" },
    { "no ciphers", "", .want = "postern.conf:1: ciphers = : leaves nothing to offer; *" },
    { "a suite of TLS 1.2", .suites = "TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256",
      .want = "postern.conf:2: ciphersuites = TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256: "
              "\"ECDHE-RSA-AES128-GCM-SHA256\" is not known; expected: names as `openssl ciphers -s -tls1_3` "
              "lists them, "
              "with \":\" between them" },
    { "an unknown curve", .curves = "X25519:P-257",
      .want = "postern.conf:3: curves = X25519:P-257: \"P-257\" is not known; expected: names like "
              "X25519:P-256:P-384" },
};

static void check_policy(void **state)
{
    const struct policy_row *row = *state;
    struct tls_policy policy = { .ciphers = { row->ciphers, { "postern.conf", 1 } },
                                 .suites = { row->suites, { "postern.conf", 2 } },
                                 .curves = { row->curves, { "postern.conf", 3 } } };
    auto_val(diag) problems = { 0 };
    auto_ptr(tls_store) store =
        load(&(struct files){ "ec.pem", "ec.key" }, 1, &(struct files){ 0 }, &policy, &problems);
    check_problems(&problems, &row->want, 1);
    assert_int_equal(store != NULL, row->want == NULL);
}

/* ---- what is told ---- */

static struct tls_store *load_good(const struct files *files, size_t count, const struct files *other)
{
    auto_val(diag) problems = { 0 };
    struct tls_store *store = load(files, count, other, &(struct tls_policy){ 0 }, &problems);
    check_problems(&problems, NULL, 0);
    assert_non_null(store);
    return store;
}

static void check_told(void **state)
{
    (void)state;
    const struct files files[] = { { "ec.pem", "ec.key" }, { "rsa.pem", "rsa.key" } };
    auto_ptr(tls_store) store = load_good(files, 2, &(struct files){ "edwards.pem", "edwards.key" });
    assert_false(tls_store_has_client_ca(store));
    assert_int_equal(tls_store_count(store), 3);
    const struct tls_certificate *ec = tls_store_certificate(store, 0),
                                 *rsa = tls_store_certificate(store, 1),
                                 *edwards = tls_store_certificate(store, 2);
    assert_true(g_str_has_suffix(ec->path, "/ec.pem"));
    assert_null(ec->host);
    assert_string_equal(ec->subject, "CN=mx,O=Test");
    assert_string_equal(ec->kind, "EC 256");
    assert_string_equal(ec->names[0], "mx.example.org");
    assert_string_equal(ec->names[1], "mail.example.org");
    assert_null(ec->names[2]);
    assert_int_equal(ec->not_after_s - ec->not_before_s, 91 * DAY_S);
    assert_string_equal(rsa->kind, "RSA 2048");
    assert_string_equal(edwards->host, "other");
    assert_string_equal(edwards->kind, "ED25519");
    assert_string_equal(edwards->names[1], "*.ed.example.org");
    assert_null(edwards->names[2]);
}

static void key_sha256(const struct certificate *c, uint8_t digest[TLS_SHA256])
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(c->key, &der);
    assert_true(len > 0);
    (void)SHA256(der, (size_t)len, digest);
    OPENSSL_free(der);
}

static void check_digests(void **state)
{
    (void)state;
    auto_ptr(tls_store) store =
        load_good(&(struct files){ "ec.pem", "ec.key" }, 1, &(struct files){ "alone.pem", "both.pem" });
    const struct tls_certificate *chain = tls_store_certificate(store, 0),
                                 *alone = tls_store_certificate(store, 1);
    uint8_t want[TLS_SHA256];
    key_sha256(rig->ec, want);
    assert_memory_equal(chain->key_sha256, want, sizeof want);
    assert_memory_equal(alone->key_sha256, want, sizeof want);
    key_sha256(rig->ca, want);
    assert_true(chain->has_issuer);
    assert_memory_equal(chain->issuer_key_sha256, want, sizeof want);
    assert_false(alone->has_issuer);
}

static void check_common_name(void **state)
{
    (void)state;
    auto_ptr(tls_store) store = load_good(&(struct files){ "nameless.pem", "nameless.key" }, 1,
                                          &(struct files){ "cn.pem", "cn.key" });
    assert_null(tls_store_certificate(store, 0)->names[0]); /* of those who name nobody it may be */
    assert_string_equal(tls_store_certificate(store, 1)->names[0], "cn.example.org");
    assert_null(tls_store_certificate(store, 1)->names[1]);
}

/* It is loaded, as old mail is better than none; and who asks is told. */
static void check_expired(void **state)
{
    (void)state;
    auto_ptr(tls_store) store = load_good(&(struct files){ "old.pem", "old.key" }, 1, &(struct files){ 0 });
    const struct tls_certificate *old = tls_store_certificate(store, 0);
    assert_int_equal(tls_certificate_dates(old, old->not_after_s + 10 * DAY_S, NULL), TLS_DATES_OVER);
    assert_int_equal(old->not_after_s - old->not_before_s, 10 * DAY_S);
}

static const struct dates_row {
    const char *name;
    int64_t now_s;
    enum tls_dates want;
    const char *text;
} dates_rows[] = {
    /* from 2026-01-01 to 2026-03-31, midnight */
    { "too early", 1767225599, TLS_DATES_TO_COME, "is not valid before 2026-01-01 00:00:00 UTC" },
    { "just in time", 1767225600, TLS_DATES_GOOD, NULL },
    { "long enough", 1774915200 - 14 * DAY_S - 1, TLS_DATES_GOOD, NULL },
    { "14 days ahead", 1774915200 - 14 * DAY_S, TLS_DATES_END_SOON,
      "expires on 2026-03-31 00:00:00 UTC, in 14 days" },
    { "the last second", 1774915200, TLS_DATES_END_SOON, "expires on 2026-03-31 00:00:00 UTC, in 0 days" },
    { "too late", 1774915201, TLS_DATES_OVER, "has expired on 2026-03-31 00:00:00 UTC" },
};

static void check_dates(void **state)
{
    const struct dates_row *row = *state;
    const struct tls_certificate c = { .not_before_s = 1767225600, .not_after_s = 1774915200 };
    g_autofree char *text = NULL;
    assert_int_equal(tls_certificate_dates(&c, row->now_s, &text), row->want);
    assert_int_equal(tls_certificate_dates(&c, row->now_s, NULL), row->want);
    assert_int_equal(text == NULL, row->text == NULL);
    if (text != NULL)
        assert_string_equal(text, row->text);
}

int main(int argc, char **argv)
{
    rig = tls_rig_new();
    make_files();
    struct suite *s = suite_new("tls store");
    suite_add_rows(s, problem_rows, check_problem);
    suite_add_rows(s, policy_rows, check_policy);
    suite_add_rows(s, dates_rows, check_dates);
    suite_add(s, "what a certificate says", check_told, NULL);
    suite_add(s, "digests for TLSA", check_digests, NULL);
    suite_add(s, "a common name instead of names", check_common_name, NULL);
    suite_add(s, "one that has expired", check_expired, NULL);
    int failed = suite_run(s, argc, argv);
    tls_rig_free(rig);
    return failed;
}
