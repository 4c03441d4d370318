/* What other programs see: the names, hashes and bytes of the messages. The hashes are those that ROS 2 Jazzy installs
 * beside the messages (share/PACKAGE/msg/TYPE.json); the bytes are read by a decoder that knows nothing of the IDL. */
#include "adapters/dds/type_hash.h"
#include "tests/harness/harness.h"

#include "ros2.h"
#include <dds/dds.h>
#include <dds/ddsi/ddsi_serdata.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

EI_TEST(dds_type_hashes_are_the_published_ones)
{
    static const struct {
        const char *name, *hash;
    } published[] = {
        {"builtin_interfaces/msg/Time", "RIHS01_b106235e25a4c5ed35098aa0a61a3ee9c9b18d197f398b0e4206cea9acf9c197"},
        {"std_msgs/msg/Header", "RIHS01_f49fb3ae2cf070f793645ff749683ac6b06203e41c891e17701b1cb597ce6a01"},
        {"sensor_msgs/msg/Image", "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47"},
        {"sensor_msgs/msg/CompressedImage", "RIHS01_15640771531571185e2efc8a100baf923961a4d15d5569652e6cb6691e8e371a"},
        {"vision_msgs/msg/ObjectHypothesis", "RIHS01_51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90"},
        {"diagnostic_msgs/msg/DiagnosticArray",
         "RIHS01_5a8a36efb05fb25070fa0fb3810290c0e6cd4862b54a8fb975a1ee8dc55a333e"},
        {"vision_msgs/msg/Classification", "RIHS01_f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143"},
    };
    char hash[EI_DDS_TYPE_HASH_MAX];
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        EI_EQ(ei_dds_type_hash(published[i].name, hash), 0);
        EI_STREQ(hash, published[i].hash);
    }
    EI_EQ(ei_dds_type_hash("std_msgs/msg/String", hash), -ENOENT);
    EI_EQ(ei_dds_type_hash_of_dds("sensor_msgs::msg::dds_::Image", hash), -ENOENT);
}

/* Each type that idlc made has the name that ROS 2 gives it, no key, no type information, and a hash. */
EI_TEST(dds_types_have_the_names_of_ros2)
{
    static const struct {
        const dds_topic_descriptor_t *type;
        const char *name, *ros_name;
    } types[] = {
        {&sensor_msgs_msg_dds__Image__desc, "sensor_msgs::msg::dds_::Image_", "sensor_msgs/msg/Image"},
        {&sensor_msgs_msg_dds__CompressedImage__desc, "sensor_msgs::msg::dds_::CompressedImage_",
         "sensor_msgs/msg/CompressedImage"},
        {&vision_msgs_msg_dds__Classification__desc, "vision_msgs::msg::dds_::Classification_",
         "vision_msgs/msg/Classification"},
        {&diagnostic_msgs_msg_dds__DiagnosticArray__desc, "diagnostic_msgs::msg::dds_::DiagnosticArray_",
         "diagnostic_msgs/msg/DiagnosticArray"},
        {&einet_msgs_msg_dds__InferenceStatus__desc, "einet_msgs::msg::dds_::InferenceStatus_",
         "einet_msgs/msg/InferenceStatus"},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char hash[EI_DDS_TYPE_HASH_MAX] = "", same[EI_DDS_TYPE_HASH_MAX] = "";
        EI_STREQ(types[i].type->m_typename, types[i].name);
        EI_EQ(types[i].type->m_nkeys, 0);
        EI_EQ(types[i].type->type_information.sz, 0);
        EI_EQ(ei_dds_type_hash_of_dds(types[i].name, hash), 0);
        EI_EQ(ei_dds_type_hash(types[i].ros_name, same), 0);
        EI_STREQ(hash, same);
    }
    EI_TRUE((einet_msgs_msg_dds__InferenceStatus__desc.m_flagset & DDS_TOPIC_FIXED_SIZE) != 0);
}

#define TEXT_MAX 4096

/* What a program says, without the newline at its end. */
static void run(const char *command, char out_text[TEXT_MAX])
{
    FILE *in = popen(command, "r");
    EI_REQUIRE(in != NULL);
    const size_t length = fread(out_text, 1, TEXT_MAX - 1, in);
    out_text[length] = '\0';
    out_text[strcspn(out_text, "\n")] = '\0';
    EI_EQ(pclose(in), 0);
}

/* The message that others build is the one that we announce; that it is the one that we send, the decoder shows. */
EI_TEST(dds_message_package_is_ours)
{
    char said[TEXT_MAX], hash[EI_DDS_TYPE_HASH_MAX] = "";
    run("python3 tests/adapters/ros2_package.py hash examples/ros2/einet_msgs/msg/InferenceStatus.msg", said);
    EI_EQ(ei_dds_type_hash("einet_msgs/msg/InferenceStatus", hash), 0);
    EI_STREQ(said, hash);
    run("python3 tests/adapters/ros2_package.py check examples/ros2", said);
    EI_STREQ(said, "ok");
}

/* The bytes of a sample as a writer sends it, in hex. */
static void encode(const dds_topic_descriptor_t *type, const void *sample, char out_hex[TEXT_MAX])
{
    const dds_entity_t participant = dds_create_participant(DDS_DOMAIN_DEFAULT, NULL, NULL);
    char name[32]; /* of this process alone: other cases run beside it */
    (void)snprintf(name, sizeof name, "wire%ld", (long)getpid());
    const dds_entity_t topic = dds_create_topic(participant, type, name, NULL, NULL);
    const dds_entity_t reader = dds_create_reader(participant, topic, NULL, NULL);
    const dds_entity_t writer = dds_create_writer(participant, topic, NULL, NULL);
    struct ddsi_serdata *data = NULL;
    dds_sample_info_t info;
    EI_REQUIRE(reader > 0 && writer > 0);
    EI_EQ(dds_write(writer, sample), 0); /* to a reader of this process: as it is sent, at once */
    EI_REQUIRE(dds_takecdr(reader, &data, 1, &info, DDS_ANY_STATE) == 1);
    const size_t size = ddsi_serdata_size(data);
    uint8_t bytes[TEXT_MAX / 2];
    EI_REQUIRE(size < sizeof bytes);
    ddsi_serdata_to_ser(data, 0, size, bytes);
    ddsi_serdata_unref(data);
    for (size_t i = 0; i < size; i++) {
        (void)snprintf(&out_hex[2 * i], 3, "%02x", bytes[i]);
    }
    EI_EQ(dds_delete(participant), 0);
}

static void decode(const char *type, const char *hex, char out_text[TEXT_MAX])
{
    char command[TEXT_MAX + 128];
    (void)snprintf(command, sizeof command, "python3 -B tests/adapters/cdr_decode.py %s %s", type, hex);
    FILE *in = popen(command, "r");
    EI_REQUIRE(in != NULL);
    const size_t length = fread(out_text, 1, TEXT_MAX - 1, in);
    out_text[length] = '\0';
    EI_EQ(pclose(in), 0);
}

EI_TEST(dds_bytes_of_an_image)
{
    char hex[TEXT_MAX], text[TEXT_MAX];
    uint8_t pixels[] = {1, 2, 3, 4, 5, 6};
    char frame[] = "cam", encoding[] = "rgb8";
    sensor_msgs_msg_dds__Image_ image = {.header = {.stamp = {.sec = 7, .nanosec = 8}, .frame_id = frame},
                                         .height = 1,
                                         .width = 2,
                                         .encoding = encoding,
                                         .step = 6,
                                         .data = {._length = 6, ._maximum = 6, ._buffer = pixels}};
    encode(&sensor_msgs_msg_dds__Image__desc, &image, hex);
    EI_STREQ(hex, "00010002"
                  "07000000"
                  "08000000"
                  "04000000"
                  "63616d00" /* stamp, "cam" */
                  "01000000"
                  "02000000"
                  "05000000"
                  "7267623800" /* height, width, "rgb8" */
                  "00"
                  "0000"
                  "06000000"
                  "06000000"
                  "010203040506"
                  "0000"); /* big-endian?, step, data */
    decode("Image", hex, text);
    EI_STREQ(text,
             "header.stamp.sec 7\nheader.stamp.nanosec 8\nheader.frame_id cam\nheight 1\nwidth 2\nencoding rgb8\n"
             "is_bigendian 0\nstep 6\ndata.length 6\ndata.0 1\ndata.1 2\ndata.2 3\ndata.3 4\ndata.4 5\ndata.5 6\n");
}

EI_TEST(dds_bytes_of_a_classification)
{
    char hex[TEXT_MAX], text[TEXT_MAX];
    char frame[] = "c", first[] = "9", second[] = "17";
    vision_msgs_msg_dds__ObjectHypothesis_ results[] = {{.class_id = first, .score = 0.75},
                                                        {.class_id = second, .score = 0.125}};
    vision_msgs_msg_dds__Classification_ message = {
        .header = {.stamp = {.sec = 1700000000, .nanosec = 999999999}, .frame_id = frame},
        .results = {._length = 2, ._maximum = 2, ._buffer = results}};
    encode(&vision_msgs_msg_dds__Classification__desc, &message, hex);
    EI_STREQ(hex, "00010000"
                  "00f15365"
                  "ffc99a3b"
                  "02000000"
                  "6300"
                  "0000" /* stamp, "c" */
                  "02000000"
                  "02000000"
                  "3900"
                  "0000"
                  "00000000"
                  "000000000000e83f"
                  "03000000"
                  "313700"
                  "00"
                  "000000000000c03f");
    decode("Classification", hex, text);
    EI_STREQ(text, "header.stamp.sec 1700000000\nheader.stamp.nanosec 999999999\nheader.frame_id c\nresults.length 2\n"
                   "results.0.class_id 9\nresults.0.score 0.75\nresults.1.class_id 17\nresults.1.score 0.125\n");
}

EI_TEST(dds_bytes_of_a_status)
{
    char hex[TEXT_MAX], text[TEXT_MAX];
    const einet_msgs_msg_dds__InferenceStatus_ status = {.stamp = {.sec = -1, .nanosec = 2},
                                                         .job_idx = 3,
                                                         .task_idx = 4,
                                                         .outcome = 1,
                                                         .cause = 5,
                                                         .answered = true,
                                                         .deadline_met = false,
                                                         .preempted = true,
                                                         .plan_done = false,
                                                         .is_final = true,
                                                         .exit_idx = 6,
                                                         .exits_total = 7,
                                                         .planned_exit_idx = 8,
                                                         .label = 9,
                                                         .confidence = 0.5F,
                                                         .blocks_done = 16,
                                                         .preemptions = 10,
                                                         .release_ns = 11,
                                                         .start_ns = 12,
                                                         .finish_ns = 13,
                                                         .deadline_ns = 14,
                                                         .lane_busy_ns = 15};
    encode(&einet_msgs_msg_dds__InferenceStatus__desc, &status, hex);
    decode("InferenceStatus", hex, text);
    EI_STREQ(text, "stamp.sec -1\nstamp.nanosec 2\njob_idx 3\ntask_idx 4\noutcome 1\ncause 5\nanswered True\n"
                   "deadline_met False\npreempted True\nplan_done False\nis_final True\nexit_idx 6\nexits_total 7\n"
                   "planned_exit_idx 8\nlabel 9\nconfidence 0.5\nblocks_done 16\npreemptions 10\nrelease_ns "
                   "11\nstart_ns 12\nfinish_ns 13\ndeadline_ns 14\n"
                   "lane_busy_ns 15\n");
}

EI_TEST(dds_bytes_of_diagnostics)
{
    char hex[TEXT_MAX], text[TEXT_MAX];
    char none[] = "", name[] = "einet: eye", message[] = "OK", host[] = "r2", key[] = "jobs", value[] = "17";
    diagnostic_msgs_msg_dds__KeyValue_ values[] = {{.key = key, .value = value}, {.key = none, .value = none}};
    diagnostic_msgs_msg_dds__DiagnosticStatus_ statuses[] = {
        {.level = 2,
         .name = name,
         .message = message,
         .hardware_id = host,
         .values = {._length = 2, ._maximum = 2, ._buffer = values}},
        {.level = 3, .name = host, .message = none, .hardware_id = none},
    };
    const diagnostic_msgs_msg_dds__DiagnosticArray_ array = {
        .header = {.stamp = {.sec = 5, .nanosec = 6}, .frame_id = none},
        .status = {._length = 2, ._maximum = 2, ._buffer = statuses}};
    encode(&diagnostic_msgs_msg_dds__DiagnosticArray__desc, &array, hex);
    decode("DiagnosticArray", hex, text);
    EI_STREQ(text, "header.stamp.sec 5\nheader.stamp.nanosec 6\nheader.frame_id \nstatus.length 2\n"
                   "status.0.level 2\nstatus.0.name einet: eye\nstatus.0.message OK\nstatus.0.hardware_id r2\n"
                   "status.0.values.length 2\nstatus.0.values.0.key jobs\nstatus.0.values.0.value 17\n"
                   "status.0.values.1.key \nstatus.0.values.1.value \nstatus.1.level 3\nstatus.1.name r2\n"
                   "status.1.message \nstatus.1.hardware_id \nstatus.1.values.length 0\n");
}

EI_MAIN()
