# The program itself, run as it was built with them: they link none of its layers.
cli_tests = \
	tests/unit/test_cli \
	tests/unit/test_cli_check \
	tests/unit/test_cli_handle \
	tests/unit/test_cli_passwd \
	tests/unit/test_cli_route \
	tests/unit/test_cli_serve \
	tests/unit/test_cli_tlsa \
	tests/unit/test_cli_try
check_PROGRAMS += $(cli_tests)
TESTS += $(cli_tests)

cli_rig = tests/unit/cli_rig.c tests/unit/cli_rig.h

tests_unit_test_cli_SOURCES = tests/unit/test_cli.c $(cli_rig)
tests_unit_test_cli_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_cli_LDADD = $(TEST_LINK) $(LINK_base)

tests_unit_test_cli_check_SOURCES = tests/unit/test_cli_check.c $(cli_rig)
tests_unit_test_cli_check_CPPFLAGS = $(TEST_CPPFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_cli_check_LDADD = tests/support/libtlspeer.a $(TEST_LINK) $(LINK_base) $(OPENSSL_LIBS)

tests_unit_test_cli_handle_SOURCES = tests/unit/test_cli_handle.c $(cli_rig)
tests_unit_test_cli_handle_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_cli_handle_LDADD = $(TEST_LINK) $(LINK_base)

tests_unit_test_cli_passwd_SOURCES = tests/unit/test_cli_passwd.c $(cli_rig)
tests_unit_test_cli_passwd_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_cli_passwd_LDADD = $(TEST_LINK) $(LINK_base)

tests_unit_test_cli_route_SOURCES = tests/unit/test_cli_route.c $(cli_rig)
tests_unit_test_cli_route_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_cli_route_LDADD = $(TEST_LINK) $(LINK_base)

tests_unit_test_cli_serve_SOURCES = tests/unit/test_cli_serve.c $(cli_rig)
tests_unit_test_cli_serve_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_cli_serve_LDADD = $(TEST_LINK) $(LINK_base)

tests_unit_test_cli_tlsa_SOURCES = tests/unit/test_cli_tlsa.c $(cli_rig)
tests_unit_test_cli_tlsa_CPPFLAGS = $(TEST_CPPFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_cli_tlsa_LDADD = tests/support/libtlspeer.a $(TEST_LINK) $(LINK_base) $(OPENSSL_LIBS)

tests_unit_test_cli_try_SOURCES = tests/unit/test_cli_try.c $(cli_rig)
tests_unit_test_cli_try_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_cli_try_LDADD = $(TEST_LINK) $(LINK_base)
