noinst_LIBRARIES += src/base/libbase.a
src_base_libbase_a_CFLAGS = $(AM_CFLAGS) $(STRICT_CFLAGS)
src_base_libbase_a_SOURCES = \
	src/base/assert.c src/base/assert.h \
	src/base/auto.h \
	src/base/diag.c src/base/diag.h \
	src/base/log.c src/base/log.h \
	src/base/nursery.c src/base/nursery.h \
	src/base/number.c src/base/number.h \
	src/base/option.c src/base/option.h \
	src/base/random.c src/base/random.h \
	src/base/slice.c src/base/slice.h \
	src/base/stand_back.c src/base/stand_back.h

LINK_base = src/base/libbase.a $(GLIB_LIBS)
