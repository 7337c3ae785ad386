#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void pst_assert_failed(const char *expression, const char *file, int line, const char *function)
{
    (void)fprintf(stderr, "level=panic event=assertion-failed where=%s:%d function=%s expression=\"%s\"\n",
                  file, line, function, expression);
    abort();
}
