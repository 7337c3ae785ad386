/* STARTTLS, AUTH and what it is answered: good and bad ones. */
#include "generate_internal.h"

void generate_starttls(struct generator *g, struct act *act)
{
    put_keyword(g, act, "STARTTLS");
    if (one_in(g, 20)) {
        act->fault = "501 5.5.4";
        g_string_append(act->wire, " now");
    }
    end_line(g, act);
}

/* Behind STARTTLS, perhaps in its segment, stands what must never be read. */
void generate_handshake(struct generator *g, struct act *act)
{
    static const char *const injections[] = {
        "",
        "EHLO evil.example.net\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n",
        "QUIT\r\n",
        "MAIL FR",
        "BDAT 100000\r\n",
        "\r",
    };
    g_string_append(act->wire, *pick(g, injections));
}

static const struct credential *pick_credential(struct generator *g)
{
    return &credentials[one_in(g, 2) ? below(g, credential_count) : 0];
}

/* RFC 4954 4: "=" stands for no octets; a line of a response just has none. */
static void put_initial(struct generator *g, struct act *act)
{
    act->credential = pick_credential(g);
    g_string_append_printf(act->wire, " %s", *act->credential->text != '\0' ? act->credential->text : "=");
}

void generate_auth(struct generator *g, struct act *act)
{
    static const char *const not_base64[] = { " A",  " AAA",   " =AAA", " AAA=BBB=",
                                              " ==", " AA AA", " *",    " AA-_" };
    put_keyword(g, act, "AUTH");
    if (one_in(g, 20)) {
        act->fault = "501 5.5.4";
    } else if (one_in(g, 20)) {
        act->fault = "504 5.5.4";
        put_keyword(g, act, " GSSAPI YIIG");
    } else {
        put_keyword(g, act, one_in(g, 2) ? " PLAIN" : " X-CHAT");
        if (one_in(g, 12)) {
            act->fault = "501 5.5.2";
            g_string_append(act->wire, *pick(g, not_base64));
        } else if (one_in(g, 2)) {
            put_initial(g, act);
        }
    }
    end_line(g, act);
}

void generate_response(struct generator *g, struct act *act)
{
    static const char *const not_base64[] = { "A",     "AAAAA", "=",       "=AAA",    "AAA=AAAA",    "AA==\n",
                                              "AAAA ", "**",    "FOO BAR", "DATA\n.", "\x16\x03\x01" };
    if (one_in(g, 12)) {
        act->fault = "501 5.7.0";
        g_string_append(act->wire, "*");
    } else if (one_in(g, 12)) {
        act->fault = "501 5.5.2";
        g_string_append(act->wire, *pick(g, not_base64));
    } else if (one_in(g, 40)) {
        act->fault = "500 5.5.6";
        g_string_append(act->wire, one_in(g, 2) ? "AUTH " : "");
        while (act->wire->len <= SMTP_KEEP_MAX - 2)
            g_string_append_c(act->wire, one_in(g, 500) ? '\r' : 'A');
    } else {
        act->credential = pick_credential(g);
        g_string_append(act->wire, act->credential->text);
    }
    g_string_append(act->wire, "\r\n");
}
