/* Which parameters a network can take over from another. */
#include "stages/nn/weights_map.h"

#include "stages/nn/zoo.h"
#include "tests/harness/harness.h"

#include <stdlib.h>

struct pair {
    struct ei_program from, to;
    struct ei_param *from_params, *to_params;
    int32_t *map; /* [to_count] */
    int32_t to_count;
};

/* Returns what ei_weights_map returned. */
static int map(struct pair *p, const char *from, int32_t from_classes, const char *to, int32_t to_classes,
               struct einet_error *err)
{
    EI_EQ(ei_zoo_program(from, 3, from_classes, &p->from, NULL), 0);
    EI_EQ(ei_zoo_program(to, 3, to_classes, &p->to, NULL), 0);
    const int32_t from_count = ei_program_param_count(&p->from);
    p->to_count = ei_program_param_count(&p->to);
    p->from_params = malloc((size_t)from_count * sizeof *p->from_params);
    p->to_params = malloc((size_t)p->to_count * sizeof *p->to_params);
    p->map = malloc((size_t)p->to_count * sizeof *p->map);
    ei_weights_params(&p->from, p->from_params);
    ei_weights_params(&p->to, p->to_params);
    const int taken = ei_weights_map(&p->from, &p->to, p->map, err);
    int32_t counted = 0;
    for (int32_t i = 0; taken >= 0 && i < p->to_count; i++) {
        if (p->map[i] == EI_WEIGHTS_NONE) {
            continue;
        }
        const struct ei_param *has = &p->from_params[p->map[i]], *wants = &p->to_params[i];
        counted++;
        EI_TRUEF(p->map[i] < from_count && has->op == wants->op && has->role == wants->role &&
                     memcmp(has->shape, wants->shape, sizeof has->shape) == 0,
                 "%s of %s does not fit %s of %s", has->name, from, wants->name, to);
    }
    EI_EQ(counted, taken < 0 ? 0 : taken);
    return taken;
}

static void fini(struct pair *p)
{
    free(p->from_params);
    free(p->to_params);
    free(p->map);
}

/* The name in `from` of what the parameter `name` of `to` takes; "" = nothing. */
static const char *source_of(const struct pair *p, const char *name)
{
    for (int32_t i = 0; i < p->to_count; i++) {
        if (strcmp(p->to_params[i].name, name) == 0) {
            return p->map[i] == EI_WEIGHTS_NONE ? "" : p->from_params[p->map[i]].name;
        }
    }
    return "(no such parameter)";
}

static struct pair p; /* two programs are large */

EI_TEST(classic_takes_all_from_its_multi_exit_network)
{
    static const char *const names[] = {"b-alexnet", "flexvgg-16", "vgg-16", "resnet-50", "msdnet-21-light"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char classic[64];
        snprintf(classic, sizeof classic, "%s-classic", names[i]);
        const int taken = map(&p, names[i], 10, classic, 10, NULL);
        EI_EQ(taken, p.to_count);
        for (int32_t k = 1; k < p.to_count; k++) {
            EI_TRUE(p.map[k] > p.map[k - 1]); /* walking order stays */
        }
        fini(&p);
    }
    EI_TRUE(map(&p, "b-alexnet", 10, "b-alexnet-classic", 10, NULL) > 0);
    EI_STREQ(source_of(&p, "block1.conv.0.weight"), "block1.conv.0.weight");
    EI_STREQ(source_of(&p, "block1.branch.0.weight"), "block3.branch.0.weight");
    fini(&p);
}

EI_TEST(multi_exit_network_takes_trunk_and_last_exit_from_its_classic)
{
    const int taken = map(&p, "b-alexnet-classic", 10, "b-alexnet", 10, NULL);
    EI_STREQ(source_of(&p, "block1.conv.0.weight"), "block1.conv.0.weight");
    EI_STREQ(source_of(&p, "block3.branch.0.bias"), "block1.branch.0.bias");
    EI_STREQ(source_of(&p, "block1.branch.3.weight"), "");
    EI_STREQ(source_of(&p, "block2.branch.3.weight"), "");
    EI_EQ(taken, p.to_count - 10); /* exit 1: two convolutions and a linear layer; exit 2: one and one */
    fini(&p);
}

EI_TEST(same_network_maps_to_itself)
{
    const int taken = map(&p, "msdnet-40", 10, "msdnet-40", 10, NULL);
    EI_EQ(taken, p.to_count);
    for (int32_t i = 0; i < p.to_count; i++) {
        EI_EQ(p.map[i], i);
    }
    fini(&p);
}

/* All but the last layer of each exit: weight and bias. */
EI_TEST(other_classes_leave_the_last_layers)
{
    EI_EQ(map(&p, "resnet-50", 10, "resnet-50", 100, NULL), p.to_count - 6 * 2);
    fini(&p);
}

/* vgg-16 and flexvgg-16 share a trunk that is cut elsewhere; of the last exit the first linear layer. */
EI_TEST(another_cut_takes_the_trunk)
{
    EI_EQ(map(&p, "flexvgg-16", 10, "vgg-16", 10, NULL), 13 * 5 + 2);
    EI_STREQ(source_of(&p, "block13.conv.0.weight"), "block5.conv.6.weight");
    fini(&p);
}

EI_TEST(other_trunks_are_named)
{
    struct einet_error err = {0};
    EI_EQ(map(&p, "vgg-16", 10, "resnet-50", 10, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "vgg-16");
    EI_CONTAINS(err.text, "resnet-50");
    fini(&p);
    EI_EQ(map(&p, "msdnet-21", 10, "msdnet-21-light", 10, &err), p.to_count - 21 * 7);
    fini(&p);
    EI_EQ(ei_zoo_program("b-alexnet", 3, 10, &p.from, NULL), 0);
    EI_EQ(ei_zoo_program("b-alexnet", 1, 10, &p.to, NULL), 0);
    int32_t from[64];
    EI_EQ(ei_weights_map(&p.from, &p.to, from, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "block1.conv.0.weight 32x3x5x5");
    EI_CONTAINS(err.text, "32x1x5x5");
}

EI_MAIN()
