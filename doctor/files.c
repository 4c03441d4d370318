/* Probes of what the file names: the output folder, data sets, weights and what belongs to them. All are opened and
 * read as a run does it, then closed.
 */
#include "doctor/probes.h"

#include "stages/nn/bundle.h"
#include "stages/nn/safetensors.h"
#include "workloads/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROOM_WANTED_MIB 100
#define FOLDER_BYTES (EI_SPEC_PATH_MAX * 2)

/* ---- output ---- */

/* The output folder as far as it is there already: {time} and what follows is new in each run. */
static void deepest_folder(const struct ei_workload *wl, char *out, size_t size_bytes)
{
    char path[FOLDER_BYTES];
    size_t at = 0;
    struct stat st;
    for (const char *pattern = wl->outputs.dir; *pattern != '\0' && at + 1 < sizeof path;) {
        if (strncmp(pattern, "{time}", 6) == 0) {
            break;
        }
        if (strncmp(pattern, "{name}", 6) == 0) {
            at += (size_t)snprintf(path + at, sizeof path - at, "%s", wl->name);
            pattern += 6;
        } else {
            path[at++] = *pattern++;
        }
    }
    path[at < sizeof path ? at : sizeof path - 1] = '\0';
    while (path[0] != '\0' && stat(path, &st) != 0) {
        char *slash = strrchr(path, '/');
        if (slash == path && path[1] != '\0') {
            path[1] = '\0';
        } else if (slash != NULL && slash != path) {
            *slash = '\0';
        } else {
            path[0] = '\0';
        }
    }
    snprintf(out, size_bytes, "%s", path[0] != '\0' ? path : ".");
}

/* Write a page into a new file there. Returns 0 or -errno; nothing is left. */
static int try_write(const char *folder)
{
    char path[FOLDER_BYTES + 32];
    static const char page[4096];
    snprintf(path, sizeof path, "%s/.einet-doctor-XXXXXX", folder);
    const int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    const ssize_t written = write(fd, page, sizeof page);
    const int rc = written == (ssize_t)sizeof page ? 0 : (written < 0 ? -errno : -ENOSPC);
    close(fd);
    unlink(path);
    return rc;
}

static void fix_output(const char *folder, int rc, const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    struct stat st;
    if (rc == -EROFS) {
        ei_fail(out, "sudo mount -o remount,rw \"$(findmnt -n -o TARGET -T '%s')\"", folder);
    } else if (rc == -EACCES && stat(folder, &st) == 0 && st.st_uid == geteuid()) {
        ei_fail(out, "chmod u+rwx '%s'", folder);
    } else if (rc == -EACCES || rc == -EPERM) {
        ei_fail(out, "sudo chown \"$(id -u)\" '%s'", folder);
    } else {
        ei_fail(out, "einet run %s --out FOLDER  # another one, which can be written", in->wl->file);
    }
}

void ei_probe_output(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    char folder[FOLDER_BYTES];
    struct statvfs room = {0};
    deepest_folder(in->wl, folder, sizeof folder);
    ei_wanted(out, "a folder that can be written, with %d MiB of room", ROOM_WANTED_MIB);
    const int rc = try_write(folder);
    if (rc < 0) {
        ei_found(out, "cannot write into %s: %s", folder, strerror(-rc));
        fix_output(folder, rc, in, out);
        return;
    }
    const bool is_known = statvfs(folder, &room) == 0;
    const unsigned long long mib = (unsigned long long)room.f_bavail * room.f_frsize / 1024 / 1024;
    ei_found(out, "a file written to %s and removed, %llu MiB free", folder, mib);
    if (is_known && mib < ROOM_WANTED_MIB) {
        ei_warn(out, "einet run %s --out FOLDER  # on a disk with more room", in->wl->file);
    }
}

/* ---- data ---- */

static const char *folder_of(const char *dataset)
{
    if (strcmp(dataset, "cifar10") == 0) {
        return "cifar-10-batches-bin";
    }
    return strcmp(dataset, "cifar100") == 0 ? "cifar-100-binary" : "mnist";
}

static bool is_same(const struct ei_input_spec *a, const struct ei_input_spec *b)
{
    return a->kind == b->kind && a->split == b->split && strcmp(a->name, b->name) == 0 &&
           strcmp(a->root, b->root) == 0 && strcmp(a->dir, b->dir) == 0;
}

static bool is_read_before(const struct ei_workload *wl, int32_t task_idx)
{
    for (int32_t i = 0; i < task_idx; i++) {
        if (is_same(&wl->tasks[i].input, &wl->tasks[task_idx].input)) {
            return true;
        }
    }
    return false;
}

static int read_input(const struct ei_input_spec *input, struct einet_error *err)
{
    struct ei_dataset *set = NULL;
    const int rc =
        input->kind == EI_SPEC_INPUT_IMAGES
            ? ei_dataset_open_images(input->dir, &set, err)
            : ei_dataset_open(input->name, input->split, input->root[0] != '\0' ? input->root : NULL, &set, err);
    ei_dataset_destroy(set);
    return rc;
}

void ei_probe_data(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    int count = 0;
    ei_wanted(out, "every data set and image folder of the file, whole");
    for (int32_t i = 0; i < in->wl->task_count; i++) {
        const struct ei_task_spec *task = &in->wl->tasks[i];
        const struct ei_input_spec *input = &task->input;
        struct einet_error err = {0};
        if ((input->kind != EI_SPEC_INPUT_IMAGES && input->kind != EI_SPEC_INPUT_DATASET) ||
            is_read_before(in->wl, i)) {
            continue;
        }
        count++;
        if (read_input(input, &err) >= 0) {
            continue;
        }
        ei_found(out, "task '%s': %.150s %.200s", task->name, err.file, err.text);
        if (input->kind == EI_SPEC_INPUT_IMAGES) {
            ei_fail(out, "mkdir -p '%s' && cp PICTURES '%s'", input->dir, input->dir);
        } else if (input->root[0] != '\0') {
            ei_fail(out, "cp -r FOLDER/%s '%s'", folder_of(input->name), input->root);
        } else {
            ei_fail(out, "export EINET_DATA=FOLDER  # that holds %s", folder_of(input->name));
        }
        return;
    }
    ei_found(out, count == 0 ? "the file needs none" : "%d read", count);
}

/* ---- weights ---- */

static int read_model(const struct ei_model_spec *model, struct einet_error *err)
{
    struct ei_safetensors *weights = NULL;
    if (model->kind == EI_SPEC_MODEL_ZOO) {
        const int rc = ei_safetensors_open(model->weights, &weights, err);
        ei_safetensors_close(weights);
        return rc;
    }
    struct ei_bundle *bundle = calloc(1, sizeof *bundle); /* large */
    const int rc = bundle != NULL ? ei_bundle_read(model->bundle, bundle, err) : -ENOMEM;
    free(bundle);
    return rc;
}

/* Whether a file that the workload may name is there; "" is none. */
static bool is_readable(const char *path)
{
    return path[0] == '\0' || access(path, R_OK) == 0;
}

/* The files beside the weights that the file names itself. */
static bool check_extras(const struct ei_workload *wl, struct ei_finding *out)
{
    for (int32_t i = 0; i < wl->model_count; i++) {
        if (!is_readable(wl->models[i].profile)) {
            ei_found(out, "model '%s': no profile %s", wl->models[i].name, wl->models[i].profile);
            ei_fail(out, "einet profile --help  # makes one; or leave out models.%s.profile", wl->models[i].name);
            return false;
        }
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        const struct ei_planner_spec *planner = &wl->tasks[i].planner;
        const bool is_named = strcmp(planner->predictor, "auto") != 0 && strcmp(planner->predictor, "none") != 0;
        if (is_named && !is_readable(planner->predictor)) {
            ei_found(out, "task '%s': no predictor %s", wl->tasks[i].name, planner->predictor);
            ei_fail(out, "einet predictor --help  # trains one; or planner.predictor: none");
            return false;
        }
        if (!is_readable(planner->exit_times)) {
            ei_found(out, "task '%s': no exit times %s", wl->tasks[i].name, planner->exit_times);
            ei_fail(out, "# choose another planner.exit_time in %s", wl->file);
            return false;
        }
    }
    return true;
}

void ei_probe_weights(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    int count = 0;
    ei_wanted(out, "every network that the file names, readable");
    for (int32_t i = 0; i < in->wl->model_count; i++) {
        const struct ei_model_spec *model = &in->wl->models[i];
        struct einet_error err = {0};
        if (model->kind == EI_SPEC_MODEL_EMULATE) {
            continue;
        }
        count++;
        if (read_model(model, &err) >= 0) {
            continue;
        }
        ei_found(out, "model '%s': %.150s %.200s", model->name, err.file, err.text);
        if (model->kind == EI_SPEC_MODEL_ZOO) {
            ei_fail(out, "einet train --model %s --dataset %s --out '%s'", model->zoo, model->dataset, model->weights);
        } else {
            ei_fail(out, "einet convert --help  # makes a bundle of a network, into %s", model->bundle);
        }
        return;
    }
    if (check_extras(in->wl, out)) {
        ei_found(out, count == 0 ? "the file needs none" : "%d read", count);
    }
}
