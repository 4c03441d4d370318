#include "tests/harness/harness.h"

EI_MAIN()
