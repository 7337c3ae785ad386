/* The settings as a whole: what the sections of postern.conf become, and which of them cannot be together. */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"
#include "auth/auth.h"
#include "delivery/router.h"
#include "server/settings.h"
#include "suite.h"
#include "worker/greeting.h"

/* ---- a folder for maildirs ---- */

struct folder {
    char *path;
};

static void folder_make(struct folder *f)
{
    f->path = g_build_filename(g_get_tmp_dir(), "postern-XXXXXX", NULL);
    assert_non_null(g_mkdtemp(f->path));
}

static void folder_clear(struct folder *f)
{
    (void)g_rmdir(f->path);
    g_free(f->path);
}
AUTO_VAL_DEFINE(folder);

/* "$DIR" stands for the folder's path. */
static char *with_folder(const char *text, const struct folder *f)
{
    g_auto(GStrv) parts = g_strsplit(text, "$DIR", -1);
    return g_strjoinv(f->path, parts);
}

static struct settings *load(const char *text, const struct folder *f, struct diag *d)
{
    struct config *c = settings_config_new(d);
    g_autofree char *full = with_folder(text, f);
    config_read_text(c, "f", slice_str(full));
    return settings_new(c, d);
}

/* Where nothing is wrong. Makes the folder. */
static struct settings *load_good(const char *text, struct folder *f)
{
    folder_make(f);
    auto_val(diag) d = { 0 };
    struct settings *s = load(text, f, &d);
    assert_int_equal(diag_count(&d), 0);
    return s;
}

/* NULL: in no domain of ours. */
static const struct domain *domain_of(const struct settings *s, const char *path)
{
    struct smtp_address address = address_of(path);
    struct route_start start;
    return router_start(s->worker.router, &address, &start) ? start.domain : NULL;
}

/* ---- what is wrong ---- */

struct problem_row {
    const char *name, *text, *problems;
};

#define SERVER      "[server]\nhostname = mx.example.org\n"
#define LISTEN      "[listen in]\naddress = 127.0.0.1:25\n"
#define DOMAIN_HERE "[domain example.org]\nmaildirs = $DIR\n"
#define ADDRESSES   "addresses such as 0.0.0.0:25, [::]:25 or unix:/run/postern/lmtp.sock, separated by commas"
#define DELAY       "auto, or a duration such as 500ms or 5s, at most 1m"
#define DOMAINS     "a domain name such as example.org, *.example.org for all beneath it, or * for all others"
#define HANDLER     "[handler h]\nload = /dev/null\n"
#define PATHS       "absolute paths of what there is, separated by commas"
#define TLS_HERE    "[tls]\ncertificate = /c\nprivate-key = /k\n"
#define AUTH_HERE   "[auth]\npasswords = /p\n"
#define NO_MECHANISM                                                                                         \
    "no mechanism of [auth] can be used here; expected tls-client = request or require for EXTERNAL, tls "   \
    "and passwords = FILE for SCRAM-SHA-256-PLUS, or another one\n"
#define NETWORKS "networks such as 127.0.0.0/8, ::1 or unix, separated by commas"

static const struct problem_row problem_rows[] = {
    { "all that is needed", SERVER LISTEN DOMAIN_HERE, "" },
    { "nowhere to listen", SERVER DOMAIN_HERE,
      "f: there is nowhere to listen; expected a section [listen NAME] with address = HOST:PORT\n" },
    { "no domain", SERVER LISTEN,
      "f: there is no domain to take mail for; expected a section [domain NAME] with maildirs = "
      "DIRECTORY\n" },
    { "a listener with a wrong address is still one",
      SERVER DOMAIN_HERE "[listen in]\naddress = localhost:25\n",
      "f:6: address = localhost:25: \"localhost:25\" is no address; expected " ADDRESSES "\n" },
    { "one wrong address of several", SERVER DOMAIN_HERE "[listen in]\naddress = [::]:25, 0.0.0.0\n",
      "f:6: address = [::]:25, 0.0.0.0: \"0.0.0.0\" is no address; expected " ADDRESSES "\n" },
    { "an empty address in a list", SERVER DOMAIN_HERE "[listen in]\naddress = [::]:25,\n",
      "f:6: address = [::]:25,: \"\" is no address; expected " ADDRESSES "\n" },
    { "an address twice in a list", SERVER DOMAIN_HERE "[listen in]\naddress = 127.0.0.1:25, 127.0.0.1:25\n",
      "f:6: address = 127.0.0.1:25: [listen in] listens there already; expected another address\n" },
    { "an address twice in sections",
      SERVER DOMAIN_HERE LISTEN "[listen again]\nprotocol = lmtp\naddress = 127.0.0.1:25\n",
      "f:9: address = 127.0.0.1:25: [listen in] listens there already; expected another address\n" },
    { "a unix socket twice",
      SERVER DOMAIN_HERE "[listen a]\naddress = unix:/s\n[listen b]\naddress = unix:/s\n",
      "f:8: address = unix:/s: [listen a] listens there already; expected another address\n" },
    { "metrics where mail comes", SERVER DOMAIN_HERE LISTEN "[metrics]\naddress = 127.0.0.1:25\n",
      "f:8: address = 127.0.0.1:25: [listen in] listens there already; expected another address\n" },
    { "metrics at no address", SERVER DOMAIN_HERE LISTEN "[metrics]\naddress = 9125\n",
      "f:8: address = 9125: expected an address such as 127.0.0.1:9125, [::1]:9125 or "
      "unix:/run/postern/metrics.sock\n" },
    { "port 0 twice", SERVER DOMAIN_HERE "[listen in]\naddress = 127.0.0.1:0, 127.0.0.1:0\n", "" },
    { "another protocol", SERVER DOMAIN_HERE "[listen in]\naddress = 127.0.0.1:25\nprotocol = pop3\n",
      "f:7: protocol = pop3: expected one of smtp, lmtp\n" },
    { "a mode of nine", SERVER DOMAIN_HERE "[listen in]\naddress = unix:/s\nsocket-mode = 0960\n",
      "f:7: socket-mode = 0960: expected an octal mode such as 0660\n" },
    { "a set-user-id mode", SERVER DOMAIN_HERE "[listen in]\naddress = unix:/s\nsocket-mode = 4660\n",
      "f:7: socket-mode = 4660: expected an octal mode such as 0660\n" },
    { "networks that are none",
      SERVER DOMAIN_HERE LISTEN "proxy = 10.1.2.3/8\nxclient = ::1, mx.example.org\n"
                                "xforward = 10.0.0.0/33\n",
      "f:7: proxy = 10.1.2.3/8: \"10.1.2.3/8\" has bits set behind its prefix, perhaps 10.0.0.0/8 is meant; "
      "expected " NETWORKS "\n"
      "f:8: xclient = ::1, mx.example.org: \"mx.example.org\" is no network; expected " NETWORKS "\n"
      "f:9: xforward = 10.0.0.0/33: the prefix of \"10.0.0.0/33\" is no number from 0 to 32; "
      "expected " NETWORKS "\n" },
    { "no networks", SERVER DOMAIN_HERE LISTEN "proxy =\n",
      "f:7: proxy has no value; expected " NETWORKS "\n" },
    { "proxies that cannot connect to a unix socket",
      SERVER DOMAIN_HERE "[listen in]\naddress = 127.0.0.1:25, unix:/s\nproxy = 127.0.0.1\n",
      "f:7: proxy: none of these networks can have a client of unix:/s; expected unix among them\n" },
    { "proxies that are none of IPv4",
      SERVER DOMAIN_HERE "[listen in]\naddress = 127.0.0.1:25\nproxy = ::1, unix\n",
      "f:7: proxy: none of these networks can have a client of 127.0.0.1:25; expected an IPv4 network among "
      "them\n" },
    { "proxies that are none of IPv6, although its sockets might take IPv4",
      SERVER DOMAIN_HERE "[listen in]\naddress = [::]:25\nproxy = 127.0.0.1, ::ffff:10.0.0.0/104\n",
      "f:7: proxy: none of these networks can have a client of [::]:25; expected an IPv6 network among "
      "them\n" },
    { "proxies that are none of one address of two",
      SERVER DOMAIN_HERE "[listen in]\naddress = 0.0.0.0:25, [::]:25\nproxy = 127.0.0.1\n",
      "f:7: proxy: none of these networks can have a client of [::]:25; expected an IPv6 network among "
      "them\n" },
    { "clients with rights that cannot come", SERVER DOMAIN_HERE LISTEN "xclient = ::1\nxforward = unix\n",
      "f:7: xclient: none of these networks can have a client of 127.0.0.1:25; expected an IPv4 network "
      "among them\n"
      "f:8: xforward: none of these networks can have a client of 127.0.0.1:25; expected an IPv4 network "
      "among them\n" },
    { "clients with rights that cannot come to any address",
      SERVER DOMAIN_HERE "[listen in]\naddress = unix:/s, [::]:25\nxforward = 127.0.0.1\n",
      "f:7: xforward: none of these networks can have a client of unix:/s; expected unix among them\n" },
    { "clients with rights that can come to one address of two",
      SERVER DOMAIN_HERE "[listen in]\naddress = 0.0.0.0:25, [::]:25\nxclient = 127.0.0.1\nxforward = ::1\n",
      "" },
    { "clients with rights that come by a proxy",
      SERVER DOMAIN_HERE LISTEN "proxy = 127.0.0.1\nxclient = ::1\nxforward = unix\n", "" },
    { "a greeting held back for too long", SERVER DOMAIN_HERE LISTEN "greeting-delay = 61s\n",
      "f:7: greeting-delay = 61s: expected " DELAY "\n" },
    { "a greeting held back for a while", SERVER DOMAIN_HERE LISTEN "greeting-delay = Auto\n",
      "f:7: greeting-delay = Auto: expected " DELAY "\n" },
    { "a hostname that is none", "[server]\nhostname = a b\n" LISTEN DOMAIN_HERE,
      "f:2: hostname = a b: expected a domain name such as mx.example.org\n" },
    { "a domain that is none", SERVER LISTEN "[domain ex..ample]\nmaildirs = $DIR\n",
      "f:5: [domain ex..ample]: expected " DOMAINS "\n" },
    { "a pattern that is none", SERVER LISTEN "[domain mail.*.example.org]\nmaildirs = $DIR\n",
      "f:5: [domain mail.*.example.org]: expected " DOMAINS "\n" },
    { "patterns", SERVER LISTEN "[domain *.example.org]\nmaildirs = $DIR\n[domain *]\nmaildirs = $DIR\n",
      "" },
    { "a pattern twice",
      SERVER LISTEN "[domain *.example.org]\nmaildirs = $DIR\n[domain *.Example.Org]\nmaildirs = $DIR\n",
      "f:7: [domain *.Example.Org] is there already; expected it once (case does not count, nor whether "
      "labels "
      "are in UTF-8)\n" },
    { "a catch-all elsewhere", SERVER LISTEN DOMAIN_HERE "catch-all = eve@example.com\n",
      "f:7: catch-all = eve@example.com: expected an address in a domain with a section: mail is not sent on "
      "to "
      "other servers\n" },
    { "a catch-all that is no address", SERVER LISTEN DOMAIN_HERE "catch-all = a b\n",
      "f:7: catch-all = a b: expected an address, or its part before the @\n" },
    { "a catch-all in a domain that comes later",
      SERVER LISTEN DOMAIN_HERE "catch-all = eve@example.net\n[domain example.net]\nmaildirs = $DIR\n", "" },
    { "a catch-all in this domain", SERVER LISTEN DOMAIN_HERE "catch-all = postmaster\n", "" },
    { "a catch-all that leaves nobody to make a maildir for",
      SERVER LISTEN DOMAIN_HERE "catch-all = postmaster\ncreate = yes\n",
      "f:8: create = yes beside catch-all makes no maildir; expected mailboxes = TABLE, or one of the "
      "two\n" },
    { "neither yes nor no", SERVER LISTEN DOMAIN_HERE "create = maybe\n[delivery]\nsingle-instance = 1\n",
      "f:7: create = maybe: expected yes or no\n"
      "f:9: single-instance = 1: expected yes or no\n" },
    { "a subaddress behind a letter", SERVER LISTEN DOMAIN_HERE "subaddress = +x\n",
      "f:7: subaddress = +x: expected characters such as + or -, or none\n" },
    { "subaddresses in two ways, and in none",
      SERVER LISTEN DOMAIN_HERE "subaddress = +-\n[domain example.net]\nmaildirs = $DIR\nsubaddress = none\n",
      "" },
    { "a quota that is no size", SERVER LISTEN DOMAIN_HERE "quota = lots\n",
      "f:7: quota = lots: expected a size in octets such as 64K or 50M\n" },
    { "another word for a full mailbox", SERVER LISTEN DOMAIN_HERE "over-quota = bounce\n",
      "f:7: over-quota = bounce: expected one of defer, reject\n" },
    { "no Received fields at all", SERVER LISTEN DOMAIN_HERE "[limits]\nreceived-fields = 0\n",
      "f:8: received-fields = 0: expected a whole number, from 1 to 10000\n" },
    { "a domain twice", SERVER LISTEN DOMAIN_HERE "[domain EXAMPLE.ORG]\nmaildirs = $DIR\n",
      "f:7: [domain EXAMPLE.ORG] is there already; expected it once (case does not count, nor whether labels "
      "are in UTF-8)\n" },
    { "a domain twice, by A-label and U-label",
      SERVER LISTEN DOMAIN_HERE
      "[domain xn--mnchen-3ya.example]\nmaildirs = $DIR\n[domain M\u00fcnchen.example]\nmaildirs = $DIR\n",
      "f:9: [domain M\u00fcnchen.example] is there already; expected it once (case does not count, nor "
      "whether "
      "labels are in UTF-8)\n" },
    { "a domain with an ideographic full stop",
      SERVER LISTEN "[domain m\u00fcnchen\u3002example]\nmaildirs = $DIR\n",
      "f:5: [domain m\u00fcnchen\u3002example]: expected " DOMAINS "\n" },
    { "a hostname of UTF-8", "[server]\nhostname = mx.m\u00fcnchen.example\n" LISTEN DOMAIN_HERE,
      "f:2: hostname = mx.m\u00fcnchen.example: expected a domain name such as mx.example.org\n" },
    { "a folder that is missing", SERVER LISTEN "[domain example.org]\nmaildirs = $DIR/missing\n",
      "f:6: maildirs = $DIR/missing: No such file or directory; expected a directory whose directories are "
      "maildirs\n" },
    { "a folder that is none", SERVER LISTEN "[domain example.org]\nmaildirs = /dev/null\n",
      "f:6: maildirs = /dev/null: Not a directory; expected a directory whose directories are maildirs\n" },
    { "no folder", SERVER LISTEN "[domain example.org]\n",
      "f:5: [domain example.org] has no maildirs; expected a directory whose directories are maildirs\n" },
    { "a user that is none", SERVER "user = no-such-user-here\n" LISTEN DOMAIN_HERE,
      "f:3: user = no-such-user-here: there is no such user; expected the name of a user of this system\n" },
    { "no workers", SERVER "workers = 0\n" LISTEN DOMAIN_HERE,
      "f:3: workers = 0: expected auto, or a whole number from 1 to 256\n" },
    { "too many workers", SERVER "workers = 257\n" LISTEN DOMAIN_HERE,
      "f:3: workers = 257: expected auto, or a whole number from 1 to 256\n" },
    { "a log target that is none", SERVER LISTEN DOMAIN_HERE "[log]\ntarget = file:\n",
      "f:8: target = file:: expected stderr, syslog, or file:PATH\n" },
    { "a log level that is none", SERVER LISTEN DOMAIN_HERE "[log]\nlevel = verbose\n",
      "f:8: level = verbose: expected one of debug, info, warning, error, fatal, panic\n" },
    { "both tables of limits", SERVER LISTEN DOMAIN_HERE "[limits]\nmessage-size = 1\nconnections = 0\n",
      "f:8: message-size = 1: expected a size in octets such as 64K or 50M, from 64K to 1024T\n"
      "f:9: connections = 0: expected a whole number, from 1 to 1000000\n" },
    { "a way to sync that is none", SERVER LISTEN DOMAIN_HERE "[delivery]\nsync = maybe\n",
      "f:8: sync = maybe: expected one of group, each, none\n" },
    { "handlers' processes out of their bounds",
      SERVER LISTEN DOMAIN_HERE
      "[handlers]\nprocesses = 65\ntimeout = 11m\nstack = 1K\non-failure = accept\nmemory = much\n",
      "f:8: processes = 65: expected a whole number, from 1 to 64\n"
      "f:9: timeout = 11m: expected a duration such as 90s or 5m, from 100ms to 10m\n"
      "f:10: stack = 1K: expected a size in octets such as 64K or 50M, at least 256K\n"
      "f:11: on-failure = accept: expected one of defer, deliver\n"
      "f:12: memory = much: expected a size in octets such as 64K or 50M\n" },
    { "a handler that is nowhere", SERVER LISTEN DOMAIN_HERE "[handler h]\n",
      "f:7: [handler h] has no load; expected the path of a shared object\n" },
    { "a handler without a name", SERVER LISTEN DOMAIN_HERE "[handler]\nload = /dev/null\n",
      "f:7: [handler] is no section; expected [handler NAME]\n" },
    { "handlers that are missing or are none",
      SERVER LISTEN DOMAIN_HERE "[handler a]\nload = $DIR/a.so\n[handler b]\nload = $DIR\n",
      "f:8: load = $DIR/a.so: No such file or directory; expected a shared object that can be read\n"
      "f:10: load = $DIR: Is a directory; expected a shared object that can be read\n" },
    { "domains and listeners of a handler that have no section",
      SERVER LISTEN DOMAIN_HERE HANDLER "domains = example.org, exmaple.org, nowhere.test\nlisteners = inn, "
                                        "elsewhere\n",
      "f:9: domains: there is no section [domain exmaple.org]; did you mean example.org? (known: "
      "example.org)\n"
      "f:9: domains: there is no section [domain nowhere.test]; expected one of example.org\n"
      "f:10: listeners: there is no section [listen inn]; did you mean in? (known: in)\n"
      "f:10: listeners: there is no section [listen elsewhere]; expected one of in\n" },
    { "lists of a handler that are none",
      SERVER LISTEN DOMAIN_HERE HANDLER "domains =\nlisteners = in,\npaths = /, var\nnetwork = 1\n",
      "f:9: domains has no value; expected names of sections [domain NAME], separated by commas\n"
      "f:10: listeners = in,: one of them is empty; expected names of sections [listen NAME], separated by "
      "commas\n"
      "f:11: paths = /, var: \"var\" is not absolute; expected " PATHS "\n"
      "f:12: network = 1: expected yes or no\n" },
    { "paths of a handler that are missing",
      SERVER LISTEN DOMAIN_HERE HANDLER "paths = /, $DIR/a\nwritable-paths = $DIR/b, /dev/null\n",
      "f:9: paths = $DIR/a: No such file or directory; expected " PATHS "\n"
      "f:10: writable-paths = $DIR/b: No such file or directory; expected " PATHS "\n" },
    { "misspelt keys of a handler", SERVER LISTEN DOMAIN_HERE HANDLER "optoin.queue = x\ntimeout = 1s\n",
      "f:9: unknown key optoin.queue in [handler h]; did you mean option.*? (known: load, domains, "
      "listeners, "
      "paths, writable-paths, network, option.*)\n"
      "f:10: unknown key timeout in [handler h]; it belongs in [handlers] (known here: load, domains, "
      "listeners, paths, writable-paths, network, option.*)\n" },
    { "TLS in all ways",
      SERVER DOMAIN_HERE LISTEN "tls = optional\n[listen b]\naddress = [::1]:25\ntls = required\n"
                                "tls-client = require\n[listen c]\naddress = 127.0.0.1:465\n"
                                "tls = implicit\ntls-client = request\n" TLS_HERE "client-ca = /ca\n",
      "" },
    { "TLS with certificates that have names alone",
      SERVER DOMAIN_HERE LISTEN "tls = optional\n[tls a]\ncertificate = /c\nprivate-key = /k\n", "" },
    { "TLS without a certificate",
      SERVER DOMAIN_HERE LISTEN "tls = optional\n[listen b]\naddress = [::]:465\ntls = implicit\n[tls]\n",
      "f:7: tls = optional: there is no certificate; expected certificate and private-key in [tls]\n"
      "f:10: tls = implicit: there is no certificate; expected certificate and private-key in [tls]\n" },
    { "another word for TLS", SERVER DOMAIN_HERE LISTEN "tls = yes\ntls-client = yes\nauth = yes\n",
      "f:7: tls = yes: expected one of off, optional, required, implicit\n"
      "f:8: tls-client = yes: expected one of off, request, require\n"
      "f:9: auth = yes: expected one of off, optional, required\n" },
    { "a certificate without a key", SERVER DOMAIN_HERE LISTEN "tls = optional\n[tls]\ncertificate = /c\n",
      "f:9: [tls] has certificate and no private-key; expected both or neither\n" },
    { "a key without a certificate",
      SERVER DOMAIN_HERE LISTEN "tls = optional\n[tls a]\nprivate-key = /k\n[tls]\nprivate-key = /k\n",
      "f:8: [tls a] has no certificate; expected paths of PEM files, separated by commas\n"
      "f:11: [tls] has private-key and no certificate; expected both or neither\n" },
    { "fewer keys than certificates",
      SERVER DOMAIN_HERE LISTEN "[tls]\ncertificate = /c, /d\nprivate-key = /k\n[tls a]\n"
                                "certificate = /c\nprivate-key = /k, /l\n",
      "f:9: private-key: 1 of them, for 2 certificates; expected one for each, in their order\n"
      "f:12: private-key: 2 of them, for 1 certificates; expected one for each, in their order\n" },
    { "ciphers for one name", SERVER DOMAIN_HERE LISTEN "[tls a]\nciphers = x\n",
      "f:8: unknown key ciphers in [tls a]; it belongs in [tls] (known here: certificate, private-key)\n"
      "f:7: [tls a] has no certificate; expected paths of PEM files, separated by commas\n"
      "f:7: [tls a] has no private-key; expected paths of PEM files, separated by commas\n" },
    { "an old version of TLS", SERVER DOMAIN_HERE LISTEN "[tls]\nminimum-version = 1.1\ntickets = off\n",
      "f:8: minimum-version = 1.1: expected one of 1.2, 1.3\n"
      "f:9: tickets = off: expected yes or no\n" },
    { "clients' certificates without TLS",
      SERVER DOMAIN_HERE LISTEN "tls-client = request\n" TLS_HERE "client-ca = /ca\n",
      "f:7: tls-client = request: there is no TLS here; expected tls = optional, required or implicit\n" },
    { "clients' certificates that nobody signs",
      SERVER DOMAIN_HERE LISTEN "tls = required\ntls-client = require\n" TLS_HERE,
      "f:8: tls-client = require: nobody's signature makes a client's certificate good; expected client-ca "
      "= FILE in [tls]\n" },
    { "clients' certificates that need not be shown",
      SERVER DOMAIN_HERE LISTEN "tls = optional\ntls-client = require\n" TLS_HERE "client-ca = /ca\n",
      "f:8: tls-client = require: without STARTTLS, clients need none; expected tls = required or "
      "implicit\n" },
    { "AUTH in all ways",
      SERVER DOMAIN_HERE LISTEN
      "auth = required\nauth-without-tls = yes\n[listen b]\naddress = 0.0.0.0:587\n"
      "auth = optional\ntls = required\n[listen c]\naddress = unix:/s\n"
      "protocol = lmtp\nauth = required\nauth-without-tls = yes\n[listen d]\n"
      "address = [::1]:24\nauth = optional\nauth-without-tls = yes\n" TLS_HERE AUTH_HERE,
      "" },
    { "AUTH and nobody who knows", SERVER DOMAIN_HERE LISTEN "auth = optional\nauth-without-tls = yes\n",
      "f:7: auth = optional: nobody knows the passwords; expected passwords = FILE or dovecot = PATH in "
      "[auth]\n" },
    { "AUTH without TLS", SERVER DOMAIN_HERE LISTEN "auth = required\n" AUTH_HERE,
      "f:7: auth = required: it is offered inside TLS alone, which there is none of here; expected tls = "
      "optional, required or implicit, or auth-without-tls = yes\n" },
    { "mechanisms that can be used somewhere",
      SERVER DOMAIN_HERE LISTEN "tls = required\ntls-client = request\nauth = required\n[listen b]\n"
                                "address = [::1]:25\ntls = optional\nauth = required\n" TLS_HERE
                                "client-ca = /ca\n" AUTH_HERE "mechanisms = EXTERNAL, SCRAM-SHA-256-PLUS\n",
      "" },
    { "EXTERNAL alone, and clients without certificates",
      SERVER DOMAIN_HERE LISTEN "tls = required\nauth = required\n" TLS_HERE AUTH_HERE
                                "mechanisms = EXTERNAL\n",
      "f:8: auth = required: " NO_MECHANISM },
    { "mechanisms for TLS alone, and none of it",
      SERVER DOMAIN_HERE LISTEN "auth = optional\nauth-without-tls = yes\n" AUTH_HERE
                                "mechanisms = EXTERNAL, SCRAM-SHA-256-PLUS\n",
      "f:7: auth = optional: " NO_MECHANISM },
    { "channel binding, and Dovecot, which has none",
      SERVER DOMAIN_HERE LISTEN "tls = required\nauth = required\n" TLS_HERE
                                "[auth]\ndovecot = /run/s\nmechanisms = SCRAM-SHA-256-PLUS\n",
      "f:8: auth = required: " NO_MECHANISM },
    { "AUTH in clear text through the network",
      SERVER DOMAIN_HERE "[listen in]\naddress = 127.0.0.1:25, 192.0.2.1:25, [::]:25\n"
                         "auth = optional\nauth-without-tls = yes\n" AUTH_HERE,
      "f:8: auth-without-tls = yes: passwords would come in clear text to 192.0.2.1:25; expected addresses "
      "that are unix sockets or of loopback, or no\n"
      "f:8: auth-without-tls = yes: passwords would come in clear text to [::]:25; expected addresses "
      "that are unix sockets or of loopback, or no\n" },
    { "no AUTH without TLS", SERVER DOMAIN_HERE LISTEN "auth-without-tls = yes\n",
      "f:7: auth-without-tls = yes: there is no AUTH here; expected auth = optional or required\n" },
    { "two who know the passwords", SERVER DOMAIN_HERE LISTEN AUTH_HERE "dovecot = /run/s\n",
      "f:9: dovecot beside passwords: there would be two who know; expected one of them\n" },
    { "all of it in one run",
      "[server]\nhostname = -\nuser = no-such-user-here\n[listen in]\nadress = 1\n[domain x]\n",
      "f:5: unknown key adress in [listen in]; did you mean address? (known: address, protocol, "
      "socket-mode, proxy, xclient, xforward, greeting-delay, tls, tls-client, auth, auth-without-tls)\n"
      "f:4: [listen in] has no address; expected " ADDRESSES "\n"
      "f:6: [domain x] has no maildirs; expected a directory whose directories are maildirs\n"
      "f:2: hostname = -: expected a domain name such as mx.example.org\n"
      "f:3: user = no-such-user-here: there is no such user; expected the name of a user of this system\n" },
};

static void check_problems(void **state)
{
    const struct problem_row *row = *state;
    auto_val(folder) f;
    folder_make(&f);
    auto_val(diag) d = { 0 };
    auto_ptr(settings) s = load(row->text, &f, &d);
    assert_non_null(s);
    g_autoptr(GString) told = g_string_new(NULL);
    for (unsigned i = 0; i < diag_count(&d); i++)
        g_string_append_printf(told, "%s\n", (const char *)g_ptr_array_index(d.problems, i));
    g_autofree char *wanted = with_folder(row->problems, &f);
    assert_string_equal(told->str, wanted);
}

/* ---- what is right ---- */

static unsigned processors(void)
{
    cpu_set_t usable;
    assert_int_equal(sched_getaffinity(0, sizeof usable, &usable), 0);
    return (unsigned)CPU_COUNT(&usable);
}

static void check_defaults(void **state)
{
    (void)state;
    auto_val(folder) f;
    auto_ptr(settings) s = load_good(SERVER LISTEN DOMAIN_HERE, &f);
    assert_string_equal(s->worker.hostname, "mx.example.org");
    assert_int_equal(s->workers, (processors() + 1) / 2);
    assert_null(s->identity.user);
    assert_int_equal(s->log.target.kind, LOG_TO_STDERR);
    assert_int_equal(s->log.format, PST_LOG_LOGFMT);
    assert_int_equal(s->log.level, PST_LOG_INFO);
    assert_int_equal(s->worker.sync, DELIVERY_SYNC_GROUP);
    assert_false(s->worker.single_instance);
    assert_null(s->metrics);
    assert_int_equal(s->worker.limits.received_fields, 100);
    const struct domain_options *domain = &domain_of(s, "<a@example.org>")->options;
    assert_string_equal(domain->subaddress, "+");
    assert_null(domain->catch_all);
    assert_null(domain->aliases);
    assert_null(domain->mailboxes);
    assert_null(domain->quotas);
    assert_int_equal(domain->quota, 0);
    assert_false(domain->refuse_over_quota);
    assert_false(domain->create);
    assert_int_equal(s->tables->len, 0);
    /* RFC 5321 4.5.3.2.7 and 4.5.3.2.6: five minutes for a command, at least ten in the data. */
    assert_int_equal(s->worker.smtp.command_timeout, 5 * 60 * 1000);
    assert_int_equal(s->worker.smtp.data_timeout, 10 * 60 * 1000);
    assert_true(s->worker.limits.connections > 0);
    assert_int_equal(s->listener_count, 1);
    assert_int_equal(s->listeners[0].listener.protocol, SMTP_PROTOCOL_SMTP);
    assert_int_equal(s->listeners[0].socket_mode, 0660);
    assert_int_equal(s->listeners[0].listener.fd, -1);
    assert_null(s->listeners[0].listener.proxy);
    assert_null(s->listeners[0].listener.xclient);
    assert_null(s->listeners[0].listener.xforward);
    assert_int_equal(s->listeners[0].listener.greeting_delay, GREETING_DELAY_AUTO);
    assert_int_equal(s->listeners[0].listener.tls, WORKER_TLS_OFF);
    assert_int_equal(s->listeners[0].listener.tls_client, TLS_CLIENT_OFF);
    assert_int_equal(s->listeners[0].listener.auth, WORKER_AUTH_OFF);
    assert_false(s->listeners[0].listener.auth_without_tls);
    assert_false(tls_settings_have_certificates(&s->tls));
    assert_int_equal(s->tls.policy.minimum_version, TLS_1_2);
    assert_true(s->tls.policy.tickets);
    assert_null(s->worker.tls);
    assert_null(s->worker.auth);
}

static void check_values(void **state)
{
    (void)state;
    static const char text[] =
        "[server]\nhostname = mx.example.org\nuser = root\nworkers = 3\n"
        "[log]\ntarget = file:/var/log/x.log\nformat = json\nlevel = debug\n"
        "[limits]\nmessage-size = 1G\nrecipients = 200\nerrors = 7\ncommand-timeout = 1m\n"
        "data-timeout = 2m\nconnections = 44\n"
        "[listen in]\naddress = 127.0.0.1:25, [::1]:26\n"
        "[listen lmtp]\naddress = unix:/run/x.sock\nprotocol = lmtp\nsocket-mode = 666\n"
        "[domain Example.org]\nmaildirs = $DIR\n[domain example.net]\nmaildirs = $DIR\n"
        "[delivery]\nsync = none\n";
    auto_val(folder) f;
    auto_ptr(settings) s = load_good(text, &f);
    assert_int_equal(s->workers, 3);
    assert_string_equal(s->identity.user, "root");
    assert_int_equal(s->identity.uid, 0);
    assert_int_equal(s->log.target.kind, LOG_TO_FILE);
    assert_string_equal(s->log.target.path, "/var/log/x.log");
    assert_int_equal(s->log.format, PST_LOG_JSON);
    assert_int_equal(s->log.level, PST_LOG_DEBUG);
    assert_int_equal(s->worker.smtp.message_size, 1024 * 1024 * 1024);
    assert_int_equal(s->worker.smtp.recipients, 200);
    assert_int_equal(s->worker.smtp.errors, 7);
    assert_int_equal(s->worker.smtp.command_timeout, 60000);
    assert_int_equal(s->worker.smtp.data_timeout, 120000);
    assert_int_equal(s->worker.limits.connections, 44);
    assert_int_equal(s->worker.sync, DELIVERY_SYNC_NONE);

    static const char *const names[] = { "in", "in", "lmtp" };
    static const char *const addresses[] = { "127.0.0.1:25", "[::1]:26", "unix:/run/x.sock" };
    assert_int_equal(s->listener_count, 3);
    for (size_t i = 0; i < 3; i++) {
        char address[NET_ADDRESS_TEXT];
        assert_string_equal(s->listeners[i].listener.name, names[i]);
        assert_string_equal(net_address_format(&s->listeners[i].listener.address, address), addresses[i]);
        assert_int_equal(s->listeners[i].listener.protocol, i == 2 ? SMTP_PROTOCOL_LMTP : SMTP_PROTOCOL_SMTP);
    }
    assert_int_equal(s->listeners[2].socket_mode, 0666);

    const struct domain *domain = domain_of(s, "<a@EXAMPLE.NET>");
    assert_non_null(domain);
    assert_string_equal(domain->options.maildirs, f.path);
    assert_null(domain_of(s, "<a@example.com>"));
}

/* Whom the networks of a listener have, of four clients. */
static void assert_networks(const struct net_networks *n, const char *wanted)
{
    static const char *const clients[] = { "10.1.2.3:1", "[::1]:1", "192.0.2.1:1", "unix:/client" };
    for (size_t i = 0; i < G_N_ELEMENTS(clients); i++) {
        struct net_address a;
        assert_int_equal(net_address_parse(clients[i], &a), 0);
        assert_int_equal(net_networks_have(n, &a), wanted[i] == '1');
    }
}

static void check_networks(void **state)
{
    (void)state;
    static const char text[] = SERVER DOMAIN_HERE
        "[listen in]\naddress = 127.0.0.1:25, [::1]:26\nproxy = 10.0.0.0/8, ::1\nxclient = 192.0.2.1\n"
        "xforward = ::/0\ngreeting-delay = 60s\n"
        "[listen lmtp]\naddress = unix:/run/x.sock\nproxy = unix\nxforward = unix, 192.0.2.0/24\n"
        "greeting-delay = 0\n";
    auto_val(folder) f;
    auto_ptr(settings) s = load_good(text, &f);
    assert_int_equal(s->listener_count, 3);
    for (size_t i = 0; i < 2; i++) {
        assert_networks(s->listeners[i].listener.proxy, "1100");
        assert_networks(s->listeners[i].listener.xclient, "0010");
        assert_networks(s->listeners[i].listener.xforward, "0100");
        assert_int_equal(s->listeners[i].listener.greeting_delay, 60000);
    }
    assert_networks(s->listeners[2].listener.proxy, "0001");
    assert_null(s->listeners[2].listener.xclient);
    assert_networks(s->listeners[2].listener.xforward, "0011");
    assert_int_equal(s->listeners[2].listener.greeting_delay, 0);
}

/* ---- TLS and AUTH ---- */

static void assert_option(const struct tls_option *o, const char *value, unsigned line)
{
    assert_string_equal(o->value, value);
    assert_string_equal(o->origin.file, "/etc/f");
    assert_int_equal(o->origin.line, line);
}

static void check_tls(void **state)
{
    (void)state;
    static const char text[] = SERVER DOMAIN_HERE /* 4 lines */
        "[listen in]\naddress = 127.0.0.1:25, [::1]:25\ntls = required\ntls-client = require\n"
        "[listen other]\naddress = 127.0.0.1:465\ntls = implicit\n"
        "[tls b]\ncertificate = b.pem\nprivate-key = b.pem\n"
        "[tls]\ncertificate = /ec.pem, rsa/rsa.pem\nprivate-key = /ec.key,rsa/rsa.key\nminimum-version = "
        "1.3\n"
        "ciphers = C\nciphersuites = S\ncurves = P-256\ntickets = no\nclient-ca = ca.pem\n"
        "[tls a]\ncertificate = /a.pem\nprivate-key = /a.key\n";
    auto_val(folder) f;
    folder_make(&f);
    auto_val(diag) d = { 0 };
    struct config *c = settings_config_new(&d);
    g_autofree char *full = with_folder(text, &f);
    config_read_text(c, "/etc/f", slice_str(full));
    auto_ptr(settings) s = settings_new(c, &d);
    assert_int_equal(diag_count(&d), 0);

    assert_int_equal(s->listener_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(s->listeners[i].listener.tls, i < 2 ? WORKER_TLS_REQUIRED : WORKER_TLS_IMPLICIT);
        assert_int_equal(s->listeners[i].listener.tls_client, i < 2 ? TLS_CLIENT_REQUIRE : TLS_CLIENT_OFF);
    }
    const struct tls_policy *p = &s->tls.policy;
    assert_int_equal(p->minimum_version, TLS_1_3);
    assert_false(p->tickets);
    assert_option(&p->ciphers, "C", 19);
    assert_option(&p->suites, "S", 20);
    assert_option(&p->curves, "P-256", 21);
    assert_option(&p->client_ca, "/etc/ca.pem", 23);

    /* The one without a name is the first, wherever it stands. */
    static const struct {
        const char *name, *certificate, *private_key;
        guint host;
        size_t pair;
        unsigned line;
    } wanted[] = {
        { NULL, "/ec.pem", "/ec.key", 0, 0, 16 },
        { NULL, "/etc/rsa/rsa.pem", "/etc/rsa/rsa.key", 0, 1, 16 },
        { "b", "/etc/b.pem", "/etc/b.pem", 1, 0, 13 },
        { "a", "/a.pem", "/a.key", 2, 0, 25 },
    };
    assert_int_equal(s->tls.hosts->len, 3);
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        const struct tls_host *host = &g_array_index(s->tls.hosts, struct tls_host, wanted[i].host);
        assert_int_equal(g_strcmp0(host->name, wanted[i].name), 0);
        assert_true(wanted[i].pair < host->pair_count);
        assert_option(&host->pairs[wanted[i].pair].certificate, wanted[i].certificate, wanted[i].line);
        assert_option(&host->pairs[wanted[i].pair].private_key, wanted[i].private_key, wanted[i].line + 1);
    }
    assert_null(s->worker.tls); /* nothing is read before it is asked for */
}

static void check_auth(void **state)
{
    (void)state;
    static const char text[] =
        SERVER LISTEN DOMAIN_HERE "[listen unix]\naddress = unix:/s\nauth = required\nauth-without-tls = "
                                  "yes\n[auth]\ndovecot = /run/d\n";
    auto_val(folder) f;
    auto_ptr(settings) s = load_good(text, &f);
    assert_int_equal(s->listeners[0].listener.auth, WORKER_AUTH_OFF);
    assert_int_equal(s->listeners[1].listener.auth, WORKER_AUTH_REQUIRED);
    assert_true(s->listeners[1].listener.auth_without_tls);
    assert_string_equal(s->worker.auth->dovecot, "/run/d");
    assert_null(s->worker.auth->passwords);
}

/* ---- handlers ---- */

static void assert_list(const struct wire_text_list *list, const char *wanted)
{
    g_autoptr(GString) all = g_string_new(NULL);
    for (uint32_t i = 0; i < list->count; i++)
        g_string_append_printf(all, "%s;", list->texts[i]);
    assert_string_equal(all->str, wanted);
}

static void check_handlers(void **state)
{
    (void)state;
    static const char text[] = SERVER LISTEN DOMAIN_HERE
        "[domain *.M\u00fcnchen.example]\nmaildirs = $DIR\n"
        "[limits]\nmessage-size = 1M\nheader-size = 64K\n"
        "[handler z]\nload = /dev/null\nnetwork = yes\noption.b = 2\noption.a.b = x = y\npaths = /dev, /\n"
        "[handlers]\nprocesses = 3\ntimeout = 1500ms\nmemory = 0\nstack = 1M\non-failure = deliver\n"
        "spare-processors = 3\n"
        "[handler a]\nload = /dev/./null\ndomains = EXAMPLE.org, *.xn--mnchen-3ya.example\n"
        "listeners = in\npaths = /\nwritable-paths = $DIR\n";
    auto_val(folder) f;
    auto_ptr(settings) s = load_good(text, &f);
    const struct handler_settings *h = s->worker.handlers;
    assert_ptr_equal(h, &s->handlers);
    assert_int_equal(h->processes, 3);
    assert_int_equal(h->timeout, 1500);
    assert_true(h->deliver_on_failure);
    assert_int_equal(h->config.memory, 0);
    assert_int_equal(h->config.stack, 1024 * 1024);
    assert_int_equal(h->config.cpu_seconds, 2);
    assert_int_equal(h->spare_processors, 3);
    assert_int_equal(h->config.file_size, 1024 * 1024 + 64 * 1024);
    assert_true(h->config.network);
    assert_list(&h->config.paths, "/dev;/;");
    g_autofree char *writable = g_strconcat(f.path, ";", NULL);
    assert_list(&h->config.writable, writable);
    assert_int_equal(h->config.handler_count, 2);
    const struct wire_handler *z = &h->config.handlers[0], *a = &h->config.handlers[1];
    assert_string_equal(z->name, "z"); /* in their order in the file */
    assert_string_equal(z->file, "/dev/null");
    assert_int_equal(z->option_count, 2);
    assert_string_equal(z->options[0].name, "b");
    assert_string_equal(z->options[1].name, "a.b");
    assert_string_equal(z->options[1].value, "x = y");
    assert_string_equal(a->name, "a");
    assert_int_equal(a->option_count, 0);
    assert_true(handler_scope_has_domain(&h->scopes[0], "example.org"));
    assert_true(handler_scope_has_listener(&h->scopes[0], "other"));
    assert_true(handler_scope_has_domain(&h->scopes[1], domain_of(s, "<a@example.org>")->name));
    assert_true(handler_scope_has_domain(&h->scopes[1], domain_of(s, "<a@x.M\u00dcNCHEN.example>")->name));
    assert_false(handler_scope_has_domain(&h->scopes[1], "example.com"));
    assert_true(handler_scope_has_listener(&h->scopes[1], "in"));
    assert_false(handler_scope_has_listener(&h->scopes[1], "other"));
}

static void check_no_handlers(void **state)
{
    (void)state;
    auto_val(folder) f;
    auto_ptr(settings) s = load_good(SERVER LISTEN DOMAIN_HERE "[handlers]\nprocesses = 1\n", &f);
    assert_null(s->worker.handlers);
}

/* Relative to the file that says so; on the command line, to where one is. */
static void check_relative_handlers(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    auto_val(diag) d = { 0 };
    struct config *c = settings_config_new(&d);
    g_autofree char *text = with_folder(SERVER LISTEN DOMAIN_HERE "[handler a]\nload = ./null\n[handler b]\n"
                                                                  "load = x\noption.q = 1\noption.r = 1\n",
                                        &f);
    config_read_text(c, "/dev/postern.conf", slice_str(text));
    config_set(c, "handler", "b", "load", "./b.so", (struct origin){ "--handler" });
    config_set(c, "handler", "b", "option.q", "2", (struct origin){ "--set" });
    auto_ptr(settings) s = settings_new(c, &d);
    g_autofree char *here = g_get_current_dir();
    g_autofree char *file = g_build_filename(here, "b.so", NULL);
    const struct wire_handler *h = s->handlers.config.handlers;
    assert_string_equal(h[0].file, "/dev/null");
    assert_string_equal(h[1].file, file);
    assert_int_equal(h[1].option_count, 2);
    assert_string_equal(h[1].options[0].value, "2");
    assert_int_equal(diag_count(&d), 1); /* it is not there */
}

static void check_too_many_handlers(void **state)
{
    (void)state;
    g_autoptr(GString) text = g_string_new(SERVER LISTEN DOMAIN_HERE);
    for (unsigned i = 1; i <= WIRE_HANDLERS_MAX + 1; i++)
        g_string_append_printf(text, "[handler h%u]\nload = /dev/null\n", i);
    auto_val(folder) f;
    folder_make(&f);
    auto_val(diag) d = { 0 };
    auto_ptr(settings) s = load(text->str, &f, &d);
    assert_int_equal(diag_count(&d), 1);
    assert_string_equal(g_ptr_array_index(d.problems, 0),
                        "f:135: [handler h65] is one too many; expected 64 handlers at most");
    assert_non_null(s);
}

/* As the command line does it, behind what the file says. */
static void check_networks_given_twice(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    auto_val(diag) d = { 0 };
    struct config *c = settings_config_new(&d);
    g_autofree char *text = with_folder(SERVER DOMAIN_HERE LISTEN "proxy = 10.0.0.0/8\n", &f);
    config_read_text(c, "f", slice_str(text));
    config_set(c, "listen", "in", "proxy", "192.0.2.1", (struct origin){ "--set" });
    auto_ptr(settings) s = settings_new(c, &d);
    assert_int_equal(diag_count(&d), 0);
    assert_networks(s->listeners[0].listener.proxy, "0010");
}

/* Names of sections are longer than what inih passes on, and domains that differ behind that are different.
 */
static void check_long_domains(void **state)
{
    (void)state;
    static const char text[] = SERVER LISTEN
        "[domain a.very.long.name.of.a.department.of.the.university.of.somewhere.example.org]\nmaildirs = "
        "$DIR\n"
        "[domain a.very.long.name.of.a.department.of.the.university.of.somewhere.example.net]\nmaildirs = "
        "$DIR\n";
    auto_val(folder) f;
    auto_ptr(settings) s = load_good(text, &f);
    assert_non_null(
        domain_of(s, "<x@a.very.long.name.of.a.department.of.the.university.of.somewhere.example.net>"));
}

/* ---- domains and their tables ---- */

/* A file in the folder. */
struct table_file {
    char *path;
};

static void table_file_make(struct table_file *t, const struct folder *f, const char *name,
                            const char *content)
{
    t->path = g_build_filename(f->path, name, NULL);
    assert_true(g_file_set_contents(t->path, content, -1, NULL));
}

static void table_file_clear(struct table_file *t)
{
    (void)g_unlink(t->path);
    g_free(t->path);
}
AUTO_VAL_DEFINE(table_file);

static void check_domain_values(void **state)
{
    (void)state;
    static const char text[] = SERVER LISTEN DOMAIN_HERE
        "catch-all = postmaster\nsubaddress = +-\nquota = 1G\nover-quota = reject\n"
        "[domain *.example.net]\nmaildirs = $DIR\ncreate = yes\nsubaddress = none\nover-quota = defer\n"
        "[delivery]\nsingle-instance = yes\n[limits]\nreceived-fields = 30\n";
    auto_val(folder) f;
    folder_make(&f);
    auto_val(diag) d = { 0 };
    auto_ptr(settings) s = load(text, &f, &d);
    assert_int_equal(diag_count(&d), 0);
    assert_true(s->worker.single_instance);
    assert_int_equal(s->worker.limits.received_fields, 30);
    const struct domain *org = domain_of(s, "<a@example.org>"), *net = domain_of(s, "<a@mail.example.net>");
    assert_string_equal(org->options.catch_all, "postmaster");
    assert_string_equal(org->options.subaddress, "+-");
    assert_int_equal(org->options.quota, 1024 * 1024 * 1024);
    assert_true(org->options.refuse_over_quota);
    assert_false(org->options.create);
    assert_string_equal(net->name, "*.example.net");
    assert_string_equal(net->options.subaddress, "");
    assert_false(net->options.refuse_over_quota);
    assert_true(net->options.create);
}

/* Each file is read once, however many sections name it; but what it may hold depends on what it is for. */
static void check_tables(void **state)
{
    (void)state;
    static const char text[] =
        SERVER LISTEN DOMAIN_HERE "aliases = $DIR/table\nmailboxes = $DIR/table\n"
                                  "[domain example.net]\nmaildirs = $DIR\naliases = $DIR/table\n";
    auto_val(folder) f;
    folder_make(&f);
    auto_val(table_file) file;
    table_file_make(&file, &f, "table", "alice: carol\n");
    auto_val(diag) d = { 0 };
    auto_ptr(settings) s = load(text, &f, &d);
    assert_int_equal(diag_count(&d), 0);
    const struct domain_options *org = &domain_of(s, "<a@example.org>")->options,
                                *net = &domain_of(s, "<a@example.net>")->options;
    assert_int_equal(s->tables->len, 2);
    assert_ptr_equal(s->worker.tables, s->tables);
    assert_non_null(org->aliases);
    assert_non_null(org->mailboxes);
    assert_ptr_equal(org->aliases, net->aliases);
    assert_ptr_not_equal(org->aliases, org->mailboxes);
    assert_null(net->mailboxes);
}

static const struct table_row {
    const char *name, *option, *content;
    const char *want; /* told of it: the beginning and the end of the only problem; NULL: none */
    const char *want_end;
} table_rows[] = {
    { "aliases to an address of a later domain", "aliases", "alice: bob@example.net\n", NULL, NULL },
    { "aliases to another server", "aliases", "bob: alice\nalice: bob@example.com\n", "$DIR/table:2: ",
      "expected an address in a domain with a section: mail is not sent on to other servers" },
    { "mailboxes", "mailboxes", "alice: 1001\n", NULL, NULL },
    { "mailboxes that are no names", "mailboxes", "alice: ../bob\n",
      "$DIR/table:1: ", "expected the name of a maildir" },
    { "quotas", "quotas", "alice: 2G\nbob: 0\n", NULL, NULL },
    { "quotas that are no sizes", "quotas", "alice: 2G\n\nbob: much\n",
      "$DIR/table:3: ", "expected a size such as 2G" },
};

static void check_table_content(void **state)
{
    const struct table_row *row = *state;
    auto_val(folder) f;
    folder_make(&f);
    auto_val(table_file) file;
    table_file_make(&file, &f, "table", row->content);
    g_autofree char *text = g_strconcat(SERVER LISTEN DOMAIN_HERE, row->option,
                                        " = $DIR/table\n[domain example.net]\nmaildirs = $DIR\n", NULL);
    auto_val(diag) d = { 0 };
    auto_ptr(settings) s = load(text, &f, &d);
    assert_int_equal(diag_count(&d), row->want != NULL);
    assert_int_equal(s->tables->len, row->want == NULL);
    if (row->want == NULL)
        return;
    const char *told = g_ptr_array_index(d.problems, 0);
    g_autofree char *want = with_folder(row->want, &f);
    assert_true(g_str_has_prefix(told, want));
    assert_true(g_str_has_suffix(told, row->want_end));
}

static void check_broken_table_of_two(void **state)
{
    (void)state;
    static const char text[] = SERVER LISTEN DOMAIN_HERE
        "aliases = $DIR/table\n[domain example.net]\nmaildirs = $DIR\naliases = $DIR/table\n";
    auto_val(folder) f;
    folder_make(&f);
    auto_val(table_file) file;
    table_file_make(&file, &f, "table", "alice: bob@example.com\n");
    auto_val(diag) d = { 0 };
    auto_ptr(settings) s = load(text, &f, &d);
    assert_int_equal(diag_count(&d), 1);
    assert_int_equal(s->tables->len, 0);
}

static void check_missing_table(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    auto_val(diag) d = { 0 };
    auto_ptr(settings) s = load(SERVER LISTEN DOMAIN_HERE "aliases = $DIR/none\n", &f, &d);
    assert_int_equal(diag_count(&d), 1);
    assert_non_null(strstr(g_ptr_array_index(d.problems, 0), "No such file or directory"));
    assert_null(domain_of(s, "<a@example.org>")->options.aliases);
}

static void check_utf8_domain(void **state)
{
    (void)state;
    auto_val(folder) f;
    auto_ptr(settings) s = load_good(SERVER LISTEN "[domain M\u00fcnchen.example]\nmaildirs = $DIR\n", &f);
    static const char *const recipients[] = { "<a@m\u00fcnchen.example>", "<a@xn--mnchen-3ya.EXAMPLE>" };
    for (size_t i = 0; i < G_N_ELEMENTS(recipients); i++)
        assert_non_null(domain_of(s, recipients[i]));
}

/* Root may enter everywhere, so that it becomes somebody else for the time of the question. */
static void check_access(void **state)
{
    (void)state;
    auto_val(folder) f;
    auto_ptr(settings) s = load_good(SERVER LISTEN DOMAIN_HERE, &f);
    bool root = geteuid() == 0;
    assert_int_equal(g_chmod(f.path, root ? 0700 : 0600), 0);
    assert_int_equal(root ? seteuid(65534) : 0, 0);
    auto_val(diag) d = { 0 };
    settings_check_folders(s, &d);
    assert_int_equal(root ? seteuid(0) : 0, 0);
    assert_int_equal(g_chmod(f.path, 0700), 0);
    assert_int_equal(diag_count(&d), 1);
    assert_non_null(strstr(g_ptr_array_index(d.problems, 0), "Permission denied"));
    diag_clear(&d);
    settings_check_folders(s, &d);
    assert_int_equal(diag_count(&d), 0);
}

/* ---- metrics ---- */

static void check_metrics(void **state)
{
    (void)state;
    static const char *const addresses[] = { "127.0.0.1:9125", "[::1]:9125", "unix:/run/metrics.sock" };
    for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
        auto_val(folder) f;
        g_autofree char *text =
            g_strconcat(SERVER LISTEN DOMAIN_HERE "[metrics]\naddress = ", addresses[i], "\n", NULL);
        auto_ptr(settings) s = load_good(text, &f);
        char address[NET_ADDRESS_TEXT];
        assert_string_equal(net_address_format(&s->metrics->listener.address, address), addresses[i]);
        assert_int_equal(s->listener_count, 1);
    }
}

/* ---- the sample that is installed ---- */

/* Each key that is commented out as ";key = value" becomes one. */
static char *uncommented(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++)
        if ((*line)[0] == ';')
            memmove(*line, *line + 1, strlen(*line));
    return g_strjoinv("\n", lines);
}

static char *replaced(char *take_text, const char *what, const char *by)
{
    g_auto(GStrv) parts = g_strsplit(take_text, what, -1);
    assert_true(g_strv_length(parts) > 1);
    g_free(take_text);
    return g_strjoinv(by, parts);
}

static void check_sample_domains(const struct settings *a, const struct settings *b)
{
    const struct domain_options *x = &domain_of(a, "<a@example.org>")->options,
                                *y = &domain_of(b, "<a@example.org>")->options;
    assert_string_equal(x->subaddress, y->subaddress);
    assert_int_equal(x->quota, y->quota);
    assert_int_equal(x->refuse_over_quota, y->refuse_over_quota);
    assert_int_equal(x->create, y->create);
    assert_int_equal(a->tables->len, 0);
    assert_int_equal(b->tables->len, 3);
    assert_non_null(domain_of(b, "<a@b.example.org>"));
    assert_non_null(domain_of(b, "<a@example.com>"));
}

static void check_sample_handlers(const struct settings *a, const struct settings *b)
{
    const struct handler_settings *x = &a->handlers, *y = &b->handlers;
    assert_int_equal(x->processes, y->processes);
    assert_int_equal(x->timeout, y->timeout);
    assert_int_equal(x->config.memory, y->config.memory);
    assert_int_equal(x->config.stack, y->config.stack);
    assert_int_equal(x->spare_processors, y->spare_processors);
    assert_int_equal(x->deliver_on_failure, y->deliver_on_failure);
    assert_int_equal(x->config.network, y->config.network);
    assert_null(a->worker.handlers);
    assert_int_equal(y->config.handler_count, 1);
    assert_int_equal(y->config.handlers[0].option_count, 1);
}

/* The sample is right, and what it shows as defaults are the defaults. */
static void check_sample(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    char *text;
    assert_true(g_file_get_contents(SAMPLE, &text, NULL, NULL));
    text = replaced(text, "user = mail\n", "user = root\n");
    text = replaced(text, "/var/mail/example.org\n", "$DIR\n");
    text = replaced(text, "/var/mail/others\n", "$DIR\n");
    text = replaced(text, "/etc/postern/", "$DIR/");
    text = replaced(text, "/usr/lib/postern/handlers/ticketer.so\n", "/dev/null\n");
    text = replaced(text, "/etc/ticketer\n", "$DIR\n");
    text = replaced(text, "/var/lib/ticketer\n", "$DIR\n");
    auto_val(table_file) aliases_file, quotas_file;
    table_file_make(&aliases_file, &f, "aliases", "info: alice\n");
    table_file_make(&quotas_file, &f, "quotas", "alice: 1G\n");
    g_autofree char *as_it_is = text;
    g_autofree char *shown = uncommented(text);
    assert_string_not_equal(as_it_is, shown);

    auto_val(diag) d = { 0 };
    auto_ptr(settings) a = load(as_it_is, &f, &d);
    auto_ptr(settings) b = load(shown, &f, &d);
    assert_int_equal(diag_count(&d), 0);
    assert_memory_equal(&a->worker.smtp, &b->worker.smtp, sizeof a->worker.smtp);
    assert_memory_equal(&a->worker.limits, &b->worker.limits, sizeof a->worker.limits);
    assert_int_equal(a->worker.sync, b->worker.sync);
    assert_int_equal(a->worker.single_instance, b->worker.single_instance);
    check_sample_domains(a, b);
    check_sample_handlers(a, b);
    assert_int_equal(a->workers, b->workers);
    assert_int_equal(a->log.target.kind, b->log.target.kind);
    assert_int_equal(a->log.format, b->log.format);
    assert_int_equal(a->log.level, b->log.level);
    assert_int_equal(a->listener_count, 2);
    assert_int_equal(b->listener_count, 4);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(b->listeners[i].listener.greeting_delay, a->listeners[i].listener.greeting_delay);
    assert_true(net_networks_have(b->listeners[2].listener.proxy, &b->listeners[2].listener.address));
    assert_true(net_networks_have(b->listeners[3].listener.xforward, &b->listeners[3].listener.address));
    assert_int_equal(b->listeners[3].socket_mode, a->listeners[0].socket_mode);
    assert_null(a->metrics);
    assert_non_null(b->metrics);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("settings");
    suite_add_rows(s, problem_rows, check_problems);
    suite_add(s, "defaults", check_defaults, NULL);
    suite_add(s, "every key arrives", check_values, NULL);
    suite_add(s, "networks of listeners", check_networks, NULL);
    suite_add(s, "networks given twice", check_networks_given_twice, NULL);
    suite_add(s, "handlers", check_handlers, NULL);
    suite_add(s, "no handlers", check_no_handlers, NULL);
    suite_add(s, "metrics", check_metrics, NULL);
    suite_add(s, "handlers with relative paths", check_relative_handlers, NULL);
    suite_add(s, "too many handlers", check_too_many_handlers, NULL);
    suite_add(s, "long names of domains", check_long_domains, NULL);
    suite_add(s, "every key of a domain arrives", check_domain_values, NULL);
    suite_add(s, "tables are shared by those who name them", check_tables, NULL);
    suite_add_rows(s, table_rows, check_table_content);
    suite_add(s, "a broken table of two domains is told once", check_broken_table_of_two, NULL);
    suite_add(s, "a table that is missing", check_missing_table, NULL);
    suite_add(s, "a domain in UTF-8", check_utf8_domain, NULL);
    suite_add(s, "a folder that may not be entered", check_access, NULL);
    suite_add(s, "TLS", check_tls, NULL);
    suite_add(s, "AUTH", check_auth, NULL);
    suite_add(s, "the sample configuration", check_sample, NULL);
    return suite_run(s, argc, argv);
}
