NET_TESTS = \
	tests/unit/test_net_address \
	tests/unit/test_net_network \
	tests/unit/test_net_proxy \
	tests/unit/test_tls_client \
	tests/unit/test_tls_session \
	tests/unit/test_tls_store
check_PROGRAMS += $(NET_TESTS)
TESTS += $(NET_TESTS)

tests_unit_test_net_address_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_net_address_LDADD = $(TEST_LINK) $(LINK_net)
tests_unit_test_net_network_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_net_network_LDADD = $(TEST_LINK) $(LINK_net)
tests_unit_test_net_proxy_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_net_proxy_LDADD = $(TEST_LINK) $(LINK_net)

TLS_RIG = tests/unit/tls_rig.c tests/unit/tls_rig.h
TLS_RIG_LINK = tests/support/libtlspeer.a $(TEST_LINK) $(LINK_net)
tests_unit_test_tls_client_CPPFLAGS = $(TEST_CPPFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_tls_client_SOURCES = tests/unit/test_tls_client.c $(TLS_RIG)
tests_unit_test_tls_client_LDADD = $(TLS_RIG_LINK)
tests_unit_test_tls_session_CPPFLAGS = $(TEST_CPPFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_tls_session_SOURCES = tests/unit/test_tls_session.c $(TLS_RIG)
tests_unit_test_tls_session_LDADD = $(TLS_RIG_LINK)
tests_unit_test_tls_store_CPPFLAGS = $(TEST_CPPFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_tls_store_SOURCES = tests/unit/test_tls_store.c $(TLS_RIG)
tests_unit_test_tls_store_LDADD = $(TLS_RIG_LINK)
