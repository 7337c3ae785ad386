#include "smtp/data.h"

/*
 * In nearly all of a message each LF stands behind a CR, behind each CR stands an LF, and no dot behind an
 * LF. Blocks of which that is true are passed over as a whole; only what is left is read octet by octet.
 *
 * This makes a function that moves `at`, which has an octet in front of it, over such blocks of so many
 * vectors each. One for each kind of vector, because gcc makes good code only of those that the processor
 * has.
 */
#define DEFINE_SKIP_PLAIN(name, vector, is_zero, count)                                                      \
    static const uint8_t *name(const uint8_t *at, const uint8_t *end)                                        \
    {                                                                                                        \
        for (; end - at >= (ptrdiff_t)((count) * sizeof(vector)); at += (count) * sizeof(vector)) {          \
            vector now, before, odd = { 0 };                                                                 \
            _Pragma("GCC unroll 8") for (size_t i = 0; i < (count); i++)                                     \
            {                                                                                                \
                memcpy(&now, at + i * sizeof now, sizeof now);                                               \
                memcpy(&before, at + i * sizeof now - 1, sizeof before);                                     \
                odd |= (vector)(now == '\n') ^ (vector)(before == '\r');                                     \
                odd |= (vector)(now == '.') & (vector)(before == '\n');                                      \
            }                                                                                                \
            if (!is_zero(odd))                                                                               \
                break;                                                                                       \
        }                                                                                                    \
        return at;                                                                                           \
    }

typedef uint8_t octets16 __attribute__((vector_size(16)));

enum { SMALL_BLOCK = sizeof(octets16) };

static inline bool is_zero16(octets16 octets)
{
    uint64_t halves[2];
    memcpy(halves, &octets, sizeof octets);
    return (halves[0] | halves[1]) == 0;
}

DEFINE_SKIP_PLAIN(skip_small_blocks, octets16, is_zero16, 1)
DEFINE_SKIP_PLAIN(skip_blocks, octets16, is_zero16, 4)

#if defined(__x86_64__) && !defined(SMTP_DATA_PORTABLE) /* a test has both */
#include <immintrin.h>

typedef uint8_t octets32 __attribute__((vector_size(32)));

#define IS_ZERO32(octets) _mm256_testz_si256((__m256i)(octets), (__m256i)(octets))

__attribute__((target("avx2"))) static const uint8_t *skip_blocks_avx2(const uint8_t *at, const uint8_t *end);
DEFINE_SKIP_PLAIN(skip_blocks_avx2, octets32, IS_ZERO32, 4)

static const uint8_t *skip_large_blocks(const uint8_t *at, const uint8_t *end)
{
    return __builtin_cpu_supports("avx2") ? skip_blocks_avx2(at, end) : skip_blocks(at, end);
}
#else
static const uint8_t *skip_large_blocks(const uint8_t *at, const uint8_t *end)
{
    return skip_blocks(at, end);
}
#endif

/* The octets from `at` on that are plain, as far as whole blocks can tell. */
static size_t plain_blocks(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *next = skip_small_blocks(skip_large_blocks(at, end), end);
    return (size_t)(next - at);
}

/*
 * Where a run ends that begins at `start` and may go on to `end`, which lies behind it: there, or at a dot
 * behind an LF. Whether a line begins with that dot, the next call tells: not if the LF is a bare one.
 */
static size_t find_run_end(struct smtp_data *d, struct slice in, size_t start, size_t end)
{
    size_t at = start;
    if (at == 0 && in.data[at++] == '\n')
        d->bare_cr_lf = true;
    while (at < end) {
        at += plain_blocks(in.data + at, in.data + end);
        size_t stop = end - at < SMALL_BLOCK ? end : at + SMALL_BLOCK;
        for (; at < stop; at++) {
            uint8_t before = in.data[at - 1], now = in.data[at];
            if ((now == '\n') != (before == '\r'))
                d->bare_cr_lf = true;
            else if (now == '.' && before == '\n')
                return at;
        }
    }
    return end;
}

enum smtp_data_found smtp_data_take(struct smtp_data *d, struct slice in, struct slice *ret_run,
                                    size_t *ret_taken)
{
    *ret_taken = 0;
    size_t start = 0;
    if (!d->mid_line && in.len > 0 && in.data[0] == '.') {
        if (in.len == 1 || (in.len == 2 && in.data[1] == '\r'))
            return SMTP_DATA_MORE; /* the end, or a line that begins with a dot */
        if (in.data[1] == '\r' && in.data[2] == '\n') {
            *ret_taken = 3;
            return SMTP_DATA_END;
        }
        start = 1;
    }
    /* A CR that is the very last octet is not judged yet: LF may follow in the next segment. */
    size_t end = in.len > 0 && in.data[in.len - 1] == '\r' ? in.len - 1 : in.len;
    if (start == end)
        return SMTP_DATA_MORE;
    end = find_run_end(d, in, start, end);
    const uint8_t *last = &in.data[end - 1];
    if (*last == '\r')
        d->bare_cr_lf = true; /* no LF follows it, or it would be in the run */
    d->mid_line = end < 2 || last[0] != '\n' || last[-1] != '\r';
    *ret_taken = end;
    *ret_run = slice_of(in.data + start, end - start);
    return SMTP_DATA_RUN;
}
