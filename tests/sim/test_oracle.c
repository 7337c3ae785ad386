/*
 * The oracle: transcripts that it must take, with the promises that follow from them, and others that it must
 * not. A line is what the client ("C ") or the server ("S ") says, with CR LF; with a small letter it is
 * octets as they are, with escapes. Each is played line by line, octet by octet, and with all that one side
 * says at once.
 */
#include "suite.h"

#include <glib.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oracle.h"
#include "reactor/reactor_sim.h"

#define LIST_OF(size)                                                                                        \
    "S 250-mx\nS 250-PIPELINING\nS 250-SIZE " size                                                           \
    "\nS 250-8BITMIME\nS 250-CHUNKING\nS 250-BINARYMIME\nS 250-SMTPUTF8\n"                                   \
    "S 250-DSN\nS 250-LIMITS RCPTMAX=3 MAILMAX=5\nS 250 ENHANCEDSTATUSCODES\n"
#define HELLO      "S 220 mx\nC HELO x.example\nS 250 mx\n"
#define LHLO       "S 220 mx\nC LHLO x.example\n" LIST_OF("1000")
#define SMALL_LHLO "S 220 mx\nC LHLO x.example\n" LIST_OF("8")
#define MAIL       "C MAIL FROM:<sender@example.net>\nS 250 2.1.0 OK\n"
#define ALICE      "C RCPT TO:<alice@example.org>\nS 250 2.1.5 OK\n"
#define BOB        "C RCPT TO:<bob@example.org>\nS 250 2.1.5 OK\n"
#define DATA       "C DATA\nS 354 go\n"
#define TO_ALICE   HELLO MAIL ALICE
#define TO_BOTH    MAIL ALICE BOB
#define GOOD       "S 250 2.0.0 OK\n"

enum {
    LMTP = 1,
    HANDLERS = 2,
    TROUBLED = 4,
    LATE = 8,
    SMALL = 16 /* messages of 8 octets */,
    ENDS = 32 /* the server does */,
    FEW = 64 /* of many a thing one is enough */,
    STOPS = 128 /* the server may */,
    SOUND = 256 /* nothing of the disk has failed, nor a host by itself */,
    SHORT = 512 /* of descriptors */
};

struct row {
    const char *name;
    unsigned with;
    const char *talk;
    const char *promises; /* "alice kept TEXT", each ends in ";" */
    const char *failure;  /* how the complaint begins; NULL: there is none */
};

static const struct row good_rows[] = {
    { "a message", 0, TO_ALICE DATA "C a\nC .\n" GOOD "C QUIT\nS 221 2.0.0 bye\n", "alice kept a\\n;", NULL },
    { "a message, and no answer yet", 0, TO_ALICE DATA "C a\nC .\n", "alice open a\\n;", NULL },
    { "a message without its end", 0, TO_ALICE DATA "C a\nc .\\r", "", NULL },
    { "a message that is refused", TROUBLED, TO_ALICE DATA "C a\nC .\nS 451 4.3.0 no\n",
      "alice refused a\\n;", NULL },
    { "an empty message", 0, TO_ALICE DATA "C .\n" GOOD, "alice kept ;", NULL },
    { "dots", 0, TO_ALICE DATA "C ..\nC ..a\nC .b\nC c.\nC .\n" GOOD, "alice kept .\\n.a\\nb\\nc.\\n;",
      NULL },
    { "two recipients", 0, HELLO TO_BOTH DATA "C a\nC .\n" GOOD, "alice kept a\\n;bob kept a\\n;", NULL },
    { "the same one twice", 0, TO_ALICE ALICE DATA "C a\nC .\n" GOOD, "alice kept a\\n;", NULL },
    { "an alias", 0, HELLO MAIL "C RCPT TO:<team@example.org>\nS 250 2.1.5 OK\n" ALICE DATA "C a\nC .\n" GOOD,
      "alice kept a\\n;bob kept a\\n;", NULL },
    { "nobody, and one who is there", 0,
      HELLO MAIL "C RCPT TO:<nobody@example.org>\nS 550 5.1.1 no\n" BOB DATA "C a\nC .\n" GOOD,
      "bob kept a\\n;", NULL },
    { "a sender beyond ASCII", 0,
      HELLO "C MAIL FROM:<s\303\251nder@example.net> SMTPUTF8\nS 250 2.1.0 OK\n"
            "C RCPT TO:<PELE\314\201@example.org>\nS 250 2.1.5 OK\n" DATA "C a\nC .\n" GOOD,
      "pel\303\251 kept <s\303\251nder@example.net> a\\n;", NULL },
    { "an address beyond ASCII without SMTPUTF8", 0,
      HELLO MAIL "C RCPT TO:<pel\303\251@example.org>\nS 553 5.6.7 no\nC MAIL FROM:<a@b>\nS 503 5.5.1 no\n",
      "", NULL },
    { "put off by what another did to the host", HANDLERS | SOUND,
      TO_ALICE DATA "C X-Act: hang\nC .\nS 451 4.3.0 no\n" MAIL BOB DATA "C a\nC .\nS 451 4.3.0 no\n",
      "bob refused a\\n;", NULL },
    { "RSET forgets recipients", 0, TO_ALICE "C RSET\nS 250 2.0.0 OK\n" MAIL BOB DATA "C a\nC .\n" GOOD,
      "bob kept a\\n;", NULL },
    { "HELO forgets them, too", 0, TO_ALICE "C HELO y.example\nS 250 mx\n" MAIL BOB DATA "C a\nC .\n" GOOD,
      "bob kept a\\n;", NULL },
    { "a second MAIL changes nothing", 0,
      TO_ALICE "C MAIL FROM:<b@example.net>\nS 503 5.5.1 no\n" DATA "C a\nC .\n" GOOD, "alice kept a\\n;",
      NULL },
    { "a bare LF", 0, TO_ALICE DATA "c a\\nb\\r\\n.\\r\\n\nS 550 5.6.0 no\n", "", NULL },
    { "a bare LF, and a smuggled end", 0,
      TO_ALICE DATA "c a\\n.\\r\\nMAIL FROM:<>\\r\\nRCPT "
                    "TO:<bob@example.org>\\r\\nDATA\\r\\nb\\r\\n.\\r\\n\nS 550 5.6.0 no\n"
                    "C NOOP\n" GOOD,
      "", NULL },
    { "a bare CR", 0, TO_ALICE DATA "c a\\rb\\r\\n.\\r\\n\nS 550 5.6.0 no\n", "", NULL },
    { "too large", SMALL, TO_ALICE DATA "C 1234567\nC .\nS 552 5.3.4 no\n", "", NULL },
    { "just not too large", SMALL, TO_ALICE DATA "C 123456\nC .\n" GOOD, "alice kept 123456\\n;", NULL },
    { "declared too large", 0, HELLO "C MAIL FROM:<a@b> SIZE=9999\nS 552 5.3.4 no\n", "", NULL },
    { "chunks", 0, TO_ALICE "C BDAT 3\nc a\\r\\n\n" GOOD "C BDAT 2 LAST\nc .b\n" GOOD, "alice kept a\\n.b;",
      NULL },
    { "chunks, pipelined", 0, TO_ALICE "C BDAT 3\nc ab\\r\nC BDAT 2 LAST\nc \\nb\n" GOOD GOOD,
      "alice kept ab\\nb;", NULL },
    { "no chunk at all", 0, TO_ALICE "C BDAT 0 LAST\n" GOOD, "alice kept ;", NULL },
    { "chunks as they are", 0,
      HELLO "C MAIL FROM:<sender@example.net> BODY=BINARYMIME\nS 250 2.1.0 OK\n" ALICE
            "C BDAT 4 LAST\nc \\n\\r\\r\\n\n" GOOD,
      "alice kept \\n\\r\\r\\n;", NULL },
    { "a BDAT whose octets have not come", 0, TO_ALICE "C BDAT 30 LAST\nC NOOP\nC NOOP\n", "", NULL },
    { "a chunk for nobody", 0,
      HELLO MAIL "C BDAT 6\nC NOOP\nS 503 5.5.1 no\nC MAIL FROM:<a@b>\nS 503 5.5.1 no\nC RSET\n" GOOD MAIL,
      "", NULL },
    { "the last chunk for nobody", 0, HELLO MAIL "C BDAT 6 LAST\nC NOOP\nS 503 5.5.1 no\n" MAIL, "", NULL },
    { "chunks that are too large together", SMALL,
      TO_ALICE "C BDAT 6\nc 123456\n" GOOD
               "C BDAT 4\nc 1234\nS 552 5.3.4 no\nC BDAT 1 LAST\nc 1\nS 503 5.5.1 no\n"
               "C DATA\nS 503 5.5.1 no\nC RSET\n" GOOD,
      "", NULL },
    { "DATA within chunks", 0,
      TO_ALICE "C BDAT 1\nc 1\n" GOOD "C DATA\nS 503 5.5.1 no\nC BDAT 1 LAST\nc 1\nS 503 5.5.1 no\n", "",
      NULL },
    { "a BDAT that cannot be read", 0, TO_ALICE "C BDAT x\nS 501 5.5.4 no\nS 421 4.7.0 bye\n", "", NULL },
    { "nothing has been heard, and all may be granted", 0,
      "C HELO x.example\nC MAIL FROM:<sender@example.net>\nC RCPT TO:<alice@example.org>\nC BDAT 1 LAST\nc "
      "a\n"
      "C MAIL FROM:<sender@example.net>\nC RCPT TO:<bob@example.org>\nC DATA\nC b\nC .\n",
      "alice open a;bob open b\\n;", NULL },
    { "there is room for who comes behind one that is refused", TROUBLED,
      HELLO MAIL ALICE ALICE
      "C RCPT TO:<alice@example.org>\nC RCPT TO:<bob@example.org>\nC BDAT 1 LAST\nc a\n"
      "S 451 4.3.0 no\nS 250 2.1.5 OK\n" GOOD,
      "alice kept a;bob kept a;", NULL },
    { "there is no room for one more", TROUBLED,
      HELLO MAIL ALICE ALICE ALICE "C RCPT TO:<bob@example.org>\nC BDAT 1 LAST\nc a\nS 452 4.5.3 no\n" GOOD,
      "alice kept a;bob refused a;", NULL },
    { "what was taken for granted is refused", TROUBLED,
      HELLO MAIL "C RCPT TO:<alice@example.org>\nC RCPT TO:<bob@example.org>\nC BDAT 1 LAST\nc a\n"
                 "S 451 4.3.0 no\nS 250 2.1.5 OK\n" GOOD,
      "alice refused a;bob kept a;", NULL },
    { "all of it is", TROUBLED,
      HELLO MAIL
      "C RCPT TO:<alice@example.org>\nC BDAT 1\nc a\nC BDAT 1 LAST\nc b\nC MAIL FROM:<a@example.net>\n"
      "S 451 4.3.0 no\nS 503 5.5.1 no\nS 503 5.5.1 no\nS 503 5.5.1 no\n",
      "alice refused ab;", NULL },
    { "what was to be a message is commands", TROUBLED,
      HELLO MAIL "C RCPT TO:<alice@example.org>\nC DATA\nC NOOP\nC .\n"
                 "S 451 4.3.0 no\nS 503 5.5.1 no\nS 250 2.0.0 OK\nS 500 5.5.1 no\n",
      "alice refused NOOP\\n;", NULL },
    { "421 before the message was read", STOPS, TO_ALICE DATA "C a\nC .\nS 421 4.3.2 bye\n",
      "alice refused a\\n;", NULL },
    { "no greeting but 421", SHORT, "S 421 4.3.2 bye\n", "", NULL },
    { "it spoke too early", LATE, "C HELO x.example\nS 554 5.5.1 no\n", "", NULL },
    { "another protocol", 0, HELLO "C GET / HTTP/1.1\nC NOOP\nS 554 5.5.1 no\n", "", NULL },
    { "TLS", 0, HELLO "c \\026\\003\\001\\002\nS 554 5.5.1 no\n", "", NULL },
    { "a line that is too long", 0,
      HELLO "C NOOP 12345678901234567890123456789012345678901234567890123456789012345678901234567890\nS 500 "
            "5.5.2 no\n",
      "", NULL },
    { "a bare LF in a command", 0, HELLO "c NOOP\\nNOOP\\r\\n\nS 500 5.5.2 no\n", "", NULL },
    { "few header fields", FEW, TO_ALICE DATA "C A: 1\nC  2\nC \nC C: 3\nC .\n" GOOD,
      "alice kept A: 1\\n 2\\n\\nC: 3\\n;", NULL },
    { "many header fields", FEW, TO_ALICE DATA "C A: 1\nC B: 2\nC \nC .\nS 554 5.6.0 no\n", "", NULL },
    { "many header fields in chunks", FEW,
      TO_ALICE "C BDAT 5\nc A: 1\\n\n" GOOD "C BDAT 4\nc B: 2\nS 554 5.6.0 no\n", "", NULL },
    { "many strangers", FEW,
      HELLO MAIL "C RCPT TO:<nobody@example.org>\nS 550 5.1.1 no\n"
                 "C RCPT TO:<alice@example.net>\nS 550 5.7.1 no\nS 421 4.7.0 bye\n",
      "", NULL },
    { "it ends behind QUIT", ENDS, HELLO "C QUIT\nS 221 2.0.0 bye\n", "", NULL },
    { "it ends behind 421", ENDS | STOPS, HELLO "C NOOP\nS 421 4.3.2 bye\n", "", NULL },
    { "LMTP: a reply for each", LMTP,
      LHLO TO_BOTH ALICE DATA "C a\nC .\n" GOOD GOOD GOOD "C QUIT\nS 221 2.0.0 bye\n",
      "alice kept a\\n;bob kept a\\n;", NULL },
    { "LMTP: one fails", LMTP | TROUBLED, LHLO TO_BOTH DATA "C a\nC .\nS 452 4.2.2 no\n" GOOD,
      "alice refused a\\n;bob kept a\\n;", NULL },
    { "LMTP: of two ways one fails", LMTP | TROUBLED,
      LHLO MAIL "C RCPT TO:<team@example.org>\nS 250 2.1.5 OK\n" ALICE DATA "C a\nC .\nS 451 4.3.0 no\n" GOOD,
      "alice kept a\\n;bob refused a\\n;", NULL },
    { "LMTP: half of the replies", LMTP, LHLO TO_BOTH DATA "C a\nC .\n" GOOD,
      "alice kept a\\n;bob open a\\n;", NULL },
    { "LMTP: the last chunk behind a refused one", LMTP | SMALL,
      SMALL_LHLO TO_BOTH "C BDAT 9\nc 123456789\nC BDAT 1 LAST\nc x\nC BDAT 1 LAST\nc x\n"
                         "S 552 5.3.4 no\nS 503 5.5.1 no\nS 503 5.5.1 no\nS 503 5.5.1 no\n",
      "", NULL },
    { "a handler rejects", HANDLERS, TO_ALICE DATA "C X-Act: reject\nC .\nS 550 5.7.1 no\n", "", NULL },
    { "a handler discards", HANDLERS, TO_ALICE DATA "C X-Act: discard\nC .\n" GOOD,
      "alice kept discard X-Act: discard\\n;", NULL },
};

static const struct row bad_rows[] = {
    { "a reply too many", 0, HELLO "S 250 2.0.0 OK\n", NULL, "a reply that nobody asked for" },
    { "a reply in the middle of a message", 0, TO_ALICE DATA "C a\nS 250 2.0.0 OK\n", NULL,
      "a reply that nobody asked for" },
    { "a reply before the chunk is there", 0, TO_ALICE "C BDAT 5\nc abcd\nS 250 2.0.0 OK\n", NULL,
      "a reply that nobody asked for" },
    { "replies in the wrong order", 0,
      HELLO "C MAIL FROM:<a@b>\nC RCPT TO:<nobody@example.org>\nS 550 5.1.1 no\n", NULL,
      "a reply that this may not have: MAIL" },
    { "a reply too few", 0, TO_ALICE "C NOOP\nC DATA\nS 354 go\n", NULL,
      "a reply that this may not have: NOOP" },
    { "no greeting", 0, "C HELO x.example\nS 250 mx\n", NULL,
      "a reply that this may not have: the greeting" },
    { "250 for nobody", 0, HELLO MAIL "C RCPT TO:<nobody@example.org>\nS 250 2.1.5 OK\n", NULL,
      "a reply that this may not have: RCPT" },
    { "250 for another domain", 0, HELLO MAIL "C RCPT TO:<alice@example.net>\nS 250 2.1.5 OK\n", NULL,
      "a reply that this may not have: RCPT" },
    { "250 for who needs SMTPUTF8", 0, HELLO MAIL "C RCPT TO:<pel\303\251@example.org>\nS 250 2.1.5 OK\n",
      NULL, "a reply that this may not have: RCPT" },
    { "one recipient too many", 0, HELLO MAIL ALICE ALICE ALICE ALICE, NULL,
      "a reply that this may not have: RCPT" },
    { "one recipient too many, in trouble", TROUBLED, HELLO MAIL ALICE ALICE ALICE ALICE, NULL,
      "one recipient too many: RCPT" },
    { "550 for who is there", TROUBLED, HELLO MAIL "C RCPT TO:<alice@example.org>\nS 550 5.1.1 no\n", NULL,
      "a reply that this may not have: RCPT" },
    { "4xx without trouble", 0, HELLO MAIL "C RCPT TO:<alice@example.org>\nS 451 4.3.0 no\n", NULL,
      "a reply that this may not have: RCPT" },
    { "4xx for a message without trouble", 0, TO_ALICE DATA "C a\nC .\nS 451 4.3.0 no\n", NULL,
      "a reply that this may not have: a message's end" },
    { "354 without recipients", 0, HELLO MAIL "C DATA\nS 354 go\n", NULL,
      "a reply that this may not have: DATA" },
    { "354 when all were refused", TROUBLED,
      HELLO MAIL "C RCPT TO:<alice@example.org>\nC DATA\nS 451 4.3.0 no\nS 354 go\n", NULL,
      "a reply that this may not have: DATA" },
    { "354 behind RSET", 0, TO_ALICE "C RSET\nS 250 2.0.0 OK\nC DATA\nS 354 go\n", NULL,
      "a reply that this may not have: DATA" },
    { "354 for BINARYMIME", 0,
      HELLO "C MAIL FROM:<sender@example.net> BODY=BINARYMIME\nS 250 2.1.0 OK\n" ALICE "C DATA\nS 354 go\n",
      NULL, "a reply that this may not have: DATA" },
    { "MAIL before HELO", 0, "S 220 mx\nC MAIL FROM:<a@b>\nS 250 2.1.0 OK\n", NULL,
      "a reply that this may not have: MAIL" },
    { "a nested MAIL", 0, HELLO MAIL MAIL, NULL, "a reply that this may not have: MAIL" },
    { "SIZE is not looked at", 0, HELLO "C MAIL FROM:<a@b> SIZE=1001\nS 250 2.1.0 OK\n", NULL,
      "a reply that this may not have: MAIL" },
    { "a message that is too large is taken", SMALL, TO_ALICE DATA "C 1234567\nC .\n" GOOD, NULL,
      "a reply that this may not have: a message's end" },
    { "one that is not is refused", SMALL, TO_ALICE DATA "C 123456\nC .\nS 552 5.3.4 no\n", NULL,
      "a reply that this may not have: a message's end" },
    { "a bare LF is taken", 0, TO_ALICE DATA "c a\\nb\\r\\n.\\r\\n\n" GOOD, NULL,
      "a reply that this may not have: a message's end" },
    { "a bare CR is taken", 0, TO_ALICE DATA "c a\\r\\r\\n.\\r\\n\n" GOOD, NULL,
      "a reply that this may not have: a message's end" },
    { "LF . LF ends the message", 0, TO_ALICE DATA "c a\\n.\\n\nS 550 5.6.0 no\n", NULL,
      "a reply that nobody asked for" },
    { "LF . CR LF ends the message", 0, TO_ALICE DATA "c a\\n.\\r\\n\nS 550 5.6.0 no\n", NULL,
      "a reply that nobody asked for" },
    { "LMTP with one reply", LMTP, LHLO TO_BOTH DATA "C a\nC .\n" GOOD "C QUIT\nS 221 2.0.0 bye\n", NULL,
      "a reply that this may not have: a message's end" },
    { "SMTP with two", 0, HELLO TO_BOTH DATA "C a\nC .\n" GOOD GOOD, NULL, "a reply that nobody asked for" },
    { "LMTP with one reply too many", LMTP, LHLO TO_BOTH DATA "C a\nC .\n" GOOD GOOD GOOD, NULL,
      "a reply that nobody asked for" },
    { "a chunk behind a refused one is taken", SMALL,
      TO_ALICE "C BDAT 9\nc 123456789\nS 552 5.3.4 no\nC BDAT 1 LAST\nc x\n" GOOD, NULL,
      "a reply that this may not have: a chunk out of place" },
    { "a stray chunk's octets are commands", 0, HELLO "C BDAT 6\nC NOOP\nS 503 5.5.1 no\nS 250 2.0.0 OK\n",
      NULL, "a reply that nobody asked for" },
    { "a BDAT that cannot be read, and it goes on", 0,
      HELLO "C BDAT x\nC NOOP\nS 501 5.5.4 no\nS 250 2.0.0 OK\n", NULL,
      "the session goes on where it must end" },
    { "another protocol, and it goes on", 0, HELLO "C GET / HTTP/1.1\nC NOOP\nS 500 5.5.1 no\n", NULL,
      "a reply that this may not have: foreign" },
    { "QUIT, and it goes on", 0, HELLO "C QUIT\nC NOOP\nS 221 2.0.0 bye\nS 250 2.0.0 OK\n", NULL,
      "a reply behind the last one" },
    { "421, and it goes on", STOPS, HELLO "C NOOP\nS 421 4.3.2 bye\nS 250 2.0.0 OK\n", NULL,
      "a reply behind the last one" },
    { "a handler's message is put off, and nothing has failed", HANDLERS | SOUND,
      TO_ALICE DATA "C X-Act: edit\nC .\nS 451 4.3.0 no\n", NULL,
      "put off, though nothing has failed: a message's end" },
    { "421 4.3.2 for no reason", 0, HELLO "C NOOP\nS 421 4.3.2 bye\n", NULL,
      "the service stops for no reason" },
    { "421 4.3.2 behind a greeting", SHORT, HELLO "S 421 4.3.2 bye\n", NULL,
      "the service stops for no reason" },
    { "a message is put off, and nothing has failed", TROUBLED | SOUND,
      TO_ALICE DATA "C a\nC .\nS 451 4.3.0 no\n", NULL,
      "put off, though nothing has failed: a message's end" },
    { "a recipient is put off, and nothing has failed", TROUBLED | SOUND,
      HELLO MAIL "C RCPT TO:<alice@example.org>\nS 451 4.3.0 no\n", NULL,
      "put off, though nothing has failed: RCPT" },
    { "421 4.7.0 for no reason", 0, HELLO "C NOOP\nS 421 4.7.0 bye\n", NULL,
      "the session ends for no reason" },
    { "a mistake too many", 0,
      HELLO "C x\nC x\nC x\nC x\nC x\nS 500 5.5.1 no\nS 500 5.5.1 no\nS 500 5.5.1 no\nS 500 5.5.1 no\nS 500 "
            "5.5.1 no\n",
      NULL, "one mistake too many: unknown" },
    { "it ends without a word", ENDS, HELLO, NULL, "the connection ends without a word\n" },
    { "it ends in place of a reply", ENDS, HELLO "C QUIT\n", NULL,
      "the connection ends without a word: QUIT" },
    { "too many header fields", FEW, TO_ALICE DATA "C A: 1\nC B: 2\nC \nC C: 3\nC .\n" GOOD, NULL,
      "a reply that this may not have: a message's end" },
    { "too many strangers", FEW,
      HELLO MAIL "C RCPT TO:<nobody@example.org>\nS 550 5.1.1 no\n"
                 "C RCPT TO:<nobody@example.org>\nS 550 5.1.1 no\n"
                 "C NOOP\n" GOOD,
      NULL, "the session goes on where it must end" },
    { "too many messages", FEW, HELLO MAIL "C RSET\n" GOOD MAIL, NULL, "one message too many: MAIL" },
    { "no reply at all", 0, "S hello\n", NULL, "what is heard is no reply" },
    { "a reply without CR", 0, "s 220 mx\\n\n", NULL, "what is heard is no reply" },
    { "an enhanced code of another class", 0, HELLO "C NOOP\nS 250 5.0.0 OK\n", NULL,
      "a reply and its enhanced code disagree" },
    { "an extension that is not there", LMTP, "S 220 mx\nC LHLO x.example\nS 250-mx\nS 250-STARTTLS\n", NULL,
      "an extension that is not there: HELO" },
    { "an extension is missing", LMTP, "S 220 mx\nC LHLO x.example\nS 250-mx\nS 250 PIPELINING\n", NULL,
      "an extension is missing: HELO" },
    { "the wrong HELO", LMTP, "S 220 mx\nC EHLO x.example\nS 250 mx\n", NULL,
      "a reply that this may not have: HELO" },
    { "250 where a handler rejects", HANDLERS, TO_ALICE DATA "C X-Act: reject\nC .\n" GOOD, NULL,
      "a reply that this may not have: a message's end" },
    { "250 where a handler hangs", HANDLERS | TROUBLED, TO_ALICE DATA "C X-Act: hang\nC .\n" GOOD, NULL,
      "a reply that this may not have: a message's end" },
    { "5xx where a handler dies", HANDLERS, TO_ALICE DATA "C X-Act: die\nC .\nS 554 5.3.0 no\n", NULL,
      "a reply that this may not have: a message's end" },
};

/* ---- playing ---- */

/* A line "W 300" lets so many seconds pass. */
static const struct row timed_rows[] = {
    { "a timeout in time", 0, HELLO "W 301\nS 421 4.4.2 bye\n", "", NULL },
    { "a timeout too late", 0, HELLO "W 330\nS 421 4.4.2 bye\n", NULL, "a timeout too late" },
    { "a timeout too late in a message", 0, TO_ALICE DATA "C a\nW 630\nS 421 4.4.2 bye\n", NULL,
      "a timeout too late" },
    { "a timeout in a chunk for nobody", 0, HELLO "c BDAT 40\\r\\nhalf\nW 601\nS 421 4.4.2 bye\n", "", NULL },
    { "a timeout too early", 0, HELLO "W 200\nC NOOP\n" GOOD "W 299\nS 421 4.4.2 bye\n", NULL,
      "a timeout too early" },
    { "half a command is no sign of life", 0, HELLO "W 299\nc NOO\nW 2\nS 421 4.4.2 bye\n", "", NULL },
    { "a timeout in place of a reply", 0, HELLO "C NOOP\nW 301\nS 421 4.4.2 bye\n", NULL,
      "a timeout in place of a reply: NOOP" },
    { "a timeout that crosses the command", 0, HELLO "W 300\nC NOOP\nW 1\nS 421 4.4.2 bye\n", "", NULL },
    { "in a message it takes longer", 0, TO_ALICE DATA "C a\nW 599\nS 421 4.4.2 bye\n", NULL,
      "a timeout too early" },
    { "in a message it comes as well", 0, TO_ALICE DATA "C a\nW 601\nS 421 4.4.2 bye\n", "", NULL },
    { "between two chunks, too", 0, TO_ALICE "C BDAT 1\nc a\n" GOOD "W 599\nS 421 4.4.2 bye\n", NULL,
      "a timeout too early" },
};

enum pace { LINE_BY_LINE, OCTET_BY_OCTET, ALL_AT_ONCE, PACES };

static void tell(struct oracle *o, char who, const GString *octets, enum pace pace)
{
    void (*take)(struct oracle *, struct slice) = who == 'C' ? oracle_said : oracle_heard;
    size_t step = pace == OCTET_BY_OCTET ? 1 : MAX(octets->len, 1);
    for (size_t at = 0; at < octets->len; at += step)
        take(o, slice_of(octets->str + at, MIN(step, octets->len - at)));
}

static void play(struct oracle *o, struct reactor *clock, const char *talk, enum pace pace)
{
    g_auto(GStrv) lines = g_strsplit(talk, "\n", -1);
    g_autoptr(GString) octets = g_string_new(NULL);
    for (size_t i = 0; lines[i] != NULL && *lines[i] != '\0'; i++) {
        if (*lines[i] == 'W') {
            reactor_sim_run_until(clock, reactor_now(clock) + 1000 * g_ascii_strtoll(lines[i] + 2, NULL, 10));
            continue;
        }
        bool is_raw = g_ascii_islower(*lines[i]);
        g_autofree char *text =
            is_raw ? g_strcompress(lines[i] + 2) : g_strconcat(lines[i] + 2, "\r\n", NULL);
        g_string_append(octets, text);
        char who = g_ascii_toupper(*lines[i]);
        if (pace == ALL_AT_ONCE && lines[i + 1] != NULL && g_ascii_toupper(*lines[i + 1]) == who)
            continue;
        tell(o, who, octets, pace);
        g_string_truncate(octets, 0);
    }
}

static uint64_t no_failures(void)
{
    return 0;
}

static GPtrArray *promises_of(const struct row *row, enum pace pace)
{
    GPtrArray *promises = g_ptr_array_new_with_free_func(promise_free);
    static const bool no = false, yes = true;
    struct reactor *clock = reactor_sim_new(1);
    unsigned misdeeds = 0;
    const struct oracle_rules rules = {
        .clock = clock,
        .protocol = (row->with & LMTP) != 0 ? SMTP_PROTOCOL_LMTP : SMTP_PROTOCOL_SMTP,
        .limits = { .message_size = (row->with & SMALL) != 0 ? 8 : 1000,
                    .header_size = 1000,
                    .header_fields = (row->with & FEW) != 0 ? 1 : 1000,
                    .recipients = 3,
                    .messages = (row->with & FEW) != 0 ? 1 : 5,
                    .errors = 5,
                    .commands = 1000,
                    .strangers = (row->with & FEW) != 0 ? 1 : 100,
                    .command_length = 80,
                    .command_timeout = 300 * 1000,
                    .data_timeout = 600 * 1000 },
        .has_handlers = (row->with & HANDLERS) != 0,
        .troubled = (row->with & TROUBLED) != 0,
        .may_cut = (row->with & STOPS) != 0 ? &yes : &no,
        .failures = (row->with & SOUND) != 0 ? no_failures : NULL,
        .misdeeds = (row->with & SOUND) != 0 ? &misdeeds : NULL,
        .is_short = (row->with & SHORT) != 0,
        .greets_late = (row->with & LATE) != 0,
    };
    struct oracle *o = oracle_new(&rules, promises);
    play(o, clock, row->talk, pace);
    oracle_ended(o, (row->with & ENDS) != 0);
    oracle_free(o);
    assert_int_equal(reactor_free(clock), 0);
    return promises;
}

/* ---- what is promised ---- */

static void append_promise(GString *to, const struct promise *p)
{
    static const char *const fates[] = { "open", "kept", "refused" };
    size_t len;
    const char *content = g_bytes_get_data(p->content, &len);
    g_autofree char *text = g_strndup(content != NULL ? content : "", len);
    g_autofree char *escaped = g_strescape(text, "\303\251\"");
    bool is_usual = strcmp(p->sender, "<sender@example.net>") == 0;
    g_string_append_printf(to, "%s %s %s%s%s%s%s;", p->box, fates[p->fate], is_usual ? "" : p->sender,
                           is_usual ? "" : " ", p->act != SIM_DELIVER ? sim_act_name(p->act) : "",
                           p->act != SIM_DELIVER ? " " : "", escaped);
}

static int compare_promises(gconstpointer a, gconstpointer b)
{
    const struct promise *left = *(struct promise *const *)a, *right = *(struct promise *const *)b;
    return strcmp(left->box, right->box);
}

static void takes(void **state)
{
    const struct row *row = *state;
    for (enum pace pace = 0; pace < PACES; pace++) {
        g_autoptr(GPtrArray) promises = promises_of(row, pace);
        g_autoptr(GString) text = g_string_new(NULL);
        g_ptr_array_sort(promises, compare_promises);
        for (guint i = 0; i < promises->len; i++)
            append_promise(text, g_ptr_array_index(promises, i));
        assert_string_equal(text->str, row->promises);
    }
}

/* In a process of its own, for the complaint ends it. */
static char *complaint(const struct row *row, enum pace pace)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)promises_of(row, pace);
        _exit(0);
    }
    close(ends[1]);
    char text[400] = "";
    ssize_t len = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(len >= 0);
    return g_strdup(WIFSIGNALED(status) ? text : "no complaint");
}

static void complains(void **state)
{
    const struct row *row = *state;
    g_autofree char *want = g_strconcat("FAILED: ", row->failure, NULL);
    for (enum pace pace = 0; pace < PACES; pace++) {
        g_autofree char *text = complaint(row, pace);
        if (!g_str_has_prefix(text, want))
            fail_msg("in place of \"%s\": %s", row->failure, text);
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("oracle");
    suite_add_rows(s, good_rows, takes);
    suite_add_rows(s, bad_rows, complains);
    for (size_t i = 0; i < G_N_ELEMENTS(timed_rows); i++)
        suite_add(s, timed_rows[i].name, timed_rows[i].failure != NULL ? complains : takes,
                  (void *)&timed_rows[i]);
    return suite_run(s, argc, argv);
}
