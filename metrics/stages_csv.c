/* See stages_csv.h. */
#include "metrics/stages_csv.h"

const char ei_stages_csv_head[] = "task,job_idx,release_ns,kind,stage_idx,stage,block_idx,lane,cpu,ready_ns,start_ns,"
                                  "end_ns,cpu_ns,confidence\n";

/* Every time of a stage did happen, also one at 0, which is where virtual time begins. */
static void add_time(struct ei_csv_line *line, int64_t time_ns, int64_t release_ns)
{
    ei_csv_char(line, ',');
    ei_csv_integer(line, time_ns - release_ns);
}

static void add_stage(struct ei_csv_line *line, const struct ei_stage_record *stage, int64_t release_ns)
{
    ei_csv_raw(line, ",,"); /* no block, no lane */
    ei_csv_index(line, stage->cpu);
    add_time(line, stage->ready_ns, release_ns);
    add_time(line, stage->start_ns, release_ns);
    add_time(line, stage->end_ns, release_ns);
    ei_csv_index(line, stage->cpu_ns);
    ei_csv_raw(line, ",\n");
}

static void add_block(struct ei_csv_line *line, const struct ei_block_record *block, const char *lane,
                      int64_t release_ns)
{
    ei_csv_index(line, block->block_idx);
    ei_csv_char(line, ',');
    ei_csv_field(line, lane != NULL ? lane : "");
    ei_csv_raw(line, ",,"); /* no CPU, and it was ready when it started */
    add_time(line, block->start_ns, release_ns);
    add_time(line, block->end_ns, release_ns);
    ei_csv_raw(line, ",,");
    if (block->is_branch != 0 && block->confidence >= 0.0F) {
        ei_csv_real(line, (double)block->confidence);
    }
    ei_csv_char(line, '\n');
}

void ei_stages_csv_line(struct ei_csv_line *line, const struct ei_record *record,
                        const struct ei_stages_csv_context *context)
{
    const bool is_stage = record->kind == EI_RECORD_STAGE;
    const struct ei_stage_record *stage = &record->u.stage;
    const struct ei_block_record *block = &record->u.block;
    const char *block_kind = block->is_branch != 0 ? ",branch," : ",conv,";
    ei_csv_raw(line, is_stage ? (context->is_network ? ",nn," : ",cpu,") : block_kind);
    ei_csv_integer(line, is_stage ? stage->stage_idx : block->stage_idx);
    ei_csv_char(line, ',');
    ei_csv_field(line, context->stage);
    if (is_stage) {
        add_stage(line, stage, context->release_ns);
    } else {
        add_block(line, block, context->lane, context->release_ns);
    }
}
