/* Certificates of a configuration: when they are read, what stays when that fails, and what is told of their
 * dates. */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>

#include "certificates.h"
#include "server/settings.h"
#include "suite.h"

enum { DAY_S = 24 * 60 * 60 };

/* ---- a configuration with certificates ---- */

struct scene {
    char *folder;
    struct settings *settings;
    struct diag problems;
    int64_t now_s;
};

static void put(const struct scene *s, const char *name, const struct certificate *c, const char *key_name)
{
    g_autofree char *pem = certificate_pem(c);
    g_autofree char *key = certificate_key_pem(c, NULL);
    g_free(certificate_file(s->folder, name, pem, 0644));
    g_free(certificate_file(s->folder, key_name, key, 0600));
}

/* mx.pem of [tls], for 90 days, and other.pem of [tls other], for 20. */
static void scene_make(struct scene *s)
{
    *s = (struct scene){ .folder = certificate_folder(), .now_s = g_get_real_time() / G_USEC_PER_SEC };
    struct certificate *mx = certificate_new(&(struct certificate_wish){ .names = "DNS:mx.example.org" });
    struct certificate *other = certificate_new(
        &(struct certificate_wish){ .names = "DNS:other.example.org", .from_days = -1, .to_days = 20 });
    put(s, "mx.pem", mx, "mx.key");
    put(s, "other.pem", other, "other.key");
    certificate_free(mx);
    certificate_free(other);
    g_autofree char *path = g_build_filename(s->folder, "postern.conf", NULL);
    struct config *c = settings_config_new(&s->problems);
    config_read_text(c, path,
                     slice_str("[tls]\ncertificate = mx.pem\nprivate-key = mx.key\n"
                               "[tls other]\ncertificate = other.pem\nprivate-key = other.key\n"
                               "[listen in]\naddress = 127.0.0.1:25\ntls = optional\n"));
    s->settings = settings_new_partial(c, &s->problems);
    assert_int_equal(diag_count(&s->problems), 0);
}

static void scene_clear(struct scene *s)
{
    settings_free(s->settings);
    certificate_folder_remove(s->folder);
    diag_clear(&s->problems);
}
AUTO_VAL_DEFINE(scene);

/* "$DIR" is the folder. */
static void assert_told(const struct scene *s, const struct diag *d, const char *wanted)
{
    g_autoptr(GString) told = g_string_new(NULL);
    for (unsigned i = 0; i < diag_count(d); i++)
        g_string_append_printf(told, "%s\n", (const char *)g_ptr_array_index(d->problems, i));
    (void)g_string_replace(told, s->folder, "$DIR", 0);
    assert_string_equal(told->str, wanted);
}

/* ---- reading ---- */

static void check_load(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s);
    assert_null(s.settings->worker.tls);
    assert_int_equal(settings_load_certificates(s.settings, &s.problems), 0);
    assert_int_equal(diag_count(&s.problems), 0);
    assert_ptr_equal(s.settings->worker.tls, s.settings->tls.store);
    assert_int_equal(tls_store_count(s.settings->worker.tls), 2);
    assert_string_equal(tls_store_certificate(s.settings->worker.tls, 1)->host, "other");
}

static void check_nothing_to_load(void **state)
{
    (void)state;
    auto_val(diag) d = { 0 };
    struct config *c = settings_config_new(&d);
    auto_ptr(settings) s = settings_new_partial(c, &d);
    assert_int_equal(settings_load_certificates(s, &d), 0);
    assert_null(s->worker.tls);
    assert_false(tls_settings_have_changed(&s->tls, 0));
}

static void check_bad_ones_change_nothing(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s);
    assert_int_equal(settings_load_certificates(s.settings, &s.problems), 0);
    const struct tls_store *good = s.settings->worker.tls;
    assert_false(tls_settings_have_changed(&s.settings->tls, s.now_s));

    struct certificate *next = certificate_new(&(struct certificate_wish){ .names = "DNS:mx.example.org" });
    put(&s, "mx.pem", next, "unused.key"); /* and so without its key */
    assert_false(tls_settings_have_changed(&s.settings->tls, s.now_s));
    assert_true(tls_settings_have_changed(&s.settings->tls, s.now_s));
    assert_true(settings_load_certificates(s.settings, &s.problems) < 0);
    assert_told(&s, &s.problems,
                "$DIR/postern.conf:3: private-key = $DIR/mx.key: does not fit certificate = $DIR/mx.pem\n");
    assert_ptr_equal(s.settings->worker.tls, good);
    assert_false(tls_settings_have_changed(&s.settings->tls, s.now_s));

    put(&s, "mx.pem", next, "mx.key");
    certificate_free(next);
    assert_false(tls_settings_have_changed(&s.settings->tls, s.now_s));
    assert_true(tls_settings_have_changed(&s.settings->tls, s.now_s));
    diag_clear(&s.problems);
    assert_int_equal(settings_load_certificates(s.settings, &s.problems), 0);
    assert_int_equal(diag_count(&s.problems), 0);
    assert_non_null(s.settings->worker.tls);
}

/* ---- dates ---- */

/* Of mx.pem, which comes in the place of one for 90 days, beside other.pem, which is for 20. */
static const struct renewal_row {
    const char *name;
    int from_days, to_days; /* 0, 0: 90 days */
    int days;               /* from now: when it is read */
    const char *problem;    /* NULL: it is used */
} renewal_rows[] = {
    { "a good one is used", 0, 0, 1, NULL },
    { "an expired one in the place of a good one is not used", -10, -1, 1, "has expired on *" },
    { "one for later in the place of a good one is not used", 10, 100, 1, "is not valid before *" },
    { "an expired one in the place of an expired one is used", -10, -1, 100, NULL },
    { "beside one that has expired long since, a good one is used", 0, 0, 25, NULL },
    { "beside one that has expired long since, an expired one is not used", -10, -1, 25, "has expired on *" },
};

#define MX    "$DIR/postern.conf:2: certificate = $DIR/mx.pem: "
#define OTHER "$DIR/postern.conf:5: certificate = $DIR/other.pem: "
#define NOW   "; expected one that is valid now\n"

static const struct date_row {
    const char *name;
    int days; /* from now */
    const char *problems, *notes, *log;
} date_rows[] = {
    { "all are good", 0, "", "", "" },
    { "one is about to expire", 10, "", OTHER "expires on *, in 10 days\n",
      "level=warning event=certificate-expires host=other path=$DIR/other.pem days=10 not_after=*Z "
      "problem=\"expires on *\"\n" },
    { "one has expired", 25, OTHER "has expired on *" NOW, "",
      "level=error event=certificate-expires host=other path=$DIR/other.pem days=-5 not_after=*Z "
      "problem=\"has expired on *\"\n" },
    { "one has expired, and one is about to", 80, OTHER "has expired on *" NOW,
      MX "expires on *, in 10 days\n",
      "level=warning event=certificate-expires host=\"\" path=$DIR/mx.pem days=10 *\n"
      "level=error event=certificate-expires host=other path=$DIR/other.pem days=-60 *\n" },
    { "they are for later", -100, MX "is not valid before *" NOW OTHER "is not valid before *" NOW, "",
      "level=error event=certificate-expires host=\"\" path=$DIR/mx.pem days=190 *\n"
      "level=error event=certificate-expires host=other path=$DIR/other.pem days=120 *\n" },
};

static void assert_like(const struct scene *s, const char *text, const char *wanted)
{
    g_autoptr(GString) told = g_string_new(text);
    (void)g_string_replace(told, s->folder, "$DIR", 0);
    if (!g_pattern_match_simple(wanted, told->str))
        assert_string_equal(told->str, wanted); /* which shows both */
}

static void assert_diag_like(const struct scene *s, const struct diag *d, const char *wanted)
{
    g_autoptr(GString) told = g_string_new(NULL);
    for (unsigned i = 0; i < diag_count(d); i++)
        g_string_append_printf(told, "%s\n", (const char *)g_ptr_array_index(d->problems, i));
    assert_like(s, told->str, wanted);
}

static void check_renewal(void **state)
{
    const struct renewal_row *row = *state;
    auto_val(scene) s;
    scene_make(&s);
    struct tls_settings *t = &s.settings->tls;
    int64_t then_s = s.now_s + (int64_t)row->days * DAY_S;
    assert_int_equal(tls_settings_load(t, s.now_s, &s.problems), 0);
    const struct tls_store *former = t->store;
    struct certificate *next = certificate_new(&(struct certificate_wish){
        .names = "DNS:mx.example.org", .from_days = row->from_days, .to_days = row->to_days });
    put(&s, "mx.pem", next, "mx.key");
    certificate_free(next);
    assert_int_equal(tls_settings_load(t, then_s, &s.problems), row->problem != NULL ? -EINVAL : 0);
    g_autofree char *wanted = row->problem != NULL ? g_strconcat(MX, row->problem, NOW, NULL) : g_strdup("");
    assert_diag_like(&s, &s.problems, wanted);
    assert_int_equal(t->store == former, row->problem != NULL);
}

/* Nothing else would tell that its time has come. */
static void check_one_for_later_is_used_then(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s);
    struct tls_settings *t = &s.settings->tls;
    assert_int_equal(tls_settings_load(t, s.now_s, &s.problems), 0);
    struct certificate *next = certificate_new(
        &(struct certificate_wish){ .names = "DNS:mx.example.org", .from_days = 10, .to_days = 100 });
    put(&s, "mx.pem", next, "mx.key");
    certificate_free(next);
    assert_false(tls_settings_have_changed(t, s.now_s));
    assert_true(tls_settings_have_changed(t, s.now_s));
    assert_int_equal(tls_settings_load(t, s.now_s, &s.problems), -EINVAL);
    assert_false(tls_settings_have_changed(t, s.now_s + 9 * DAY_S));
    assert_true(tls_settings_have_changed(t, s.now_s + 11 * DAY_S));
    assert_false(tls_settings_have_changed(t, s.now_s + 11 * DAY_S));
    assert_int_equal(tls_settings_load(t, s.now_s + 11 * DAY_S, &s.problems), 0);
    assert_false(tls_settings_have_changed(t, s.now_s + 12 * DAY_S));
}

/* The first of them that is waited for may not be the last. */
static void check_two_for_later_are_used_then(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s);
    struct tls_settings *t = &s.settings->tls;
    assert_int_equal(tls_settings_load(t, s.now_s, &s.problems), 0);
    static const struct {
        const char *name, *pem, *key;
        int from_days;
    } next[] = { { "DNS:mx.example.org", "mx.pem", "mx.key", 10 },
                 { "DNS:other.example.org", "other.pem", "other.key", 15 } };
    for (size_t i = 0; i < G_N_ELEMENTS(next); i++) {
        struct certificate *c = certificate_new(&(struct certificate_wish){
            .names = next[i].name, .from_days = next[i].from_days, .to_days = 100 });
        put(&s, next[i].pem, c, next[i].key);
        certificate_free(c);
    }
    assert_int_equal(tls_settings_load(t, s.now_s, &s.problems), -EINVAL);
    assert_false(tls_settings_have_changed(t, s.now_s)); /* it settles */
    assert_true(tls_settings_have_changed(t, s.now_s));
    assert_int_equal(tls_settings_load(t, s.now_s, &s.problems), -EINVAL);
    assert_false(tls_settings_have_changed(t, s.now_s + 9 * DAY_S));
    assert_true(tls_settings_have_changed(t, s.now_s + 11 * DAY_S));
    assert_int_equal(tls_settings_load(t, s.now_s + 11 * DAY_S, &s.problems), -EINVAL); /* the other one */
    assert_false(tls_settings_have_changed(t, s.now_s + 14 * DAY_S));
    assert_true(tls_settings_have_changed(t, s.now_s + 16 * DAY_S));
    assert_int_equal(tls_settings_load(t, s.now_s + 16 * DAY_S, &s.problems), 0);
}

static void append_line(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    (void)level;
    g_string_append_len(owner, line, (gssize)len);
}

static void check_dates(void **state)
{
    const struct date_row *row = *state;
    auto_val(scene) s;
    scene_make(&s);
    assert_int_equal(settings_load_certificates(s.settings, &s.problems), 0);
    /* Half a day from where the count changes: of two clocks, one may be a second ahead. */
    int64_t then_s = s.now_s + (int64_t)row->days * DAY_S - DAY_S / 2;
    auto_val(diag) problems = { 0 }, notes = { 0 };
    tls_settings_check_dates(&s.settings->tls, then_s, &problems, &notes);
    assert_diag_like(&s, &problems, row->problems);
    assert_diag_like(&s, &notes, row->notes);
    g_autoptr(GString) lines = g_string_new(NULL);
    const struct pst_log log = { .timeless = true, .write = append_line, .owner = lines };
    tls_settings_log_dates(&s.settings->tls, then_s, &log);
    assert_like(&s, lines->str, row->log);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("tls_settings");
    suite_add(s, "all are read", check_load, NULL);
    suite_add(s, "nothing to read", check_nothing_to_load, NULL);
    suite_add(s, "bad ones change nothing, and good ones come next", check_bad_ones_change_nothing, NULL);
    suite_add_rows(s, renewal_rows, check_renewal);
    suite_add(s, "two for later are used then", check_two_for_later_are_used_then, NULL);
    suite_add(s, "one for later is used then", check_one_for_later_is_used_then, NULL);
    suite_add_rows(s, date_rows, check_dates);
    return suite_run(s, argc, argv);
}
