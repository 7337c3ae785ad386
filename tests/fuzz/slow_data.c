#include "slow_data.h"

static void put_text(struct slow_data *d, char octet)
{
    d->place = octet == '\r' ? SLOW_CR : SLOW_IN_LINE;
    if (octet == '\r')
        return;
    d->bare_cr_lf |= octet == '\n';
    g_string_append_c(d->body, octet);
}

static void put_behind_cr(struct slow_data *d, char octet)
{
    if (octet == '\n') {
        g_string_append(d->body, "\r\n");
        d->place = SLOW_LINE_START;
        return;
    }
    d->bare_cr_lf = true;
    g_string_append_c(d->body, '\r');
    put_text(d, octet);
}

bool slow_data_put(struct slow_data *d, char octet)
{
    switch (d->place) {
    case SLOW_LINE_START:
        if (octet == '.')
            d->place = SLOW_DOT;
        else
            put_text(d, octet);
        break;
    case SLOW_DOT:
        if (octet == '\r')
            d->place = SLOW_DOT_CR;
        else
            put_text(d, octet);
        break;
    case SLOW_DOT_CR:
        if (octet == '\n')
            d->place = SLOW_ENDED;
        else
            put_behind_cr(d, octet);
        break;
    case SLOW_IN_LINE:
        put_text(d, octet);
        break;
    case SLOW_CR:
        put_behind_cr(d, octet);
        break;
    case SLOW_ENDED:
        break;
    }
    return d->place == SLOW_ENDED;
}
