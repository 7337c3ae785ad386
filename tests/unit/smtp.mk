SMTP_TESTS = \
	tests/unit/test_smtp_address \
	tests/unit/test_smtp_command \
	tests/unit/test_smtp_data \
	tests/unit/test_smtp_data_portable \
	tests/unit/test_smtp_facts \
	tests/unit/test_smtp_header \
	tests/unit/test_smtp_outcome \
	tests/unit/test_smtp_parameter \
	tests/unit/test_smtp_secure \
	tests/unit/test_smtp_session \
	tests/unit/test_smtp_session_clock \
	tests/unit/test_smtp_xtext
check_PROGRAMS += $(SMTP_TESTS)
TESTS += $(SMTP_TESTS)

tests_unit_test_smtp_address_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_address_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_unit_test_smtp_command_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_command_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_unit_test_smtp_data_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_data_LDADD = $(TEST_LINK) $(LINK_smtp)
# The decoder as other processors than this one have it.
tests_unit_test_smtp_data_portable_SOURCES = tests/unit/test_smtp_data.c src/smtp/data.c
tests_unit_test_smtp_data_portable_CPPFLAGS = $(TEST_CPPFLAGS) -DSMTP_DATA_PORTABLE
tests_unit_test_smtp_data_portable_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_unit_test_smtp_outcome_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_outcome_LDADD = $(TEST_LINK) $(LINK_smtp)
session_rig = tests/unit/session_rig.c tests/unit/session_rig.h
tests_unit_test_smtp_secure_SOURCES = tests/unit/test_smtp_secure.c $(session_rig)
tests_unit_test_smtp_secure_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_secure_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_unit_test_smtp_session_SOURCES = tests/unit/test_smtp_session.c $(session_rig)
tests_unit_test_smtp_session_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_session_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_unit_test_smtp_session_clock_SOURCES = tests/unit/test_smtp_session_clock.c $(session_rig)
tests_unit_test_smtp_session_clock_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_session_clock_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_unit_test_smtp_parameter_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_parameter_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_unit_test_smtp_xtext_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_xtext_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_unit_test_smtp_facts_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_facts_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_unit_test_smtp_header_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_smtp_header_LDADD = $(TEST_LINK) $(LINK_smtp)
