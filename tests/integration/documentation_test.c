/* What is made from the help texts: completions of the shell, and a manual page for each command. */
#include "tests/harness/harness.h"
#include "tests/integration/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMANDS_MAX 40
#define TEXT_MAX_BYTES (64 * 1024)

static char commands[COMMANDS_MAX][24];
static int command_count;

/* The commands that `einet --help` lists. */
static void read_commands(void)
{
    static char help[OUTPUT_MAX_BYTES];
    const struct finished *finished = einet_run((const char *[]){"--help", NULL});
    EI_EQ(finished->status, 0);
    snprintf(help, sizeof help, "%s", finished->output);
    char *at = strstr(help, "commands:\n");
    EI_REQUIRE(at != NULL);
    command_count = 0;
    for (at = strchr(at, '\n') + 1; at[0] == ' ' && command_count < COMMANDS_MAX; at = strchr(at, '\n') + 1) {
        EI_EQ(sscanf(at, " %23s", commands[command_count]), 1);
        command_count++;
    }
    EI_TRUE(command_count >= 12);
}

/* What a shell command prints; it must end with status 0. */
static void read_shell(const char *command, char out[TEXT_MAX_BYTES])
{
    FILE *pipe = popen(command, "r");
    EI_REQUIRE(pipe != NULL);
    out[fread(out, 1, TEXT_MAX_BYTES - 1, pipe)] = '\0';
    EI_TRUEF(pclose(pipe) == 0, "%s", command);
}

/* What bash proposes for a line whose last word is being typed: one proposal a line, between line ends. */
static void complete(const char *words, char out[TEXT_MAX_BYTES])
{
    char command[1024], said[TEXT_MAX_BYTES];
    snprintf(command, sizeof command,
             "bash -c 'source completions/einet.bash; COMP_WORDS=(einet %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
             "_einet \"%s/einet\" \"${COMP_WORDS[COMP_CWORD]}\"; printf \"%%s\\n\" \"${COMPREPLY[@]}\"'",
             words, ei_test_build_dir());
    read_shell(command, said);
    snprintf(out, TEXT_MAX_BYTES, "\n%.*s", TEXT_MAX_BYTES - 2, said);
}

EI_TEST(completion_proposes_what_help_lists)
{
    static char proposed[TEXT_MAX_BYTES];
    read_commands();
    complete("\"\"", proposed);
    for (int i = 0; i < command_count; i++) {
        char line[32];
        snprintf(line, sizeof line, "\n%.23s\n", commands[i]);
        EI_CONTAINS(proposed, line);
    }
    complete("an", proposed);
    EI_STREQ(proposed, "\nanalyze\n");
    complete("simulate --sh", proposed);
    EI_STREQ(proposed, "\n--shard\n");
    complete("ctl dr", proposed);
    EI_STREQ(proposed, "\ndrain\n");
    complete("help ana", proposed);
    EI_STREQ(proposed, "\nanalyze\n");
    complete("doctor --only rel", proposed);
    EI_STREQ(proposed, "\nrelease\n");
    complete("doctor --only fifo,sw", proposed);
    EI_STREQ(proposed, "\nfifo,swap\n");
    complete("check configs/edge", proposed);
    EI_STREQ(proposed, "\nconfigs/edge-server.yaml\n");
    complete("profile models/pretrained/b-alexnet-mnist.saf", proposed); /* no workload file there: any file */
    EI_STREQ(proposed, "\nmodels/pretrained/b-alexnet-mnist.safetensors\n");
}

/* Every option that the help text begins a line with is an entry of the page. */
static void check_page(const char *name, const char *page)
{
    static char help[OUTPUT_MAX_BYTES];
    snprintf(help, sizeof help, "%s", einet_run((const char *[]){name, "--help", NULL})->output);
    char title[64];
    snprintf(title, sizeof title, ".SH NAME\neinet\\-%.23s \\- ", name);
    EI_CONTAINS(page, title);
    EI_CONTAINS(page, ".SH SYNOPSIS\n");
    EI_CONTAINS(page, ".SH OPTIONS\n");
    EI_CONTAINS(page, ".SH \"EXIT STATUS\"\n.TP\n0\n");
    EI_CONTAINS(page, ".SH EXAMPLES\n");
    for (char *line = strtok(help, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char option[40], entry[100] = "";
        if (sscanf(line, "  --%39[a-z-]", option) != 1 || line[2] != '-') {
            continue;
        }
        for (const char *at = option; *at != '\0'; at++) {
            snprintf(entry + strlen(entry), sizeof entry - strlen(entry), *at == '-' ? "\\-" : "%c", *at);
        }
        EI_TRUEF(strstr(page, entry) != NULL, "einet-%s.1 has no --%s", name, option);
    }
}

/* -h, --help and `einet help COMMAND` are one; a wrong option is a usage error that names the command. */
EI_TEST(every_command_helps_and_refuses_alike)
{
    static char help[OUTPUT_MAX_BYTES];
    read_commands();
    for (int i = 0; i < command_count; i++) {
        snprintf(help, sizeof help, "%s", einet_run((const char *[]){commands[i], "--help", NULL})->output);
        EI_CONTAINS(help, "usage: einet ");
        const struct finished *f = einet_run((const char *[]){commands[i], "-h", NULL});
        EI_EQ(f->status, 0);
        EI_STREQ(f->output, help);
        f = einet_run((const char *[]){"help", commands[i], NULL});
        EI_EQ(f->status, 0);
        EI_STREQ(f->output, help);
        f = einet_run((const char *[]){commands[i], "--nonsense", NULL});
        EI_TRUEF(f->status == 1, "einet %s --nonsense: %d", commands[i], f->status);
        char begin[64];
        snprintf(begin, sizeof begin, "einet %.23s: ", commands[i]);
        EI_TRUEF(strncmp(f->output, begin, strlen(begin)) == 0, "%s", f->output);
    }
    const struct finished *f = einet_run((const char *[]){"predictor", "train", "--nonsense", NULL});
    EI_EQ(f->status, 1);
    EI_CONTAINS(f->output, "einet predictor: ");
    f = einet_run((const char *[]){"help", "nonsense", NULL});
    EI_EQ(f->status, 1);
    EI_CONTAINS(f->output, "unknown command 'nonsense'");
}

/* What is wrong with an option is said alike by all commands: option, value, what is wanted, and where to look. */
EI_TEST(options_are_refused_alike)
{
    static const struct {
        const char *args[6];
        const char *says;
    } cases[] = {
        {{"run", "a.yaml", "--durration", "1s"}, "unknown option --durration, did you mean --duration; einet help run"},
        {{"run", "a.yaml", "--duration", "10"},
         "--duration wants a time with a unit, such as 10s, not '10'; einet help run"},
        {{"run", "a.yaml", "--duration"},
         "missing value of --duration, which wants a time with a unit, such as 10s; einet"},
        {{"run", "a.yaml", "--jsn"}, "unknown option --jsn, did you mean --json; einet help run"},
        {{"run", "a.yaml", "--json=1"}, "--json takes no value, so not '1'; einet help run"},
        {{"run", "a.yaml", "--metrics", "1.2.3.4:5"}, "--metrics: "},
        {{"run", "a", "b"}, "one workload file only, not also b; einet help run"},
        {{"run"}, "einet run: which workload file?; einet help run"},
        {{"run", "a.yaml", "-x"}, "unknown option -x"},
        {{"serve", "--config", "a", "--socket-mode", "9"},
         "--socket-mode wants octal permissions, such as 660, not '9'"},
        {{"ctl", "list", "--tag", "-1"}, "--tag wants a whole number of at most 18 digits, not '-1'; einet help ctl"},
        {{"ctl", "lst"}, "there is no command lst; einet help ctl"},
        {{"top", "--interval", "1ms"}, "--interval wants a time of at least 100ms, such as 1s, not '1ms'"},
        {{"simulate", "a", "--cpus", "65"}, "--cpus wants a number from 1 to 64, not '65'; einet help simulate"},
        {{"simulate", "a", "--shard", "3/2", "--sweep=a=1,2"}, "--shard wants I/N with I from 1 to N, not '3/2'"},
        {{"analyze", "a", "--policy", "fifo"},
         "--policy wants fixed_priority, rate_monotonic, deadline_monotonic, audsley or edf, not 'fifo'"},
        {{"check", "a", "--prnt"}, "did you mean --print; einet help check"},
        {{"doctor", "--onyl", "gaps"}, "did you mean --only; einet help doctor"},
        {{"import", "a", "--time", "x=5"}, "--time wants MODEL=DURATION with a unit, such as resnet=5ms, not 'x=5'"},
        {{"train", "--optimizer", "rms"}, "--optimizer wants adam or sgd, not 'rms'; einet help train"},
        {{"train", "--sizes", "16"}, "--sizes wants SIDE:EPOCHS with commas between, such as 16:6,32:4, not '16'"},
        {{"models", "--channels", "x"}, "--channels wants a whole number of at least 1, not 'x'; einet help models"},
        {{"convert", "--cut", ","}, "--cut wants conv, pool or numbers of layers, such as 3,7,11, not ','"},
        {{"profile", "--only", "all"}, "--only wants et or cs, not 'all'; einet help profile"},
        {{"profile", "--priority", "99"}, "--priority wants a number from 1 to 98, not '99'"},
        {{"predictor", "compare", "--hidden", "16", "a"}, "compare takes no --hidden; einet help predictor"},
        {{"plan", "--explain", "--batch"}, "without --batch; einet help plan"},
        {{"evaluate", "--no-output-score", "x"}, "--no-output-score wants a number, not 'x'; einet help evaluate"},
        {{"report", "a", "--ploot"}, "did you mean --plot; einet help report"},
        {{"compare", "a"}, "the folders of two runs are wanted; einet help compare"},
        {{"rnu", "a"}, "einet: unknown command 'rnu', did you mean run; einet help lists them"},
        {{"zzzzzz"}, "einet: unknown command 'zzzzzz'; einet help lists them"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct finished *f = einet_run(cases[i].args);
        EI_TRUEF(f->status == 1, "%s %s: %d", cases[i].args[0], cases[i].args[1], f->status);
        EI_CONTAINS(f->output, cases[i].says);
        EI_TRUEF(strchr(f->output, '\n') == f->output + strlen(f->output) - 1, "more than a line: %s", f->output);
    }
    /* Shortened names, values behind '=', operands between options, and `--`. */
    const struct finished *f =
        einet_run((const char *[]){"simulate", "--dur=50ms", "configs/overload.yaml", "--js", "--se", "7", NULL});
    EI_TRUE(f->status == 0 || f->status == 4);
    EI_CONTAINS(f->output, "\"seed\": 7");
    f = einet_run((const char *[]){"check", "--", "--json", NULL});
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "--json");
    /* No line of a help text is wider than a terminal that is not narrow. */
    read_commands();
    for (int i = 0; i < command_count; i++) {
        static char help[OUTPUT_MAX_BYTES];
        snprintf(help, sizeof help, "%s", einet_run((const char *[]){"help", commands[i], NULL})->output);
        for (char *line = strtok(help, "\n"); line != NULL; line = strtok(NULL, "\n")) {
            EI_TRUEF(strlen(line) <= 120, "einet help %s: %s", commands[i], line);
        }
    }
}

/* The overview is written by hand: it lists each command, and how to be told more of it. */
EI_TEST(the_overview_names_every_command)
{
    static char page[TEXT_MAX_BYTES];
    read_commands();
    read_shell("cat man/einet.1", page);
    EI_CONTAINS(page, ".BI \"einet help\" \" COMMAND\"");
    for (int i = 0; i < command_count; i++) {
        char form[40], entry[40];
        snprintf(form, sizeof form, "\n.B einet %.23s", commands[i]);
        snprintf(entry, sizeof entry, "\n.TP\n.B %.23s\n", commands[i]);
        EI_CONTAINS(page, form);
        EI_CONTAINS(page, entry);
    }
}

EI_TEST(every_command_has_a_page)
{
    static char said[TEXT_MAX_BYTES], command[1024];
    if (system("command -v help2man >/dev/null") != 0) {
        ei_test_skip("no help2man: apt-get install help2man");
    }
    read_commands();
    snprintf(command, sizeof command, "scripts/man-pages '%s/einet' '%s'", ei_test_build_dir(), ei_test_tmpdir());
    read_shell(command, said);
    for (int i = 0; i < command_count; i++) {
        snprintf(command, sizeof command, "cat '%s/einet-%s.1'", ei_test_tmpdir(), commands[i]);
        read_shell(command, said);
        check_page(commands[i], said);
        if (strcmp(commands[i], "report") == 0) {
            EI_CONTAINS(said, ".SH FILES\n.TP\nDIR/summary.json\n");
            EI_CONTAINS(said, ".TP\n2\na file of DIR is missing or damaged\n"); /* a line per status */
            EI_CONTAINS(said, ".SH ENVIRONMENT\n.TP\nNO_COLOR\n");
        }
    }
}

/* Faults as JSON: what the file's own comments expect, and a file that is not there. */
EI_TEST(check_tells_faults_as_json)
{
    const struct finished *finished =
        einet_run((const char *[]){"check", "--json", "tests/workloads/broken/many_at_once.yaml", NULL});
    EI_EQ(finished->status, 2);
    json_t *root = json_loads(finished->output, 0, NULL);
    const json_t *list = json_object_get(root, "diagnostics"), *first = json_array_get(list, 0);
    EI_TRUE(json_is_false(json_object_get(root, "ok")));
    EI_EQ(json_integer_value(json_object_get(root, "errors")), 10);
    EI_EQ(json_array_size(list), 10);
    EI_EQ(json_integer_value(json_object_get(first, "line")), 13);
    EI_EQ(json_integer_value(json_object_get(first, "column")), 18);
    EI_CONTAINS(json_string_value(json_object_get(first, "text")), "'30' has no unit");
    json_decref(root);

    /* A text that was cut within a character, and a name of another encoding. */
    char line[400] = "version: 1\nname: n\ntasks:\n  - name: x";
    for (int i = 0; i < 100; i++) {
        strcat(line, "\xc3\xa4"); /* 1 + 2 n bytes: the 80th is half a letter */
    }
    const char *file = write_file("caf\xe9.yaml", line);
    finished = einet_run((const char *[]){"check", "--json", file, NULL});
    EI_EQ(finished->status, 2);
    root = json_loads(finished->output, 0, NULL);
    EI_CONTAINS(json_string_value(json_object_get(root, "file")), "caf?.yaml");
    EI_EQ(json_array_size(json_object_get(root, "diagnostics")), json_integer_value(json_object_get(root, "errors")));
    json_decref(root);

    finished = einet_run((const char *[]){"check", "--json", "configs/edge-server.yaml", NULL});
    EI_EQ(finished->status, 0);
    root = json_loads(finished->output, 0, NULL);
    EI_TRUE(json_is_true(json_object_get(root, "ok")));
    EI_EQ(json_integer_value(json_object_get(root, "tasks")), 4);
    json_decref(root);
}

EI_MAIN()
