/*
 * tests/fuzz/replay.c - the main of a fuzz target that was built without the fuzzer: replays inputs.
 *     fuzz_x          every file of the corpus of x, as TAP; each in a process of its own, so that a crash
 * fails one case fuzz_x FILE...  just these, in this process, for a debugger
 */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

static bool replay(const char *path)
{
    g_autofree char *content = NULL;
    size_t len;
    if (!g_file_get_contents(path, &content, &len, NULL)) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        return false;
    }
    uint8_t *copy = fuzz_copy(slice_of(content, len));
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    return true;
}

/* The child ends with exit, so that a sanitizer looks for leaks. */
static bool replay_in_child(const char *path)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        exit(replay(path) ? EXIT_SUCCESS : EXIT_FAILURE);
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *list_names(const char *folder)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    GDir *dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;)
        g_ptr_array_add(names, g_strdup(name));
    if (dir != NULL)
        g_dir_close(dir);
    g_ptr_array_sort(names, compare_names);
    return names;
}

/* The corpus of the target fuzz_x is tests/fuzz/corpus/x in the source tree. */
static int replay_corpus(const char *program)
{
    g_autofree char *target = g_path_get_basename(program);
    const char *srcdir = getenv("srcdir");
    g_autofree char *folder = g_build_filename(srcdir != NULL ? srcdir : ".", "tests", "fuzz", "corpus",
                                               target + strlen("fuzz_"), NULL);
    g_autoptr(GPtrArray) names = list_names(folder);
    unsigned failed = 0;
    printf("1..%u\n", names->len);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = g_build_filename(folder, name, NULL);
        bool passed = replay_in_child(path);
        printf("%s %u - %s %s\n", passed ? "ok" : "not ok", i + 1, target, name);
        if (passed)
            continue;
        failed++;
        printf("# to run just it: %s %s\n", program, path);
    }
    if (names->len == 0)
        printf("Bail out! %s has no corpus\n", folder);
    return failed > 0 || names->len == 0;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return replay_corpus(argv[0]);
    for (int i = 1; i < argc; i++)
        if (!replay(argv[i]))
            return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
