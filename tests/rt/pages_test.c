/* Pieces of page memory: aligned, zeroed, apart from each other, and in ranges that are marked for huge pages. */
#include "tests/harness/harness.h"

#include "rt/pages.h"
#include <stdio.h>
#include <string.h>

#define PIECES 40

static bool is_zero(const char *bytes, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

EI_TEST(pieces_are_aligned_zeroed_and_apart)
{
    struct ei_pages pages = {0};
    char *piece[PIECES];
    int64_t bytes[PIECES], sum = 0;
    for (int32_t i = 0; i < PIECES; i++) { /* small ones, one above a chunk, and those behind it */
        bytes[i] = i == 20 ? 9 * 1024 * 1024 + 1 : 1 + (int64_t)i * i * 977;
        piece[i] = ei_pages_take(&pages, bytes[i]);
        EI_REQUIRE(piece[i] != NULL);
        EI_EQ((uintptr_t)piece[i] % EI_PAGES_ALIGN_BYTES, 0);
        EI_TRUE(is_zero(piece[i], bytes[i]));
        memset(piece[i], i + 1, (size_t)bytes[i]);
        sum += bytes[i];
    }
    for (int32_t i = 0; i < PIECES; i++) {
        EI_EQ(piece[i][0], i + 1);
        EI_EQ(piece[i][bytes[i] - 1], i + 1);
    }
    EI_IN(pages.bytes, sum, sum + PIECES * EI_PAGES_ALIGN_BYTES);
    ei_pages_fini(&pages);
    EI_EQ(pages.bytes, 0);
    ei_pages_fini(&pages);
}

/* The flags line of the mapping that holds `at`; "" when the kernel does not show any. */
static void read_flags(const void *at, char *out, size_t size_bytes)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    char line[512];
    bool is_inside = false;
    out[0] = '\0';
    while (smaps != NULL && fgets(line, sizeof line, smaps) != NULL) {
        unsigned long first, end;
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2) {
            is_inside = first <= (uintptr_t)at && (uintptr_t)at < end;
        } else if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
            snprintf(out, size_bytes, "%s", line + 8);
        }
    }
    if (smaps != NULL) {
        fclose(smaps);
    }
}

EI_TEST(pieces_ask_for_huge_pages)
{
    struct ei_pages pages = {0};
    char flags[512];
    char *piece = ei_pages_take(&pages, 3 * 1024 * 1024);
    EI_REQUIRE(piece != NULL);
    read_flags(piece, flags, sizeof flags);
    FILE *offered = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    if (offered != NULL && flags[0] != '\0') {
        EI_TRUE(strstr(flags, " hg") != NULL);
    }
    if (offered != NULL) {
        fclose(offered);
    }
    ei_pages_fini(&pages);
}
