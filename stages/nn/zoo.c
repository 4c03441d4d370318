/* The zoo's register: name -> builder. */
#include "stages/nn/zoo.h"

#include "stages/nn/zoo/builders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_SIDE_PX 32
#define NAMES_BYTES 256

struct zoo_entry {
    const char *name;
    void (*build)(struct ei_program *out);
};

static const struct zoo_entry zoo[] = {
    {"b-alexnet", ei_zoo_build_b_alexnet},
    {"flexvgg-16", ei_zoo_build_flexvgg16},
    {"vgg-16", ei_zoo_build_vgg16},
    {"resnet-50", ei_zoo_build_resnet50},
    {"msdnet-21", ei_zoo_build_msdnet21},
    {"msdnet-40", ei_zoo_build_msdnet40},
    {"msdnet-21-light", ei_zoo_build_msdnet21_light},
    {"msdnet-40-light", ei_zoo_build_msdnet40_light},
};

#define ZOO_COUNT ((int32_t)(sizeof zoo / sizeof zoo[0]))

const char *ei_zoo_name(int32_t idx)
{
    return idx >= 0 && idx < ZOO_COUNT ? zoo[idx].name : NULL;
}

/* The entry of "vgg-16" or "vgg-16-classic"; NULL = unknown. */
static const struct zoo_entry *find(const char *name, bool *out_classic)
{
    for (int32_t i = 0; i < ZOO_COUNT; i++) {
        const size_t length = strlen(zoo[i].name);
        if (strncmp(name, zoo[i].name, length) == 0 &&
            (name[length] == '\0' || strcmp(name + length, EI_ZOO_CLASSIC_SUFFIX) == 0)) {
            *out_classic = name[length] != '\0';
            return &zoo[i];
        }
    }
    return NULL;
}

static int unknown_name(const char *name, struct einet_error *err)
{
    char names[NAMES_BYTES] = "";
    size_t used = 0;
    for (int32_t i = 0; i < ZOO_COUNT; i++) {
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "", zoo[i].name);
    }
    return einet_error_set(err, EINET_E_USAGE,
                           "unknown network '%.64s'; known: %s, and each with " EI_ZOO_CLASSIC_SUFFIX, name, names);
}

static int build(const struct zoo_entry *entry, bool classic, struct ei_program *out, struct einet_error *err)
{
    if (!classic) {
        entry->build(out);
        return 0;
    }
    struct ei_program *multi = malloc(sizeof *multi);
    if (multi == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    *multi = *out;
    entry->build(multi);
    ei_program_single_exit(multi, out);
    free(multi);
    return 0;
}

int ei_zoo_program(const char *name, int32_t channels, int32_t classes, struct ei_program *out, struct einet_error *err)
{
    if ((channels != 1 && channels != 3) || classes < 2 || classes > 1024) {
        return einet_error_set(err, EINET_E_USAGE,
                               "a network takes 1 or 3 channels and 2 to 1024 classes, not %d and %d", channels,
                               classes);
    }
    bool classic = false;
    const struct zoo_entry *entry = find(name, &classic);
    if (entry == NULL) {
        return unknown_name(name, err);
    }
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "%s", entry->name);
    out->classes = classes;
    out->trunk_slots = 1;
    out->input = (struct ei_shape){.channels = channels, .height_px = INPUT_SIDE_PX, .width_px = INPUT_SIDE_PX};
    const int rc = build(entry, classic, out, err);
    return rc != 0 ? rc : ei_program_check(out, err);
}
