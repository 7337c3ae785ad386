#include "net/tls_openssl.h"

const char *tls_error_take(char text[TLS_ERROR_TEXT])
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(error);
    if (error == 0)
        reason = "no reason is known";
    else if (reason == NULL)
        ERR_error_string_n(error, text, TLS_ERROR_TEXT);
    ERR_clear_error();
    return reason != NULL ? reason : text;
}
