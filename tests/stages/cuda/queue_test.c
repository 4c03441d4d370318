/* How many graphs a newcomer waits for, in random schedules of networks of several priorities on one device. The fake
 * runtime runs step by step; at each of its calls another network may take a turn, as another thread would while the
 * first is inside the runtime. What is checked is the fake's own log.
 */
#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/stages/cuda/fixture.h"

#include <stdlib.h>

#define US INT64_C(1000)
#define S INT64_C(1000000000)

enum { NETWORKS = 3, EXITS = 4, TURNS = 4, LOG_MAX = 4096 };
#ifdef EI_TEST_SLOW
enum { SCHEDULES = 10000 }; /* there is one thread here: nothing for ThreadSanitizer to find */
#else
enum { SCHEDULES = 100000 };
#endif
#ifdef EINET_SANITIZED
enum { DEEP_SCHEDULES = SCHEDULES / 4, CUT_SCHEDULES = SCHEDULES / 10 };
#else
enum { DEEP_SCHEDULES = SCHEDULES, CUT_SCHEDULES = SCHEDULES };
#endif

struct player {
    struct ei_network *net;
    struct lane_recorder *recorder;
    float input[LANE_INPUT];
    int32_t depth, next_block;
    int32_t conv_piece, branch_piece; /* that are next */
    bool is_in_job, is_inside;        /* inside a call */
    bool has_branch;                  /* of the last conv part: not asked for yet */
};

static const struct fake_cuda_control *fake;

struct game {
    struct ei_random rng;
    struct player player[NETWORKS];
    int32_t inside; /* players that are inside a call */
    bool has_gate;  /* a newcomer gets the lane at a boundary, not at any call */
    /* has_gate: who came while another was inside, and how long the log was then. */
    int32_t newcomer;
    int64_t came_at;
    int64_t answers;
    int32_t wrong;
    int64_t longest_ns; /* that a graph may take; 0 = any time */
};

/* One call of this player's job, at random. */
static void turn(struct game *g, struct player *p)
{
    float logits[LANE_CLASSES];
    p->is_inside = true;
    g->inside++;
    if (!p->is_in_job) {
        lane_input(ei_random_u64(&g->rng), p->input);
        g->wrong += ei_network_begin(p->net, p->input, -1, -1) != 0;
        p->is_in_job = true;
        p->next_block = p->conv_piece = 0;
        p->has_branch = false;
    } else if (p->has_branch && ei_random_below(&g->rng, 2) == 0) {
        const int32_t b = p->next_block - 1;
        g->wrong += ei_network_run_piece(p->net, b, true, p->branch_piece++, logits) != 0;
        p->has_branch = p->branch_piece < ei_network_piece_count(p->net, b, true);
        g->wrong += !p->has_branch && !lane_is_right(p->input, b, logits);
        g->answers += !p->has_branch;
    } else if (p->next_block < EXITS && ei_random_below(&g->rng, 8) != 0) {
        g->wrong += ei_network_run_piece(p->net, p->next_block, false, p->conv_piece++, NULL) != 0;
        if (p->conv_piece == ei_network_piece_count(p->net, p->next_block, false)) {
            p->next_block++;
            p->conv_piece = p->branch_piece = 0;
            p->has_branch = true;
        }
    } else {
        ei_network_end(p->net);
        p->is_in_job = false;
    }
    g->inside--;
    p->is_inside = false;
}

/* At a call of the runtime: somebody else, perhaps. */
static void on_call(void *context)
{
    struct game *g = context;
    if (g->inside == 0 || g->inside == NETWORKS || ei_random_below(&g->rng, 6) != 0) {
        return;
    }
    struct player *p = &g->player[ei_random_below(&g->rng, NETWORKS)];
    if (p->is_inside) {
        return;
    }
    if (!g->has_gate) {
        turn(g, p);
    } else if (g->newcomer < 0 && !p->is_in_job) {
        g->newcomer = (int32_t)(p - g->player);
        g->came_at = fake->log_count();
    }
}

static int32_t owner(const struct game *g, int32_t stream_id)
{
    int32_t found = 0;
    for (int32_t i = 0; i < NETWORKS; i++) {
        found = g->player[i].recorder->stream_id == stream_id ? i : found;
    }
    return found;
}

/* A graph between launch and start. */
struct waiting {
    bool is_waiting;
    int64_t seq;
    int32_t passed[NETWORKS]; /* graphs of others that ended meanwhile */
};

/* Never more than `depth` of a network in the queue; less urgent networks go first with at most the graph that runs,
 * equal ones with what they had in the queue; no graph is longer than pieces may be. Returns breaches, described once.
 */
static int32_t check_log(const struct game *g, bool is_equal)
{
    struct waiting waiting[NETWORKS][2];
    int32_t queued[NETWORKS] = {0}, breaches = 0;
    int64_t started_ns = -1; /* of the graph that runs; -1 = before the log began */
    static struct fake_cuda_event log[LOG_MAX];
    const int64_t count = fake->log_read(0, log, LOG_MAX);
    memset(waiting, 0, sizeof waiting);
    for (int64_t i = 0; i < count; i++) {
        const struct fake_cuda_event e = log[i];
        const int32_t me = owner(g, e.stream_id);
        struct waiting *slot = NULL;
        for (int32_t k = 0; k < 2; k++) {
            const bool is_mine = waiting[me][k].is_waiting && waiting[me][k].seq == e.graph_seq;
            slot = is_mine || (slot == NULL && e.what == FAKE_CUDA_LAUNCH && !waiting[me][k].is_waiting)
                       ? &waiting[me][k]
                       : slot;
        }
        if (e.what == FAKE_CUDA_LAUNCH) {
            breaches += ++queued[me] > g->player[me].depth;
            if (slot != NULL) {
                *slot = (struct waiting){.is_waiting = true, .seq = e.graph_seq};
            }
            continue;
        }
        started_ns = e.what == FAKE_CUDA_START ? e.at_ns : started_ns;
        if (e.what == FAKE_CUDA_START && slot != NULL) {
            int32_t less_urgent = 0;
            slot->is_waiting = false;
            for (int32_t n = 0; n < NETWORKS; n++) {
                breaches += is_equal && slot->passed[n] > g->player[n].depth;
                less_urgent += n < me ? slot->passed[n] : 0; /* players are in order of urgency */
            }
            breaches += !is_equal && less_urgent > 1;
        } else if (e.what == FAKE_CUDA_END) {
            queued[me]--;
            breaches += g->longest_ns > 0 && started_ns >= 0 && e.at_ns - started_ns > g->longest_ns;
            for (int32_t n = 0; n < NETWORKS; n++) {
                for (int32_t k = 0; k < 2; k++) {
                    waiting[n][k].passed[me] += n != me && waiting[n][k].is_waiting;
                }
            }
        }
    }
    return breaches;
}

/* How the parts of the networks are launched. Cut: every part is of three layers, the longest half of it. */
struct launching {
    int64_t merge_below_ns;
    bool is_cut;
};

static bool open_players(struct game *g, const int32_t *depths, bool is_equal, struct launching launching)
{
    for (int32_t n = 0; n < NETWORKS; n++) {
        int64_t durations[2 * EXITS];
        const struct ei_network_cuda_settings settings = {.priority = is_equal ? 50 : 20 + 30 * n,
                                                          .depth = depths[n],
                                                          .wait = EI_CUDA_WAIT_BLOCK,
                                                          .hang_ns = 60 * S,
                                                          .merge_below_ns = launching.merge_below_ns,
                                                          .split_above_ns = launching.is_cut ? 25 * S : 0};
        const int64_t unit_ns = launching.is_cut ? S : US; /* beside a second launches cost nothing */
        for (int32_t i = 0; i < 2 * EXITS; i++) {
            durations[i] = unit_ns * (1 + (int64_t)ei_random_below(&g->rng, 50));
        }
        g->longest_ns = settings.split_above_ns;
        struct einet_error err = {0};
        const int rc = lane_open_layers(EXITS, launching.is_cut ? 3 : 1, durations, &settings, NULL, &g->player[n].net,
                                        &g->player[n].recorder, &err);
        if (!EI_TRUEF(rc == 0, "%s", err.text)) {
            return false;
        }
        g->player[n].depth = depths[n];
    }
    return true;
}

static void begin_game(struct game *g, uint64_t seed)
{
    memset(g, 0, sizeof *g);
    fake = lane_fake();
    g->newcomer = -1;
    ei_random_init(&g->rng, seed, 0);
    fake->reset(&(struct fake_cuda_config){.devices = 1, .is_stepped = 1, .on_call = on_call, .on_call_context = g});
}

static void end_game(struct game *g)
{
    for (int32_t n = 0; n < NETWORKS; n++) {
        ei_network_destroy(g->player[n].net);
    }
    EI_EQ(fake->objects(), 0);
    EI_EQ(g->wrong, 0);
}

/* Nobody arbitrates but the device. */
static void play(const int32_t *depths, bool is_equal, struct launching launching, int32_t schedules, uint64_t seed)
{
    struct game g;
    begin_game(&g, seed);
    if (!open_players(&g, depths, is_equal, launching)) {
        return;
    }
    int64_t breaches = 0;
    for (int32_t s = 0; s < schedules && breaches == 0; s++) {
        fake->log_clear();
        for (int32_t t = 0; t < TURNS; t++) {
            turn(&g, &g.player[ei_random_below(&g.rng, NETWORKS)]);
        }
        for (int32_t n = 0; n < NETWORKS; n++) { /* what is left in a queue ends with the next job's begin */
            ei_network_end(g.player[n].net);
            g.player[n].is_in_job = false;
            turn(&g, &g.player[n]);
        }
        breaches += check_log(&g, is_equal);
        EI_TRUEF(breaches == 0, "schedule %d of seed %d breaks the bound", s, (int)seed);
    }
    EI_TRUE(g.answers > schedules / 4);
    end_game(&g);
}

static const struct launching alone = {1, false}, cut = {1, true};

EI_TEST(queue_of_one_is_waited_for_once)
{
    play((const int32_t[]){1, 1, 1}, false, alone, SCHEDULES, 1);
}

EI_TEST(deeper_queues_yield_to_more_urgent_streams)
{
    play((const int32_t[]){2, 2, 2}, false, alone, DEEP_SCHEDULES, 2);
    play((const int32_t[]){2, 1, 2}, false, (struct launching){30 * US, false}, SCHEDULES / 10, 3);
}

/* Long parts are cut: what a newcomer waits for is a piece, and no piece is longer than the limit. */
EI_TEST(queue_of_one_is_waited_for_one_piece)
{
    play((const int32_t[]){1, 1, 1}, false, cut, CUT_SCHEDULES, 8);
}

EI_TEST(deeper_queues_of_pieces_yield_to_more_urgent_streams)
{
    play((const int32_t[]){2, 1, 2}, false, cut, CUT_SCHEDULES, 9);
    play((const int32_t[]){2, 2, 1}, true, cut, CUT_SCHEDULES / 10, 10);
}

EI_TEST(equal_networks_wait_for_a_queue_each)
{
    play((const int32_t[]){1, 1, 1}, true, alone, SCHEDULES / 10, 4);
    play((const int32_t[]){2, 2, 1}, true, (struct launching){30 * US, false}, SCHEDULES / 10, 5);
}

/* Graphs of others that ended since the newcomer came until its first graph starts. */
static int32_t waited_for(const struct game *g, int64_t came_at, int32_t newcomer, int64_t *out_ns)
{
    int32_t ended = 0;
    *out_ns = 0;
    static struct fake_cuda_event log[LOG_MAX];
    const int64_t count = fake->log_read(came_at, log, LOG_MAX);
    for (int64_t i = 0; i < count; i++) {
        const struct fake_cuda_event e = log[i];
        if (e.what == FAKE_CUDA_START && owner(g, e.stream_id) == newcomer) {
            *out_ns = e.at_ns - log[0].at_ns;
            return ended;
        }
        ended += e.what == FAKE_CUDA_END && owner(g, e.stream_id) != newcomer;
    }
    return 0;
}

/* The lane's gate lets a newcomer in at the boundary after it came; the other's part or piece in progress is all that
 * it waits for with a queue of one, and one more with two. */
static void play_gated(int32_t depth, struct launching launching, int32_t schedules, uint64_t seed, int32_t *out_most)
{
    struct game g;
    int64_t waited_ns = 0;
    begin_game(&g, seed);
    g.has_gate = true;
    *out_most = 0;
    if (!open_players(&g, (const int32_t[]){depth, depth, depth}, false, launching)) {
        return;
    }
    for (int32_t s = 0; s < schedules; s++) {
        const int32_t holder = (int32_t)ei_random_below(&g.rng, NETWORKS - 1);
        g.newcomer = -1;
        fake->log_clear();
        for (int32_t t = 0; t < 8 && g.newcomer <= holder; t++) {
            g.newcomer = -1;
            turn(&g, &g.player[holder]);
        }
        if (g.newcomer > holder) { /* more urgent: it takes the lane at this boundary */
            struct player *p = &g.player[g.newcomer];
            const int32_t newcomer = g.newcomer;
            EI_EQ(ei_network_begin(p->net, p->input, -1, -1), 0);
            EI_EQ(ei_network_run_conv(p->net, 0), 0);
            ei_network_end(p->net);
            const int32_t waited = waited_for(&g, g.came_at, newcomer, &waited_ns);
            g.wrong += g.longest_ns > 0 && waited_ns > depth * g.longest_ns;
            *out_most = waited > *out_most ? waited : *out_most;
        }
        for (int32_t n = 0; n < NETWORKS; n++) {
            ei_network_end(g.player[n].net);
            g.player[n].is_in_job = false;
            EI_EQ(ei_network_begin(g.player[n].net, g.player[n].input, -1, -1), 0); /* empties the queue */
        }
        g.wrong += check_log(&g, false);
    }
    end_game(&g);
}

EI_TEST(newcomer_waits_for_one_part_per_place_in_the_queue)
{
    int32_t most = 0;
    play_gated(1, alone, SCHEDULES / 10, 6, &most);
    EI_EQ(most, 1);
    play_gated(2, alone, SCHEDULES / 10, 7, &most);
    EI_EQ(most, 2);
}

EI_TEST(newcomer_waits_for_one_piece_per_place_in_the_queue)
{
    int32_t most = 0;
    play_gated(1, cut, CUT_SCHEDULES / 10, 11, &most);
    EI_EQ(most, 1);
    play_gated(2, cut, CUT_SCHEDULES / 10, 12, &most);
    EI_EQ(most, 2);
}

EI_MAIN()
