/*
 * What the file system alone can do: delivers messages of 4 KiB into a maildir, without network and protocol,
 * and tells how fast. The steps are always the same: write into tmp/, data durable, rename into new/, names
 * durable. The ways to take them are those between which delivery/commit.c chose; README.md has the figures.
 *
 *   floor FOLDER WAY THREADS BATCH COUNT
 *
 * THREADS threads take BATCH messages at a time, until COUNT are delivered. Prints the seconds, and the
 * seconds of processor time of this process.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 4096, THREADS_MAX = 256, BATCH_MAX = 256, NAME_SIZE = 32 };

struct file {
    int fd;
    char name[NAME_SIZE];
};

struct batch {
    struct file files[BATCH_MAX];
    long count;
};

static int tmp_dir, new_dir;
static long batch_size, total;
static atomic_long taken;

static void need(int result, const char *what)
{
    if (result >= 0)
        return;
    perror(what);
    exit(1);
}

/* ---- steps ---- */

/* Takes the next messages and writes them; false when there are none left. */
static bool write_batch(struct batch *b)
{
    static const char message[SIZE];
    long first = atomic_fetch_add(&taken, batch_size);
    b->count = total - first < batch_size ? total - first : batch_size;
    for (long i = 0; i < b->count; i++) {
        struct file *f = &b->files[i];
        (void)snprintf(f->name, sizeof f->name, "%ld.floor", first + i);
        f->fd = openat(tmp_dir, f->name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
        need(f->fd, "open");
        need(write(f->fd, message, SIZE) == SIZE ? 0 : -1, "write");
    }
    return b->count > 0;
}

static void start_writing(struct batch *b)
{
    for (long i = 0; i < b->count; i++)
        need(sync_file_range(b->files[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE), "sync_file_range");
}

static void sync_files(struct batch *b)
{
    for (long i = 0; i < b->count; i++)
        need(fdatasync(b->files[i].fd), "fdatasync");
}

static void publish(struct batch *b)
{
    for (long i = 0; i < b->count; i++) {
        need(renameat(tmp_dir, b->files[i].name, new_dir, b->files[i].name), "rename");
        need(close(b->files[i].fd), "close");
    }
}

static void sync_all(void)
{
    need(syncfs(tmp_dir), "syncfs");
}

/* ---- ways ---- */

/* With a batch of 1: what a plain program does. */
static void by_file(struct batch *b)
{
    while (write_batch(b)) {
        sync_files(b);
        publish(b);
        need(fsync(new_dir), "fsync");
    }
}

static void by_file_early(struct batch *b)
{
    while (write_batch(b)) {
        start_writing(b);
        sync_files(b);
        publish(b);
        need(fsync(new_dir), "fsync");
    }
}

static void by_syncfs(struct batch *b)
{
    while (write_batch(b)) {
        sync_all();
        publish(b);
        sync_all();
    }
}

/* A batch's names and the next one's data share a sync. */
static void by_shared_syncfs(struct batch *b)
{
    while (write_batch(b)) {
        sync_all();
        publish(b);
    }
    sync_all();
}

static const struct way {
    const char *name;
    void (*run)(struct batch *b);
} ways[] = {
    { "file", by_file },
    { "file-early", by_file_early },
    { "syncfs", by_syncfs },
    { "shared-syncfs", by_shared_syncfs },
};

static void *run(void *way)
{
    struct batch *b = calloc(1, sizeof *b);
    need(b != NULL ? 0 : -1, "calloc");
    ((const struct way *)way)->run(b);
    free(b);
    return NULL;
}

static const struct way *find_way(const char *name)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].name, name) == 0)
            return &ways[i];
    fprintf(stderr, "floor: the ways are");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        fprintf(stderr, " %s", ways[i].name);
    fprintf(stderr, "\n");
    exit(2);
}

static int open_dir(const char *path)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    need(dir, path);
    return dir;
}

static long number(const char *text, long max)
{
    long n = strtol(text, NULL, 10);
    if (n >= 1 && n <= max)
        return n;
    fprintf(stderr, "floor: %s is no number from 1 to %ld\n", text, max);
    exit(2);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    need(clock_gettime(clock, &t), "clock_gettime");
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: floor FOLDER WAY THREADS BATCH COUNT\n");
        return 2;
    }
    const struct way *way = find_way(argv[2]);
    long threads = number(argv[3], THREADS_MAX);
    batch_size = number(argv[4], BATCH_MAX);
    total = number(argv[5], 1000000000);
    need(chdir(argv[1]), argv[1]);
    tmp_dir = open_dir("tmp");
    new_dir = open_dir("new");

    double start = seconds(CLOCK_MONOTONIC);
    pthread_t ids[THREADS_MAX];
    for (long i = 0; i < threads; i++)
        need(-pthread_create(&ids[i], NULL, run, (void *)way), "pthread_create");
    for (long i = 0; i < threads; i++)
        need(-pthread_join(ids[i], NULL), "pthread_join");
    printf("%.6f %.6f\n", seconds(CLOCK_MONOTONIC) - start, seconds(CLOCK_PROCESS_CPUTIME_ID));
    return 0;
}
