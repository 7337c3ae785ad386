#include "memory.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "memory_internal.h"
#include "reactor/reactor_sim.h"

#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER
#endif
#endif
#if defined __GLIBC__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__ &&                    \
    !defined HAS_SANITIZER
#define IS_COUNTED true
#else
#define IS_COUNTED false
#endif

enum { ERRORS_MAX = 140 }; /* more than there are in errno.h */

static size_t held, peak;

size_t memory_held(void)
{
    return held;
}

size_t memory_peak(void)
{
    return peak;
}

void memory_add(size_t octets)
{
    held += octets;
    peak = held > peak ? held : peak;
}

void memory_remove(size_t octets)
{
    held -= octets;
}

void memory_reset(void)
{
    peak = held;
}

/* ---- the environment ---- */

static bool has_plain_slices(void)
{
    const char *slices = getenv("G_SLICE");
    return glib_check_version(2, 76, 0) == NULL || (slices != NULL && strcmp(slices, "always-malloc") == 0);
}

const char *memory_uncounted(void)
{
    if (!IS_COUNTED)
        return "malloc is a sanitizer's, or not GNU's";
    return has_plain_slices() ? NULL : "G_SLICE is not always-malloc";
}

/* They make it once, whoever asks first, and it is nobody's. */
static void keep_what_libraries_keep(void)
{
    tzset();
    const char *volatile text; /* or the calls, which have no effect, are left out */
    for (int error = 1; error <= ERRORS_MAX; error++)
        text = g_strerror(error);
    (void)text;
}

void memory_init(char **argv)
{
    keep_what_libraries_keep();
    if (!IS_COUNTED || has_plain_slices())
        return;
    if (setenv("G_SLICE", "always-malloc", 1) == 0)
        (void)execvp(argv[0], argv); /* if it fails, nothing is counted, which is said */
}

/* ---- blocks ---- */

#if IS_COUNTED

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

/* In front of each block. */
struct head {
    size_t size;     /* as it was asked for */
    uint32_t offset; /* of the block in what the C library has given */
    uint32_t party;  /* whose it is */
};
enum { HEAD = 16, CHUNK_HEAD = 8, CHUNK_MIN = 32 };
_Static_assert(sizeof(struct head) <= HEAD && HEAD % _Alignof(max_align_t) == 0, "the head of a block");

static struct head *head_of(void *block)
{
    return (struct head *)(void *)((uint8_t *)block - HEAD);
}

/* What GNU's malloc takes for it. */
static size_t cost(size_t size)
{
    size_t chunk = (size + CHUNK_HEAD + 15) & ~(size_t)15;
    return chunk > CHUNK_MIN ? chunk : CHUNK_MIN;
}

static void *block_begin(uint8_t *base, uint32_t offset, size_t size)
{
    if (base == NULL)
        return NULL;
    uint8_t *block = base + offset;
    *head_of(block) = (struct head){ size, offset, reactor_sim_party };
    if (reactor_sim_party == REACTOR_SIM_PROGRAM)
        memory_add(cost(size));
    return block;
}

static void block_end(void *block)
{
    const struct head *head = head_of(block);
    if (head->party == REACTOR_SIM_PROGRAM)
        memory_remove(cost(head->size));
}

static bool is_too_large(size_t size)
{
    bool is = size > PTRDIFF_MAX / 2;
    if (is)
        errno = ENOMEM;
    return is;
}

void *malloc(size_t size)
{
    return is_too_large(size) ? NULL : block_begin(__libc_malloc(size + HEAD), HEAD, size);
}

void *calloc(size_t count, size_t size)
{
    if (size > 0 && count > PTRDIFF_MAX / 2 / size) {
        errno = ENOMEM;
        return NULL;
    }
    return block_begin(__libc_calloc(1, count * size + HEAD), HEAD, count * size);
}

void free(void *block)
{
    if (block == NULL)
        return;
    block_end(block);
    __libc_free((uint8_t *)block - head_of(block)->offset);
}

static void *move(void *block, size_t size)
{
    void *to = malloc(size);
    if (to == NULL)
        return NULL;
    size_t old = head_of(block)->size;
    memcpy(to, block, old < size ? old : size);
    free(block);
    return to;
}

/* While it moves, both are there; but the C library mostly finds room behind the old one. */
void *realloc(void *block, size_t size)
{
    if (block == NULL)
        return malloc(size);
    if (is_too_large(size))
        return NULL;
    if (head_of(block)->offset != HEAD)
        return move(block, size);
    const struct head old = *head_of(block);
    void *base = __libc_realloc((uint8_t *)block - HEAD, size + HEAD);
    if (base == NULL)
        return NULL;
    if (old.party == REACTOR_SIM_PROGRAM)
        memory_remove(cost(old.size));
    return block_begin(base, HEAD, size);
}

void *memalign(size_t alignment, size_t size)
{
    size_t offset = alignment > HEAD ? alignment : HEAD;
    if (is_too_large(size) || is_too_large(offset) || offset > UINT32_MAX)
        return NULL;
    return block_begin(__libc_memalign(offset, size + offset), (uint32_t)offset, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *ret_block = block;
    return 0;
}

void *valloc(size_t size)
{
    return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

void *pvalloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return memalign(page, (size + page - 1) / page * page);
}

size_t malloc_usable_size(void *block)
{
    return block != NULL ? head_of(block)->size : 0;
}

#endif
