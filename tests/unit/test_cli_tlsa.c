/* Records of DANE and the policy of MTA-STS that `postern tlsa` prints: of which certificates, for which
 * names and ports. */
#include <string.h>
#include <sysexits.h>

#include "certificates.h"
#include "cli_rig.h"
#include "suite.h"

static const char config[] = "[server]\nhostname = MX.example.org\n"
                             "[listen in]\naddress = 127.0.0.1:25, [::1]:25\ntls = optional\n"
                             "[listen submissions]\naddress = [::1]:465\ntls = implicit\n"
                             "[listen plain]\naddress = 127.0.0.1:26\n"
                             "[listen lmtp]\naddress = 127.0.0.1:24\nprotocol = lmtp\ntls = required\n"
                             "[tls]\ncertificate = mx.pem, signed.pem\nprivate-key = mx.key, signed.key\n"
                             "[tls other]\ncertificate = other.pem\nprivate-key = other.key\n"
                             "[domain example.org]\nmaildirs = $/mail\n"
                             "[domain *.example.org]\nmaildirs = $/mail\n"
                             "[domain m\xc3\xbcnchen.example]\nmaildirs = $/mail\n";

#define TLSA   "tlsa -c $/conf "
#define POLICY "version: STSv1\nmode: enforce\nmx: mx.example.org\nmx: *.example.net\nmax_age: 604800\n"

static const struct cli_row rows[] = {
    { "records of the host's certificates", TLSA, 0,
      "; $/mx.pem (*)\n_25._tcp.mx.example.org. IN TLSA 3 1 1 ?*\n_465._tcp.mx.example.org. IN TLSA 3 1 1 "
      "?*\n"
      "; $/signed.pem (*)\n_25._tcp.mx.example.org. IN TLSA 3 1 1 ?*\n_465._tcp.mx.example.org. IN TLSA 3 1 "
      "1 ?*\n"
      "; who signed it: *\n_25._tcp.mx.example.org. IN TLSA 2 1 1 ?*\n_465._tcp.mx.example.org. IN TLSA 2 1 "
      "1 ?*\n"
      "\n; MTA-STS: *\n_mta-sts.example.org. IN TXT \"v=STSv1; id=????????????????;\"\n"
      "_mta-sts.xn--mnchen-3ya.example. IN TXT \"v=STSv1; id=????????????????;\"\n\n; the policy: *\n" POLICY,
      "" },
    { "the policy alone", TLSA "--policy", 0, POLICY, "" },
    { "a port", TLSA "--port 2525", 0, "; *\n_2525._tcp.mx.example.org. IN TLSA 3 1 1 *", "" },
    { "another host, which has its own", TLSA "--host OTHER.example.org", 0,
      "; $/other.pem (*)\n_25._tcp.other.example.org. IN TLSA 3 1 1 *mx: other.example.org\nmax_age: "
      "604800\n",
      "" },
    { "a host by a wildcard", TLSA "--host a.example.net", 0,
      "; $/mx.pem (*)\n_25._tcp.a.example.net. *mx: a.example.net\n*", "" },
    { "a wildcard is one label", TLSA "--host a.b.example.net", 0,
      "; $/mx.pem *; no MTA-STS policy fits: a.b.example.net is not among *",
      "*$/mx.pem: a.b.example.net is not among its names (mx.example.org, *.example.net)*" },
    { "no policy for it", TLSA "--host mail.example.org --policy", 1, "",
      "*no policy fits: mail.example.org is not among *" },

    { "no such port", TLSA "--port 65536", EX_USAGE, "",
      "*--port 65536: expected a whole number from 1 to 65535; *" },
    { "port 0", TLSA "--port 0", EX_USAGE, "", "*--port 0: expected *" },
    { "no such host", TLSA "--host a..b", EX_USAGE, "",
      "*--host a..b: expected a domain name such as mx.example.org; *" },
    { "no certificates",
      "tlsa --hostname mx.example.org --listen smtp://127.0.0.1:25 --domain example.org=$/mail", 1, "",
      "*there is no certificate; expected certificate and private-key in [tls]\n" },
    { "no listener",
      "tlsa --hostname mx.example.org --listen lmtp://127.0.0.1:24 --domain example.org=$/mail "
      "--tls-certificate $/mx.pem --tls-key $/mx.key",
      1, "", "*no listener of SMTP offers TLS at a port that is known; *" },
    { "a key that is not there", TLSA "--set tls.private-key=$/none,$/none", 1, "",
      "*$/none: cannot be read: *" },
};

/* With who has signed it behind it, as servers want it. */
static void put(const struct cli *cli, const char *name, const struct certificate *c,
                const struct certificate *issuer)
{
    g_autofree char *own = certificate_pem(c),
                    *signer = issuer != NULL ? certificate_pem(issuer) : g_strdup("");
    g_autofree char *pem = g_strconcat(own, signer, NULL), *key = certificate_key_pem(c, NULL);
    g_autofree char *pem_name = g_strconcat(name, ".pem", NULL), *key_name = g_strconcat(name, ".key", NULL);
    g_free(certificate_file(cli->folder, pem_name, pem, 0644));
    g_free(certificate_file(cli->folder, key_name, key, 0600));
}

static void add_certificates(const struct cli *cli)
{
    static const char names[] = "DNS:mx.example.org,DNS:*.example.net";
    struct certificate *ca =
        certificate_new(&(struct certificate_wish){ .common_name = "CA", .is_ca = true });
    struct certificate *mx = certificate_new(&(struct certificate_wish){ .names = names });
    struct certificate *its =
        certificate_new(&(struct certificate_wish){ .names = names, .kind = KEY_ED25519, .issuer = ca });
    struct certificate *other =
        certificate_new(&(struct certificate_wish){ .names = "DNS:other.example.org" });
    put(cli, "mx", mx, NULL);
    put(cli, "signed", its, ca);
    put(cli, "other", other, NULL);
    certificate_free(ca);
    certificate_free(mx);
    certificate_free(its);
    certificate_free(other);
}

static void check_row(void **state)
{
    auto_ptr(cli) cli = cli_new();
    cli_file(cli, "conf", config);
    cli_maildir(cli, "mail/alice");
    add_certificates(cli);
    cli_check(cli, *state);
}

/* The id is the policy's: other certificates with the same names are no other policy, and other names are. */
static void check_id(void **state)
{
    (void)state;
    auto_ptr(cli) cli = cli_new();
    cli_file(cli, "conf", config);
    cli_maildir(cli, "mail/alice");
    char *ids[3];
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        add_certificates(cli);
        assert_int_equal(cli_run(cli, i < 2 ? TLSA : TLSA "--host other.example.org"), 0);
        const char *id = strstr(cli->out, "; id=");
        assert_non_null(id);
        ids[i] = g_strndup(id, strlen("; id=") + 16);
    }
    assert_string_equal(ids[0], ids[1]);
    assert_string_not_equal(ids[0], ids[2]);
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
        g_free(ids[i]);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("cli tlsa");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "the id of the policy", check_id, NULL);
    return suite_run(s, argc, argv);
}
