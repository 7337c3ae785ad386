/*
 * tests/support/suite.h - a program's test cases, each with a name of its own, also those that are rows of a
 * table. `suite_run` runs them through cmocka and prints for a failing one how to run just it: the program
 * with its name. Names are copied, states borrowed.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct suite;

struct suite *suite_new(const char *name);
void suite_add(struct suite *s, const char *name, CMUnitTestFunction run, void *state);

/* Runs all, or only the one that argv[1] names. main's result. Frees the suite. */
int suite_run(struct suite *s, int argc, char **argv);

/* For tables: adds each row with the name in its first member. */
#define suite_add_rows(s, rows, run)                                                                         \
    for (size_t suite_row = 0; suite_row < sizeof(rows) / sizeof *(rows); suite_row++)                       \
    suite_add((s), (rows)[suite_row].name, (run), (void *)&(rows)[suite_row])
