/* What a pool decides, without a network: order, strengths, the gate of the egress, shedding against a load that is
 * given in numbers. */
#include "adapters/dds/pool/decide.h"
#include "rt/random.h"
#include "tests/harness/harness.h"

EI_TEST(pool_names_are_no_patterns)
{
    char longest[EINET_POOL_NAME_MAX + 1];
    memset(longest, 'a', sizeof longest);
    longest[EINET_POOL_NAME_MAX - 1] = '\0';
    EI_TRUE(ei_pool_is_name("robot-7_b.left"));
    EI_TRUE(ei_pool_is_name(longest));
    longest[EINET_POOL_NAME_MAX - 1] = 'a';
    longest[EINET_POOL_NAME_MAX] = '\0';
    EI_TRUE(!ei_pool_is_name(longest));
    EI_TRUE(!ei_pool_is_name(""));
    EI_TRUE(!ei_pool_is_name("*"));
    EI_TRUE(!ei_pool_is_name("rob?t"));
    EI_TRUE(!ei_pool_is_name("a b"));
}

EI_TEST(pool_order_is_by_rank_then_name)
{
    EI_TRUE(ei_pool_compare(60, "z", 50, "a") < 0);
    EI_TRUE(ei_pool_compare(50, "a", 60, "z") > 0);
    EI_TRUE(ei_pool_compare(50, "a", 50, "b") < 0);
    EI_EQ(ei_pool_compare(50, "a", 50, "a"), 0);
}

EI_TEST(pool_strength_is_rank_minus_load)
{
    EI_TRUE(ei_pool_strength(60, 0, 31, false) > ei_pool_strength(59, 0, 0, false));
    EI_TRUE(ei_pool_strength(50, 0, 0, false) > ei_pool_strength(50, 0, 1, false));
    /* load counts for what is given away alone: else nodes of one rank would change places with every job */
    EI_EQ(ei_pool_strength(50, 900, 0, false), ei_pool_strength(50, 0, 0, false));
    /* what the highest gives away goes to the lowest */
    EI_TRUE(ei_pool_strength(EINET_POOL_RANK_MAX, 0, 0, true) < ei_pool_strength(0, 0, 63, false));
    EI_TRUE(ei_pool_strength(50, 1500, 0, true) < ei_pool_strength(50, 1200, 5, true));
    EI_TRUE(ei_pool_strength(0, 1 << 30, 1000, true) < ei_pool_strength(0, 9000, 63, true));
}

/* Any mix of two nodes' frames: each stamp once, answers strictly rising, and everything passes that may. */
EI_TEST(pool_gate_lets_each_stamp_once_and_answers_forward)
{
    enum { SPREAD = 20, STAMPS = 50000 + SPREAD };
    static bool has_passed[STAMPS];
    struct ei_random random;
    struct ei_pool_gate gate = {0};
    int64_t answered = -1;
    ei_random_init(&random, 11, 0);
    for (int i = 0; i < 100000; i++) {
        const int64_t number = i / 2 + (int64_t)ei_random_below(&random, SPREAD);
        const int64_t stamp = number + 5 * INT64_C(999999990);
        const bool is_answered = ei_random_below(&random, 3) > 0;
        const enum ei_pool_pass pass =
            ei_pool_gate_pass(&gate, (int32_t)(stamp / 1000000000), (uint32_t)(stamp % 1000000000), is_answered);
        if (has_passed[number]) {
            EI_TRUE(pass != EI_POOL_PASS);
        } else {
            EI_EQ(pass, number < answered ? EI_POOL_BACKWARD : EI_POOL_PASS);
        }
        has_passed[number] |= pass == EI_POOL_PASS;
        answered = pass == EI_POOL_PASS && is_answered ? number : answered;
    }
}

/* "Dropped" is said of a frame while an older one is still computed. */
EI_TEST(pool_gate_stays_open_behind_a_frame_without_an_answer)
{
    struct ei_pool_gate gate = {0};
    EI_EQ(ei_pool_gate_pass(&gate, 1, 0, true), EI_POOL_PASS);
    EI_EQ(ei_pool_gate_pass(&gate, 3, 0, false), EI_POOL_PASS);
    EI_EQ(ei_pool_gate_pass(&gate, 2, 0, true), EI_POOL_PASS);
    EI_EQ(ei_pool_gate_pass(&gate, 3, 0, true), EI_POOL_REPEATED); /* of another node: too late */
    EI_EQ(ei_pool_gate_pass(&gate, 1, 999999999, true), EI_POOL_BACKWARD);
    EI_EQ(ei_pool_gate_pass(&gate, 1, 999999999, false), EI_POOL_BACKWARD);
    struct ei_pool_gate zero = {0};
    EI_EQ(ei_pool_gate_pass(&zero, 0, 0, true), EI_POOL_PASS); /* a camera without a clock has one frame */
    EI_EQ(ei_pool_gate_pass(&zero, 0, 0, true), EI_POOL_REPEATED);
    EI_EQ(ei_pool_gate_pass(&zero, -1, 5, true), EI_POOL_BACKWARD);
}

/* ---- shedding ---- */

enum { TOP, MID, LOW, OWN, TASKS };

struct play {
    struct ei_pool_shed shed;
    struct ei_pool_look looks[TASKS];
    int64_t now_ns;
};

static void begin(struct play *play)
{
    const int32_t priorities[TASKS] = {60, 50, 30, 10};
    *play = (struct play){.now_ns = 1};
    for (int i = 0; i < TASKS; i++) {
        play->looks[i] = (struct ei_pool_look){
            .priority = priorities[i], .head = i, .is_shared = i != OWN, .is_replaced = i != OWN, .load_permille = 300};
    }
    ei_pool_shed_init(&play->shed, TASKS);
    ei_pool_shed_step(&play->shed, play->looks, play->now_ns);
}

/* A window with ten jobs a task, of which so many percent were late or cut. */
static void window(struct play *play, int64_t late, int64_t cut)
{
    for (int i = 0; i < TASKS; i++) {
        play->looks[i].jobs += 100;
        play->looks[i].late += late;
        play->looks[i].cut += cut;
    }
    for (int i = 0; i < 5; i++) {
        play->now_ns += EI_POOL_WINDOW_NS / 5;
        ei_pool_shed_step(&play->shed, play->looks, play->now_ns);
    }
}

static enum einet_dds_duty duty(const struct play *play, int task)
{
    return play->shed.tasks[task].duty;
}

EI_TEST(pool_depth_is_given_up_before_tasks)
{
    struct play play;
    begin(&play);
    for (int i = 0; i < 20; i++) {
        window(&play, 9, 24); /* many exit earlier, some are late: the run copes */
    }
    play.looks[MID].load_permille = 100; /* all of them want no more than there is: they are cut by design */
    for (int i = 0; i < 20; i++) {
        window(&play, 0, 100);
    }
    play.looks[MID].load_permille = 300;
    window(&play, 0, 0);
    EI_EQ(duty(&play, LOW), EINET_DUTY_SERVING);
    window(&play, 0, 25);
    EI_EQ(duty(&play, LOW), EINET_DUTY_SERVING); /* one window of it may be chance */
    window(&play, 0, 0);
    window(&play, 0, 25);
    EI_EQ(duty(&play, LOW), EINET_DUTY_SERVING);
    window(&play, 0, 25);
    EI_EQ(duty(&play, LOW), EINET_DUTY_YIELDING);
    EI_EQ(duty(&play, MID), EINET_DUTY_SERVING);
    EI_EQ(duty(&play, TOP), EINET_DUTY_SERVING);
}

EI_TEST(pool_tasks_go_lowest_first_and_the_highest_stays)
{
    struct play play;
    begin(&play);
    window(&play, 50, 0);
    window(&play, 50, 0);
    EI_EQ(duty(&play, LOW), EINET_DUTY_YIELDING);
    EI_EQ(duty(&play, OWN), EINET_DUTY_SERVING); /* nobody else can do it, low as it is */
    window(&play, 50, 0);
    EI_EQ(duty(&play, LOW), EINET_DUTY_YIELDING); /* it is still computed: nobody was seen to have taken over */
    play.looks[LOW].is_settled = true;
    ei_pool_shed_step(&play.shed, play.looks, play.now_ns + 1);
    EI_EQ(duty(&play, LOW), EINET_DUTY_RESTING);
    window(&play, 50, 0);
    EI_EQ(duty(&play, MID), EINET_DUTY_YIELDING);
    for (int i = 0; i < 20; i++) {
        window(&play, 50, 0);
    }
    EI_EQ(duty(&play, TOP), EINET_DUTY_SERVING);
}

/* Only the first of a chain has images: behind one that rests nothing is to be heard. */
EI_TEST(pool_a_chain_goes_and_comes_as_one)
{
    struct play play;
    begin(&play);
    play.looks[LOW].head = MID; /* LOW behind MID, of which OWN, now of the pool, is lower */
    play.looks[OWN].is_shared = play.looks[OWN].is_replaced = true;
    window(&play, 50, 0);
    window(&play, 50, 0);
    EI_EQ(duty(&play, OWN), EINET_DUTY_YIELDING); /* 10 < 50, that of the chain */
    window(&play, 50, 0);
    window(&play, 50, 0);
    EI_EQ(duty(&play, MID), EINET_DUTY_YIELDING);
    EI_EQ(duty(&play, LOW), EINET_DUTY_YIELDING);
    play.looks[LOW].is_settled = true; /* says nothing of the chain */
    ei_pool_shed_step(&play.shed, play.looks, play.now_ns + 1);
    EI_EQ(duty(&play, MID), EINET_DUTY_YIELDING);
    play.looks[LOW].is_settled = false;
    play.looks[MID].is_settled = true;
    ei_pool_shed_step(&play.shed, play.looks, play.now_ns + 2);
    EI_EQ(duty(&play, MID), EINET_DUTY_RESTING);
    EI_EQ(duty(&play, LOW), EINET_DUTY_RESTING);
    for (int i = 0; i < 40; i++) { /* tried as one, and brought back as one */
        window(&play, 0, 0);
        EI_EQ(duty(&play, LOW), duty(&play, MID));
    }
    EI_EQ(duty(&play, LOW), EINET_DUTY_SERVING);
    window(&play, 50, 0);
    window(&play, 50, 0);
    window(&play, 50, 0);
    window(&play, 50, 0);
    EI_EQ(duty(&play, LOW), EINET_DUTY_RESTING);
    play.looks[LOW].is_replaced = false; /* nobody has its end any more */
    ei_pool_shed_step(&play.shed, play.looks, play.now_ns + 1);
    EI_EQ(duty(&play, MID), EINET_DUTY_SERVING);
    EI_EQ(duty(&play, LOW), EINET_DUTY_SERVING);
}

/* The highest priority of a chain is that of all of it, wherever it stands in the file. */
EI_TEST(pool_the_chain_of_highest_priority_stays)
{
    struct play play;
    begin(&play);
    play.looks[TOP].head = LOW; /* the first of it has 30, TOP behind it 60 */
    for (int i = 0; i < 20; i++) {
        window(&play, 50, 0);
        EI_EQ(duty(&play, LOW), EINET_DUTY_SERVING);
        EI_EQ(duty(&play, TOP), EINET_DUTY_SERVING);
    }
    EI_EQ(duty(&play, MID), EINET_DUTY_YIELDING);
}

EI_TEST(pool_nothing_is_given_to_nobody)
{
    struct play play;
    begin(&play);
    play.looks[LOW].is_replaced = false;
    for (int i = 0; i < 10; i++) {
        window(&play, 100, 0);
        EI_EQ(duty(&play, LOW), EINET_DUTY_SERVING);
    }
    EI_EQ(duty(&play, MID), EINET_DUTY_YIELDING); /* this one has somebody */
    play.looks[MID].is_settled = true;
    window(&play, 100, 0);
    EI_EQ(duty(&play, MID), EINET_DUTY_RESTING);
    play.looks[MID].is_replaced = false; /* the other node died */
    ei_pool_shed_step(&play.shed, play.looks, play.now_ns + 1);
    EI_EQ(duty(&play, MID), EINET_DUTY_SERVING);
}

EI_TEST(pool_a_rested_task_is_tried_and_comes_back)
{
    struct play play;
    int64_t windows = 0;
    begin(&play);
    play.looks[LOW].is_settled = play.looks[MID].is_settled = true;
    window(&play, 50, 0);
    window(&play, 50, 0);
    window(&play, 0, 0);
    EI_EQ(duty(&play, LOW), EINET_DUTY_RESTING);
    for (; windows < 100 && duty(&play, LOW) == EINET_DUTY_RESTING; windows++) {
        window(&play, 0, 0);
    }
    EI_EQ(duty(&play, LOW), EINET_DUTY_TRYING);
    EI_IN((double)windows * EI_POOL_WINDOW_NS, EI_POOL_REST_NS - 2 * EI_POOL_WINDOW_NS,
          EI_POOL_REST_NS + 2 * EI_POOL_WINDOW_NS);
    window(&play, 50, 0); /* it was too early */
    EI_EQ(duty(&play, LOW), EINET_DUTY_RESTING);
    const int64_t before = windows;
    for (windows = 0; windows < 100 && duty(&play, LOW) == EINET_DUTY_RESTING; windows++) {
        window(&play, 0, 0);
    }
    EI_TRUE(windows > before * 3 / 2);
    for (int i = 0; i < EI_POOL_CALM; i++) {
        EI_EQ(duty(&play, LOW), EINET_DUTY_TRYING);
        window(&play, 0, 0);
    }
    EI_EQ(duty(&play, LOW), EINET_DUTY_SERVING);
}

EI_TEST(pool_a_few_jobs_say_nothing)
{
    struct play play;
    begin(&play);
    for (int i = 0; i < 20; i++) {
        play.looks[LOW].jobs++;
        play.looks[LOW].late++;
        play.now_ns += EI_POOL_WINDOW_NS;
        ei_pool_shed_step(&play.shed, play.looks, play.now_ns);
    }
    EI_EQ(duty(&play, LOW), EINET_DUTY_SERVING);
}

/* ---- whether jobs come to an end ---- */

#define PATIENCE 100

static bool is_moving(struct ei_pool_pulse *pulse, int64_t released, int64_t noted, int64_t ran, int64_t now_ns)
{
    return ei_pool_is_moving(pulse, (struct ei_pool_counts){.released = released, .noted = noted, .ran = ran}, PATIENCE,
                             now_ns);
}

EI_TEST(pool_a_job_that_does_not_end_is_seen)
{
    struct ei_pool_pulse pulse = {0};
    int64_t now_ns = 1;
    for (int64_t i = 0; i < 20; i++, now_ns += 50) { /* one is always under way */
        EI_TRUE(is_moving(&pulse, i + 1, i, i, now_ns));
    }
    EI_TRUE(is_moving(&pulse, 21, 19, 19, now_ns));
    EI_TRUE(is_moving(&pulse, 22, 20, 19, now_ns + 50)); /* dropped behind it: no sign of life */
    EI_TRUE(!is_moving(&pulse, 23, 21, 19, now_ns + 101));
    EI_TRUE(!is_moving(&pulse, 23, 22, 19, now_ns + 1000)); /* nor is a camera that stops */
    EI_TRUE(is_moving(&pulse, 23, 23, 20, now_ns + 1001));
}

/* A camera slower than the patience, looked at often. */
EI_TEST(pool_the_only_job_that_does_not_end_is_seen)
{
    struct ei_pool_pulse pulse = {0};
    EI_TRUE(is_moving(&pulse, 0, 0, 0, 990));
    EI_TRUE(is_moving(&pulse, 1, 0, 0, 1000));
    EI_TRUE(is_moving(&pulse, 1, 1, 1, 1010));
    EI_TRUE(is_moving(&pulse, 1, 1, 1, 2000));
    for (int64_t at = 2010; at <= 3000; at += 10) {
        EI_EQ(is_moving(&pulse, 2, 1, 1, at), at <= 2100);
    }
}

/* What a run could not tell of, or did not make because of a pause, is not owed for ever. */
EI_TEST(pool_a_task_without_images_moves_though_an_end_was_not_told)
{
    struct ei_pool_pulse pulse = {0};
    int64_t now_ns = 1;
    for (int64_t i = 1; i <= 5; i++, now_ns += 50) {
        EI_TRUE(is_moving(&pulse, i, i, i, now_ns));
    }
    EI_TRUE(is_moving(&pulse, 6, 5, 5, now_ns)); /* lost */
    EI_TRUE(is_moving(&pulse, 7, 6, 6, now_ns + 50));
    EI_TRUE(is_moving(&pulse, 7, 6, 6, now_ns + 5000));
    EI_TRUE(is_moving(&pulse, 8, 6, 6, now_ns + 5010)); /* and one that hangs then is seen */
    EI_TRUE(!is_moving(&pulse, 9, 7, 6, now_ns + 5110));
}

EI_MAIN()
