check_PROGRAMS += tests/unit/test_net_address
TESTS += tests/unit/test_net_address
tests_unit_test_net_address_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_net_address_LDADD = $(TEST_LINK) $(LINK_net)
