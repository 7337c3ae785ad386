check_LIBRARIES += tests/support/libsupport.a
tests_support_libsupport_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/support
tests_support_libsupport_a_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_support_libsupport_a_SOURCES = tests/support/suite.c tests/support/suite.h tests/support/address.h

# For tests of TLS, and of who uses it.
check_LIBRARIES += tests/support/libtlspeer.a
tests_support_libtlspeer_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/support
tests_support_libtlspeer_a_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
tests_support_libtlspeer_a_SOURCES = \
	tests/support/certificates.c tests/support/certificates.h \
	tests/support/tls_peer.c tests/support/tls_peer.h

TEST_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/support $(CMOCKA_CFLAGS)
TEST_LINK = tests/support/libsupport.a $(CMOCKA_LIBS)
