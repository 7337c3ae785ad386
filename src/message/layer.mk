noinst_LIBRARIES += src/message/libmessage.a
src_message_libmessage_a_SOURCES = \
	src/message/guard.c src/message/guard.h \
	src/message/hops.c src/message/hops.h \
	src/message/lines.c src/message/lines.h \
	src/message/mime_type.c src/message/mime_type.h \
	src/message/trace.c src/message/trace.h

LINK_message = src/message/libmessage.a $(LINK_smtp) $(LINK_disk)
LINK_message_sim = src/message/libmessage.a $(LINK_smtp) $(LINK_disk_sim)
