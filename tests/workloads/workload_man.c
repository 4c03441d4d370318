/* Print the field table in roff, for the part of man/einet-workload.5 between its two markers. */
#include "workloads/fields.h"

int main(void)
{
    ei_fields_print_man(stdout);
    return 0;
}
