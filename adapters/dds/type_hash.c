/* See type_hash.h. The fields below are those of the .msg files of ROS 2 and must agree with ros2.idl; the tests
 * compare the hashes with the published ones and the bytes on the wire with an independent decoder. */
#include "adapters/dds/type_hash.h"

#include <errno.h>
#include <sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of type_description_interfaces/msg/FieldType. */
enum field_type {
    NESTED = 1,
    UINT8 = 3,
    INT32 = 6,
    UINT32 = 7,
    INT64 = 8,
    FLOAT32 = 10,
    FLOAT64 = 11,
    BOOLEAN = 15,
    BYTE = 16,
    STRING = 17,
    UNBOUNDED = 144 /* added for a sequence without a bound */
};

struct field {
    const char *name;
    int type;
    const char *nested; /* name of the type, "" = none */
};

#define FIELDS_MAX 24
struct type {
    const char *name;
    struct field fields[FIELDS_MAX]; /* up to the first without a name */
};

#define TIME "builtin_interfaces/msg/Time"
#define HEADER "std_msgs/msg/Header"
#define KEY_VALUE "diagnostic_msgs/msg/KeyValue"
#define DIAGNOSTIC "diagnostic_msgs/msg/DiagnosticStatus"
#define HYPOTHESIS "vision_msgs/msg/ObjectHypothesis"

/* Sorted by name, as references are listed. */
static const struct type types[] = {
    {TIME, {{"sec", INT32, ""}, {"nanosec", UINT32, ""}}},
    {"diagnostic_msgs/msg/DiagnosticArray", {{"header", NESTED, HEADER}, {"status", NESTED + UNBOUNDED, DIAGNOSTIC}}},
    {DIAGNOSTIC,
     {{"level", BYTE, ""},
      {"name", STRING, ""},
      {"message", STRING, ""},
      {"hardware_id", STRING, ""},
      {"values", NESTED + UNBOUNDED, KEY_VALUE}}},
    {KEY_VALUE, {{"key", STRING, ""}, {"value", STRING, ""}}},
    {"einet_msgs/msg/InferenceStatus",
     {{"stamp", NESTED, TIME},         {"job_idx", INT64, ""},     {"task_idx", INT32, ""},
      {"outcome", UINT8, ""},          {"cause", UINT8, ""},       {"answered", BOOLEAN, ""},
      {"deadline_met", BOOLEAN, ""},   {"preempted", BOOLEAN, ""}, {"plan_done", BOOLEAN, ""},
      {"is_final", BOOLEAN, ""},       {"exit_idx", INT32, ""},    {"exits_total", INT32, ""},
      {"planned_exit_idx", INT32, ""}, {"label", INT32, ""},       {"confidence", FLOAT32, ""},
      {"blocks_done", INT32, ""},      {"preemptions", INT32, ""}, {"release_ns", INT64, ""},
      {"start_ns", INT64, ""},         {"finish_ns", INT64, ""},   {"deadline_ns", INT64, ""},
      {"lane_busy_ns", INT64, ""}}},
    {"sensor_msgs/msg/CompressedImage",
     {{"header", NESTED, HEADER}, {"format", STRING, ""}, {"data", UINT8 + UNBOUNDED, ""}}},
    {"sensor_msgs/msg/Image",
     {{"header", NESTED, HEADER},
      {"height", UINT32, ""},
      {"width", UINT32, ""},
      {"encoding", STRING, ""},
      {"is_bigendian", UINT8, ""},
      {"step", UINT32, ""},
      {"data", UINT8 + UNBOUNDED, ""}}},
    {HEADER, {{"stamp", NESTED, TIME}, {"frame_id", STRING, ""}}},
    {"vision_msgs/msg/Classification", {{"header", NESTED, HEADER}, {"results", NESTED + UNBOUNDED, HYPOTHESIS}}},
    {HYPOTHESIS, {{"class_id", STRING, ""}, {"score", FLOAT64, ""}}},
};
#define TYPE_COUNT (sizeof types / sizeof types[0])

const char *ei_dds_type_name(size_t number)
{
    return number < TYPE_COUNT ? types[number].name : NULL;
}

static size_t find(const char *ros_name)
{
    size_t i = 0;
    while (i < TYPE_COUNT && strcmp(types[i].name, ros_name) != 0) {
        i++;
    }
    return i;
}

static void mark_references(const struct type *type, bool is_referred[TYPE_COUNT])
{
    for (const struct field *f = type->fields; f->name != NULL; f++) {
        const size_t nested = f->nested[0] != '\0' ? find(f->nested) : TYPE_COUNT;
        if (nested < TYPE_COUNT && !is_referred[nested]) {
            is_referred[nested] = true;
            mark_references(&types[nested], is_referred);
        }
    }
}

/* As Python's json.dumps writes it, which is what the hash is defined over. */
static void print_type(FILE *out, const struct type *type)
{
    fprintf(out, "{\"type_name\": \"%s\", \"fields\": [", type->name);
    for (const struct field *f = type->fields; f->name != NULL; f++) {
        fprintf(out,
                "%s{\"name\": \"%s\", \"type\": {\"type_id\": %d, \"capacity\": 0, \"string_capacity\": 0, "
                "\"nested_type_name\": \"%s\"}}",
                f == type->fields ? "" : ", ", f->name, f->type, f->nested);
    }
    fprintf(out, "]}");
}

static void print_description(FILE *out, const struct type *type)
{
    bool is_referred[TYPE_COUNT] = {false}, is_first = true;
    mark_references(type, is_referred);
    fprintf(out, "{\"type_description\": ");
    print_type(out, type);
    fprintf(out, ", \"referenced_type_descriptions\": [");
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (is_referred[i]) {
            fprintf(out, "%s", is_first ? "" : ", ");
            print_type(out, &types[i]);
            is_first = false;
        }
    }
    fprintf(out, "]}");
}

int ei_dds_type_hash(const char *ros_name, char out_hash[EI_DDS_TYPE_HASH_MAX])
{
    char digits[SHA256_DIGEST_STRING_LENGTH], *text = NULL;
    size_t length = 0;
    const size_t number = find(ros_name);
    if (number == TYPE_COUNT) {
        return -ENOENT;
    }
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        return -ENOMEM;
    }
    print_description(out, &types[number]);
    if (fclose(out) != 0 || text == NULL) {
        free(text);
        return -ENOMEM;
    }
    (void)SHA256Data((const uint8_t *)text, length, digits);
    free(text);
    (void)snprintf(out_hash, EI_DDS_TYPE_HASH_MAX, "RIHS01_%s", digits);
    return 0;
}

int ei_dds_type_hash_of_dds(const char *dds_name, char out_hash[EI_DDS_TYPE_HASH_MAX])
{
    static const char middle[] = "::msg::dds_::";
    char name[64];
    const char *at = strstr(dds_name, middle);
    const size_t length = strlen(dds_name);
    if (at == NULL || dds_name[length - 1] != '_') {
        return -ENOENT;
    }
    const char *type = at + sizeof middle - 1;
    (void)snprintf(name, sizeof name, "%.*s/msg/%.*s", (int)(at - dds_name), dds_name,
                   (int)(dds_name + length - 1 - type), type);
    return ei_dds_type_hash(name, out_hash);
}
