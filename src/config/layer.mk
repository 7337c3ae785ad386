noinst_LIBRARIES += src/config/libconfig.a
src_config_libconfig_a_CFLAGS = $(AM_CFLAGS) $(INIH_CFLAGS)
src_config_libconfig_a_SOURCES = \
	src/config/config.c src/config/config.h \
	src/config/ini.c src/config/ini.h \
	src/config/nearest.c src/config/nearest.h

LINK_config = src/config/libconfig.a $(LINK_base) $(INIH_LIBS)
