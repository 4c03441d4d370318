/* The cases are in the *_test.c files beside this one. */
#include "tests/harness/harness.h"

EI_MAIN()
