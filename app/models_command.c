/* einet models: the networks of the zoo with their exits, parameters and multiply-accumulates, as a table or as JSON.
 */
#include "app/commands.h"
#include "app/json_output.h"
#include "command/options.h"
#include "stages/nn/weights_map.h"
#include "stages/nn/zoo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_PER_NUMBER 2 /* weights are stored in half precision */
#define MEGA 1e6

struct request {
    const char *name; /* NULL = all */
    int32_t classes, channels;
    bool is_json;
};

/* One network's sums. */
struct figures {
    struct ei_program_cost trunk, branches;
    int64_t half_bytes;
};

#define FIELD(field) EINET_FIELD(struct request, field)

static const struct einet_option rows[] = {
    {.name = "classes", .argument = "K", FIELD(classes), .low = 1, .help = "2 to 1024, default 10"},
    {.name = "channels", .argument = "C", FIELD(channels), .low = 1, .help = "of the 32x32 input, 1 or 3, default 3"},
    {.name = "json",
     FIELD(is_json),
     .help =
         "exact numbers for programs: schema, command, classes, channels, networks[] with name, exits, "
         "conv_params, conv_macs, branch_params, branch_macs, half_precision_bytes; with NAME also blocks[] with the "
         "first four"},
};

static const struct einet_usage usage = {
    .command = "models",
    .head = "usage: einet models [--json] [--classes K] [--channels C] [NAME]\n"
            "\n"
            "List the networks of the zoo, each followed by its classic: the single-exit network of all conv parts and "
            "the\n"
            "last exit. With NAME, one network block by block.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "Parameters are what training changes. MACs are multiply-accumulates of convolutions and linear layers for "
            "one\n"
            "picture. The size is that of weights in half precision, running statistics included.\n"
            "\n"
            "exit status: 0 ok, 1 usage, 2 bad file, 5 anything else\n\n"
            "example: einet models --classes 100 msdnet-21\n",
    .operands_max = 1,
    .too_many = "one NAME at most, not also ",
};

static int figures_of(const struct ei_program *program, struct figures *out, struct einet_error *err)
{
    const int32_t count = ei_program_param_count(program);
    struct ei_param *params = malloc((size_t)(count + 1) * sizeof *params);
    if (params == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the list of networks");
    }
    ei_weights_params(program, params);
    ei_program_cost(program, &out->trunk, &out->branches);
    out->half_bytes = 0;
    for (int32_t i = 0; i < count; i++) {
        out->half_bytes += params[i].count * BYTES_PER_NUMBER;
    }
    free(params);
    return 0;
}

/* ---- text ---- */

static void print_row(const char *name, int32_t exits, const struct figures *f)
{
    printf("%-24s %5d  %10.3f %10.2f  %10.3f %10.2f  %8.2f\n", name, exits, (double)f->trunk.params / MEGA,
           (double)f->trunk.macs / MEGA, (double)f->branches.params / MEGA, (double)f->branches.macs / MEGA,
           (double)f->half_bytes / MEGA);
}

static void print_head(const struct request *r)
{
    printf("32x32 pictures of %d channel%s, %d classes; millions of parameters and of multiply-accumulates\n\n",
           r->channels, r->channels == 1 ? "" : "s", r->classes);
    printf("%-24s %5s  %21s  %21s  %8s\n", "", "", "conv parts", "branches", "size");
    printf("%-24s %5s  %10s %10s  %10s %10s  %8s\n", "network", "exits", "params_M", "MACs_M", "params_M", "MACs_M",
           "fp16_MB");
}

static void print_blocks(const struct ei_program *program)
{
    printf("\n%-24s %5s  %10s %10s  %10s %10s\n", "", "block", "params_M", "MACs_M", "params_M", "MACs_M");
    for (int32_t b = 0; b < program->block_count; b++) {
        const struct ei_program_cost conv = ei_program_part_cost(program, b, false);
        const struct ei_program_cost branch = ei_program_part_cost(program, b, true);
        printf("%-24s %5d  %10.3f %10.2f  %10.3f %10.2f\n", "", b + 1, (double)conv.params / MEGA,
               (double)conv.macs / MEGA, (double)branch.params / MEGA, (double)branch.macs / MEGA);
    }
}

/* ---- JSON ---- */

static json_t *cost_object(const struct ei_program_cost *conv, const struct ei_program_cost *branch)
{
    return json_pack("{s:I,s:I,s:I,s:I}", "conv_params", (json_int_t)conv->params, "conv_macs", (json_int_t)conv->macs,
                     "branch_params", (json_int_t)branch->params, "branch_macs", (json_int_t)branch->macs);
}

static json_t *network_object(const struct ei_program *program, const struct figures *f, bool with_blocks)
{
    json_t *object = cost_object(&f->trunk, &f->branches);
    json_object_set_new(object, "name", json_string(program->name));
    json_object_set_new(object, "exits", json_integer(program->block_count));
    json_object_set_new(object, "half_precision_bytes", json_integer(f->half_bytes));
    if (!with_blocks) {
        return object;
    }
    json_t *blocks = json_array();
    for (int32_t b = 0; b < program->block_count; b++) {
        const struct ei_program_cost conv = ei_program_part_cost(program, b, false);
        const struct ei_program_cost branch = ei_program_part_cost(program, b, true);
        json_array_append_new(blocks, cost_object(&conv, &branch));
    }
    json_object_set_new(object, "blocks", blocks);
    return object;
}

/* ---- both ---- */

/* Add one network to the array, or print it when there is none. */
static int show(const struct request *r, const char *name, struct ei_program *program, json_t *networks,
                struct einet_error *err)
{
    struct figures f;
    int rc = ei_zoo_program(name, r->channels, r->classes, program, err);
    if (rc == 0) {
        rc = figures_of(program, &f, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (networks != NULL) {
        json_array_append_new(networks, network_object(program, &f, r->name != NULL));
        return 0;
    }
    print_row(program->name, program->block_count, &f);
    if (r->name != NULL) {
        print_blocks(program);
    }
    return 0;
}

static int show_all(const struct request *r, struct ei_program *program, json_t *networks, struct einet_error *err)
{
    int rc = 0;
    for (int32_t i = 0; rc == 0 && ei_zoo_name(i) != NULL; i++) {
        char classic[64];
        snprintf(classic, sizeof classic, "%.40s" EI_ZOO_CLASSIC_SUFFIX, ei_zoo_name(i));
        rc = show(r, ei_zoo_name(i), program, networks, err);
        if (rc == 0) {
            rc = show(r, classic, program, networks, err);
        }
    }
    return rc;
}

int einet_models_command(int argc, char **argv)
{
    struct request r = {.classes = 10, .channels = 3};
    struct einet_arguments given;
    const int status = einet_options_read(&usage, argc, argv, &r, &given);
    if (status >= 0) {
        return status;
    }
    r.name = given.operand_count > 0 ? given.operands[0] : NULL;
    struct einet_error err = {0};
    struct ei_program *program = malloc(sizeof *program);
    json_t *networks = r.is_json ? json_array() : NULL;
    int rc = program != NULL ? 0 : einet_error_set(&err, -ENOMEM, "no memory for the list of networks");
    if (rc == 0) {
        rc = ei_zoo_program(r.name != NULL ? r.name : ei_zoo_name(0), r.channels, r.classes, program, &err);
    }
    if (rc == 0 && !r.is_json) {
        print_head(&r);
    }
    if (rc == 0) {
        rc = r.name != NULL ? show(&r, r.name, program, networks, &err) : show_all(&r, program, networks, &err);
    }
    free(program);
    if (rc != 0) {
        json_decref(networks);
        return einet_report_error("models", &err);
    }
    if (!r.is_json) {
        return EINET_EXIT_OK;
    }
    json_t *answer = einet_json_begin("models");
    einet_json_set(&answer, "classes", json_integer(r.classes));
    einet_json_set(&answer, "channels", json_integer(r.channels));
    einet_json_set(&answer, "networks", networks);
    return einet_json_print("models", answer, EINET_EXIT_OK);
}
