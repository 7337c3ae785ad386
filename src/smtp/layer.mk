noinst_LIBRARIES += src/smtp/libsmtp.a
src_smtp_libsmtp_a_CFLAGS = $(AM_CFLAGS) $(STRICT_CFLAGS)
src_smtp_libsmtp_a_SOURCES = \
	src/smtp/address.c src/smtp/address.h \
	src/smtp/command.c src/smtp/command.h \
	src/smtp/data.c src/smtp/data.h \
	src/smtp/effect.c \
	src/smtp/facts.c src/smtp/facts.h \
	src/smtp/header.c src/smtp/header.h \
	src/smtp/limits.c \
	src/smtp/line.c \
	src/smtp/outcome.c src/smtp/outcome.h \
	src/smtp/parameter.c src/smtp/parameter.h \
	src/smtp/session.c src/smtp/session.h src/smtp/session_internal.h \
	src/smtp/verb_auth.c \
	src/smtp/verb_bdat.c \
	src/smtp/verb_data.c \
	src/smtp/verb_hello.c \
	src/smtp/verb_mail.c \
	src/smtp/verb_misc.c \
	src/smtp/verb_rcpt.c \
	src/smtp/verb_starttls.c \
	src/smtp/verb_xclient.c \
	src/smtp/xtext.c src/smtp/xtext.h

LINK_smtp = src/smtp/libsmtp.a $(LINK_base)
