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

/* What another egress has let through is not let through again, nor anything behind it. */
EI_TEST(pool_gate_knows_what_another_has_passed)
{
    struct ei_pool_gate gate = {0};
    ei_pool_gate_note_answer(&gate, 7, 0);
    ei_pool_gate_note_status(&gate, 7, 0);
    ei_pool_gate_note_answer(&gate, 5, 0); /* heard late */
    ei_pool_gate_note_status(&gate, 9, 0); /* without an answer */
    EI_EQ(ei_pool_gate_pass(&gate, 6, 0, true), EI_POOL_BACKWARD);
    EI_EQ(ei_pool_gate_pass(&gate, 7, 0, true), EI_POOL_REPEATED);
    EI_EQ(ei_pool_gate_pass(&gate, 9, 0, true), EI_POOL_REPEATED);
    EI_EQ(ei_pool_gate_pass(&gate, 8, 0, true), EI_POOL_PASS);
    ei_pool_gate_note_answer(&gate, 10, 0); /* it died between the two */
    EI_EQ(ei_pool_gate_pass(&gate, 10, 0, true), EI_POOL_PASS_STATUS);
    EI_EQ(ei_pool_gate_pass(&gate, 10, 0, true), EI_POOL_REPEATED);
    EI_EQ(ei_pool_gate_pass(&gate, 11, 0, true), EI_POOL_PASS);
}

EI_TEST(pool_topics_are_names_of_ros)
{
    char longest[EINET_POOL_TOPIC_MAX + 1];
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[EINET_POOL_TOPIC_MAX - 1] = '\0';
    EI_TRUE(ei_pool_is_topic(longest));
    longest[EINET_POOL_TOPIC_MAX - 1] = 'a';
    longest[EINET_POOL_TOPIC_MAX] = '\0';
    EI_TRUE(!ei_pool_is_topic(longest));
    EI_TRUE(ei_pool_is_topic(""));
    EI_TRUE(ei_pool_is_topic("/einet/eye_2/status"));
    EI_TRUE(!ei_pool_is_topic("scene"));
    EI_TRUE(!ei_pool_is_topic("/"));
    EI_TRUE(!ei_pool_is_topic("/a b"));
    EI_TRUE(!ei_pool_is_topic("/*"));
}

EI_TEST(pool_gate_lets_each_exit_once)
{
    struct ei_pool_gate gate = {0};
    EI_TRUE(ei_pool_gate_pass_partial(&gate, 5, 0, 0, false));
    EI_TRUE(ei_pool_gate_pass_partial(&gate, 6, 0, 0, false)); /* jobs that overlap */
    EI_TRUE(ei_pool_gate_pass_partial(&gate, 5, 0, 2, false));
    EI_TRUE(!ei_pool_gate_pass_partial(&gate, 5, 0, 1, false)); /* of another node, behind */
    EI_TRUE(!ei_pool_gate_pass_partial(&gate, 5, 0, 2, false));
    EI_TRUE(ei_pool_gate_pass_partial(&gate, 6, 0, 1, true));
    EI_TRUE(!ei_pool_gate_pass_partial(&gate, 6, 0, 2, true)); /* nothing was to follow */
    EI_EQ(ei_pool_gate_pass(&gate, 6, 0, true), EI_POOL_PASS);
    EI_TRUE(!ei_pool_gate_pass_partial(&gate, 5, 0, 3, true)); /* its answer would be backward */
    for (int32_t i = 7; i < 7 + 2 * EI_POOL_GATE_STAMPS; i++) {
        EI_TRUE(ei_pool_gate_pass_partial(&gate, i, 0, 0, false));
        EI_TRUE(!ei_pool_gate_pass_partial(&gate, i, 0, 0, false));
    }
}

/* ---- whose turn it is ---- */

/* Egresses that hear each other's claims with delays, as readers of exclusive ownership do, in steps of one time unit.
 * Some are stopped, and go on; some are ended and begin anew. */
enum { EGRESSES = 3, LEASE = 400, DELAY_MAX = 90, LATE_MAX = 20, MESSAGES = 4096, NEVER = -1 };

struct heard_claim {
    int64_t alive_until;
    int strength; /* of its last sample; 0 = it has none, or took it back */
};

struct egress {
    struct ei_pool_turn turn;
    struct heard_claim claims[EGRESSES]; /* at its reader */
    int owner, owner_strength;           /* NEVER = none */
    int64_t next_look, stopped_until;
    bool is_told;
};

struct message {
    int64_t at;
    int from, to, strength; /* 0: taken back */
};

static struct {
    struct egress egresses[EGRESSES];
    struct message messages[MESSAGES];
    int count;
    struct ei_random random;
} parley;

static void tell_all(int from, int strength, int64_t now)
{
    for (int to = 0; to < EGRESSES; to++) {
        const int64_t delay = to == from ? 0 : 1 + (int64_t)ei_random_below(&parley.random, DELAY_MAX);
        EI_REQUIRE(parley.count < MESSAGES);
        parley.messages[parley.count++] = (struct message){now + delay, from, to, strength};
    }
}

static void hear(const struct message *message, int64_t now)
{
    struct egress *to = &parley.egresses[message->to];
    struct heard_claim *claim = &to->claims[message->from];
    claim->strength = message->strength;
    claim->alive_until = message->strength > 0 ? now + LEASE : 0;
    if (message->strength == 0) {
        to->owner = to->owner == message->from ? NEVER : to->owner;
    } else if (to->owner == NEVER || to->claims[to->owner].alive_until <= now || to->owner == message->from ||
               message->strength > to->owner_strength ||
               (message->strength == to->owner_strength && message->from < to->owner)) {
        to->owner = message->from;
        to->owner_strength = message->strength;
    }
}

/* Those of one writer in any order, which DDS does not do. */
static void deliver(int64_t now)
{
    int kept = 0;
    for (int i = 0; i < parley.count; i++) {
        const struct message message = parley.messages[i];
        if (message.at <= now) {
            hear(&message, now);
        } else {
            parley.messages[kept++] = message;
        }
    }
    parley.count = kept;
}

static void look(int idx, int64_t now)
{
    struct egress *egress = &parley.egresses[idx];
    bool is_alive = false;
    for (int i = 0; i < EGRESSES; i++) {
        is_alive |= egress->claims[i].strength > 0 && egress->claims[i].alive_until > now;
    }
    /* DDS shows the last sample while any writer of it lives */
    ei_pool_turn_step(&egress->turn,
                      !is_alive || egress->owner == NEVER ? EI_POOL_NOBODY
                      : egress->owner == idx              ? EI_POOL_OURSELVES
                                                          : EI_POOL_ANOTHER,
                      now);
    if (ei_pool_turn_claim(&egress->turn, now)) {
        tell_all(idx, egress->turn.state == EI_POOL_ACTIVE ? 2 : 1, now);
        egress->is_told = true;
    } else if (egress->is_told && egress->turn.state != EI_POOL_CLAIMING && egress->turn.state != EI_POOL_ACTIVE) {
        tell_all(idx, 0, now);
        egress->is_told = false;
    }
    egress->next_look = now + LEASE / 8 + (int64_t)ei_random_below(&parley.random, LATE_MAX);
}

static void begin_egress(int idx, int64_t now)
{
    struct egress *egress = &parley.egresses[idx];
    *egress = (struct egress){.owner = NEVER, .next_look = now};
    ei_pool_turn_init(&egress->turn, LEASE, now);
    egress->turn.listen_until_ns = now + 4 * LEASE; /* it finds the others at once here, and hears their next claims */
}

/* Stop who is active for a while, or end it, or stop another. */
static void strike_one(int holder, int64_t now)
{
    const int idx = holder != NEVER && ei_random_below(&parley.random, 4) > 0
                        ? holder
                        : (int)ei_random_below(&parley.random, EGRESSES);
    if (ei_random_below(&parley.random, 2) == 0) {
        parley.egresses[idx].stopped_until = now + 1 + (int64_t)ei_random_below(&parley.random, 5 * LEASE);
    } else {
        begin_egress(idx, now);
    }
}

EI_TEST(pool_of_several_egresses_one_at_a_time_has_the_turn)
{
    int64_t vacant_since = 0, longest = 0, next_strike = 20 * LEASE;
    int takeovers = 0, last = NEVER;
    ei_random_init(&parley.random, 23, 0);
    for (int i = 0; i < EGRESSES; i++) {
        begin_egress(i, i * 1000);
    }
    for (int64_t now = 0; now < 3000000; now++) {
        int holder = NEVER, holders = 0;
        deliver(now);
        for (int i = 0; i < EGRESSES; i++) {
            struct egress *egress = &parley.egresses[i];
            if (now >= egress->stopped_until && now >= egress->next_look) {
                look(i, now);
            }
            const bool holds = now >= egress->stopped_until && ei_pool_turn_holds(&egress->turn, now);
            holders += holds;
            holder = holds ? i : holder;
        }
        EI_REQUIRE(holders <= 1);
        takeovers += holder != NEVER && last != NEVER && holder != last;
        last = holder != NEVER ? holder : last;
        if (holder != NEVER) {
            longest = vacant_since > 0 && now - vacant_since > longest ? now - vacant_since : longest;
            vacant_since = now;
        }
        if (now >= next_strike) {
            strike_one(holder, now);
            next_strike = now + 10 * LEASE + (int64_t)ei_random_below(&parley.random, 10 * LEASE);
        }
    }
    EI_TRUEF(takeovers > 150, "%d takeovers", takeovers);
    /* the lease, half of it to settle, and two looks and delays */
    EI_TRUEF(longest <= LEASE + LEASE / 2 + 2 * (LEASE / 8 + LATE_MAX) + 2 * DELAY_MAX, "nobody for %lld",
             (long long)longest);
}

EI_TEST(pool_an_egress_that_is_alone_listens_first)
{
    struct ei_pool_turn turn;
    const int64_t lease_ns = 50000000, round_ns = lease_ns / 8;
    int64_t now_ns = 1000;
    ei_pool_turn_init(&turn, lease_ns, now_ns);
    for (; turn.state == EI_POOL_LISTENING; now_ns += round_ns) {
        ei_pool_turn_step(&turn, EI_POOL_NOBODY, now_ns);
        EI_TRUE(!ei_pool_turn_holds(&turn, now_ns));
    }
    EI_TRUE(now_ns - 1000 >= EI_POOL_JOIN_NS);
    EI_EQ(turn.state, EI_POOL_CLAIMING);
    for (; turn.state == EI_POOL_CLAIMING; now_ns += round_ns) {
        (void)ei_pool_turn_claim(&turn, now_ns);
        ei_pool_turn_step(&turn, EI_POOL_OURSELVES, now_ns);
    }
    EI_TRUE(ei_pool_turn_claim(&turn, now_ns)); /* that it is active is told at once */
    EI_TRUE(ei_pool_turn_holds(&turn, now_ns + lease_ns - 1));
    EI_TRUE(!ei_pool_turn_holds(&turn, now_ns + lease_ns));
    now_ns += 2 * EI_POOL_ABSENT_NS; /* stopped: another may have the turn */
    ei_pool_turn_step(&turn, EI_POOL_OURSELVES, now_ns);
    EI_EQ(turn.state, EI_POOL_LISTENING);
    ei_pool_turn_step(&turn, EI_POOL_NOBODY, now_ns + round_ns);
    ei_pool_turn_step(&turn, EI_POOL_ANOTHER, now_ns + 2 * round_ns);
    EI_EQ(turn.state, EI_POOL_STANDING_BY);
    EI_TRUE(!ei_pool_turn_claim(&turn, now_ns + 3 * round_ns));
    int64_t at_ns = now_ns + 3 * round_ns; /* what was heard was from before, and who is there is yet to be found */
    for (; turn.state == EI_POOL_STANDING_BY || turn.state == EI_POOL_LISTENING; at_ns += round_ns) {
        ei_pool_turn_step(&turn, EI_POOL_NOBODY, at_ns);
        EI_TRUE(!ei_pool_turn_holds(&turn, at_ns));
    }
    EI_TRUE(at_ns - now_ns >= EI_POOL_JOIN_NS);
    ei_pool_turn_step(&turn, EI_POOL_ANOTHER, at_ns);
    ei_pool_turn_step(&turn, EI_POOL_NOBODY, at_ns + round_ns); /* that one died: at once */
    EI_EQ(turn.state, EI_POOL_CLAIMING);
    at_ns += EI_POOL_LOST_NS + round_ns; /* forgotten: whom it hears says nothing */
    ei_pool_turn_step(&turn, EI_POOL_OURSELVES, at_ns);
    for (int i = 0; i < 1000; i++, at_ns += round_ns) {
        ei_pool_turn_step(&turn, EI_POOL_NOBODY, at_ns);
        EI_EQ(turn.state, EI_POOL_LOST);
        EI_TRUE(!ei_pool_turn_claim(&turn, at_ns) && !ei_pool_turn_holds(&turn, at_ns));
    }
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
