#include "rig_tls.h"

#include "certificates.h"
#include "suite.h"

struct tls_store *rig_store(const char *folder)
{
    struct certificate *c = certificate_new(&(struct certificate_wish){ .names = "DNS:mx.example.org" });
    g_autofree char *pem = certificate_pem(c), *key = certificate_key_pem(c, NULL);
    g_autofree char *pem_path = certificate_file(folder, "mx.pem", pem, 0644);
    g_autofree char *key_path = certificate_file(folder, "mx.key", key, 0600);
    certificate_free(c);
    const struct tls_policy policy = { .tickets = true };
    const struct tls_pair pair = { .certificate.value = pem_path, .private_key.value = key_path };
    auto_val(diag) problems = { 0 };
    struct tls_store *store = tls_store_new(&policy, &(struct tls_host){ NULL, &pair, 1 }, 1, &problems);
    assert_non_null(store);
    return store;
}
