/* Beginning from weights, joint training with distillation, schedules and sizes. */
#include "stages/nn/zoo.h"
#include "tests/models/train_fixture.h"

static void expect(const struct ei_train_config *c, int code, const char *text)
{
    struct ei_train_result result;
    struct einet_error err;
    EI_EQ(run(c, &result, &err), code);
    EI_CONTAINS(err.text, text);
}

static struct ei_train_config init_config(const char *zoo, const char *from, int32_t channels, int32_t classes,
                                          char *path, size_t size)
{
    struct ei_train_config c = small_config(zoo, "out");
    write_weights(from, channels, classes, 31, path, size);
    c.init_path = path;
    c.epochs = 1;
    return c;
}

/* Stop before the first step: the checkpoint holds what the run would begin with. */
static void begin(const struct ei_train_config *c, const char *note)
{
    struct ei_train_result result;
    struct einet_error err;
    watch.stop = 1;
    EI_TRUEF(run(c, &result, &err) == 0, "%s", err.text);
    EI_CONTAINS(watch.note, note);
}

static void check_same(const struct ei_safetensors *a_file, const char *a_name, const struct ei_safetensors *b_file,
                       const char *b_name)
{
    const struct ei_safetensors_tensor *a = ei_safetensors_find(a_file, a_name),
                                       *b = ei_safetensors_find(b_file, b_name);
    EI_TRUEF(a != NULL && b != NULL && a->count == b->count && memcmp(a->data, b->data, (size_t)a->count * 4) == 0,
             "%s is not %s", a_name, b_name);
}

EI_TEST(weights_are_taken_where_they_belong)
{
    char path[512];
    struct ei_safetensors *out = NULL, *init = NULL;
    struct ei_train_config c = init_config("flexvgg-16", "vgg-16-classic", 3, 10, path, sizeof path);
    /* vgg-16's classifier has one layer more, so the last exit is drawn, too. */
    begin(&c, "vgg-16-classic: the trunk; exits taken: none; drawn: 1-5");
    EI_REQUIRE(ei_safetensors_open(checkpoint_path, &out, NULL) == 0 && ei_safetensors_open(path, &init, NULL) == 0);
    check_same(out, "w.block1.conv.0.weight", init, "block1.conv.0.weight");
    check_same(out, "w.block3.conv.0.weight", init, "block1.conv.14.weight");
    check_same(out, "w.block5.conv.7.running_var", init, "block1.conv.41.running_var");
    ei_safetensors_close(out);
    ei_safetensors_close(init);
    /* The same network by name, and back from the multi-exit network to its classic. */
    c = init_config("b-alexnet", "b-alexnet", 3, 10, path, sizeof path);
    begin(&c, "exits taken: 1-3; drawn: none");
    c = init_config("b-alexnet-classic", "b-alexnet", 3, 10, path, sizeof path);
    begin(&c, "exits taken: 1; drawn: none");
    EI_REQUIRE(ei_safetensors_open(checkpoint_path, &out, NULL) == 0 && ei_safetensors_open(path, &init, NULL) == 0);
    check_same(out, "w.block1.branch.0.weight", init, "block3.branch.0.weight");
    ei_safetensors_close(out);
    ei_safetensors_close(init);
}

EI_TEST(weights_that_do_not_fit_are_named)
{
    char path[512];
    struct ei_train_config c = init_config("b-alexnet", "b-alexnet", 3, 100, path, sizeof path);
    expect(&c, EINET_E_MISMATCH, "100 classes apart, the data set has 10");
    c = init_config("b-alexnet", "b-alexnet-classic", 1, 10, path, sizeof path);
    expect(&c, EINET_E_MISMATCH, "pictures of 1 channels, the data set's have 3");
    c = init_config("b-alexnet", "vgg-16-classic", 3, 10, path, sizeof path);
    expect(&c, EINET_E_MISMATCH, "do not fit b-alexnet");
    c = init_config("msdnet-21-light", "msdnet-40-light", 3, 10, path, sizeof path);
    expect(&c, EINET_E_MISMATCH, "msdnet-40-light");
    c.init_path = "/nowhere/x.safetensors";
    expect(&c, EINET_E_FILE, "");
}

/* As a batch norm's variance far down a deep residual network; half precision ends at 65504. */
EI_TEST(numbers_beyond_half_precision_are_kept)
{
    static struct fixture_weights w;
    static const float beyond = 70001.25F;
    char path[512];
    struct ei_train_result result;
    struct einet_error err;
    struct ei_train_config c = init_config("b-alexnet", "b-alexnet", 3, 10, path, sizeof path);
    const struct fixture_metadata metadata = {"b-alexnet", "generated", "10", "3", "0.5,0.4,0.3", "0.25,0.2,0.3"};
    fixture_draw_zoo(&w, "b-alexnet", 3, 10, 31);
    const char *last = w.params[w.count - 1].name; /* the last exit's bias */
    w.numbers[w.count - 1][0] = beyond;
    fixture_write(&w, path, &metadata, -1);
    c.train = EI_TRAIN_EXITS;
    c.keep_last = true;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    struct ei_safetensors *file = NULL;
    EI_REQUIRE(ei_safetensors_open(out_path, &file, NULL) == 0);
    const struct ei_safetensors_tensor *bias = ei_safetensors_find(file, last);
    const struct ei_safetensors_tensor *other = ei_safetensors_find(file, w.params[0].name);
    EI_REQUIRE(bias != NULL && other != NULL);
    EI_EQ(bias->dtype, EI_DTYPE_F32);
    EI_TRUE(memcmp(bias->data, &beyond, sizeof beyond) == 0);
    EI_EQ(other->dtype, EI_DTYPE_F16);
    ei_safetensors_close(file);
    fixture_free(&w);
}

EI_TEST(resume_knows_its_beginning)
{
    char path[512], other[600];
    struct ei_train_result result;
    struct einet_error err;
    struct ei_train_config c = init_config("b-alexnet", "b-alexnet-classic", 3, 10, path, sizeof path);
    watch.stop_after_step = 1;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    watch = (struct watch){0};
    c.resume = true;
    write_weights("b-alexnet", 3, 10, 5, other, sizeof other);
    c.init_path = other;
    expect(&c, EINET_E_MISMATCH, "began from other weights");
    c.init_path = path;
    c.distill_weight = 0.5F;
    expect(&c, EINET_E_MISMATCH, "it has distill=0:3, this one has distill=0.5:3");
    c.distill_weight = 0.0F;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    EI_TRUE(result.finished);
    EI_CONTAINS(watch.note, "exits taken: 3");
}

/* Earlier exits that learn from the last one come closer to it; the last one's own loss knows nothing of it. */
EI_TEST(distillation_adds_to_earlier_exits_only)
{
    struct ei_train_result result;
    struct einet_error err;
    float loss[3];
    for (int i = 0; i < 3; i++) {
        struct ei_train_config c = small_config("b-alexnet", "distill");
        c.epochs = 1;
        c.batch = TRAIN_SAMPLES;
        c.distill_weight = i == 0 ? 0.0F : 2.0F;
        c.distill_temperature = i == 2 ? 1.0F : 4.0F;
        EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
        loss[i] = watch.first_loss;
    }
    EI_TRUEF(loss[1] > loss[0] && loss[2] > loss[0], "%g %g %g", (double)loss[0], (double)loss[1], (double)loss[2]);
    EI_TRUE(fabsf(loss[1] - loss[2]) > 1e-4F);
    struct ei_train_config c = small_config("b-alexnet-classic", "distill");
    c.distill_weight = 1.0F;
    expect(&c, EINET_E_USAGE, "one exit");
}

EI_TEST(distill_is_the_divergence)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    const float student[6] = {1.0F, -2.0F, 0.5F, 0.0F, 3.0F, -1.0F}, teacher[6] = {0.2F, 1.0F, -1.0F, 2.0F, 2.0F, 0.0F};
    const double temperature = 2.5;
    struct ei_torch_tensor *s = NULL, *t = NULL, *loss = NULL;
    double expected = 0.0, expected_grad[6];
    float value, grad[6];
    EI_EQ(api->thread_enter(EI_TORCH_TRAINING, 1), 0);
    EI_EQ(api->tensor_create(&s), 0);
    EI_EQ(api->tensor_create(&t), 0);
    EI_EQ(api->tensor_create(&loss), 0);
    EI_EQ(api->tensor_from_f32(s, student, (const int64_t[]){2, 3}, 2), 0);
    EI_EQ(api->tensor_from_f32(t, teacher, (const int64_t[]){2, 3}, 2), 0);
    EI_EQ(api->requires_grad(s), 0);
    EI_EQ(api->requires_grad(t), 0);
    EI_EQ(api->distill(s, t, (float)temperature, loss), 0);
    EI_EQ(api->backward(loss), 0);
    EI_EQ(api->scalar_read(loss, &value), 0);
    EI_EQ(api->grad_read_f32(s, grad, 6), 0);
    EI_EQ(api->grad_read_f32(t, grad, 6), EINET_E_BACKEND); /* none reaches the teacher */
    EI_EQ(api->grad_read_f32(s, grad, 6), 0);
    for (int r = 0; r < 2; r++) {
        double p[3], q[3], sum_p = 0.0, sum_q = 0.0;
        for (int k = 0; k < 3; k++) {
            sum_p += p[k] = exp((double)teacher[r * 3 + k] / temperature);
            sum_q += q[k] = exp((double)student[r * 3 + k] / temperature);
        }
        for (int k = 0; k < 3; k++) {
            expected += p[k] / sum_p * log(p[k] / sum_p / (q[k] / sum_q)) * temperature * temperature / 2.0;
            expected_grad[r * 3 + k] = (q[k] / sum_q - p[k] / sum_p) * temperature / 2.0;
        }
    }
    EI_NEAR(value, expected, 1e-5);
    for (int i = 0; i < 6; i++) {
        EI_NEAR(grad[i], expected_grad[i], 1e-5);
    }
    EI_EQ(api->distill(s, t, 0.0F, loss), EINET_E_BACKEND);
    api->tensor_destroy(s);
    api->tensor_destroy(t);
    api->tensor_destroy(loss);
}

static int attached;

static int attach(void *context, const struct ei_torch_api *api, struct ei_exec *exec, struct einet_error *err)
{
    (void)err;
    EI_TRUE(context == &attached && api != NULL && exec != NULL);
    attached++;
    return 0;
}

/* What a bundle does: a program of its own, a normalisation of its own, weights by name. */
EI_TEST(a_program_needs_no_zoo)
{
    char path[512];
    static struct ei_program program;
    struct ei_train_result result;
    struct einet_error err;
    const float mean[3] = {0.5F, 0.4F, 0.3F}, std[3] = {0.25F, 0.2F, 0.3F};
    struct ei_train_config c = init_config("b-alexnet", "b-alexnet", 3, 10, path, sizeof path);
    EI_EQ(ei_zoo_program("b-alexnet", 3, 10, &program, NULL), 0);
    snprintf(program.name, sizeof program.name, "mine");
    c.zoo = NULL;
    c.program = &program;
    c.attach = attach;
    c.attach_context = &attached;
    c.norm_mean = mean;
    c.norm_std = std;
    c.train = EI_TRAIN_EXITS;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    EI_TRUE(result.finished);
    EI_EQ(attached, 3);
    EI_NEAR(result.norm_mean[1], 0.4F, 0.0);
    EI_NEAR(result.norm_std[2], 0.3F, 0.0);
    struct ei_safetensors *file = NULL;
    EI_REQUIRE(ei_safetensors_open(out_path, &file, NULL) == 0);
    EI_STREQ(ei_safetensors_metadata(file, "zoo"), "mine");
    ei_safetensors_close(file);
    program.classes = 12;
    expect(&c, EINET_E_MISMATCH, "mine is for 3 channels and 12 classes");
}

EI_TEST(steps_of_the_rate)
{
    const struct ei_train_config c = {.schedule = EI_TRAIN_STEP,
                                      .lr = 0.1F,
                                      .warmup_fraction = 0.1F,
                                      .milestone = {0.5F, 0.75F},
                                      .milestones = 2,
                                      .step_factor = 0.1F};
    EI_NEAR(ei_train_lr(&c, 0, 100), 0.004, 1e-8);
    EI_NEAR(ei_train_lr(&c, 10, 100), 0.1, 1e-8);
    EI_NEAR(ei_train_lr(&c, 49, 100), 0.1, 1e-8);
    EI_NEAR(ei_train_lr(&c, 50, 100), 0.01, 1e-8);
    EI_NEAR(ei_train_lr(&c, 74, 100), 0.01, 1e-8);
    EI_NEAR(ei_train_lr(&c, 75, 100), 0.001, 1e-8);
    EI_NEAR(ei_train_lr(&c, 99, 100), 0.001, 1e-8);
}

EI_TEST(bad_schedules_and_sizes_are_named)
{
    struct ei_train_config good = small_config("msdnet-21-light-classic", "bad"), c = good;
    c.schedule = EI_TRAIN_STEP;
    c.step_factor = 0.1F;
    expect(&c, EINET_E_USAGE, "milestones");
    c.milestones = 2;
    c.milestone[0] = 0.5F;
    c.milestone[1] = 0.4F;
    expect(&c, EINET_E_USAGE, "milestone 2");
    c = good;
    c.size_count = 2;
    c.sizes[0] = (struct ei_train_size){16, 1};
    c.sizes[1] = (struct ei_train_size){32, 2};
    expect(&c, EINET_E_USAGE, "sum to 3, the run has 2");
    c.sizes[1].side_px = 33;
    expect(&c, EINET_E_USAGE, "size 33:2");
    c.sizes[1] = (struct ei_train_size){32, 1};
    c.zoo = "b-alexnet";
    expect(&c, EINET_E_USAGE, "b-alexnet does not take 16x16 pictures (program b-alexnet: block1.branch");
    c = good;
    c.exit_weight[1] = 1.0F;
    expect(&c, EINET_E_USAGE, "exit 2");
    c = good;
    c.device = EI_TRAIN_CUDA;
    const struct ei_torch_api *api = fixture_torch_or_skip();
    if (api->device(EI_TORCH_CUDA) != 0) {
        expect(&c, EINET_E_BACKEND, "--device cuda");
    }
    EI_EQ(api->device(EI_TORCH_CPU), 0);
}

/* Small, then full pictures; evaluated when asked. */
EI_TEST(sizes_train_and_evaluations_are_spared)
{
    struct ei_train_result result;
    struct einet_error err;
    struct ei_train_config c = small_config("msdnet-21-light-classic", "sizes");
    c.epochs = 5;
    c.size_count = 3;
    c.sizes[0] = (struct ei_train_size){8, 3};
    c.sizes[1] = (struct ei_train_size){12, 1};
    c.sizes[2] = (struct ei_train_size){32, 1};
    c.eval_every = 2;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    EI_EQ(watch.epochs_done, 5);
    EI_EQ(watch.evaluations, 3);
    EI_TRUE(watch.last_loss < watch.first_loss);
    EI_EQ(result.eval_batch, 64);
}

EI_TEST(momentum_with_and_without_look_ahead)
{
    struct ei_train_result result;
    struct einet_error err;
    float losses[3];
    for (int i = 0; i < 3; i++) {
        struct ei_train_config c = small_config("b-alexnet-classic", "momentum");
        c.epochs = 1;
        c.plain_momentum = i == 1;
        c.momentum = i == 2 ? 0.0F : 0.9F;
        EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
        losses[i] = watch.last_loss;
    }
    EI_TRUE(fabsf(losses[0] - losses[1]) > 1e-7F && fabsf(losses[1] - losses[2]) > 1e-7F);
}

EI_MAIN()
