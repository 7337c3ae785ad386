handlers_tests = \
	tests/unit/test_handler_verdict \
	tests/unit/test_lone_host \
	tests/unit/test_pool \
	tests/unit/test_wire
check_PROGRAMS += $(handlers_tests)
TESTS += $(handlers_tests)

tests_unit_test_handler_verdict_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_handler_verdict_LDADD = $(TEST_LINK) $(LINK_handlers)

tests_unit_test_lone_host_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_lone_host_LDADD = $(TEST_LINK) $(LINK_handlers)

tests_unit_test_pool_SOURCES = tests/unit/test_pool.c tests/support/host_play.c tests/support/host_play.h
tests_unit_test_pool_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_pool_LDADD = $(TEST_LINK) $(LINK_handlers_sim)

tests_unit_test_wire_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_wire_LDADD = $(TEST_LINK) $(LINK_handlers)
