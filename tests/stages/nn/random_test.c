/* Random networks of every layer on oneDNN: against the plain C reference, and where libtorch is there against it, too.
 * Sizes, strides, paddings and ways to join values that no network of the zoo has. The trunk flows through several
 * slots; parts that oneDNN refuses, and some others, are the reference's.
 *
 * A campaign: EINET_TEST_SETS networks from EINET_TEST_FIRST_SET on, of EINET_TEST_SEED.
 */
#include "rt/random.h"
#include "stages/nn/exec.h"
#include "stages/nn/fuse.h"
#include "stages/nn/prepared.h"
#include "stages/nn/prepared_small.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"
#include "tests/stages/nn/reference.h"

#include <stdlib.h>

#define CLASSES 10
#define BLOCKS_MAX 4
#define SLOTS 6
#define LOGITS_MAX (BLOCKS_MAX * CLASSES)
#define CHANNELS_MAX 80
#define FEATURES_MAX 1500
#define OPTIONS 7       /* oneDNN's own and Winograd come first, products after them */
#define MACS_MAX 600000 /* of one operation: the reference is slow */

#ifdef EINET_SANITIZED
#define SETS 25
#else
#define SETS 250
#endif

/* ---- drawing a network ---- */

struct drawing {
    struct ei_random rng;
    struct ei_program *p;
    struct ei_shape slots[SLOTS]; /* channels 0 = nothing to read */
    struct ei_program_part *part;
    bool branch;
};

static int32_t below(struct drawing *d, int32_t n)
{
    return (int32_t)ei_random_below(&d->rng, (uint64_t)n);
}

static bool is_drawn(struct drawing *d, int32_t percent)
{
    return below(d, 100) < percent;
}

static void begin_part(struct drawing *d, int32_t block_idx, bool branch)
{
    d->branch = branch;
    d->part = branch ? &d->p->blocks[block_idx].branch : &d->p->blocks[block_idx].conv;
    *d->part = (struct ei_program_part){d->p->op_count, 0};
    for (int32_t slot = d->p->trunk_slots; slot < SLOTS; slot++) {
        d->slots[slot] = (struct ei_shape){0};
    }
}

static void append(struct drawing *d, const struct ei_op *op)
{
    static struct ei_shape results[EI_PROGRAM_OPS_MAX];
    d->p->ops[d->p->op_count++] = *op;
    d->part->op_count++;
    ei_program_outputs(d->p, results);
    d->slots[op->out_slot] = results[d->p->op_count - 1];
}

static int32_t draw_in_slot(struct drawing *d)
{
    int32_t slot;
    do {
        slot = below(d, SLOTS);
    } while (d->slots[slot].channels == 0);
    return slot;
}

/* Slot 0 stays what the trunk is about, more often than not. */
static int32_t draw_out_slot(struct drawing *d)
{
    const int32_t first = d->branch ? d->p->trunk_slots : 0;
    return !d->branch && is_drawn(d, 40) ? 0 : first + below(d, SLOTS - first);
}

static int32_t numbers_of(const struct ei_shape *s)
{
    return s->channels * (s->height_px > 0 ? s->height_px * s->width_px : 1);
}

static bool draw_window(struct drawing *d, const struct ei_shape *in, int32_t padding_max_px, struct ei_op *op)
{
    static const int32_t kernels[] = {1, 1, 2, 3, 3, 3, 4, 5};
    op->kernel_px = kernels[below(d, 8)];
    op->stride_px = is_drawn(d, 60) ? 1 : 1 + below(d, 4);
    op->padding_px = below(d, (padding_max_px < 0 ? op->kernel_px / 2 : padding_max_px) + 1);
    return in->height_px > 0 && in->height_px + 2 * op->padding_px >= op->kernel_px &&
           in->width_px + 2 * op->padding_px >= op->kernel_px;
}

static int32_t draw_channels(struct drawing *d)
{
    static const int32_t channels[] = {1, 2, 3, 4, 5, 7, 8, 10, 13, 15, 16, 17, 20, 24, 31, 32, 32, 33, 48, 64};
    return channels[below(d, (int32_t)(sizeof channels / sizeof channels[0]))];
}

/* Another slot with what `is_fit` asks for; -1 = none was met. */
static int32_t draw_partner(struct drawing *d, int32_t in_slot, bool has_same_channels)
{
    const struct ei_shape *in = &d->slots[in_slot];
    for (int32_t i = 0; i < 12; i++) {
        const int32_t slot = draw_in_slot(d);
        const struct ei_shape *other = &d->slots[slot];
        if (other->height_px == in->height_px && other->width_px == in->width_px &&
            (!has_same_channels || other->channels == in->channels)) {
            return slot;
        }
    }
    return -1;
}

/* Fill in an operation of this kind; false = it does not fit what is there. */
static bool draw_op(struct drawing *d, enum ei_op_kind kind, struct ei_op *op)
{
    static const float betas[] = {0.75F, 0.5F, 1.0F, 0.6F};
    *op = (struct ei_op){.kind = kind, .in_slot = draw_in_slot(d), .out_slot = draw_out_slot(d)};
    const struct ei_shape *in = &d->slots[op->in_slot];
    op->in_channels = in->channels;
    op->bias = is_drawn(d, 60);
    switch (kind) {
    case EI_OP_CONV2D:
        op->out_channels = is_drawn(d, 40) ? in->channels : draw_channels(d); /* equal ones can be added */
        if (is_drawn(d, 40)) {
            op->kernel_px = 1 + 2 * below(d, 2);
            op->padding_px = op->kernel_px / 2;
            op->stride_px = 1;
            return in->height_px > 0;
        }
        return draw_window(d, in, 3, op) &&
               (int64_t)in->channels * op->out_channels * op->kernel_px * op->kernel_px * in->height_px * in->width_px <
                   MACS_MAX;
    case EI_OP_MAX_POOL:
    case EI_OP_AVG_POOL:
        op->ceil_mode = is_drawn(d, 50);
        return draw_window(d, in, -1, op);
    case EI_OP_GLOBAL_AVG_POOL:
        return in->height_px > 0 && is_drawn(d, 30);
    case EI_OP_LRN:
        op->lrn_size = 1 + 2 * below(d, 4);
        op->lrn_alpha = 0.02F * (float)below(d, 20);
        op->lrn_beta = betas[below(d, 4)];
        op->lrn_k = 1.0F + (float)below(d, 2);
        return in->height_px > 0;
    case EI_OP_LINEAR:
        op->out_channels = is_drawn(d, 50) ? CLASSES : draw_channels(d);
        return in->height_px == 0;
    case EI_OP_FLATTEN:
        op->out_slot = op->out_slot == 0 && is_drawn(d, 90) ? op->out_slot + SLOTS - 1 : op->out_slot;
        return numbers_of(in) <= FEATURES_MAX;
    case EI_OP_BATCH_NORM:
        op->eps = 1e-5F;
        op->momentum = 0.1F;
        return true;
    case EI_OP_ADD:
        op->in2_slot = draw_partner(d, op->in_slot, true);
        return op->in2_slot >= 0;
    case EI_OP_CONCAT:
        op->in2_slot = draw_partner(d, op->in_slot, false);
        return op->in2_slot >= 0 &&
               in->channels + d->slots[op->in2_slot].channels <= (in->height_px > 0 ? CHANNELS_MAX : FEATURES_MAX);
    case EI_OP_DROPOUT:
        op->p = 0.3F;
        return true;
    case EI_OP_RELU:
        return true;
    case EI_OP_SCRIPT:
        break;
    }
    return false;
}

/* A convolution of a slot, perhaps normalised, added onto that slot or another one like it. */
static void draw_residual(struct drawing *d)
{
    const int32_t from = draw_in_slot(d), other = draw_partner(d, from, true);
    const struct ei_shape in = d->slots[from];
    const int32_t kernel_px = 1 + 2 * below(d, 2), first = d->branch ? d->p->trunk_slots : 0;
    int32_t to = first + below(d, SLOTS - first);
    if (in.height_px == 0 || other < 0 || to == other ||
        (int64_t)numbers_of(&in) * in.channels * kernel_px * kernel_px > MACS_MAX) {
        return;
    }
    append(d, &(struct ei_op){.kind = EI_OP_CONV2D,
                              .in_slot = from,
                              .out_slot = to,
                              .in_channels = in.channels,
                              .out_channels = in.channels,
                              .kernel_px = kernel_px,
                              .stride_px = 1,
                              .padding_px = kernel_px / 2,
                              .bias = is_drawn(d, 50)});
    if (is_drawn(d, 50)) {
        append(d,
               &(struct ei_op){
                   .kind = EI_OP_BATCH_NORM, .in_slot = to, .out_slot = to, .in_channels = in.channels, .eps = 1e-3F});
    }
    struct ei_op add = {.kind = EI_OP_ADD, .in_slot = to, .in2_slot = other, .out_slot = draw_out_slot(d)};
    if (is_drawn(d, 50)) {
        add.in_slot = other;
        add.in2_slot = to;
    }
    append(d, &add);
    if (is_drawn(d, 60)) {
        append(d, &(struct ei_op){.kind = EI_OP_RELU, .in_slot = add.out_slot, .out_slot = add.out_slot});
    }
}

static void draw_ops(struct drawing *d, int32_t count)
{
    static const enum ei_op_kind kinds[] = {
        EI_OP_CONV2D,   EI_OP_CONV2D,   EI_OP_CONV2D,          EI_OP_CONV2D,     EI_OP_CONV2D,  EI_OP_RELU,
        EI_OP_RELU,     EI_OP_RELU,     EI_OP_BATCH_NORM,      EI_OP_BATCH_NORM, EI_OP_ADD,     EI_OP_ADD,
        EI_OP_ADD,      EI_OP_CONCAT,   EI_OP_CONCAT,          EI_OP_CONCAT,     EI_OP_LRN,     EI_OP_MAX_POOL,
        EI_OP_AVG_POOL, EI_OP_AVG_POOL, EI_OP_GLOBAL_AVG_POOL, EI_OP_DROPOUT,    EI_OP_FLATTEN, EI_OP_LINEAR,
        EI_OP_LINEAR};
    const int32_t end = d->part->op_count + count;
    while (d->part->op_count < end) {
        struct ei_op op;
        if (is_drawn(d, 12)) {
            draw_residual(d);
        } else if (draw_op(d, kinds[below(d, (int32_t)(sizeof kinds / sizeof kinds[0]))], &op)) {
            append(d, &op);
        }
    }
}

static void put(struct drawing *d, enum ei_op_kind kind, int32_t from, int32_t to)
{
    struct ei_op op = {.kind = kind, .in_slot = from, .out_slot = to, .p = 0.5F, .bias = true};
    op.in_channels = d->slots[from].channels;
    op.out_channels = CLASSES;
    append(d, &op);
}

/* From what is there to logits. */
static void end_branch(struct drawing *d)
{
    const int32_t to = d->p->trunk_slots + below(d, SLOTS - d->p->trunk_slots);
    int32_t from = draw_in_slot(d);
    const struct ei_shape *in = &d->slots[from];
    if (in->height_px == 0 && in->channels == CLASSES && is_drawn(d, 60)) { /* logits that are there already */
        static const enum ei_op_kind passing[] = {EI_OP_DROPOUT, EI_OP_FLATTEN, EI_OP_RELU};
        put(d, passing[below(d, 3)], from, to);
        return;
    }
    if (in->height_px > 0 && (numbers_of(in) > FEATURES_MAX || is_drawn(d, 40))) {
        put(d, EI_OP_GLOBAL_AVG_POOL, from, to);
        from = to;
    }
    if (in->height_px > 0) {
        put(d, EI_OP_FLATTEN, from, to);
        from = to;
    }
    put(d, EI_OP_LINEAR, from, to);
    if (is_drawn(d, 20)) { /* what comes last says where the logits are */
        draw_ops(d, 2);
        if (d->slots[to].height_px == 0 && d->slots[to].channels == CLASSES) {
            put(d, EI_OP_DROPOUT, to, to);
        } else {
            end_branch(d);
        }
    }
}

static void draw_network(struct drawing *d, uint64_t seed, uint64_t set, struct ei_program *out)
{
    struct einet_error err = {0};
    memset(out, 0, sizeof *out);
    *d = (struct drawing){.p = out};
    ei_random_init(&d->rng, seed, set);
    snprintf(out->name, sizeof out->name, "network %u", (unsigned)set);
    out->classes = CLASSES;
    out->trunk_slots = 1 + below(d, 3);
    out->input = (struct ei_shape){is_drawn(d, 50) ? 3 : draw_channels(d), 1 + below(d, 12), 1 + below(d, 12)};
    out->block_count = 1 + below(d, BLOCKS_MAX);
    d->slots[0] = out->input;
    for (int32_t b = 0; b < out->block_count; b++) {
        begin_part(d, b, false);
        draw_ops(d, is_drawn(d, 5) ? 0 : 1 + below(d, 9));
        begin_part(d, b, true);
        draw_ops(d, below(d, 5));
        end_branch(d);
    }
    EI_TRUEF(ei_program_check(out, &err) == 0, "%s", err.text);
}

/* net: NULL or what was made of it. */
static void print_network(const struct ei_program *p, const struct ei_prepared *net)
{
    char step[200];
    static struct ei_shape shapes[EI_PROGRAM_OPS_MAX];
    ei_program_outputs(p, shapes);
    printf("%s: input %dx%dx%d, %d trunk slots\n", p->name, p->input.channels, p->input.height_px, p->input.width_px,
           p->trunk_slots);
    for (int32_t part = 0; part < 2 * p->block_count; part++) {
        const struct ei_program_part *ops = ei_program_part(p, part / 2, part % 2 != 0);
        for (int32_t i = 0; i < ops->op_count; i++) {
            const struct ei_op *op = &p->ops[ops->first_op + i];
            const struct ei_shape *s = &shapes[ops->first_op + i];
            printf("  block%d.%s.%d %s %d,%d -> %d %dx%dx%d k%d s%d p%d%s%s\n", part / 2 + 1,
                   part % 2 != 0 ? "branch" : "conv", i, ei_op_kind_name(op->kind), op->in_slot, op->in2_slot,
                   op->out_slot, s->channels, s->height_px, s->width_px, op->kernel_px, op->stride_px, op->padding_px,
                   op->ceil_mode ? " ceil" : "", op->bias ? " bias" : "");
        }
    }
    for (int32_t i = 0; net != NULL && ei_prepared_describe(net, i, step, sizeof step); i++) {
        printf("  %s\n", step);
    }
}

/* ---- running it ---- */

struct seen {
    int64_t networks, refused, sums, in_place, grown, other_kernels, products, small;
};

/* The parts that somebody else runs are the reference's. */
struct trial {
    const struct fixture_weights *w;
    bool is_foreign[EI_FUSED_PARTS_MAX];
    float *input, expected[LOGITS_MAX];
};

static int run_reference(void *context, int32_t block_idx, bool branch, const struct ei_prepared_exchange *exchange)
{
    const struct trial *t = context;
    reference_part(t->w, block_idx, branch, exchange);
    return 0;
}

/* What oneDNN refuses joins the foreign parts, as in a network. NULL = it says no for another reason. */
static struct ei_prepared *prepare(const struct ei_dnnl_api *api, struct trial *t, struct ei_prepared_config *config)
{
    const struct ei_prepared_foreign foreign = {t->is_foreign, run_reference, t};
    int32_t refused_part;
    config->program = &t->w->program;
    config->params = (const float *const *)t->w->numbers;
    config->foreign = &foreign;
    config->out_refused_part = &refused_part;
    for (;;) {
        struct ei_prepared *net = NULL;
        struct einet_error err = {0};
        const int rc = ei_prepared_create(api, config, &net, &err);
        if (rc == 0) {
            return net;
        }
        if (refused_part < 0 || t->is_foreign[refused_part]) {
            EI_TRUEF(false, "%s: %s", t->w->program.name, err.text);
            return NULL;
        }
        t->is_foreign[refused_part] = true;
    }
}

static void begin(struct ei_prepared *net, const struct trial *t)
{
    memcpy(ei_prepared_input(net), t->input, (size_t)numbers_of(&t->w->program.input) * sizeof *t->input);
}

static void take_branch(struct ei_prepared *net, int32_t b, float *out)
{
    EI_EQ(ei_prepared_run(net, b, true), 0);
    memcpy(out, ei_prepared_logits(net, b), CLASSES * sizeof *out);
}

static void run_all(struct ei_prepared *net, const struct trial *t, float *out)
{
    begin(net, t);
    for (int32_t b = 0; b < t->w->program.block_count; b++) {
        EI_EQ(ei_prepared_run(net, b, false), 0);
        take_branch(net, b, out + (size_t)b * CLASSES);
    }
}

/* Differences count against the largest logit of the exit. */
static void expect_near(const struct trial *t, const struct ei_prepared *net, const float *logits, double tolerance,
                        const char *who)
{
    for (int32_t e = 0; e < t->w->program.block_count; e++) {
        double largest = 1e-3, apart = 0.0;
        for (int32_t i = e * CLASSES; i < (e + 1) * CLASSES; i++) {
            const double gap = fabs((double)logits[i] - (double)t->expected[i]);
            largest = fmax(largest, fabs((double)t->expected[i]));
            apart = isnan(gap) ? INFINITY : fmax(apart, gap);
        }
        if (!EI_TRUEF(apart <= tolerance * largest, "%s of %s: exit %d is %g of %g away", who, t->w->program.name,
                      e + 1, apart, largest)) {
            print_network(&t->w->program, net);
            return;
        }
    }
}

/* Jobs that are cut anywhere and take any exits, some twice, say to the bit what a whole one says. */
static void expect_courses(struct ei_prepared *net, const struct trial *t, const float *all, struct ei_random *rng)
{
    float said[CLASSES];
    for (int job = 0; job < 4; job++) {
        const int32_t blocks = 1 + (int32_t)ei_random_below(rng, (uint64_t)t->w->program.block_count);
        begin(net, t);
        for (int32_t b = 0; b < blocks; b++) {
            EI_EQ(ei_prepared_run(net, b, false), 0);
            for (uint64_t takes = ei_random_below(rng, 3); takes > 0; takes--) {
                take_branch(net, b, said);
                EI_TRUEF(memcmp(said, all + (size_t)b * CLASSES, sizeof said) == 0, "%s: exit %d differs in job %d",
                         t->w->program.name, b + 1, job);
            }
        }
    }
}

static void count_steps(const struct trial *t, struct seen *seen)
{
    static struct ei_fused fused;
    EI_EQ(ei_fuse_around(&t->w->program, t->is_foreign, &fused, NULL), 0);
    for (int32_t s = 0; s < fused.step_count; s++) {
        seen->sums += fused.steps[s].has_sum;
        seen->in_place += fused.steps[s].has_sum && fused.steps[s].may_overwrite;
        seen->grown += !fused.steps[s].has_sum && fused.steps[s].may_overwrite;
    }
}

/* Steps whose kernel is of this name. */
static int32_t count_named(const struct ei_prepared *net, const char *name)
{
    char step[200];
    int32_t count = 0;
    for (int32_t i = 0; ei_prepared_describe(net, i, step, sizeof step); i++) {
        count += strstr(step, name) != NULL;
    }
    return count;
}

static void expect_prepared(const struct ei_dnnl_api *api, struct trial *t, struct ei_random *rng, struct seen *seen)
{
    float logits[LOGITS_MAX];
    int32_t drawn = 0, foreign = 0;
    const int32_t parts = 2 * t->w->program.block_count;
    for (int32_t part = 0; part < parts; part++) {
        t->is_foreign[part] = ei_random_below(rng, 8) == 0;
        drawn += t->is_foreign[part];
    }
    struct ei_prepared_config config = {.type = EI_DNNL_FLOAT32};
    struct ei_prepared *net = prepare(api, t, &config);
    EI_REQUIRE(net != NULL);
    for (int32_t part = 0; part < parts; part++) {
        foreign += t->is_foreign[part];
    }
    run_all(net, t, logits);
    expect_near(t, net, logits, 1e-4, "float32");
    expect_courses(net, t, logits, rng);
    ei_prepared_destroy(net);
    seen->refused += foreign - drawn;
    count_steps(t, seen);

    config = (struct ei_prepared_config){.type = EI_DNNL_FLOAT32,
                                         .option = 1 + (int32_t)ei_random_below(rng, OPTIONS),
                                         .allow = EI_PREPARED_WINOGRAD,
                                         .small_from_bytes = 1};
    net = prepare(api, t, &config);
    EI_REQUIRE(net != NULL);
    for (int32_t op = 0; op < t->w->program.op_count; op++) {
        seen->other_kernels += ei_prepared_kernel(net, op)[0] != '\0';
    }
    seen->products += count_named(net, " im2col+");
    run_all(net, t, logits);
    expect_near(t, net, logits, 1e-3, "another kernel");
    ei_prepared_destroy(net);

    config = (struct ei_prepared_config){.type = EI_DNNL_FLOAT32, .small_from_bytes = 1};
    net = prepare(api, t, &config);
    EI_REQUIRE(net != NULL);
    seen->small += count_named(net, " own:small");
    run_all(net, t, logits);
    expect_near(t, net, logits, 1e-4, "small pictures");
    expect_courses(net, t, logits, rng);
    ei_prepared_destroy(net);

    config = (struct ei_prepared_config){.type = EI_DNNL_BFLOAT16};
    net = prepare(api, t, &config);
    EI_REQUIRE(net != NULL);
    run_all(net, t, logits);
    expect_near(t, net, logits, 0.3, "bfloat16");
    expect_courses(net, t, logits, rng);
    ei_prepared_destroy(net);
}

/* Numbers that no float holds say nothing about layouts. */
static bool is_finite(const struct trial *t)
{
    for (int32_t i = 0; i < t->w->program.block_count * CLASSES; i++) {
        if (!isfinite(t->expected[i])) {
            return false;
        }
    }
    return true;
}

static void draw_trial(struct trial *t, struct fixture_weights *w, struct drawing *d, uint64_t seed, uint64_t set)
{
    draw_network(d, seed, set, &w->program);
    fixture_draw_program(w, seed ^ set);
    const int32_t pixels = numbers_of(&w->program.input);
    *t = (struct trial){.w = w, .input = malloc((size_t)pixels * sizeof *t->input)};
    for (int32_t i = 0; t->input != NULL && i < pixels; i++) {
        t->input[i] = (float)ei_random_normal(&d->rng);
    }
    EI_TRUE(t->input != NULL);
    reference_forward(w, t->input, t->expected);
}

static int64_t asked(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoll(text, NULL, 10) : otherwise;
}

EI_TEST(random_networks_say_what_the_reference_says)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    static struct fixture_weights w;
    const int64_t first = asked("EINET_TEST_FIRST_SET", 0), sets = asked("EINET_TEST_SETS", SETS);
    const uint64_t seed = (uint64_t)asked("EINET_TEST_SEED", 6);
    struct seen seen = {0};
    for (int64_t set = first; set < first + sets && ei_test_failures() == 0; set++) {
        struct drawing d;
        struct trial t;
        draw_trial(&t, &w, &d, seed, (uint64_t)set);
        if (is_finite(&t)) {
            expect_prepared(api, &t, &d.rng, &seen);
            seen.networks++;
        }
        free(t.input);
        fixture_free(&w);
    }
    printf("seed %llu: %lld networks, %lld parts refused, %lld sums (%lld in place), %lld grown in place, %lld other "
           "kernels, %lld products, %lld of small pictures\n",
           (unsigned long long)seed, (long long)seen.networks, (long long)seen.refused, (long long)seen.sums,
           (long long)seen.in_place, (long long)seen.grown, (long long)seen.other_kernels, (long long)seen.products,
           (long long)seen.small);
    const struct ei_small_conv least = {1, 1, 1, EI_SMALL_PANEL, 1, 1, 1, 1, 0, false, NULL};
    EI_TRUE(sets < SETS || (seen.networks > sets * 9 / 10 && seen.sums > sets / 10 && seen.in_place > sets / 50 &&
                            seen.grown > sets / 20 && seen.other_kernels > sets / 4 && seen.refused < sets / 2 &&
                            seen.products > sets / 10 && (seen.small > sets / 10 || !ei_small_conv_is_fit(&least))));
}

/* libtorch itself, operation by operation. */
static void expect_libtorch(const struct ei_torch_api *api, const struct trial *t)
{
    const struct ei_program *p = &t->w->program;
    const int64_t shape[4] = {1, p->input.channels, p->input.height_px, p->input.width_px};
    float logits[LOGITS_MAX];
    struct ei_exec *exec = NULL;
    EI_REQUIRE(ei_exec_create(api, p, &exec, NULL) == 0);
    for (int32_t i = 0; i < t->w->count; i++) {
        EI_EQ(ei_exec_param_set(exec, i, t->w->numbers[i], NULL), 0);
    }
    EI_EQ(api->tensor_from_f32(ei_exec_slot(exec, 0), t->input, shape, 4), 0);
    for (int32_t b = 0; b < p->block_count; b++) {
        EI_TRUEF(ei_exec_run(exec, b, false, false) == 0, "%s: %s", p->name, api->error_text());
        EI_TRUEF(ei_exec_run(exec, b, true, false) == 0, "%s: %s", p->name, api->error_text());
        EI_EQ(api->tensor_read_f32(ei_exec_slot(exec, ei_exec_logits_slot(exec, b)), logits + (size_t)b * CLASSES,
                                   CLASSES),
              0);
    }
    expect_near(t, NULL, logits, 1e-4, "libtorch");
    ei_exec_destroy(exec);
}

EI_TEST(random_networks_say_what_libtorch_says)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    static struct fixture_weights w;
    const int64_t first = asked("EINET_TEST_FIRST_SET", 0), sets = asked("EINET_TEST_SETS", SETS);
    EI_EQ(api->thread_enter(EI_TORCH_INFERENCE, 1), 0);
    for (int64_t set = first; set < first + sets && ei_test_failures() == 0; set++) {
        struct drawing d;
        struct trial t;
        draw_trial(&t, &w, &d, (uint64_t)asked("EINET_TEST_SEED", 6), (uint64_t)set);
        if (is_finite(&t)) {
            expect_libtorch(api, &t);
        }
        free(t.input);
        fixture_free(&w);
    }
}

EI_MAIN()
