#include "message/lines.h"

#include <string.h>

/*
 * Whole messages pass here. What is long goes in vectors of 32 octets where the processor has AVX2; what is
 * left, and all of it elsewhere, goes as libc and the compiler make it fast.
 */
#if defined(__x86_64__) && !defined(LINES_PORTABLE) /* a test has both */
#include <immintrin.h>

enum { VECTOR = sizeof(__m256i) };

#define WITH_AVX2 __attribute__((target("avx2,popcnt")))

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}

/* A bit for each octet of the vector, the lowest for the first. */
WITH_AVX2 static inline uint32_t find_in_vector(const uint8_t *at, char octet)
{
    __m256i octets = _mm256_loadu_si256((const __m256i *)(const void *)at);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(octets, _mm256_set1_epi8(octet)));
}

WITH_AVX2 static inline void copy_vector(uint8_t *to, const uint8_t *from)
{
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_loadu_si256((const __m256i *)(const void *)from));
}

/*
 * A vector is copied as it is; then what stands behind a line's CR again, an octet nearer to the front. Most
 * vectors have one such CR or none, and no branch tells these two apart: where there is none, what is copied
 * again lies behind the vector, and the next one overwrites it. So a step reads and writes up to two vectors
 * and an octet.
 */
WITH_AVX2 static void convert_avx2(const uint8_t **at, const uint8_t *end, uint8_t **next)
{
    const uint8_t *from = *at;
    uint8_t *to = *next;
    for (; end - from > 2 * VECTOR; from += VECTOR, to += VECTOR) {
        uint64_t dropped = find_in_vector(from, '\r') & find_in_vector(from + 1, '\n');
        size_t first = (size_t)__builtin_ctzll(dropped | UINT64_C(1) << VECTOR);
        copy_vector(to, from);
        copy_vector(to + first, from + first + 1);
        to -= dropped != 0;
        for (dropped &= dropped - 1; dropped != 0; dropped &= dropped - 1) {
            size_t other = (size_t)__builtin_ctzll(dropped);
            copy_vector(to + other, from + other + 1);
            to--;
        }
    }
    *at = from;
    *next = to;
}

static void convert_vectors(const uint8_t **at, const uint8_t *end, uint8_t **next)
{
    if (has_avx2())
        convert_avx2(at, end, next);
}

WITH_AVX2 static uint64_t count_bare_avx2(const uint8_t **at, const uint8_t *end)
{
    uint64_t count = 0;
    for (; end - *at >= VECTOR; *at += VECTOR)
        count += (uint64_t)__builtin_popcount(find_in_vector(*at, '\n') & ~find_in_vector(*at - 1, '\r'));
    return count;
}

static uint64_t count_bare_vectors(const uint8_t **at, const uint8_t *end)
{
    return has_avx2() ? count_bare_avx2(at, end) : 0;
}
#else
static void convert_vectors(const uint8_t **at, const uint8_t *end, uint8_t **next)
{
    (void)at;
    (void)end;
    (void)next;
}

static uint64_t count_bare_vectors(const uint8_t **at, const uint8_t *end)
{
    (void)at;
    (void)end;
    return 0;
}
#endif

/* What lies between two CRs is copied at once. The LF of a line's end is not looked at as such: it begins the
 * next run. */
size_t line_ends_convert(struct line_ends *state, struct slice in, uint8_t *to)
{
    if (in.len == 0)
        return 0;
    const uint8_t *at = in.data;
    const uint8_t *const end = in.data + in.len;
    uint8_t *next = to;
    if (state->held_cr && *at != '\n')
        *next++ = '\r';
    state->held_cr = false;
    convert_vectors(&at, end, &next);
    while (at < end) {
        const uint8_t *cr = memchr(at, '\r', (size_t)(end - at));
        size_t run = (size_t)((cr != NULL ? cr : end) - at);
        memcpy(next, at, run);
        next += run;
        if (cr == NULL)
            break;
        at = cr + 1;
        if (at == end)
            state->held_cr = true;
        else if (*at != '\n')
            *next++ = '\r';
    }
    return (size_t)(next - to);
}

/* A piece has a fixed length and its count fits into an octet, which the compiler turns into a few operations
 * on 16 octets at a time or more. */
enum { PIECE = 128 };

/* In the PIECE octets behind `before`. */
static uint8_t bare_in_piece(const uint8_t *before)
{
    uint8_t count = 0;
    for (size_t i = 0; i < PIECE; i++)
        count = (uint8_t)(count + ((before[i + 1] == '\n') & (before[i] != '\r')));
    return count;
}

uint64_t line_ends_bare(struct slice run, bool *after_cr)
{
    if (run.len == 0)
        return 0;
    const uint8_t *at = run.data;
    const uint8_t *const end = run.data + run.len;
    uint64_t count = *at == '\n' && !*after_cr;
    at++;
    count += count_bare_vectors(&at, end);
    for (; end - at >= PIECE; at += PIECE)
        count += bare_in_piece(at - 1);
    for (; at < end; at++)
        count += at[0] == '\n' && at[-1] != '\r';
    *after_cr = end[-1] == '\r';
    return count;
}

size_t line_ends_finish(struct line_ends *state, uint8_t *to)
{
    if (!state->held_cr)
        return 0;
    state->held_cr = false;
    *to = '\r';
    return 1;
}
