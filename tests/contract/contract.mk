# One suite for both twins of a seam.
include tests/contract/reactor.mk
include tests/contract/disk.mk
