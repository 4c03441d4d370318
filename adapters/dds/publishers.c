/* Who sends what a task takes. Two versions of a message with one name match over DDS, which knows names alone here;
 * what tells them apart is the type hash that publishers of ROS 2 Iron and later announce. See bridge.h. */
#include "adapters/dds/bridge.h"

#include <string.h>

/* Whether USER_DATA ("key=value;...") announces a hash, and not this one. */
static bool announces_another(const char *data, size_t length, const char *hash)
{
    static const char key[] = "typehash=";
    const size_t key_length = sizeof key - 1;
    for (size_t at = 0; at < length;) {
        const char *end = memchr(data + at, ';', length - at);
        const size_t entry = (end != NULL ? (size_t)(end - data) : length) - at;
        if (entry > key_length && memcmp(data + at, key, key_length) == 0) {
            const size_t hash_length = strlen(hash);
            return entry - key_length != hash_length || memcmp(data + at + key_length, hash, hash_length) != 0;
        }
        at += entry + 1;
    }
    return false;
}

/* Returns false when the publisher is not known any longer. */
static bool look_up(const struct ei_dds_task *task, dds_instance_handle_t publisher, bool *out_refused)
{
    dds_builtintopic_endpoint_t *end = dds_get_matched_publication_data(task->reader, publisher);
    void *data = NULL;
    size_t length = 0;
    if (end == NULL) {
        return false;
    }
    *out_refused = end->qos != NULL && dds_qget_userdata(end->qos, &data, &length) && data != NULL &&
                   announces_another(data, length, task->type_hash);
    dds_free(data);
    dds_builtintopic_free_endpoint(end);
    return true;
}

bool ei_dds_is_trusted(struct ei_dds_task *task, dds_instance_handle_t publisher)
{
    for (int32_t i = 0; i < EI_DDS_PUBLISHERS_MAX; i++) {
        if (task->publishers[i].handle == publisher) {
            return !task->publishers[i].is_refused;
        }
    }
    bool is_refused = false;
    if (look_up(task, publisher, &is_refused)) {
        task->publishers[task->next_publisher] = (struct ei_dds_publisher){publisher, is_refused};
        task->next_publisher = (task->next_publisher + 1) % EI_DDS_PUBLISHERS_MAX;
    }
    return !is_refused;
}
