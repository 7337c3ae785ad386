NET_TESTS = \
	tests/unit/test_net_address \
	tests/unit/test_net_network \
	tests/unit/test_net_proxy
check_PROGRAMS += $(NET_TESTS)
TESTS += $(NET_TESTS)

tests_unit_test_net_address_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_net_address_LDADD = $(TEST_LINK) $(LINK_net)
tests_unit_test_net_network_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_net_network_LDADD = $(TEST_LINK) $(LINK_net)
tests_unit_test_net_proxy_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_net_proxy_LDADD = $(TEST_LINK) $(LINK_net)
