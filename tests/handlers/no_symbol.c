/* A shared object that is no handler. */
int postern_handler_entri;
