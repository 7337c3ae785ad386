/*
 * The structure guard (message/guard.h) against the parser that it protects. The bombs that made it necessary
 * are refused, in next to no memory; messages that are as large as the limits allow neither kill GMime nor
 * take more memory than a host has; and of random messages GMime never finds more than the guard counted.
 *
 * GUARD_SEEDS=1000000 GUARD_FIRST=1 test_guard_parser 'random messages' for many.
 */
#include "suite.h"

#include <glib.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "mess.h"
#include "message/guard.h"
#include "parsed.h"

static struct guard_limits defaults(void)
{
    struct guard_limits limits = { 0 };
    option_set_defaults(guard_limit_rows, guard_limit_row_count, &limits);
    return limits;
}

static size_t memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* In pieces, as they come from a connection. */
static const char *judge(const struct guard_limits *limits, const GString *message, bool verbatim,
                         size_t *ret_memory)
{
    enum { PIECE = 64 * 1024 };
    size_t before = memory_in_use(), most = before;
    auto_ptr(guard) g = guard_new(limits, verbatim);
    struct slice left = slice_of(message->str, message->len);
    for (; left.len > 0; left = slice_skip(left, PIECE)) {
        guard_take(g, slice_first(left, PIECE));
        most = MAX(most, memory_in_use());
    }
    *ret_memory = most - before;
    return guard_exceeded(g);
}

/* ---- bombs ---- */

enum { MIB = 1 << 20 };

/* A sanitizer's allocator says nothing about what GMime needs. */
#if defined(__SANITIZE_ADDRESS__)
enum { IS_SANITIZED = true };
#elif defined(__has_feature)
enum { IS_SANITIZED = __has_feature(address_sanitizer) };
#else
enum { IS_SANITIZED = false };
#endif

static GString *groups(void)
{
    return mess_field("To", "a:", MIB);
}

static GString *groups_within(void)
{
    GString *message = mess_field("To", "a:", MIB);
    return g_string_prepend(message, "Content-Type: message/rfc822\n\n");
}

static GString *tiny_parts(void)
{
    return mess_repeat("Content-Type: multipart/mixed; boundary=a\n\n", "--a\n\n", MIB);
}

static GString *tiny_fields(void)
{
    return mess_repeat("Content-Type: multipart/mixed; boundary=a\n\n--a\n", "X:\n", 2 * MIB);
}

static GString *nested(void)
{
    return mess_repeat("", "Content-Type: multipart/mixed; boundary=%u\n\n--%u\n", 50000);
}

static GString *text_between(void)
{
    return mess_repeat("Content-Type: multipart/mixed; boundary=a\n\n--a\n\n--a--\n",
                       "a line of text that no part has\n", 2 * MIB);
}

static GString *nested_messages(void)
{
    return mess_repeat("", "Content-Type: message/rfc822\n\n", MIB);
}

static GString *names_without_addresses(void)
{
    return mess_field("To", "a a,", MIB); /* GMime needs minutes */
}

static GString *comments_without_end(void)
{
    return mess_field("Content-Type", "x=(;", MIB); /* and here */
}

static GString *parts_within_long_lines(void)
{
    g_autofree char *filler = g_strnfill(4096, 'x');
    g_autofree char *item = g_strconcat("--a\n\n", filler, "--a\nX:\nX:\n\n", NULL);
    return mess_repeat("Content-Type: multipart/mixed; boundary=a\n\n", item, 5000);
}

static const struct bomb {
    const char *name;
    GString *(*make)(void);
    const char *limit;
} bombs[] = {
    { "groups of addresses within each other", groups, "mime-groups" },
    { "the same in a message within", groups_within, "mime-groups" },
    { "a million parts", tiny_parts, "mime-parts" },
    { "two million fields", tiny_fields, "mime-header-fields" },
    { "multiparts within each other", nested, "mime-depth" },
    { "text behind parts", text_between, "mime-between" },
    { "messages within each other", nested_messages, "mime-depth" },
    { "names without addresses", names_without_addresses, "mime-work" },
    { "comments without an end", comments_without_end, "mime-work" },
    { "parts within long lines", parts_within_long_lines, "mime-boundary" },
};

static void check_bomb(void **state)
{
    const struct bomb *bomb = *state;
    const struct guard_limits limits = defaults();
    g_autoptr(GString) message = bomb->make();
    size_t memory;
    const char *limit = judge(&limits, message, false, &memory);
    assert_non_null(limit);
    assert_string_equal(limit, bomb->limit);
    assert_true(memory < MIB); /* 16 MiB are promised */
}

/* ---- as large as the limits allow ---- */

static GString *passing(GString *(*make)(size_t count), size_t count)
{
    const struct guard_limits limits = defaults();
    size_t memory;
    GString *message = make(count);
    if (judge(&limits, message, false, &memory) == NULL)
        return message;
    (void)g_string_free(message, TRUE);
    return NULL;
}

/* The largest that the guard lets pass, more or less. */
static GString *grow(GString *(*make)(size_t count))
{
    GString *best = NULL;
    bool is_bounded = false;
    size_t count = 0;
    for (size_t step = 1; step > count / 64;) {
        GString *message = passing(make, count + step);
        if (message == NULL) {
            is_bounded = true;
        } else {
            if (best != NULL)
                (void)g_string_free(best, TRUE);
            best = message;
            count += step;
        }
        step = is_bounded ? step / 2 : MIN(step * 2, 8 * (size_t)MIB - count);
    }
    return best;
}

#define FIELD(function, name, item)                                                                          \
    static GString *function(size_t count)                                                                   \
    {                                                                                                        \
        return mess_field(name, item, count * strlen(item));                                                 \
    }
FIELD(most_groups, "To", "a:")
FIELD(most_names, "To", "a a,")
FIELD(most_comments, "To", "a(,")
FIELD(most_addresses, "Cc", "a@b,")
FIELD(most_ended_groups, "Bcc", "a:b;")
FIELD(most_parameters, "Content-Type: x/y; z=", ";a=(")
FIELD(most_extensions, "Content-Disposition", ";a*1=b")
FIELD(most_dates, "Date", "1 ")
FIELD(most_encodings, "Subject", "=?x?q?a?=")
FIELD(most_octets, "Subject", "\xe4 ")
FIELD(most_folds, "Subject", "a\n ")
FIELD(most_words, "Subject", "=?utf-8?q?a?= ")
FIELD(most_open, "To", "(")
FIELD(most_ids, "References", "<a@b> ")
FIELD(most_text, "Subject", "a")

#define REPEAT(function, front, item)                                                                        \
    static GString *function(size_t count)                                                                   \
    {                                                                                                        \
        return mess_repeat(front, item, (unsigned)MIN(count, MIB));                                          \
    }
REPEAT(most_fields, "", "X:\n")
REPEAT(most_address_fields, "", "To:a,b\n")
REPEAT(most_types, "", "Content-Type: a/b; c=d\n")
REPEAT(most_parts, "Content-Type: multipart/mixed; boundary=a\n\n", "--a\nX: y\n\n\n")
REPEAT(most_messages, "Content-Type: multipart/digest; boundary=a\n\n", "--a\n\nX: y\n\n")
REPEAT(most_levels, "", "Content-Type: multipart/mixed; boundary=%u\n\n--%u\n")
REPEAT(most_nested, "", "Content-Type: message/rfc822\n\n")
REPEAT(most_between, "Content-Type: multipart/mixed; boundary=a\n\n", "\n")

/* The deepest nesting, and lines that are compared with each boundary of it. */
static GString *most_lines(size_t count)
{
    g_autoptr(GString) front = mess_repeat("", "Content-Type: multipart/mixed; boundary=%u\n\n--%u\n", 100);
    g_string_append(front, "\n\n");
    return mess_repeat(front->str, "--\n", (unsigned)MIN(count, MIB));
}

static const struct most {
    const char *name;
    GString *(*make)(size_t count);
} mosts[] = {
    { "the most groups", most_groups },
    { "the most names without addresses", most_names },
    { "the most comments without an end", most_comments },
    { "the most addresses", most_addresses },
    { "the most groups that end", most_ended_groups },
    { "the most parameters without an end", most_parameters },
    { "the most pieces of a parameter", most_extensions },
    { "the longest date", most_dates },
    { "the most octets that are no ASCII", most_octets },
    { "the most folded lines", most_folds },
    { "the most encoded words", most_words },
    { "the most words in unknown character sets", most_encodings },
    { "the deepest comment", most_open },
    { "the most references", most_ids },
    { "the longest field", most_text },
    { "the most fields", most_fields },
    { "the most fields with addresses", most_address_fields },
    { "the most types", most_types },
    { "the most parts", most_parts },
    { "the most messages", most_messages },
    { "the deepest multiparts", most_levels },
    { "the deepest messages", most_nested },
    { "the most text between parts", most_between },
    { "the most lines that might be boundaries", most_lines },
};

static void check_most(void **state)
{
    const struct most *most = *state;
    g_autoptr(GString) message = grow(most->make);
    assert_non_null(message);
    assert_int_equal(parse_confined(slice_of(message->str, message->len), (size_t)512 * MIB), 0);
}

/* ---- random messages ---- */

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? g_ascii_strtoull(text, NULL, 10) : otherwise;
}

static bool is_verbatim(uint64_t seed)
{
    return seed % 2 == 0;
}

/* With a limit that is one less than what GMime found, the guard must refuse. */
static void check_count(uint64_t seed, const GString *wire, size_t offset, uint64_t found)
{
    size_t memory;
    struct guard_limits limits = defaults();
    if (found == 0)
        return;
    *(uint64_t *)(void *)((char *)&limits + offset) = found - 1;
    if (judge(&limits, wire, is_verbatim(seed), &memory) == NULL)
        fail_msg("seed %" G_GUINT64_FORMAT ": GMime finds more", seed);
}

/* Returns whether the guard let it pass. */
static bool check_random(uint64_t seed)
{
    const struct guard_limits limits = defaults();
    struct pst_random random;
    size_t memory;
    pst_random_seed(&random, seed);
    g_autoptr(GString) wire = mess_random(&random);
    if (judge(&limits, wire, is_verbatim(seed), &memory) != NULL)
        return false;
    g_autoptr(GString) stored = mess_as_stored(wire, is_verbatim(seed));
    struct parsed parsed;
    parse_all(slice_of(stored->str, stored->len), &parsed);
    check_count(seed, wire, offsetof(struct guard_limits, parts), parsed.parts);
    check_count(seed, wire, offsetof(struct guard_limits, depth), parsed.depth);
    check_count(seed, wire, offsetof(struct guard_limits, header_fields), parsed.header_fields);
    check_count(seed, wire, offsetof(struct guard_limits, header_octets), parsed.header_octets);
    check_count(seed, wire, offsetof(struct guard_limits, between), parsed.between);
    return true;
}

static void check_randoms(void **state)
{
    (void)state;
    uint64_t first = number_from_environment("GUARD_FIRST", 1),
             count = number_from_environment("GUARD_SEEDS", 5000), passed = 0;
    for (uint64_t i = 0; i < count; i++)
        passed += check_random(first + i);
    assert_true(passed > count / 4); /* or this would show little */
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new(argv[0]);
    suite_add_rows(s, bombs, check_bomb);
    if (!IS_SANITIZED)
        suite_add_rows(s, mosts, check_most);
    suite_add(s, "random messages", check_randoms, NULL);
    return suite_run(s, argc, argv);
}
