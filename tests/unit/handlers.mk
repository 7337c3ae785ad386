handlers_tests = \
	tests/unit/test_pool
check_PROGRAMS += $(handlers_tests)
TESTS += $(handlers_tests)

tests_unit_test_pool_SOURCES = tests/unit/test_pool.c tests/support/host_play.c tests/support/host_play.h
tests_unit_test_pool_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_pool_LDADD = $(TEST_LINK) $(LINK_handlers_sim)
