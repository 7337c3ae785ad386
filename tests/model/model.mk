# The session against a model of what it should do, and against what smugglers and very large messages do.
MODEL_TESTS = tests/model/test_huge tests/model/test_model tests/model/test_smuggling
check_PROGRAMS += $(MODEL_TESTS)
TESTS += $(MODEL_TESTS)
if SANITIZERS
MODEL_CPPFLAGS = $(TEST_CPPFLAGS) -DWITH_SANITIZERS=1
else
MODEL_CPPFLAGS = $(TEST_CPPFLAGS) -DWITH_SANITIZERS=0
endif

tests_model_test_huge_SOURCES = tests/model/test_huge.c tests/model/talk.c tests/model/talk.h
tests_model_test_huge_CPPFLAGS = $(MODEL_CPPFLAGS)
tests_model_test_huge_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_model_test_model_SOURCES = \
	tests/model/act.h tests/model/generate.c tests/model/generate.h tests/model/generate_envelope.c \
	tests/model/generate_internal.h tests/model/generate_message.c tests/model/generate_put.c tests/model/generate_secure.c \
	tests/model/model.c tests/model/model.h tests/model/owner.c tests/model/owner.h \
	tests/model/rules.c tests/model/test_model.c \
	tests/dialogue/bytes.c tests/dialogue/bytes.h
tests_model_test_model_CPPFLAGS = $(MODEL_CPPFLAGS)
tests_model_test_model_LDADD = $(TEST_LINK) $(LINK_smtp)
tests_model_test_smuggling_SOURCES = tests/model/test_smuggling.c tests/model/talk.c tests/model/talk.h
tests_model_test_smuggling_CPPFLAGS = $(MODEL_CPPFLAGS)
tests_model_test_smuggling_LDADD = $(TEST_LINK) $(LINK_smtp)
