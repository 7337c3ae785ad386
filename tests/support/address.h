/*
 * tests/support/address.h - an address for a test, from the path that a client would write. For tests that
 * link smtp.
 */
#pragma once

#include "smtp/address.h"
#include "suite.h"

static inline struct smtp_address address_of(const char *path)
{
    struct smtp_path read;
    struct smtp_address address = { 0 };
    assert_int_equal(smtp_path_read(slice_str(path), &read), 0);
    smtp_path_address(&read, slice_str(path), &address);
    return address;
}
