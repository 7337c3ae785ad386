check_PROGRAMS += tests/unit/test_disk_sim
TESTS += tests/unit/test_disk_sim
tests_unit_test_disk_sim_SOURCES = \
	tests/unit/test_disk_sim.c tests/unit/test_disk_sim.h \
	tests/unit/test_disk_sim_crash.c \
	tests/unit/test_disk_sim_fault.c \
	tests/unit/test_disk_sim_worlds.c
tests_unit_test_disk_sim_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_disk_sim_LDADD = $(TEST_LINK) $(LINK_disk_sim)

# With a hand in its system calls: it holds the seam's twin itself.
check_PROGRAMS += tests/unit/test_disk_posix
TESTS += tests/unit/test_disk_posix
tests_unit_test_disk_posix_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_disk_posix_LDADD = $(TEST_LINK) $(LINK_base)

# The same.
check_PROGRAMS += tests/unit/test_disk_short
TESTS += tests/unit/test_disk_short
tests_unit_test_disk_short_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_disk_short_LDADD = $(TEST_LINK) $(LINK_base)
