/*
 * tests/fuzz/fuzz.h - what the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput; it
 * checks with pst_assert, whose failure is a crash to the fuzzer. The first octets of an input are choices,
 * the rest is what the code under test reads, always in a copy that ends where its memory does, so that a
 * look behind the end is found.
 */
#pragma once

#include "base/random.h"
#include "base/slice.h"

/* The fuzzer's entry point, called by libFuzzer or by replay.c. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A choice, from 0 to limit - 1: the first octet of *in, which is taken; 0 when there is none. */
unsigned fuzz_choose(struct slice *in, unsigned limit);

/* The bytes alone in a piece of memory of just that size, also when there are none; free() it. */
uint8_t *fuzz_copy(struct slice bytes);

/* Where a stream is cut: one octet of the input says how finely and where. */
struct fuzz_cuts {
    struct pst_random random;
    size_t longest;
};
struct fuzz_cuts fuzz_choose_cuts(struct slice *in);

/* The length of the next piece of a stream that has `left` octets more: 1 to `left`, or 0 when nothing is
 * left. */
size_t fuzz_cut(struct fuzz_cuts *cuts, size_t left);
