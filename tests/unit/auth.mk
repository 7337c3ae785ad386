AUTH_TESTS = \
	tests/unit/test_auth \
	tests/unit/test_auth_credentials \
	tests/unit/test_auth_dovecot \
	tests/unit/test_auth_dovecot_line \
	tests/unit/test_auth_failures \
	tests/unit/test_auth_password \
	tests/unit/test_auth_settings \
	tests/unit/test_auth_turns
check_PROGRAMS += $(AUTH_TESTS)
TESTS += $(AUTH_TESTS)

auth_rig = tests/unit/auth_rig.c tests/unit/auth_rig.h
AUTH_TEST_CFLAGS = $(AM_CFLAGS) $(GSASL_CFLAGS) $(CRYPT_CFLAGS)

tests_unit_test_auth_SOURCES = tests/unit/test_auth.c $(auth_rig)
tests_unit_test_auth_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_auth_CFLAGS = $(AUTH_TEST_CFLAGS)
tests_unit_test_auth_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=crypt_r
tests_unit_test_auth_LDADD = $(TEST_LINK) $(LINK_auth_sim)

tests_unit_test_auth_credentials_SOURCES = tests/unit/test_auth_credentials.c $(auth_rig)
tests_unit_test_auth_credentials_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_auth_credentials_CFLAGS = $(AUTH_TEST_CFLAGS)
tests_unit_test_auth_credentials_LDADD = $(TEST_LINK) $(LINK_auth_sim)

tests_unit_test_auth_dovecot_SOURCES = tests/unit/test_auth_dovecot.c $(auth_rig)
tests_unit_test_auth_dovecot_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_auth_dovecot_CFLAGS = $(AUTH_TEST_CFLAGS)
tests_unit_test_auth_dovecot_LDADD = $(TEST_LINK) $(LINK_auth_sim)

tests_unit_test_auth_dovecot_line_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_auth_dovecot_line_LDADD = $(TEST_LINK) $(LINK_auth_sim)

tests_unit_test_auth_failures_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_auth_failures_LDADD = $(TEST_LINK) $(LINK_auth_sim)

tests_unit_test_auth_password_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_auth_password_CFLAGS = $(AUTH_TEST_CFLAGS)
tests_unit_test_auth_password_LDADD = $(TEST_LINK) $(LINK_auth_sim)

tests_unit_test_auth_settings_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_auth_settings_LDADD = $(TEST_LINK) $(LINK_auth)

tests_unit_test_auth_turns_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_auth_turns_LDADD = $(TEST_LINK) $(LINK_auth)
