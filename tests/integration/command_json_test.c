/* What commands print with --json is what docs/command-json.md says: its tables are read, and real output is held
 * against them, name by name and type by type.
 */
#include "tests/harness/harness.h"
#include "tests/integration/command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PYTHON "/usr/bin/python3"
#define ROWS_MAX 64
#define WEIGHTS "models/pretrained/b-alexnet-generated.safetensors"

/* ---- the tables ---- */

struct row {
    char path[80], type[48];
};

struct table {
    struct row rows[ROWS_MAX];
    int count;
};

/* "`a`, `b` " as rows; types: one for all, or as many. */
static void add_rows(struct table *table, char *names, const char *types)
{
    const int first = table->count;
    int listed = 1;
    for (char *name = strtok(names, "`, "); name != NULL && table->count < ROWS_MAX; name = strtok(NULL, "`, ")) {
        snprintf(table->rows[table->count++].path, sizeof table->rows[0].path, "%s", name);
    }
    for (const char *comma = types; (comma = strstr(comma, ", ")) != NULL; comma += 2) {
        listed++;
    }
    EI_TRUEF(listed == 1 || listed == table->count - first, "%d types for %d names: %s", listed, table->count - first,
             types);
    for (int i = first; i < table->count; i++) {
        snprintf(table->rows[i].type, sizeof table->rows[i].type, "%.*s", (int)strcspn(types, ","), types);
        types += listed > 1 && i + 1 < table->count ? strcspn(types, ",") + 2 : 0;
    }
}

/* The rows below "## einet COMMAND". */
static struct table read_table(const char *command)
{
    struct table table = {.count = 0};
    char line[1024], heading[64];
    bool is_here = false;
    FILE *doc = fopen("docs/command-json.md", "re");
    EI_TRUE(doc != NULL);
    snprintf(heading, sizeof heading, "## einet %s\n", command);
    while (doc != NULL && fgets(line, sizeof line, doc) != NULL) {
        if (strncmp(line, "## ", 3) == 0) {
            is_here = strcmp(line, heading) == 0;
        }
        char names[256], types[256];
        if (is_here && sscanf(line, "| %255[^|]| %255[^|]|", names, types) == 2 && names[0] == '`') {
            types[strlen(types) - 1] = '\0'; /* the blank before the bar */
            add_rows(&table, names, types);
        }
    }
    if (doc != NULL) {
        fclose(doc);
    }
    EI_TRUEF(table.count > 3, "docs/command-json.md has no table of einet %s", command);
    return table;
}

/* ---- holding output against them ---- */

static bool is_of(const json_t *value, const char *type, size_t length)
{
    static const struct {
        const char *list, *element;
    } lists[] = {{"list of strings", "string"},
                 {"list of numbers", "number"},
                 {"list of integers", "integer"},
                 {"list of objects", "object"}};
    const struct {
        const char *name;
        bool is_so;
    } plain[] = {{"string", json_is_string(value)}, {"integer", json_is_integer(value)},
                 {"number", json_is_number(value)}, {"boolean", json_is_boolean(value)},
                 {"object", json_is_object(value)}, {"null", json_is_null(value)},
                 {"any list", json_is_array(value)}};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (strlen(plain[i].name) == length && strncmp(plain[i].name, type, length) == 0) {
            return plain[i].is_so;
        }
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (strlen(lists[i].list) == length && strncmp(lists[i].list, type, length) == 0) {
            bool is_so = json_is_array(value);
            for (size_t k = 0; is_so && k < json_array_size(value); k++) {
                is_so = is_of(json_array_get(value, k), lists[i].element, strlen(lists[i].element));
            }
            return is_so;
        }
    }
    EI_TRUEF(false, "docs/command-json.md knows no type '%.*s'", (int)length, type);
    return false;
}

/* "integer or null" */
static bool is_one_of(const json_t *value, const char *types)
{
    for (;;) {
        const char * or = strstr(types, " or ");
        if (is_of(value, types, or != NULL ? (size_t)(or -types) : strlen(types))) {
            return true;
        }
        if (or == NULL) {
            return false;
        }
        types = or +4;
    }
}

/* The last part of a path whose first parts are prefix; NULL = it lies elsewhere. */
static const char *child_of(const char *path, const char *prefix)
{
    const size_t length = strlen(prefix);
    return strncmp(path, prefix, length) == 0 && strchr(path + length, '.') == NULL ? path + length : NULL;
}

static void check_object(const struct table *table, const json_t *object, const char *prefix)
{
    const char *key;
    json_t *value;
    bool has_children = false;
    for (int i = 0; i < table->count; i++) {
        const char *name = child_of(table->rows[i].path, prefix);
        has_children = has_children || name != NULL;
        EI_TRUEF(name == NULL || json_object_get(object, name) != NULL, "%s is documented and not there",
                 table->rows[i].path);
    }
    if (!has_children) {
        return; /* described elsewhere */
    }
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const struct row *row = NULL;
        for (int i = 0; i < table->count; i++) {
            const char *name = child_of(table->rows[i].path, prefix);
            row = name != NULL && strcmp(name, key) == 0 ? &table->rows[i] : row;
        }
        EI_TRUEF(row != NULL, "%s%s is there and not documented", prefix, key);
        if (row == NULL) {
            continue;
        }
        EI_TRUEF(is_one_of(value, row->type), "%s is no %s", row->path, row->type);
        char below[160];
        snprintf(below, sizeof below, "%s%s%s.", prefix, key, json_is_array(value) ? "[]" : "");
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (json_is_object(json_array_get(value, i))) {
                check_object(table, json_array_get(value, i), below);
            }
        }
        if (json_is_object(value)) {
            check_object(table, value, below);
        }
    }
}

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* The text is one JSON object as documented for the command. The caller's; NULL = it is not even JSON. */
static json_t *check_text(const char *command, const char *text)
{
    const struct table table = read_table(command);
    json_error_t fault;
    json_t *object = json_loads(text, 0, &fault);
    EI_TRUEF(json_is_object(object), "einet %s --json: %s: %s", command, fault.text, text);
    if (json_is_object(object)) {
        check_object(&table, object, "");
        EI_EQ(json_integer_value(json_object_get(object, "schema")), 1);
        EI_TRUEF(strncmp(command, text_at(object, "command"), strlen(text_at(object, "command"))) == 0, "%s", command);
    }
    return object;
}

static char said[64 * 1024];     /* on standard error */
static char printed[256 * 1024]; /* on standard output */

static void read_into(const char *path, char *out, size_t size_bytes)
{
    FILE *file = fopen(path, "re");
    out[file != NULL ? fread(out, 1, size_bytes - 1, file) : 0] = '\0';
    if (file != NULL) {
        fclose(file);
    }
}

static void read_said(void)
{
    read_into(in_tmpdir("said.txt"), said, sizeof said);
}

static void read_answer(void)
{
    read_into(in_tmpdir("answer.txt"), printed, sizeof printed);
}

/* Run `einet ARGUMENTS --json`, which must end with `status`. */
static void run_json(const char *command, const char *arguments, int status)
{
    char line[2048];
    snprintf(line, sizeof line, "'%s/einet' %s %s --json 2>'%s'", ei_test_build_dir(), command, arguments,
             in_tmpdir("said.txt"));
    FILE *pipe = popen(line, "re");
    printed[pipe != NULL ? fread(printed, 1, sizeof printed - 1, pipe) : 0] = '\0';
    const int ended = pipe != NULL ? pclose(pipe) : -1;
    read_said();
    EI_TRUEF(WIFEXITED(ended) && WEXITSTATUS(ended) == status, "%s: %d: %s", line, ended, said);
}

/* And hold what it prints against the table. */
static json_t *check_command(const char *command, const char *arguments, int status)
{
    run_json(command, arguments, status);
    return check_text(command, printed);
}

/* What fails says why on standard error and prints nothing. */
static void check_failure(const char *command, const char *arguments, int status)
{
    run_json(command, arguments, status);
    EI_STREQ(printed, "");
    EI_TRUEF(strncmp(said, "einet ", 6) == 0, "%s", said);
}

/* Each of the list of files is there. */
static void check_files(const json_t *object, size_t count)
{
    const json_t *files = json_object_get(object, "files");
    EI_EQ(json_array_size(files), count);
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *path = json_string_value(json_array_get(files, i));
        EI_TRUEF(access(path, R_OK) == 0, "%s is said to be written, and is not there", path);
    }
}

static void need_torch(void)
{
    char path[600];
    snprintf(path, sizeof path, "%s/libeinet_torch.so", ei_test_build_dir());
    if (access(path, R_OK) != 0) {
        ei_test_skip("no libtorch plug-in");
    }
}

/* ---- train, convert ---- */

/* A training that a signal stops: its notes go to standard error, the checkpoint is named. */
EI_TEST(json_of_train)
{
    need_torch();
    char out[600], line[2048];
    snprintf(out, sizeof out, "%s", in_tmpdir("net.safetensors"));
    snprintf(line, sizeof line,
             "'%s/einet' train --model b-alexnet --dataset generated --init " WEIGHTS
             " --out '%s' --json >'%s' 2>'%s' & "
             "pid=$!; for i in $(seq 600); do [ -s '%s' ] && break; sleep 0.1; done; kill -TERM $pid; wait $pid",
             ei_test_build_dir(), out, in_tmpdir("answer.txt"), in_tmpdir("said.txt"), in_tmpdir("said.txt"));
    const int ended = system(line);
    read_said();
    EI_TRUEF(WIFEXITED(ended) && WEXITSTATUS(ended) == 0, "%d: %s", ended, said);
    read_answer();
    json_t *object = check_text("train", printed);
    EI_TRUE(json_is_false(json_object_get(object, "is_finished")));
    EI_STREQ(text_at(object, "network"), "b-alexnet");
    EI_TRUE(said[0] != '\0');
    check_files(object, 1);
    json_decref(object);
}

EI_TEST(json_of_convert)
{
    need_torch();
    char arguments[1024];
    snprintf(arguments, sizeof arguments, "--weights " WEIGHTS " --to b-alexnet --untrained --out '%s'",
             in_tmpdir("net.safetensors"));
    json_t *object = check_command("convert", arguments, 0);
    EI_TRUE(json_is_null(json_object_get(object, "training")));
    EI_STREQ(text_at(object, "dataset"), "generated");
    check_files(object, 1);
    json_decref(object);
}

EI_TEST(json_of_convert_with_a_chain)
{
    char line[1600];
    need_torch();
    if (system(PYTHON " -c 'import torch' >/dev/null 2>&1") != 0) {
        ei_test_skip("no PyTorch for python3: apt-get install python3-torch");
    }
    snprintf(line, sizeof line, PYTHON " examples/bundle/make_chain.py '%s' --trace --swish >/dev/null",
             in_tmpdir("net.pt"));
    EI_EQ(system(line), 0);
    snprintf(
        line, sizeof line,
        "--script '%s' --input 3x32x32 --classes 10 --dataset generated --mean .5,.5,.5 --std .2,.2,.2 --untrained "
        "--threads 1 --out '%s'",
        in_tmpdir("net.pt"), in_tmpdir("bundle"));
    json_t *object = check_command("convert", line, 0);
    const json_t *chain = json_object_get(object, "chain");
    EI_EQ(json_integer_value(json_object_get(chain, "torchscript")), 1);
    EI_EQ(json_array_size(json_object_get(chain, "layers")), 14);
    EI_TRUE(json_array_size(json_object_get(object, "files")) >= 2);
    check_files(object, json_array_size(json_object_get(object, "files")));
    json_decref(object);
    check_failure("convert", line, 2); /* the folder is there already: an error, and no JSON */
}

/* ---- profile, import, report, serve ---- */

EI_TEST(json_of_profile)
{
    need_torch();
    char arguments[1024];
    snprintf(arguments, sizeof arguments,
             "--weights " WEIGHTS " --dataset generated --only et --runs 5 --backend aten --out '%s'",
             in_tmpdir("net"));
    json_t *object = check_command("profile", arguments, 0);
    const json_t *times = json_object_get(object, "times");
    EI_EQ(json_integer_value(json_object_get(times, "runs")), 5);
    EI_EQ(json_array_size(json_object_get(json_object_get(times, "conv_ns"), "p99")), 3);
    EI_TRUE(json_is_null(json_object_get(object, "scores")));
    check_files(object, 1);
    json_decref(object);
    object = check_command("profile", "--print models/pretrained/b-alexnet-mnist.cs", 0);
    const json_t *scores = json_object_get(object, "scores");
    EI_EQ(json_integer_value(json_object_get(scores, "samples")), 10000);
    EI_EQ(json_array_size(json_object_get(scores, "accuracy")), 3);
    EI_TRUE(json_real_value(json_array_get(json_object_get(scores, "accuracy"), 0)) > 0.9);
    check_files(object, 0);
    json_decref(object);
    check_failure("profile", "--print no-such.et.csv", 2);
}

EI_TEST(json_of_import)
{
    char arguments[1024], bad[600];
    json_t *object = check_command("import", "tests/workloads/import/audio.rt-app.json", 0);
    EI_CONTAINS(text_at(object, "workload"), "version: 1");
    EI_STREQ(text_at(object, "format"), "rt-app");
    check_files(object, 0);
    json_decref(object);
    snprintf(arguments, sizeof arguments, "tests/workloads/import/speech.disb.json --time distilbert=3ms --out '%s'",
             in_tmpdir("speech.yaml"));
    object = check_command("import", arguments, 0);
    EI_TRUE(json_is_null(json_object_get(object, "workload")));
    check_files(object, json_array_size(json_object_get(object, "files")));
    EI_TRUE(json_array_size(json_object_get(object, "files")) >= 2); /* with its release traces */
    json_decref(object);
    object = check_command("import", "tests/workloads/import/driving.disb.json", 2);
    EI_TRUE(json_is_false(json_object_get(object, "ok")));
    EI_TRUE(json_array_size(json_object_get(object, "diagnostics")) > 0);
    EI_TRUE(json_integer_value(json_object_get(object, "errors")) > 0);
    EI_CONTAINS(said, "--time vgg19-imagenet=5ms");
    json_decref(object);
    snprintf(bad, sizeof bad, "tests/workloads/import/audio.rt-app.json --out '%s/none/there.yaml'", ei_test_tmpdir());
    check_failure("import", bad, 5); /* nothing is said to be written that is not */
}

EI_TEST(json_of_report)
{
    char arguments[1024];
    const struct finished *f = einet_run(
        (const char *[]){"simulate", "configs/overload.yaml", "--duration", "2s", "--out", in_tmpdir("out"), NULL});
    EI_TRUE(f->status == 0 || f->status == 4);
    snprintf(arguments, sizeof arguments, "'%s'", in_tmpdir("out"));
    json_t *object = check_command("report", arguments, 0), *summary = read_summary(in_tmpdir("out"));
    check_files(object, 1);
    EI_STREQ(text_at(object, "name"), "overload");
    EI_EQ(json_array_size(json_object_get(object, "tasks")), json_array_size(json_object_get(summary, "tasks")));
    EI_TRUE(json_is_null(json_object_get(object, "is_probe_fifo"))); /* virtual time has no probe */
    EI_TRUE(json_integer_value(json_object_get(object, "bytes")) > 10000);
    json_decref(object);
    json_decref(summary);
    check_failure("report", "no-such-folder", 2);
    check_failure("report", "a --plot", 1);
}

EI_TEST(json_of_serve)
{
    char line[2048];
    static const char workload[] = "version: 1\nname: door\nrun: { duration: 1s }\ntasks:\n"
                                   "  - name: tick\n    class: other\n    arrival: { model: periodic, period: 20ms }\n"
                                   "    stages: [ { name: work, kind: cpu, work: { spin: 100us } } ]\n";
    snprintf(line, sizeof line,
             "'%s/einet' serve --config '%s' --json >'%s' 2>'%s' & pid=$!; "
             "for i in $(seq 600); do grep -q running '%s' && break; sleep 0.1; done; kill -TERM $pid; wait $pid",
             ei_test_build_dir(), write_file("door.yaml", workload), in_tmpdir("answer.txt"), in_tmpdir("said.txt"),
             in_tmpdir("said.txt"));
    const int ended = system(line);
    read_said();
    EI_TRUEF(WIFEXITED(ended) && WEXITSTATUS(ended) == 0, "%d: %s", ended, said);
    read_answer();
    json_t *object = check_text("serve", printed);
    EI_STREQ(text_at(object, "ended_by"), strsignal(SIGTERM));
    EI_TRUE(json_is_null(json_object_get(object, "out")));
    EI_STREQ(text_at(json_object_get(object, "summary"), "name"), "door");
    json_decref(object);
}

/* ---- doctor, check, models, predictor ---- */

EI_TEST(json_of_doctor)
{
    json_t *object = check_command("doctor", "configs/edge-server.yaml --only clock_source,timers", 0);
    EI_EQ(json_array_size(json_object_get(object, "probes")), 2);
    EI_STREQ(text_at(object, "file"), "configs/edge-server.yaml");
    json_decref(object);
    check_failure("doctor", "--only nonsense", 1);
}

EI_TEST(json_of_check)
{
    json_t *object = check_command("check", "configs/edge-server.yaml", 0);
    EI_EQ(json_integer_value(json_object_get(object, "tasks")), 4);
    json_decref(object);
    char arguments[600];
    snprintf(arguments, sizeof arguments, "'%s'", write_file("bad.yaml", "version: 1\nnme: x\n"));
    object = check_command("check", arguments, 2);
    EI_TRUE(json_integer_value(json_object_get(object, "errors")) > 0);
    EI_TRUE(json_is_null(json_object_get(object, "tasks")));
    json_decref(object);
}

EI_TEST(json_of_models)
{
    json_t *object = check_command("models", "--classes 100", 0);
    EI_EQ(json_integer_value(json_object_get(object, "classes")), 100);
    EI_TRUE(json_array_size(json_object_get(object, "networks")) >= 16);
    json_decref(object);
    check_failure("models", "no-such-network", 1);
}

EI_TEST(json_of_predictor)
{
    char arguments[1400], out[600];
    if (access("models/pretrained/b-alexnet-cifar10.cs", R_OK) != 0) {
        ei_test_skip("no profile of b-alexnet");
    }
    snprintf(out, sizeof out, "%s", in_tmpdir("p"));
    snprintf(arguments, sizeof arguments,
             "--cs models/pretrained/b-alexnet-cifar10.cs --out '%s' --hidden 16 --epochs 2", out);
    json_decref(check_command("predictor train", arguments, 0));
    snprintf(arguments, sizeof arguments, "'%s'", out);
    json_t *object = check_command("predictor print", arguments, 0);
    EI_EQ(json_integer_value(json_object_get(object, "hidden")), 16);
    json_decref(object);
    snprintf(arguments, sizeof arguments, "--cs models/pretrained/b-alexnet-cifar10.cs '%s' '%s'", out, out);
    object = check_command("predictor compare", arguments, 0);
    EI_EQ(json_array_size(json_object_get(object, "errors")), 4);
    json_decref(object);
}

EI_MAIN()
