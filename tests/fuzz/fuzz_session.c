/*
 * A session of either protocol (smtp/session.h), checked as talk.h tells. The first octets choose limits,
 * answers and how it is cut; what follows is what the peer sends, in which 0xFF and an octet stand for
 * something that happens then. What does not depend on time is played a second time, cut otherwise: that must
 * make no difference.
 */
#include <glib.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "talk.h"

enum { ESCAPE = 0xff };

struct plan {
    struct smtp_service service;
    struct talk_options options;
    struct fuzz_cuts cuts;
    struct slice script;
};

/* Without TLS and AUTH; with both optional; AUTH outside TLS; both required. */
static void choose_client(struct smtp_client *client, unsigned choice)
{
    static const enum smtp_tls tls[] = { SMTP_TLS_NONE, SMTP_TLS_OFFERED, SMTP_TLS_NONE, SMTP_TLS_REQUIRED };
    client->tls = tls[choice];
    client->auth_in_tls = choice != 0;
    client->auth_required = choice == 3;
    client->mechanisms = choice == 2 ? TALK_MECHANISMS : NULL;
}

static struct plan choose_plan(struct slice in)
{
    static const uint64_t message_sizes[] = { 65536, 1, 20, 100, 1000, UINT64_C(1) << 50 };
    static const uint64_t header_sizes[] = { 1 << 20, 1, 20, 100 };
    static const uint64_t counts[] = { 1000, 1, 2, 3 };
    static const uint64_t lengths[] = { 2048, 64, 512, SMTP_COMMAND_LENGTH_MAX };
    static const uint64_t rates[] = { 100, 0, 1, 1000000 };
    static const msec_t delays[] = { 0, 0, 0, 1000 };
    unsigned flags = fuzz_choose(&in, 256), sizes = fuzz_choose(&in, 256), numbers = fuzz_choose(&in, 256),
             others = fuzz_choose(&in, 256), answers = fuzz_choose(&in, 256);
    struct plan p = {
        .service = {
            .protocol = flags & 1 ? SMTP_PROTOCOL_LMTP : SMTP_PROTOCOL_SMTP,
            .hostname = "mx.example.org",
            .limits = {
                .message_size = message_sizes[sizes % G_N_ELEMENTS(message_sizes)],
                .header_size = header_sizes[sizes >> 4 & 3],
                .header_fields = counts[sizes >> 6],
                .recipients = counts[numbers & 3],
                .errors = counts[numbers >> 2 & 3],
                .commands = counts[numbers >> 4 & 3],
                .messages = counts[numbers >> 6],
                .command_length = lengths[others & 3],
                .data_rate = rates[others >> 2 & 3],
                .strangers = counts[others >> 5 & 3],
                .auth_failures = counts[others >> 5 & 3],
                .foreign = others & 16 ? SMTP_FOREIGN_ANSWER : SMTP_FOREIGN_REFUSE,
                .command_timeout = 300000,
                .data_timeout = 600000,
            },
        },
        .options = {
            .client = { .may_xclient = (flags & 8) != 0, .may_xforward = (flags & 16) != 0,
                        .greeting_delay = delays[flags >> 1 & 3] },
            .answers_late = (flags & 32) != 0,
            .answers = { answers & 3, answers >> 2 & 3, answers >> 4 & 3, answers >> 6 },
        },
    };
    choose_client(&p.options.client, flags >> 6);
    p.cuts = fuzz_choose_cuts(&in);
    p.script = in;
    return p;
}

/* ---- what the script says ---- */

static void happen(struct talk *t, unsigned what)
{
    static const msec_t times[] = { 1, 999, 1000, 5000, 300000, 600000, 7200000, 0 };
    switch (what % 8) {
    case 0:
    case 1:
        talk_answer(t);
        break;
    case 2:
        talk_answer_stale(t);
        break;
    case 3:
        talk_shut(t);
        break;
    case 4:
        talk_pause(t, (what & 8) != 0);
        break;
    case 5:
        talk_wait(t, times[what / 8 % G_N_ELEMENTS(times)], false);
        break;
    case 6:
        talk_wait(t, times[what / 8 % G_N_ELEMENTS(times)], true);
        break;
    default: /* the peer pauses, so that what came until here is all that there is */
        break;
    }
}

static bool is_timeless(unsigned what)
{
    return what % 8 <= 2 || what % 8 == 7;
}

/* Up to the next thing that happens. */
static struct slice take_text(struct slice *script)
{
    struct slice text = slice_first(*script, slice_find(*script, 0, ESCAPE));
    *script = slice_skip(*script, text.len);
    return text;
}

static unsigned take_event(struct slice *script)
{
    *script = slice_skip(*script, 1);
    return fuzz_choose(script, 256);
}

static void hear(struct talk *t, struct slice text, struct fuzz_cuts *cuts)
{
    for (size_t len; (len = fuzz_cut(cuts, text.len)) > 0; text = slice_skip(text, len))
        talk_hear(t, slice_first(text, len));
}

/* With all that happens, or with nothing but what the peer says. */
static struct talk *play(const struct plan *p, bool with_events, bool *ret_timeless)
{
    struct talk_options options = p->options;
    options.service = &p->service;
    options.answers_late &= with_events;
    struct talk *t = talk_new(&options);
    struct fuzz_cuts cuts = with_events ? p->cuts : fuzz_choose_cuts(&(struct slice){ 0 });
    struct slice script = p->script;
    *ret_timeless = true;
    while (script.len > 0) {
        hear(t, take_text(&script), &cuts);
        if (script.len == 0)
            break;
        unsigned what = take_event(&script);
        *ret_timeless &= is_timeless(what);
        if (with_events)
            happen(t, what);
    }
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan p = choose_plan(slice_of(data, size));
    bool timeless;
    struct talk *t = play(&p, true, &timeless);
    if (timeless) {
        struct talk *other = play(&p, false, &timeless);
        talk_settle(t);
        pst_assert(g_string_equal(talk_transcript(t), talk_transcript(other)));
        talk_free(other);
    }
    talk_free(t);
    return 0;
}
