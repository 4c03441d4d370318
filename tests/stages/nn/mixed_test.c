/* Networks of which oneDNN knows only some parts: the seam against the plain C reference, then bundles against libtorch
 * alone. The TorchScript cases need Debian's python3-torch, which writes the modules.
 */
#include "rt/random.h"
#include "stages/nn/bundle.h"
#include "stages/nn/fuse.h"
#include "stages/nn/network.h"
#include "stages/nn/prepared.h"
#include "stages/nn/zoo/writer.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"
#include "tests/stages/nn/reference.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { CLASSES = 10, PIXELS = 3 * 16 * 16, BLOCKS = 4, LOGITS = BLOCKS * CLASSES };

#ifdef EINET_SANITIZED
#define SPLITS_OF_MSDNET 1
#define RUNS_FOR_GROWTH 100
#else
#define SPLITS_OF_MSDNET 2
#define RUNS_FOR_GROWTH 1000
#endif
#define PYTHON "/usr/bin/python3"

static void draw_numbers(uint64_t seed, float *out, size_t count)
{
    struct ei_random rng;
    ei_random_init(&rng, seed, 1);
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)ei_random_normal(&rng);
    }
}

/* Differences count against the largest logit of the exit. */
static void expect_near(const float *logits, const float *expected, double tolerance, const char *what)
{
    double largest = 1e-3, apart = 0.0;
    for (int32_t c = 0; c < CLASSES; c++) {
        largest = fmax(largest, fabs((double)expected[c]));
        apart = fmax(apart, fabs((double)logits[c] - (double)expected[c]));
    }
    EI_TRUEF(apart <= tolerance * largest, "%s is %g of %g away", what, apart, largest);
}

/* ---- the seam ---- */

struct foreign {
    const struct fixture_weights *w;
    const bool *is_foreign;
    int calls;
};

static int run_reference(void *context, int32_t block_idx, bool branch, const struct ei_prepared_exchange *exchange)
{
    struct foreign *f = context;
    EI_TRUE(f->is_foreign[ei_fused_part(block_idx, branch)]);
    f->calls++;
    reference_part(f->w, block_idx, branch, exchange);
    return 0;
}

/* A job that is cut anywhere and takes any exits, some twice. Returns how many foreign parts it met. */
static int run_course(struct ei_prepared *net, const struct fixture_weights *w, const bool *is_foreign,
                      const float *input, const float *expected, struct ei_random *rng)
{
    const struct ei_program *p = &w->program;
    const int32_t blocks = 1 + (int32_t)ei_random_below(rng, (uint32_t)p->block_count);
    int met = 0;
    memcpy(ei_prepared_input(net), input,
           (size_t)p->input.channels * (size_t)p->input.height_px * (size_t)p->input.width_px * sizeof *input);
    for (int32_t b = 0; b < blocks; b++) {
        EI_EQ(ei_prepared_run(net, b, false), 0);
        met += is_foreign[ei_fused_part(b, false)];
        for (uint32_t takes = (uint32_t)ei_random_below(rng, 3); takes > 0; takes--) {
            char what[64];
            snprintf(what, sizeof what, "exit %d of %s", b + 1, p->name);
            EI_EQ(ei_prepared_run(net, b, true), 0);
            met += is_foreign[ei_fused_part(b, true)];
            expect_near(ei_prepared_logits(net, b), expected + (size_t)b * CLASSES, 1e-5, what);
        }
    }
    return met;
}

/* Any parts of the network are somebody else's. */
static void expect_any_split(const struct fixture_weights *w, int splits, uint64_t seed)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    static float inputs[2][3 * 32 * 32], expected[2][EI_PROGRAM_BLOCKS_MAX * CLASSES];
    struct ei_random rng;
    ei_random_init(&rng, seed, 3);
    for (int i = 0; i < 2; i++) {
        draw_numbers(seed + (uint64_t)i, inputs[i], sizeof inputs[i] / sizeof inputs[i][0]);
        reference_forward(w, inputs[i], expected[i]);
    }
    for (int split = 0; split < splits; split++) {
        bool is_foreign[EI_FUSED_PARTS_MAX] = {false};
        for (int32_t part = 0; part < 2 * w->program.block_count; part++) {
            is_foreign[part] = ei_random_below(&rng, (uint32_t)(split % 3 + 2)) == 0;
        }
        struct foreign f = {.w = w, .is_foreign = is_foreign};
        const struct ei_prepared_foreign foreign = {is_foreign, run_reference, &f};
        const struct ei_prepared_config config = {
            .program = &w->program, .params = (const float *const *)w->numbers, .foreign = &foreign};
        struct ei_prepared *net = NULL;
        struct einet_error err = {0};
        EI_TRUEF(ei_prepared_create(api, &config, &net, &err) == 0, "%s", err.text);
        EI_REQUIRE(net != NULL);
        int met = 0;
        for (int job = 0; job < 6; job++) {
            const int k = (int)ei_random_below(&rng, 2);
            met += run_course(net, w, is_foreign, inputs[k], expected[k], &rng);
        }
        EI_EQ(f.calls, met);
        ei_prepared_destroy(net);
    }
}

EI_TEST(any_part_may_be_somebody_elses)
{
    static struct fixture_weights w;
    fixture_draw_everything(&w);
    expect_any_split(&w, 40, 11);
    fixture_free(&w);
}

EI_TEST(values_of_several_scales_cross)
{
    static struct fixture_weights w;
    fixture_draw_zoo(&w, "msdnet-21-light", 3, CLASSES, 4);
    expect_any_split(&w, SPLITS_OF_MSDNET, 12);
    fixture_free(&w);
}

/* A sum may take the memory of what it is added onto, but not while a foreign part still needs that. */
EI_TEST(what_a_foreign_part_needs_is_not_overwritten)
{
    static struct fixture_weights w;
    struct ei_program *p = &w.program;
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "kept");
    p->classes = CLASSES;
    p->trunk_slots = 2;
    p->input = (struct ei_shape){3, 8, 8};
    p->block_count = 3;
    for (int32_t b = 0; b < 3; b++) {
        struct ei_writer writer = ei_writer_conv(p, b, b == 0 ? 3 : 16, 8);
        if (b == 1) { /* slot 1 = conv(conv(slot 0)) + slot 0 */
            ei_writer_move(&writer, 0, 1, 16, 8);
            ei_write_conv(&writer, 16, 1, 1, true);
            ei_writer_move(&writer, 1, 1, 16, 8);
        }
        ei_write_conv(&writer, 16, 3, 1, true);
        if (b > 0) {
            ei_writer_move(&writer, b == 1 ? 1 : 0, b == 1 ? 1 : 0, 16, 8);
            ei_write_add(&writer, b == 1 ? 0 : 1);
        }
        writer = ei_writer_branch(p, b, 16, 8);
        if (b == 1) { /* so that nobody but block 3 reads slot 0 again */
            ei_writer_move(&writer, 1, 2, 16, 8);
        }
        ei_write_global_avg_pool(&writer);
        ei_write_flatten(&writer);
        ei_write_linear(&writer, CLASSES);
    }
    struct einet_error err = {0};
    EI_TRUEF(ei_program_check(p, &err) == 0, "%s", err.text);
    fixture_draw_program(&w, 2);
    expect_any_split(&w, 40, 13);
    fixture_free(&w);
}

/* ---- networks ---- */

/* Four blocks of 12 channels; block 2 is free to be replaced, block 3's exit has a pool whose windows hang over. */
static void write_program(struct ei_program *p)
{
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "odd");
    p->classes = CLASSES;
    p->trunk_slots = 1;
    p->input = (struct ei_shape){3, 16, 16};
    p->block_count = BLOCKS;
    for (int32_t b = 0; b < BLOCKS; b++) {
        struct ei_writer w = ei_writer_conv(p, b, b == 0 ? 3 : 12, 16);
        ei_write_conv_bn_relu(&w, 12, 3, 1);
        w = ei_writer_branch(p, b, 12, 16);
        ei_write_overlapping_max_pool(&w);
        if (b == 2) {
            p->ops[p->op_count - 1].kind = EI_OP_AVG_POOL;
        }
        ei_write_flatten(&w);
        ei_write_linear(&w, CLASSES);
    }
}

static void write_bundle(const char *dir, const struct ei_program *program, const struct fixture_weights *w)
{
    struct ei_bundle *bundle = calloc(1, sizeof *bundle);
    char path[700];
    struct einet_error err = {0};
    EI_REQUIRE(bundle != NULL);
    bundle->program = *program;
    snprintf(bundle->dataset, sizeof bundle->dataset, "generated");
    for (int32_t c = 0; c < 3; c++) {
        bundle->norm_mean[c] = bundle->norm_std[c] = 0.5F;
    }
    for (int32_t b = 0; b < EI_PROGRAM_BLOCKS_MAX; b++) {
        bundle->exit_accuracy[b] = -1.0F;
    }
    EI_TRUEF(ei_bundle_write(dir, bundle, &err) == 0, "%s", err.text);
    snprintf(path, sizeof path, "%s/" EI_BUNDLE_WEIGHTS, dir);
    EI_EQ(fixture_write(w, path, &fixture_metadata_cifar, -1), 0);
    free(bundle);
}

static struct ei_network *open_bundle(const char *dir, enum ei_network_backend_kind backend)
{
    const struct ei_network_bundle_config config = {.dir = dir, .threads = 1, .backend = backend};
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    EI_TRUEF(ei_network_open_bundle(&config, &net, &err) == 0, "%s: %s", err.file, err.text);
    EI_TRUE(net != NULL && ei_network_thread_enter(net) == 0);
    return net;
}

/* Jobs of both in the same order: cut anywhere, exits left out or taken twice, the next job begun after it. */
static void expect_same_answers(struct ei_network *net, struct ei_network *reference)
{
    float input[PIXELS], all[LOGITS], monolithic[LOGITS], said[CLASSES];
    struct ei_random rng;
    ei_random_init(&rng, 5, 4);
    for (uint64_t job = 0; job < 25; job++) {
        draw_numbers(job % 4, input, PIXELS);
        EI_EQ(ei_network_thread_enter(reference), 0);
        EI_EQ(ei_network_run_monolithic(reference, input, all), 0);
        EI_EQ(ei_network_thread_enter(net), 0);
        if (job % 5 == 0) {
            EI_EQ(ei_network_run_monolithic(net, input, monolithic), 0);
            for (int32_t b = 0; b < BLOCKS; b++) {
                expect_near(monolithic + (size_t)b * CLASSES, all + (size_t)b * CLASSES, 1e-4, "an exit of all");
            }
        }
        const int32_t blocks = 1 + (int32_t)ei_random_below(&rng, BLOCKS);
        EI_EQ(ei_network_begin(net, input, -1, -1), 0);
        for (int32_t b = 0; b < blocks; b++) {
            EI_TRUEF(ei_network_run_conv(net, b) == 0, "%s", ei_network_fault_text(net));
            for (uint32_t takes = (uint32_t)ei_random_below(&rng, 3); takes > 0; takes--) {
                EI_TRUEF(ei_network_run_branch(net, b, said) == 0, "%s", ei_network_fault_text(net));
                expect_near(said, all + (size_t)b * CLASSES, 1e-4, "an exit");
            }
        }
        if (ei_random_below(&rng, 2) == 0) {
            ei_network_end(net);
        }
    }
}

static void expect_mixed(const char *dir, const char *backend, const char *note)
{
    struct ei_network *aten = open_bundle(dir, EI_NETWORK_ATEN);
    static const enum ei_network_backend_kind kinds[] = {EI_NETWORK_AUTO, EI_NETWORK_DNNL};
    for (int i = 0; i < 2; i++) {
        struct ei_network *net = open_bundle(dir, kinds[i]);
        EI_REQUIRE(net != NULL && aten != NULL);
        EI_STREQ(ei_network_info(net)->backend, backend);
        EI_STREQ(ei_network_info(net)->backend_note, note);
        EI_STREQ(ei_network_info(net)->weights_sha256, ei_network_info(aten)->weights_sha256);
        expect_same_answers(net, aten);
        ei_network_destroy(net);
    }
    ei_network_destroy(aten);
}

EI_TEST(a_refused_layer_takes_only_its_part_to_libtorch)
{
    (void)fixture_dnnl_or_skip();
    fixture_torch_or_skip();
    static struct fixture_weights w;
    write_program(&w.program);
    fixture_draw_program(&w, 3);
    write_bundle(ei_test_tmpdir(), &w.program, &w);
    expect_mixed(ei_test_tmpdir(), "dnnl+aten",
                 "aten runs block3.branch.0 (avg_pool) of odd: its windows leave the picture");
    fixture_free(&w);
}

/* Without libtorch nobody is there for the odd part: dnnl and auto say what is missing. */
EI_TEST(mixing_needs_libtorch)
{
    (void)fixture_dnnl_or_skip();
    static struct fixture_weights w;
    write_program(&w.program);
    fixture_draw_program(&w, 3);
    write_bundle(ei_test_tmpdir(), &w.program, &w);
    EI_EQ(setenv("EINET_TORCH_PLUGIN", "/nowhere/libeinet_torch.so", 1), 0);
    struct ei_network_bundle_config config = {.dir = ei_test_tmpdir(), .threads = 1, .backend = EI_NETWORK_DNNL};
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    EI_EQ(ei_network_open_bundle(&config, &net, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "block3.branch.0 (avg_pool) of odd: its windows leave the picture");
    EI_CONTAINS(err.text, "the libtorch plug-in is missing");
    config.backend = EI_NETWORK_AUTO;
    EI_EQ(ei_network_open_bundle(&config, &net, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "the libtorch plug-in is missing");
    fixture_free(&w);
}

/* ---- TorchScript parts ---- */

static void write_modules(void)
{
    char command[700];
    fixture_torch_or_skip();
    snprintf(command, sizeof command, PYTHON " tests/stages/nn/modules.py '%.600s' >/dev/null", ei_test_tmpdir());
    const int status = system(command);
    if (status == -1 || WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 77) {
        ei_test_skip("no PyTorch for " PYTHON ": apt-get install python3-torch");
    }
    EI_EQ(status, 0);
}

/* What a part begins with becomes one TorchScript module; keep: operations that stay behind it. */
static void put_script(struct ei_program *p, int32_t block_idx, bool branch, int32_t keep, const char *file)
{
    struct ei_program_part *part = branch ? &p->blocks[block_idx].branch : &p->blocks[block_idx].conv;
    const int32_t at = part->first_op + part->op_count - keep - 1;
    int32_t idx = 0;
    while (idx < p->script_count && strcmp(p->scripts[idx], file) != 0) {
        idx++;
    }
    p->script_count = idx == p->script_count ? idx + 1 : p->script_count;
    snprintf(p->scripts[idx], sizeof p->scripts[0], "%s", file);
    p->ops[at] =
        (struct ei_op){.kind = EI_OP_SCRIPT,
                       .script_idx = idx,
                       .out_slot = branch ? 1 : 0,
                       .script_out = branch ? (struct ei_shape){.channels = CLASSES} : (struct ei_shape){12, 16, 16}};
    *part = (struct ei_program_part){.first_op = at, .op_count = keep + 1};
}

static void write_scripted(struct fixture_weights *w, const char *middle, bool has_odd_exit)
{
    write_program(&w->program);
    put_script(&w->program, 1, false, 0, middle);
    if (!has_odd_exit) {
        put_script(&w->program, 2, true, 0, "head.pt");
    }
    fixture_draw_program(w, 3);
    write_bundle(ei_test_tmpdir(), &w->program, w);
}

#define ODD_EXIT "block3.branch.0 (avg_pool) of odd: its windows leave the picture"

EI_TEST(scripts_stay_with_libtorch)
{
    (void)fixture_dnnl_or_skip();
    write_modules();
    static struct fixture_weights w;
    /* The second one looks like a chain of layers and is none. */
    static const char *const files[] = {"residual.pt", "sly.pt"};
    for (int i = 0; i < 2; i++) {
        write_scripted(&w, files[i], true);
        expect_mixed(ei_test_tmpdir(), "dnnl+aten",
                     "aten runs block2.conv.0 (script) of odd: it is a TorchScript part; " ODD_EXIT);
        fixture_free(&w);
    }
}

/* Values cross in memory that is there: what both libraries allocate they free again. libtorch's own lists may grow a
 * little while they fill, the heap may not. */
EI_TEST(mixed_inferences_leave_nothing_behind)
{
    (void)fixture_dnnl_or_skip();
    fixture_torch_or_skip();
    static struct fixture_weights w;
    static float input[PIXELS], logits[LOGITS];
    write_program(&w.program);
    fixture_draw_program(&w, 3);
    write_bundle(ei_test_tmpdir(), &w.program, &w);
    struct ei_network *net = open_bundle(ei_test_tmpdir(), EI_NETWORK_DNNL);
    EI_REQUIRE(net != NULL);
    for (int i = 0; i < 50; i++) {
        EI_EQ(ei_network_run_monolithic(net, input, logits), 0);
    }
    const struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < RUNS_FOR_GROWTH; i++) {
        EI_EQ(ei_network_run_monolithic(net, input, logits), 0);
    }
    const struct mallinfo2 after = mallinfo2();
    EI_TRUEF(after.uordblks <= before.uordblks + 1000, "%zu bytes more", after.uordblks - before.uordblks);
    EI_EQ(after.arena + after.hblkhd, before.arena + before.hblkhd);
    ei_network_destroy(net);
    fixture_free(&w);
}

/* Near relatives of known layers, scripted and traced: grouped, dilated, padded otherwise, means over other windows. */
EI_TEST(only_what_is_a_known_layer_becomes_one)
{
    (void)fixture_dnnl_or_skip();
    write_modules();
    static struct fixture_weights w;
    char path[700], file[64], note[200];
    int is_known, count = 0;
    snprintf(path, sizeof path, "%s/relatives.txt", ei_test_tmpdir());
    FILE *names = fopen(path, "re");
    EI_REQUIRE(names != NULL);
    while (fscanf(names, "%63s %d", file, &is_known) == 2) {
        write_scripted(&w, file, false);
        snprintf(note, sizeof note, "as layers: %s%shead.pt%s", is_known != 0 ? file : "", is_known != 0 ? ", " : "",
                 is_known != 0 ? "" : "; aten runs block2.conv.0 (script) of odd: it is a TorchScript part");
        expect_mixed(ei_test_tmpdir(), is_known != 0 ? "dnnl" : "dnnl+aten", note);
        fixture_free(&w);
        count++;
    }
    fclose(names);
    EI_TRUE(count > 30);
}

/* Whole parts, one among layers whose parameters are named after their places, one that is used twice. */
EI_TEST(chains_become_layers)
{
    (void)fixture_dnnl_or_skip();
    write_modules();
    static struct fixture_weights w;
    write_scripted(&w, "chain.pt", false);
    expect_mixed(ei_test_tmpdir(), "dnnl", "as layers: chain.pt, head.pt");
    struct ei_network *net = open_bundle(ei_test_tmpdir(), EI_NETWORK_DNNL);
    EI_REQUIRE(net != NULL);
    /* 12 * 16 * 9 and the norm's 32, and 16 * 12 + 12; 12 * 20 + 20 and 20 * 10 + 10 */
    EI_EQ(ei_network_info(net)->block[1].conv_params, 1964);
    EI_EQ(ei_network_info(net)->block[1].conv_macs, 16 * 16 * (12 * 16 * 9 + 16 * 12));
    EI_EQ(ei_network_info(net)->block[2].branch_params, 470);
    ei_network_destroy(net);
    fixture_free(&w);

    write_program(&w.program);
    put_script(&w.program, 1, false, 0, "chain.pt");
    put_script(&w.program, 3, false, 2, "chain.pt"); /* batch norm and ReLU follow */
    fixture_draw_program(&w, 6);
    write_bundle(ei_test_tmpdir(), &w.program, &w);
    expect_mixed(ei_test_tmpdir(), "dnnl+aten", "as layers: chain.pt; aten runs " ODD_EXIT);
    fixture_free(&w);
}

EI_MAIN()
