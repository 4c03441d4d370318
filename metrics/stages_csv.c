/* See stages_csv.h. */
#include "metrics/stages_csv.h"

const char ei_stages_csv_head[] = "task,job_idx,release_ns,kind,stage_idx,stage,block_idx,lane,cpu,ready_ns,start_ns,"
                                  "end_ns,cpu_ns,confidence\n";

static int init_piece(struct ei_csv_piece *piece, const char *kind, int32_t stage_idx, const char *name)
{
    struct ei_csv_line line = {0};
    ei_csv_raw(&line, kind);
    ei_csv_integer(&line, stage_idx);
    ei_csv_char(&line, ',');
    ei_csv_field(&line, name);
    return ei_csv_piece_init(piece, &line);
}

int ei_stages_csv_stage_init(struct ei_stages_csv_stage *stage, int32_t stage_idx, const char *name, bool is_network)
{
    *stage = (struct ei_stages_csv_stage){0};
    int rc = init_piece(&stage->whole, is_network ? ",nn," : ",cpu,", stage_idx, name);
    rc = rc == 0 ? init_piece(&stage->conv, ",conv,", stage_idx, name) : rc;
    return rc == 0 ? init_piece(&stage->branch, ",branch,", stage_idx, name) : rc;
}

void ei_stages_csv_stage_fini(struct ei_stages_csv_stage *stage)
{
    ei_csv_piece_fini(&stage->whole);
    ei_csv_piece_fini(&stage->conv);
    ei_csv_piece_fini(&stage->branch);
}

int ei_stages_csv_lane_init(struct ei_csv_piece *lane, const char *name)
{
    struct ei_csv_line line = {0};
    ei_csv_char(&line, ',');
    ei_csv_field(&line, name != NULL ? name : "");
    return ei_csv_piece_init(lane, &line);
}

/* Every time of a stage did happen, also one at 0, which is where virtual time begins. */
static void add_time(struct ei_csv_line *line, int64_t time_ns, int64_t release_ns)
{
    ei_csv_char(line, ',');
    ei_csv_integer(line, time_ns - release_ns);
}

static void add_stage(struct ei_csv_line *line, const struct ei_stage_record *stage,
                      const struct ei_stages_csv_context *context)
{
    ei_csv_piece(line, &context->stage->whole);
    ei_csv_raw(line, ",,"); /* no block, no lane */
    ei_csv_index(line, stage->cpu);
    add_time(line, stage->ready_ns, context->release_ns);
    add_time(line, stage->start_ns, context->release_ns);
    add_time(line, stage->end_ns, context->release_ns);
    ei_csv_index(line, stage->cpu_ns);
    ei_csv_raw(line, ",\n");
}

static void add_block(struct ei_csv_line *line, const struct ei_block_record *block,
                      const struct ei_stages_csv_context *context)
{
    ei_csv_piece(line, block->is_branch != 0 ? &context->stage->branch : &context->stage->conv);
    ei_csv_index(line, block->block_idx);
    ei_csv_piece(line, context->lane);
    ei_csv_raw(line, ",,"); /* no CPU, and it was ready when it started */
    add_time(line, block->start_ns, context->release_ns);
    add_time(line, block->end_ns, context->release_ns);
    ei_csv_raw(line, ",,");
    if (block->is_branch != 0 && block->confidence >= 0.0F) {
        ei_csv_real(line, (double)block->confidence);
    }
    ei_csv_char(line, '\n');
}

void ei_stages_csv_line(struct ei_csv_line *line, const struct ei_record *record,
                        const struct ei_stages_csv_context *context)
{
    if (record->kind == EI_RECORD_STAGE) {
        add_stage(line, &record->u.stage, context);
    } else {
        add_block(line, &record->u.block, context);
    }
}
