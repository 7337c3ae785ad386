/*
 * AUTH as a worker has it, in virtual time: what waits while a password is hashed, and who does not; failures
 * that are told late; clients that are gone by then, and a worker that ends. How long a job takes, and so
 * which of two is done first, comes from the seed; each scene is played with several.
 */
#include "suite.h"

#include <crypt.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "auth/auth.h"
#include "disk/disk_sim.h"
#include "rig.h"

enum {
    SEEDS = 8,
    CROWD = 6,                /* more than are hashed for at once */
    JOB_MS = 200,             /* at least, until it runs, and again until it is done */
    JOB_MAX_MS = 900,         /* at most */
    ANSWER_MS = 5 * 1000,     /* whatever is not delayed has been answered, also behind others */
    DELAY_MS = 30 * 1000,     /* of the first failure */
    DELIVERY_MS = 20 * 1000,  /* many jobs, one after the other */
    PATIENCE_MS = 600 * 1000, /* more than anything takes here */
};

#define PASSWORDS    "/passwords"
#define GOOD         "AUTH PLAIN AGFsaWNlAHdvbmRlciBsYW5k\r\n" /* alice, "wonder land" */
#define WRONG        "AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=\r\n" /* alice, "wonderland" */
#define GOOD_OF_BOB  "AUTH PLAIN AGJvYgBidWlsZGVy\r\n"         /* bob, "builder" */
#define ALICE        "YWxpY2U=\r\n"
#define HER_PASSWORD "d29uZGVyIGxhbmQ=\r\n"
#define MESSAGE(subject)                                                                                     \
    "MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: " subject "\r\n\r\nbody\r\n.\r\n"

#define TOLD_DONE      "235 2.7.0 *\r\n"
#define TOLD_FAILED    "535 5.7.8 *\r\n"
#define TOLD_DELIVERED "250 2.1.0 *\r\n250 2.1.5 *\r\n354 *\r\n250 2.0.0 Delivered*\r\n"
#define TOLD_SHUT      "421 4.3.2 *\r\n"

/* ---- crypt(3), counted ---- */

static unsigned hashed;

char *__real_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    hashed++;
    return __real_crypt_r(phrase, setting, data);
}

/* ---- the scene ---- */

struct scene {
    uint64_t seed;
    struct auth_settings settings;
    struct rig *rig;
};

/* As `postern passwd` makes it, but for a hash that costs little. */
static void add_line(GString *file, const char *user, const char *password)
{
    g_autofree struct crypt_data *data = g_new0(struct crypt_data, 1);
    g_string_append_printf(file, "%s:%s\n", user, crypt_r(password, "$5$rounds=1000$saltsalt", data));
}

static void write_passwords(void)
{
    g_autoptr(GString) file = g_string_new(NULL);
    add_line(file, "alice", "wonder land");
    add_line(file, "bob", "builder");
    disk_sim_write_file(PASSWORDS, slice_str(file->str));
}

/* Nobody may send who has not authenticated: what would not wait for AUTH is refused. */
static struct scene *scene_new(uint64_t seed)
{
    struct reactor_sim_settings slow_jobs = reactor_sim_defaults;
    slow_jobs.link.delay = (struct reactor_sim_span){ 0, 100 };
    slow_jobs.job = (struct reactor_sim_span){ JOB_MS * 1000, JOB_MAX_MS * 1000 };
    struct scene *s = g_new0(struct scene, 1);
    s->seed = seed;
    s->settings = (struct auth_settings){ .passwords = (char *)PASSWORDS, .failure_delay = DELAY_MS };
    s->rig = rig_begin(SMTP_PROTOCOL_SMTP, seed);
    write_passwords();
    reactor_sim_configure(s->rig->reactor, &slow_jobs);
    s->rig->auth = &s->settings;
    s->rig->like = (struct worker_listener){ .auth = WORKER_AUTH_REQUIRED, .auth_without_tls = true };
    rig_add_worker(s->rig, 100);
    hashed = 0;
    return s;
}

/* No handle is open then, and no job under way. */
static void scene_free(struct scene *s, bool is_drained)
{
    if (is_drained)
        rig_clear(s->rig);
    else
        rig_end(s->rig);
    g_free(s);
}

static msec_t now_in(const struct scene *s)
{
    return reactor_now(s->rig->reactor);
}

static size_t times_logged(const struct scene *s, const char *text)
{
    size_t times = 0;
    for (const char *at = s->rig->told->str; (at = strstr(at, text)) != NULL; at += strlen(text))
        times++;
    return times;
}

static void assert_logged(const struct scene *s, const char *text, size_t times)
{
    if (times_logged(s, text) != times)
        fail_msg("seed %" PRIu64 ": \"%s\" is %zu times in the log, expected %zu: %s", s->seed, text,
                 times_logged(s, text), times, s->rig->told->str);
}

static uint64_t counted(const struct scene *s, enum counter which)
{
    return s->rig->shares[0].counters.value[which];
}

static uint64_t connections(const struct scene *s)
{
    return s->rig->shares[0].connections;
}

/* Messages that are there; with this subject, and from who has authenticated as the user. */
static size_t delivered(const char *subject, const char *user)
{
    size_t count = 0;
    g_autofree char *pattern =
        g_strdup_printf("*Received: *(authenticated as %s)*\nSubject: %s\n*", user, subject);
    g_auto(GStrv) names = disk_sim_names("/mail/alice/new");
    for (size_t i = 0; names[i] != NULL; i++) {
        g_autofree char *path = g_strconcat("/mail/alice/new/", names[i], NULL);
        g_autofree char *file = disk_sim_read_file(path, NULL);
        count += g_pattern_match_simple(pattern, file);
    }
    return count;
}

/* Somebody's question is open until the job is done, which comes later. */
static void run_until_hashed(struct scene *s, unsigned count)
{
    while (hashed < count)
        assert_true(reactor_sim_step(s->rig->reactor));
}

/* ---- clients ---- */

static void assert_got(const struct scene *s, const struct caller *c, const char *pattern)
{
    if (!g_pattern_match_simple(pattern, c->got->str))
        fail_msg("seed %" PRIu64 ": got \"%s\", expected \"%s\"", s->seed, c->got->str, pattern);
}

static struct caller *greet(struct scene *s, size_t number)
{
    struct caller *c = rig_call(s->rig, number, 0);
    rig_say(s->rig, c, "EHLO x.example\r\n");
    assert_got(s, c, "250-*\r\n250-AUTH PLAIN LOGIN\r\n*");
    return c;
}

static void greet_all(struct scene *s, struct caller *c[CROWD])
{
    for (size_t i = 0; i < CROWD; i++)
        c[i] = greet(s, i);
}

static void say_and_wait(struct scene *s, struct caller *c, const char *text, const char *pattern)
{
    rig_say(s->rig, c, text);
    rig_run_for(s->rig, ANSWER_MS);
    assert_got(s, c, pattern);
}

/* From the client's words on: not a millisecond earlier, and soon then. */
static void assert_fails_after(struct scene *s, struct caller *c, msec_t delay, const char *pattern)
{
    msec_t said = now_in(s);
    rig_say(s->rig, c, WRONG);
    reactor_sim_run_until(s->rig->reactor, said + delay - 1);
    assert_got(s, c, "");
    reactor_sim_run_until(s->rig->reactor, said + delay + 2 * SOON_MS);
    assert_got(s, c, pattern);
}

/* ---- who may, and who may not ---- */

/* The message came with the password, and waits for what comes of it. */
static void delivers_as_who_it_is(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *c = greet(s, 0);
        rig_say(s->rig, c, GOOD MESSAGE("x") "QUIT\r\n");
        assert_int_equal(hashed, 0);
        run_until_hashed(s, 1);
        assert_got(s, c, "");
        rig_run_for(s->rig, JOB_MS - 1);
        assert_got(s, c, "");
        assert_int_equal(counted(s, COUNTER_AUTH_SUCCESSES), 0);
        rig_run_for(s->rig, DELIVERY_MS);
        assert_got(s, c, TOLD_DONE TOLD_DELIVERED "221 *");
        assert_int_equal(delivered("x", "alice"), 1);
        assert_logged(s, "event=authenticated ", 1);
        assert_int_equal(counted(s, COUNTER_AUTH_SUCCESSES), 1);
        assert_int_equal(counted(s, COUNTER_AUTH_FAILURES), 0);
        scene_free(s, false);
    }
}

/* Each is who it said it was, whoever's job is done first; the seeds have both. */
static void tells_two_at_once_apart(void **state)
{
    (void)state;
    unsigned first[2] = { 0, 0 };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *alice = greet(s, 0), *bob = greet(s, 1);
        rig_say(s->rig, alice, GOOD MESSAGE("of alice"));
        rig_say(s->rig, bob, GOOD_OF_BOB MESSAGE("of bob"));
        while (alice->got->len == 0 && bob->got->len == 0)
            assert_true(reactor_sim_step(s->rig->reactor));
        first[bob->got->len > 0]++;
        rig_run_for(s->rig, DELIVERY_MS);
        assert_got(s, alice, TOLD_DONE TOLD_DELIVERED);
        assert_got(s, bob, TOLD_DONE TOLD_DELIVERED);
        assert_int_equal(delivered("of alice", "alice"), 1);
        assert_int_equal(delivered("of bob", "bob"), 1);
        scene_free(s, false);
    }
    assert_int_not_equal(first[0], 0);
    assert_int_not_equal(first[1], 0);
}

/* Its own answer comes late, and later each time; another one's mail is delivered meanwhile, each time. */
static void keeps_waiting_whoever_fails_and_nobody_else(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *guesser = greet(s, 0);
        for (unsigned failures = 0; failures < 3; failures++) {
            struct caller *other = greet(s, 1 + failures);
            rig_say(s->rig, other, GOOD_OF_BOB MESSAGE("x"));
            msec_t said = now_in(s), due = said + (DELAY_MS << failures);
            rig_say(s->rig, guesser, WRONG "MAIL FROM:<>\r\n");
            reactor_sim_run_until(s->rig->reactor, said + DELIVERY_MS);
            assert_got(s, other, TOLD_DONE TOLD_DELIVERED);
            assert_int_equal(delivered("x", "bob"), failures + 1);
            reactor_sim_run_until(s->rig->reactor, due - 1);
            assert_got(s, guesser, "");
            reactor_sim_run_until(s->rig->reactor, due + 2 * SOON_MS);
            assert_got(s, guesser, failures < 2 ? TOLD_FAILED "530 *" : TOLD_FAILED "421 4.7.0 *");
            assert_int_equal(counted(s, COUNTER_AUTH_FAILURES), failures + 1);
        }
        assert_true(guesser->ended);
        assert_logged(s, "event=auth-failed ", 3);
        assert_logged(s, "user=alice", 3);
        scene_free(s, false);
    }
}

/* ---- challenges ---- */

static void asks_name_and_password(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *c = greet(s, 0);
        say_and_wait(s, c, "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n");
        say_and_wait(s, c, "*\r\n", "501 5.7.0 *\r\n");
        say_and_wait(s, c, "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n");
        say_and_wait(s, c, ALICE, "334 UGFzc3dvcmQ6\r\n");
        say_and_wait(s, c, "*\r\n", "501 5.7.0 *\r\n");
        say_and_wait(s, c, "MAIL FROM:<>\r\n", "530 *\r\n");
        assert_int_equal(hashed, 0);
        say_and_wait(s, c, "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n");
        say_and_wait(s, c, ALICE, "334 UGFzc3dvcmQ6\r\n");
        rig_say(s->rig, c, HER_PASSWORD MESSAGE("x"));
        run_until_hashed(s, 1);
        assert_got(s, c, "");
        rig_run_for(s->rig, DELIVERY_MS);
        assert_got(s, c, TOLD_DONE TOLD_DELIVERED);
        assert_int_equal(delivered("x", "alice"), 1);
        assert_logged(s, "event=auth-failed ", 0);
        assert_int_equal(counted(s, COUNTER_AUTH_SUCCESSES), 1);
        scene_free(s, false);
    }
}

/* A client that waits for no challenge: each of its lines waits until it is wanted. */
static void takes_answers_that_come_early(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *c = greet(s, 0);
        rig_say(s->rig, c, "AUTH LOGIN\r\n*\r\nAUTH LOGIN\r\n" ALICE HER_PASSWORD MESSAGE("x"));
        assert_got(s, c, "");
        rig_run_for(s->rig, DELIVERY_MS);
        assert_got(s, c,
                   "334 VXNlcm5hbWU6\r\n501 5.7.0 *\r\n334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n" TOLD_DONE
                       TOLD_DELIVERED);
        assert_int_equal(delivered("x", "alice"), 1);
        scene_free(s, false);
    }
}

/* ---- who leaves ---- */

enum moment { ASKED, HASHED, FOUND_OUT }; /* a job is there; it has run; the failure waits to be told */

static void go_on_until(struct scene *s, enum moment moment)
{
    if (moment == HASHED)
        run_until_hashed(s, 1);
    else if (moment == FOUND_OUT)
        rig_run_for(s->rig, ANSWER_MS);
}

static void leave(struct caller *c, bool by_reset)
{
    if (by_reset)
        reactor_sim_break(c->stream, -ECONNRESET);
    else
        stream_close(g_steal_pointer(&c->stream));
}

/* Whoever leaves has guessed all the same: it is told, once. One who ended its side may read on, and is
 * answered as late as others. */
static const struct leaving {
    const char *name;
    enum moment when;
    bool by_reset;
    msec_t told_within;
} leavings[] = {
    { "a wrong guess, ended before it is hashed", ASKED, false, DELAY_MS },
    { "a wrong guess, ended while it is hashed", HASHED, false, DELAY_MS },
    { "a wrong guess, ended before it is told", FOUND_OUT, false, DELAY_MS },
    { "a wrong guess, reset before it is hashed", ASKED, true, ANSWER_MS },
    { "a wrong guess, reset while it is hashed", HASHED, true, ANSWER_MS },
    { "a wrong guess, reset before it is told", FOUND_OUT, true, SOON_MS },
};

static void tells_of_who_has_left(void **state)
{
    const struct leaving *row = *state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *c = greet(s, 0);
        rig_say(s->rig, c, WRONG);
        go_on_until(s, row->when);
        assert_logged(s, "event=auth-failed ", 0);
        leave(c, row->by_reset);
        rig_run_for(s->rig, row->told_within);
        assert_int_equal(connections(s), 0);
        assert_int_equal(hashed, 1);
        assert_logged(s, "event=auth-failed ", 1);
        assert_logged(s, "user=alice", 1);
        assert_int_equal(counted(s, COUNTER_AUTH_FAILURES), 1);
        scene_free(s, false);
    }
}

/* Nor does it make the next one any quicker. */
static void remembers_who_has_left(void **state)
{
    const struct leaving *row = *state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *c = greet(s, 0);
        rig_say(s->rig, c, WRONG);
        go_on_until(s, row->when);
        leave(c, row->by_reset);
        rig_run_for(s->rig, row->told_within);
        assert_fails_after(s, greet(s, 1), 2 * DELAY_MS, TOLD_FAILED);
        scene_free(s, false);
    }
}

/* Its password was right: no failure, and nobody's mail. */
static void survives_who_has_left(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 2 * SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *c = greet(s, 0);
        rig_say(s->rig, c, GOOD);
        go_on_until(s, seed % 2 == 0 ? ASKED : HASHED);
        leave(c, true);
        rig_run_for(s->rig, ANSWER_MS);
        assert_int_equal(connections(s), 0);
        assert_logged(s, "event=auth-failed ", 0);
        assert_int_equal(counted(s, COUNTER_AUTH_FAILURES), 0);
        scene_free(s, false);
    }
}

/* Whoever leaves while all jobs are others' is not hashed for, and who came behind is. */
static void forgets_who_has_left_the_row(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *c[CROWD];
        greet_all(s, c);
        for (size_t i = 0; i < CROWD; i++)
            rig_say(s->rig, c[i], GOOD);
        assert_int_equal(connections(s), CROWD);
        for (size_t i = 2; i + 1 < CROWD; i++)
            leave(c[i], true);
        rig_run_for(s->rig, ANSWER_MS);
        assert_got(s, c[0], TOLD_DONE);
        assert_got(s, c[1], TOLD_DONE);
        assert_got(s, c[CROWD - 1], TOLD_DONE);
        assert_int_equal(hashed, 3);
        scene_free(s, false);
    }
}

/* ---- a worker that ends ---- */

static const struct shutting {
    const char *name, *says;
    enum moment when;
    const char *told;
} shuttings[] = {
    { "a good guess before it is hashed", GOOD, ASKED, TOLD_DONE TOLD_SHUT },
    { "a good guess while it is hashed", GOOD, HASHED, TOLD_DONE TOLD_SHUT },
    { "a wrong one before it is hashed", WRONG, ASKED, TOLD_FAILED TOLD_SHUT },
    { "a wrong one while it is hashed", WRONG, HASHED, TOLD_FAILED TOLD_SHUT },
    { "a wrong one before it is told", WRONG, FOUND_OUT, TOLD_FAILED TOLD_SHUT },
    { "a challenge that is being made", "AUTH LOGIN\r\n", ASKED, TOLD_SHUT },
    { "a challenge", "AUTH LOGIN\r\n", FOUND_OUT, "334 *\r\n" TOLD_SHUT },
};

/* A failure is told without its delay: nobody learns more by it than that one time. */
static void ends_in_an_exchange(void **state)
{
    const struct shutting *row = *state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *c = greet(s, 0);
        rig_say(s->rig, c, row->says);
        go_on_until(s, row->when);
        worker_drain(s->rig->workers[0], PATIENCE_MS);
        rig_run_for(s->rig, ANSWER_MS);
        assert_got(s, c, row->told);
        assert_true(c->ended);
        assert_false(c->reset);
        assert_logged(s, "event=auth-failed ", g_str_has_prefix(row->told, "535"));
        assert_logged(s, "reason=shutting-down", 1);
        assert_int_equal(s->rig->drained, 1);
        scene_free(s, true);
    }
}

/* Those who wait for a job have one yet. */
static void ends_in_a_crowd(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene *s = scene_new(seed);
        struct caller *c[CROWD];
        greet_all(s, c);
        for (size_t i = 0; i < CROWD; i++)
            rig_say(s->rig, c[i], i % 2 == 0 ? GOOD : WRONG);
        worker_drain(s->rig->workers[0], PATIENCE_MS);
        rig_run_for(s->rig, 2 * ANSWER_MS);
        for (size_t i = 0; i < CROWD; i++) {
            assert_got(s, c[i], i % 2 == 0 ? TOLD_DONE TOLD_SHUT : TOLD_FAILED TOLD_SHUT);
            assert_true(c[i]->ended);
        }
        assert_int_equal(hashed, CROWD);
        assert_int_equal(s->rig->drained, 1);
        scene_free(s, true);
    }
}

/* Its patience ends before the job does, which is done when nobody is there any more. */
static void ends_without_patience(void **state)
{
    (void)state;
    static const char *const says[] = { GOOD, WRONG, "AUTH LOGIN\r\n" };
    for (uint64_t seed = 0; seed < SEEDS * G_N_ELEMENTS(says); seed++) {
        struct scene *s = scene_new(seed);
        struct caller *c[CROWD];
        greet_all(s, c);
        for (size_t i = 0; i < CROWD; i++)
            stream_write(c[i]->stream, slice_str(says[seed % G_N_ELEMENTS(says)]));
        rig_run_for(s->rig, SOON_MS);
        worker_drain(s->rig->workers[0], SOON_MS);
        rig_run_for(s->rig, 2 * SOON_MS);
        for (size_t i = 0; i < CROWD; i++)
            assert_true(c[i]->ended);
        assert_logged(s, "event=drain-cut-short ", 1);
        assert_int_equal(hashed, 0);
        rig_run_for(s->rig, ANSWER_MS);
        assert_int_equal(s->rig->drained, 1);
        scene_free(s, true);
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("authenticated");
    suite_add(s, "a message by a user", delivers_as_who_it_is, NULL);
    suite_add(s, "two users at once", tells_two_at_once_apart, NULL);
    suite_add(s, "failures hold up nobody else", keeps_waiting_whoever_fails_and_nobody_else, NULL);
    suite_add(s, "two challenges, and a client that cancels", asks_name_and_password, NULL);
    suite_add(s, "answers before the challenge", takes_answers_that_come_early, NULL);
    suite_add_rows(s, leavings, tells_of_who_has_left);
    for (size_t i = 0; i < G_N_ELEMENTS(leavings); i++) {
        g_autofree char *name = g_strconcat("the next one after ", leavings[i].name, NULL);
        suite_add(s, name, remembers_who_has_left, (void *)&leavings[i]);
    }
    suite_add(s, "a good guess, reset", survives_who_has_left, NULL);
    suite_add(s, "reset while all jobs are others'", forgets_who_has_left_the_row, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(shuttings); i++) {
        g_autofree char *name = g_strconcat("a worker that ends: ", shuttings[i].name, NULL);
        suite_add(s, name, ends_in_an_exchange, (void *)&shuttings[i]);
    }
    suite_add(s, "a worker that ends: a crowd", ends_in_a_crowd, NULL);
    suite_add(s, "a worker that ends: without patience", ends_without_patience, NULL);
    return suite_run(s, argc, argv);
}
