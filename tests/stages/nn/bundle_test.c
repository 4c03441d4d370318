/* Bundles of layers: written, read, run. TorchScript parts: tests/models/convert_test.c,
 * tests/integration/bundle_test.c. */
#include "stages/nn/bundle.h"

#include "rt/random.h"
#include "stages/nn/zoo.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIXELS = 3 * 32 * 32, LOGITS = 30 };

static const char *in_dir(const char *name)
{
    static char path[4][600];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", ei_test_tmpdir(), name);
    return out;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    EI_REQUIRE(file != NULL);
    fputs(text, file);
    EI_EQ(fclose(file), 0);
}

/* A bundle of a network of the zoo; freed by the caller. */
static struct ei_bundle *bundle_of(const char *zoo, int32_t channels)
{
    struct ei_bundle *bundle = calloc(1, sizeof *bundle);
    if (bundle == NULL || ei_zoo_program(zoo, channels, 10, &bundle->program, NULL) != 0) {
        EI_TRUEF(false, "no %s", zoo);
        return bundle;
    }
    snprintf(bundle->dataset, sizeof bundle->dataset, "cifar10");
    for (int32_t c = 0; c < 3; c++) {
        bundle->norm_mean[c] = 0.1F * (float)(c + 3);
        bundle->norm_std[c] = 0.7F / (float)(c + 2);
    }
    for (int32_t b = 0; b < EI_PROGRAM_BLOCKS_MAX; b++) {
        bundle->exit_accuracy[b] = b < bundle->program.block_count ? 1.0F / (float)(b + 3) : 0.0F;
    }
    return bundle;
}

static void check_ops(const struct ei_program *a, const struct ei_program *b)
{
    EI_EQ(a->op_count, b->op_count);
    for (int32_t i = 0; i < a->op_count; i++) {
        struct ei_op x = a->ops[i], y = b->ops[i];
        /* The second slot of an operation that has none means nothing. */
        if (x.kind != EI_OP_ADD && x.kind != EI_OP_CONCAT) {
            x.in2_slot = y.in2_slot = 0;
        }
        EI_TRUEF(x.kind == y.kind && x.in_slot == y.in_slot && x.in2_slot == y.in2_slot && x.out_slot == y.out_slot &&
                     x.in_channels == y.in_channels && x.out_channels == y.out_channels && x.kernel_px == y.kernel_px &&
                     x.stride_px == y.stride_px && x.padding_px == y.padding_px && x.bias == y.bias &&
                     x.ceil_mode == y.ceil_mode && x.p == y.p && x.lrn_alpha == y.lrn_alpha &&
                     x.lrn_beta == y.lrn_beta && x.lrn_k == y.lrn_k && x.lrn_size == y.lrn_size && x.eps == y.eps &&
                     x.momentum == y.momentum && x.script_idx == y.script_idx,
                 "operation %d differs (%s, %s)", i, ei_op_kind_name(x.kind), ei_op_kind_name(y.kind));
    }
    EI_TRUE(memcmp(a->blocks, b->blocks, sizeof a->blocks) == 0);
}

/* What is written is what is read: every network of the zoo, and so every kind of operation, slots included. */
EI_TEST(manifests_keep_every_network_of_the_zoo)
{
    for (int32_t i = 0; ei_zoo_name(i) != NULL; i++) {
        struct einet_error err = {0};
        struct ei_bundle *written = bundle_of(ei_zoo_name(i), i % 2 == 0 ? 3 : 1), *read = calloc(1, sizeof *read);
        EI_REQUIRE(written != NULL && read != NULL);
        EI_TRUEF(ei_bundle_write(ei_test_tmpdir(), written, &err) == 0, "%s", err.text);
        EI_TRUEF(ei_bundle_read(ei_test_tmpdir(), read, &err) == 0, "%s", err.text);
        EI_TRUEF(ei_program_resolve(&read->program, NULL, &err) == 0, "%s", err.text);
        EI_STREQ(read->program.name, ei_zoo_name(i));
        EI_STREQ(read->dataset, "cifar10");
        EI_EQ(read->program.classes, 10);
        EI_EQ(read->program.trunk_slots, written->program.trunk_slots);
        EI_EQ(read->program.input.channels, written->program.input.channels);
        EI_EQ(read->program.block_count, written->program.block_count);
        check_ops(&read->program, &written->program);
        for (int32_t c = 0; c < read->program.input.channels; c++) {
            EI_NEAR(read->norm_mean[c], written->norm_mean[c], 0.0);
            EI_NEAR(read->norm_std[c], written->norm_std[c], 0.0);
        }
        for (int32_t b = 0; b < read->program.block_count; b++) {
            EI_NEAR(read->exit_accuracy[b], written->exit_accuracy[b], 0.0);
        }
        free(written);
        free(read);
    }
}

EI_TEST(scripts_and_unknown_accuracies_are_kept)
{
    struct ei_bundle *bundle = bundle_of("b-alexnet", 3), *read = calloc(1, sizeof *read);
    EI_REQUIRE(bundle != NULL && read != NULL);
    struct ei_program *p = &bundle->program;
    p->script_count = 2;
    snprintf(p->scripts[0], sizeof p->scripts[0], "a.pt");
    snprintf(p->scripts[1], sizeof p->scripts[1], "b_2.pt");
    p->blocks[0].conv.op_count = 1; /* the whole part: {"script": FILE} */
    p->ops[p->blocks[0].conv.first_op] = (struct ei_op){.kind = EI_OP_SCRIPT, .script_idx = 0};
    p->ops[p->blocks[1].conv.first_op] = (struct ei_op){.kind = EI_OP_SCRIPT, .script_idx = 1}; /* among layers */
    p->ops[p->blocks[1].conv.first_op + 1] = (struct ei_op){.kind = EI_OP_SCRIPT, .script_idx = 0};
    bundle->exit_accuracy[1] = -1.0F;
    EI_EQ(ei_bundle_write(ei_test_tmpdir(), bundle, NULL), 0);
    EI_EQ(ei_bundle_read(ei_test_tmpdir(), read, NULL), 0);
    EI_EQ(read->program.script_count, 2);
    EI_STREQ(read->program.scripts[0], "a.pt");
    EI_STREQ(read->program.scripts[1], "b_2.pt");
    const struct ei_op *ops = &read->program.ops[read->program.blocks[1].conv.first_op];
    EI_EQ(read->program.blocks[0].conv.op_count, 1);
    EI_EQ(ops[0].kind, EI_OP_SCRIPT);
    EI_EQ(ops[0].script_idx, 1);
    EI_EQ(ops[1].script_idx, 0);
    EI_NEAR(read->exit_accuracy[0], -1.0, 0.0);
    snprintf(p->scripts[1], sizeof p->scripts[1], "../b.pt");
    EI_EQ(ei_bundle_write(ei_test_tmpdir(), bundle, NULL), EINET_E_USAGE);
    free(bundle);
    free(read);
}

/* ---- a bundle of b-alexnet beside the zoo's ---- */

static struct ei_network *open_bundle(const char *dir, int expected_code, const char *text)
{
    const struct ei_network_bundle_config config = {.dir = dir, .dataset = "cifar10", .threads = 1};
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    const int rc = ei_network_open_bundle(&config, &net, &err);
    char said[1024];
    snprintf(said, sizeof said, "%s: %s", err.file, err.text);
    EI_TRUEF(rc == expected_code, "%d: %s, expected %d: %s", rc, said, expected_code, text);
    if (text[0] != '\0') {
        EI_CONTAINS(said, text);
    }
    return net;
}

static void make_alexnet(const char *dir, struct fixture_weights *w)
{
    struct ei_bundle *bundle = bundle_of("b-alexnet", 3);
    char path[700];
    EI_REQUIRE(bundle != NULL);
    (void)mkdir(dir, 0755);
    EI_EQ(ei_bundle_write(dir, bundle, NULL), 0);
    snprintf(path, sizeof path, "%s/" EI_BUNDLE_WEIGHTS, dir);
    fixture_draw(w, 3, 10, 4);
    fixture_write(w, path, &fixture_metadata_cifar, -1);
    free(bundle);
}

static void run_network(struct ei_network *net, const float *input, float *out_logits)
{
    EI_EQ(ei_network_thread_enter(net), 0);
    EI_EQ(ei_network_begin(net, input, 0, -1), 0);
    for (int32_t b = 0; b < 3; b++) {
        EI_EQ(ei_network_run_conv(net, b), 0);
        EI_EQ(ei_network_run_branch(net, b, out_logits + b * 10), 0);
    }
    ei_network_end(net);
}

EI_TEST(bundle_of_layers_equals_the_zoo_bit_by_bit)
{
    fixture_torch_or_skip();
    struct fixture_weights w;
    const char *dir = in_dir("bundle");
    make_alexnet(dir, &w);
    char path[700];
    snprintf(path, sizeof path, "%s/" EI_BUNDLE_WEIGHTS, dir);
    const struct ei_network_zoo_config config = {.zoo = "b-alexnet", .weights_path = path, .threads = 1};
    struct ei_network *zoo = NULL, *bundle = open_bundle(dir, 0, "");
    EI_EQ(ei_network_open_zoo(&config, &zoo, NULL), 0);
    EI_REQUIRE(zoo != NULL && bundle != NULL);
    for (uint64_t seed = 0; seed < 3; seed++) {
        float input[PIXELS], of_zoo[LOGITS], of_bundle[LOGITS];
        struct ei_random rng;
        ei_random_init(&rng, seed, 1);
        for (int i = 0; i < PIXELS; i++) {
            input[i] = (float)ei_random_normal(&rng);
        }
        run_network(zoo, input, of_zoo);
        run_network(bundle, input, of_bundle);
        EI_TRUE(memcmp(of_zoo, of_bundle, sizeof of_zoo) == 0);
    }
    const struct ei_network_info *a = ei_network_info(zoo), *b = ei_network_info(bundle);
    EI_STREQ(b->name, "b-alexnet");
    EI_STREQ(b->backend, "aten");
    EI_STREQ(b->dataset, "cifar10");
    EI_EQ(b->exits, 3);
    EI_NEAR(b->norm_mean[1], 0.4F, 0.0);
    EI_NEAR(b->exit_accuracy[2], 0.2F, 0.0);
    EI_TRUE(memcmp(a->block, b->block, sizeof a->block) == 0);
    EI_EQ(strlen(b->weights_sha256), 64);
    ei_network_destroy(zoo);
    ei_network_destroy(bundle);
    fixture_free(&w);
}

static void read_identity(const char *dir, char out[65])
{
    struct ei_bundle *bundle = calloc(1, sizeof *bundle);
    EI_REQUIRE(bundle != NULL);
    EI_EQ(ei_bundle_read(dir, bundle, NULL), 0);
    EI_EQ(ei_program_resolve(&bundle->program, NULL, NULL), 0);
    EI_EQ(ei_bundle_sha256(dir, &bundle->program, out, NULL), 0);
    free(bundle);
}

EI_TEST(identity_covers_manifest_weights_and_scripts)
{
    struct fixture_weights w;
    const char *dir = in_dir("bundle");
    char first[65] = "", again[65] = "", other[65] = "", weights[65] = "", path[700];
    make_alexnet(dir, &w);
    read_identity(dir, first);
    read_identity(dir, again);
    EI_STREQ(first, again);
    snprintf(path, sizeof path, "%s/" EI_BUNDLE_WEIGHTS, dir);
    w.numbers[3][0] += 1.0F;
    fixture_write(&w, path, &fixture_metadata_cifar, -1);
    read_identity(dir, weights);
    EI_TRUE(strcmp(first, weights) != 0);
    struct ei_bundle *bundle = bundle_of("b-alexnet", 3);
    EI_REQUIRE(bundle != NULL);
    bundle->norm_mean[0] += 0.25F;
    EI_EQ(ei_bundle_write(dir, bundle, NULL), 0);
    read_identity(dir, other);
    EI_TRUE(strcmp(other, weights) != 0);
    bundle->program.script_count = 1;
    snprintf(bundle->program.scripts[0], sizeof bundle->program.scripts[0], "a.pt");
    snprintf(path, sizeof path, "%s/a.pt", dir);
    write_text(path, "one");
    EI_EQ(ei_bundle_sha256(dir, &bundle->program, first, NULL), 0);
    write_text(path, "two");
    EI_EQ(ei_bundle_sha256(dir, &bundle->program, again, NULL), 0);
    EI_TRUE(strcmp(first, again) != 0);
    EI_EQ(unlink(path), 0);
    EI_EQ(ei_bundle_sha256(dir, &bundle->program, again, NULL), EINET_E_FILE);
    free(bundle);
    fixture_free(&w);
}

EI_TEST(damaged_bundles_are_refused)
{
    fixture_torch_or_skip();
    struct fixture_weights w;
    char path[700], part[700];
    const char *dir = in_dir("bundle");
    struct ei_network *net = NULL;
    make_alexnet(dir, &w);
    snprintf(path, sizeof path, "%s/" EI_BUNDLE_WEIGHTS, dir);
    fixture_write(&w, path, &fixture_metadata_cifar, 5);
    open_bundle(dir, EINET_E_MISMATCH, "bundle/weights.safetensors: has no tensor block1.branch.3.bias");
    write_text(path, "no weights");
    open_bundle(dir, EINET_E_FILE, "bundle/weights.safetensors: ");
    EI_EQ(unlink(path), 0);
    open_bundle(dir, EINET_E_FILE, "bundle/weights.safetensors: ");
    open_bundle(in_dir("nothing"), EINET_E_FILE, "nothing/manifest.json: cannot be opened: No such file");

    struct ei_bundle *bundle = bundle_of("b-alexnet", 3);
    EI_REQUIRE(bundle != NULL);
    struct ei_program *p = &bundle->program;
    p->script_count = 1;
    snprintf(p->scripts[0], sizeof p->scripts[0], "block2.pt");
    p->blocks[1].conv.op_count = 1;
    p->ops[p->blocks[1].conv.first_op] = (struct ei_op){.kind = EI_OP_SCRIPT};
    EI_EQ(ei_bundle_write(dir, bundle, NULL), 0);
    open_bundle(dir, EINET_E_FILE, "bundle/block2.pt: cannot be read: No such file");
    snprintf(part, sizeof part, "%s/block2.pt", dir);
    write_text(part, "no TorchScript");
    open_bundle(dir, EINET_E_FILE, "bundle/block2.pt: is no TorchScript module of one tensor: ");
    free(bundle);

    bundle = bundle_of("b-alexnet", 3);
    EI_REQUIRE(bundle != NULL);
    EI_EQ(ei_bundle_write(dir, bundle, NULL), 0);
    fixture_write(&w, path, &fixture_metadata_cifar, -1);
    const struct ei_network_bundle_config wrong[] = {{.dir = dir, .dataset = "mnist", .threads = 1},
                                                     {.dir = dir, .classes = 100, .threads = 1},
                                                     {.dir = dir, .channels = 1, .threads = 1},
                                                     {.dir = dir, .threads = 0},
                                                     {.dir = "", .threads = 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        EI_EQ(ei_network_open_bundle(&wrong[i], &net, NULL), i < 3 ? EINET_E_MISMATCH : EINET_E_USAGE);
    }
    net = open_bundle(dir, 0, "");
    ei_network_destroy(net);
    free(bundle);
    fixture_free(&w);
}

/* ---- bad manifests ---- */

#define HEAD "{\"schema\":1,\"name\":\"mine\",\"dataset\":\"mnist\",\"classes\":10,"
#define INPUT "\"input\":{\"channels\":1,\"height_px\":8,\"width_px\":8},\"norm_mean\":[0.1],\"norm_std\":[0.3],"
#define FINE                                                                                                           \
    "{\"conv\":{\"layers\":[]},\"branch\":{\"layers\":[{\"op\":\"flatten\"},{\"op\":\"linear\",\"out_features\":10}]}" \
    "}"
#define BLOCKS(conv, branch) HEAD INPUT "\"blocks\":[" FINE ",{\"conv\":" conv ",\"branch\":" branch "}]}"
#define CONV(layers) BLOCKS("{\"layers\":[" layers "]}", "{\"layers\":[{\"op\":\"flatten\"}]}")

static const struct {
    const char *manifest, *text;
} bad[] = {
    {"{", "is no JSON: "},
    {"{\"schema\":1,\"schema\":1}", "is no JSON: duplicate object key"},
    {"[1]", "it is a list, an object is needed"},
    {"{\"schema\":1,\"nmae\":\"x\"}", "unknown key 'nmae'; there are: schema, name, dataset"},
    {"{}", "the key 'schema' is missing"},
    {"{\"schema\":2}", "'schema' is 2, 1 to 1 are possible"},
    {"{\"schema\":1}", "the key 'name' is missing"},
    {"{\"schema\":1,\"name\":7}", "'name' is a whole number, a text is needed"},
    {"{\"schema\":1,\"name\":\"a/b\"}", "'name' is no name"},
    {"{\"schema\":1,\"name\":\"a\"}", "the key 'dataset' is missing"},
    {"{\"schema\":1,\"name\":\"a\",\"dataset\":\"b\",\"classes\":\"10\"}", "'classes' is a text, a whole number is"},
    {"{\"schema\":1,\"name\":\"a\",\"dataset\":\"b\",\"classes\":1}", "'classes' is 1, 2 to 1024 are possible"},
    {HEAD "\"trunk_slots\":16}", "'trunk_slots' is 16, 1 to 15 are possible"},
    {HEAD "\"input\":[1,8,8]}", "'input' is a list"},
    {HEAD "\"input\":{\"channels\":2,\"height_px\":8,\"width_px\":8}}", "input: 'channels' is 2, 1 or 3 are possible"},
    {HEAD "\"input\":{\"channels\":1,\"width_px\":8}}", "input: the key 'height_px' is missing"},
    {HEAD "\"input\":{\"channels\":1,\"height_px\":8,\"width_px\":8,\"depth\":1}}", "input: unknown key 'depth'"},
    {HEAD "\"input\":{\"channels\":1,\"height_px\":8,\"width_px\":8}}", "the key 'norm_mean' is missing"},
    {HEAD "\"input\":{\"channels\":1,\"height_px\":8,\"width_px\":8},\"norm_mean\":[1,2]}",
     "'norm_mean' has 2 numbers, 1"},
    {HEAD "\"input\":{\"channels\":1,\"height_px\":8,\"width_px\":8},\"norm_mean\":[\"a\"]}",
     "'norm_mean' holds a text"},
    {HEAD "\"input\":{\"channels\":1,\"height_px\":8,\"width_px\":8},\"norm_mean\":[0],\"norm_std\":[0]}",
     "'norm_std' holds 0, it must be positive"},
    {HEAD INPUT "\"classes\":3}", "duplicate object key"},
    {HEAD INPUT "\"exit_accuracy\":[]}", "'blocks' is missing"},
    {HEAD INPUT "\"blocks\":[]}", "'blocks' is of another length"},
    {HEAD INPUT "\"blocks\":{}}", "'blocks' is an object"},
    {HEAD INPUT "\"blocks\":[7]}", "block1: it is a whole number"},
    {HEAD INPUT "\"blocks\":[" FINE "],\"exit_accuracy\":[0.5,0.6]}", "'exit_accuracy' has 2 numbers, 1 are needed"},
    {HEAD INPUT "\"blocks\":[" FINE "],\"exit_accuracy\":[90]}", "'exit_accuracy' holds 90, 0 to 1 are possible"},
    {HEAD INPUT "\"blocks\":[{\"conv\":{\"layers\":[]}}]}", "block1.branch: it is missing"},
    {HEAD INPUT "\"blocks\":[{\"conv\":{\"layers\":[]},\"exit\":{}}]}",
     "block1: unknown key 'exit'; there are: conv, branch"},
    {BLOCKS("{}", "{}"), "block2.conv: it has neither; one of script and layers is needed"},
    {BLOCKS("{\"layers\":[],\"script\":\"a.pt\"}", "{}"), "block2.conv: it has both"},
    {BLOCKS("{\"layers\":7}", "{}"), "block2.conv: 'layers' is a whole number, a list is needed"},
    {BLOCKS("{\"scirpt\":\"a.pt\"}", "{}"), "block2.conv: unknown key 'scirpt'"},
    {BLOCKS("{\"script\":\"../a.pt\"}", "{}"), "block2.conv: 'script' is '../a.pt': a plain file name"},
    {BLOCKS("{\"script\":\"manifest.json\"}", "{}"), "block2.conv: 'script' is 'manifest.json'"},
    {BLOCKS("{\"script\":1}", "{}"), "block2.conv: 'script' is a whole number, a text is needed"},
    {CONV("\"relu\""), "block2.conv.0: each layer is an object with a text 'op'"},
    {CONV("{\"op\":\"rleu\"}"), "block2.conv.0: 'op' is 'rleu', which is no layer"},
    {CONV("{\"op\":\"relu\"},{\"op\":\"relu\",\"inplace\":true}"),
     "block2.conv.1 (relu): unknown key 'inplace'; there are: op, in, out"},
    {CONV("{\"op\":\"conv2d\",\"kernel_px\":3}"), "block2.conv.0 (conv2d): the key 'out_channels' is missing"},
    {CONV("{\"op\":\"conv2d\",\"out_channels\":0,\"kernel_px\":3}"),
     "block2.conv.0 (conv2d): 'out_channels' is 0, 1 to 65536"},
    {CONV("{\"op\":\"conv2d\",\"out_channels\":4,\"kernel_px\":3.5}"),
     "(conv2d): 'kernel_px' is a number, a whole number is"},
    {CONV("{\"op\":\"conv2d\",\"out_channels\":4,\"kernel_px\":3,\"bias\":1}"),
     "(conv2d): 'bias' is a whole number, true or"},
    {CONV("{\"op\":\"dropout\",\"p\":1}"), "block2.conv.0 (dropout): 'p' is 1, 0 to 0.999999 are possible"},
    {CONV("{\"op\":\"relu\",\"out\":16}"), "block2.conv.0 (relu): 'out' is 16, 0 to 15 are possible"},
    {CONV("{\"op\":\"add\"}"), "block2.conv.0 (add): the key 'in2' is missing"},
    {CONV("{\"op\":\"script\"}"), "block2.conv.0 (script): the key 'file' is missing"},
};

EI_TEST(bad_manifests_are_named)
{
    struct ei_bundle *bundle = calloc(1, sizeof *bundle);
    char path[700];
    EI_REQUIRE(bundle != NULL);
    snprintf(path, sizeof path, "%s/" EI_BUNDLE_MANIFEST, ei_test_tmpdir());
    write_text(path, HEAD INPUT "\"blocks\":[" FINE "]}");
    EI_EQ(ei_bundle_read(ei_test_tmpdir(), bundle, NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct einet_error err = {0};
        write_text(path, bad[i].manifest);
        EI_TRUEF(ei_bundle_read(ei_test_tmpdir(), bundle, &err) == EINET_E_FILE, "taken: %s", bad[i].manifest);
        EI_CONTAINS(err.text, bad[i].text);
        EI_CONTAINS(err.file, "/manifest.json");
    }
    EI_STREQ(bundle->program.name, "mine"); /* as it was read first */
    free(bundle);
}

/* What each key says alone is fine, but the layers do not fit each other. */
static const struct {
    const char *manifest, *text;
} unfit[] = {
    {CONV("{\"op\":\"conv2d\",\"out_channels\":4,\"kernel_px\":9}"),
     "block2.conv.0 (conv2d): its window does not fit the picture"},
    {CONV("{\"op\":\"flatten\"},{\"op\":\"max_pool\",\"kernel_px\":2}"), "block2.conv.1 (max_pool): its window"},
    {CONV("{\"op\":\"linear\",\"out_features\":4}"), "block2.conv.0 (linear): its input features differ"},
    {CONV("{\"op\":\"relu\",\"in\":5}"), "block2.conv.0 (relu): it reads a slot that nothing was written to"},
    {CONV("{\"op\":\"relu\"}"), "block2.branch ends with 64 numbers, not 10 logits"},
    {BLOCKS("{\"layers\":[]}", "{\"layers\":[{\"op\":\"relu\",\"out\":0}]}"),
     "block2.branch.0 (relu): a branch may not write a trunk"},
    {BLOCKS("{\"layers\":[]}", "{\"layers\":[]}"), "block2.branch has 0 operations"},
};

EI_TEST(layers_that_do_not_fit_are_named)
{
    fixture_torch_or_skip();
    char path[700];
    snprintf(path, sizeof path, "%s/" EI_BUNDLE_MANIFEST, ei_test_tmpdir());
    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        const struct ei_network_bundle_config config = {.dir = ei_test_tmpdir(), .threads = 1};
        struct ei_network *net = NULL;
        struct einet_error err = {0};
        write_text(path, unfit[i].manifest);
        EI_EQ(ei_network_open_bundle(&config, &net, &err), EINET_E_MISMATCH);
        EI_CONTAINS(err.text, unfit[i].text);
        EI_CONTAINS(err.file, "/manifest.json");
    }
}

EI_MAIN()
