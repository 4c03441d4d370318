/* Drawing of the generated set: shapes as signed distance functions in a unit frame (Quilez, "2D distance functions"),
 * placed by an affine pose, painted with a soft edge over a textured background. See generated.h.
 *
 * This file is compiled with -ffp-contract=off and must not call libm functions other than sqrt, fabs and floor, whose
 * results IEEE 754 fixes: weights are trained on these very pixels, and a test pins their checksum. */
#include "workloads/generated.h"
#include "rt/random.h"
#include "workloads/dataset_storage.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PI 3.14159265358979323846

enum { SIDE = EI_GENERATED_SIDE_PX, POINTS_MAX = 32, SPIRAL_POINTS = 26, DISTRACTORS_MAX = 3 };

enum {
    STAR_FIVE,
    STAR_SIX,
    SPIRAL_LEFT,
    SPIRAL_RIGHT,
    RING_CLOSED,
    RING_OPEN,
    SQUARE_IN_DISC,
    DISC_IN_SQUARE,
    HOOK_S,
    HOOK_Z
};

const char *const ei_generated_class_names[EI_GENERATED_CLASSES] = {
    "star-five", "star-six",       "spiral-left",    "spiral-right", "ring-closed",
    "ring-open", "square-in-disc", "disc-in-square", "hook-s",       "hook-z"};

struct point {
    double x, y;
};

struct colour {
    double c[3];
};

/* A shape in its unit frame, where it reaches about to radius 1. */
struct shape {
    enum { SHAPE_POLYGON, SHAPE_POLYLINE, SHAPE_DISC, SHAPE_ARC } kind;
    int count;         /* of points */
    double radius;     /* of a disc or an arc */
    double half_width; /* of the stroke of a polyline or an arc */
    struct point gap;  /* arc: sine and cosine of half its opening angle seen from the +y axis */
    struct point points[POINTS_MAX];
};

/* Maps a pixel to the unit frame of a shape: unit = m * (pixel - centre). */
struct pose {
    struct point centre;
    double m[4];
    double scale_px;    /* pixels per unit of length, geometric mean of both axes */
    double softness_px; /* width of the edge: blur */
};

/* One picture in the making. */
struct canvas {
    double rgb[SIDE * SIDE][3];
};

static double clamp_unit(double v)
{
    return v < 0.0 ? 0.0 : v > 1.0 ? 1.0 : v;
}

static double between(struct ei_random *rng, double low, double high)
{
    return low + (high - low) * ei_random_unit(rng);
}

/* Sine to about 1e-9 from plain operations, because libm's differs in the last bit from machine to machine. */
static double sine(double x)
{
    x -= 2.0 * PI * floor(x / (2.0 * PI) + 0.5);
    if (x > 0.5 * PI) {
        x = PI - x;
    } else if (x < -0.5 * PI) {
        x = -PI - x;
    }
    const double q = x * x;
    return x * (1.0 +
                q * (-1.0 / 6.0 +
                     q * (1.0 / 120.0 + q * (-1.0 / 5040.0 + q * (1.0 / 362880.0 + q * (-1.0 / 39916800.0 +
                                                                                        q * (1.0 / 6227020800.0)))))));
}

static double cosine(double x)
{
    return sine(x + 0.5 * PI);
}

/* ---- signed distances, negative inside ---- */

static double length(double x, double y)
{
    return sqrt(x * x + y * y);
}

/* Squared distance from p to the segment a-b. */
static double segment_distance_squared(struct point p, struct point a, struct point b)
{
    const double ex = b.x - a.x, ey = b.y - a.y, wx = p.x - a.x, wy = p.y - a.y;
    const double t = clamp_unit((wx * ex + wy * ey) / (ex * ex + ey * ey));
    const double dx = wx - ex * t, dy = wy - ey * t;
    return dx * dx + dy * dy;
}

static double polygon_distance(const struct shape *shape, struct point p)
{
    double best = 1e9;
    bool inside = false;
    for (int i = 0, j = shape->count - 1; i < shape->count; j = i++) {
        const struct point a = shape->points[i], b = shape->points[j];
        const double d = segment_distance_squared(p, a, b);
        best = d < best ? d : best;
        if ((a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x) {
            inside = !inside; /* a ray to +x crosses this edge */
        }
    }
    return inside ? -sqrt(best) : sqrt(best);
}

static double polyline_distance(const struct shape *shape, struct point p)
{
    double best = 1e9;
    for (int i = 1; i < shape->count; i++) {
        const double d = segment_distance_squared(p, shape->points[i - 1], shape->points[i]);
        best = d < best ? d : best;
    }
    return sqrt(best) - shape->half_width;
}

static double arc_distance(const struct shape *shape, struct point p)
{
    const double x = fabs(p.x);
    /* Inside the opening the nearest point is an end of the arc. gap = (0, 1) closes the ring. */
    if (shape->gap.y * x < shape->gap.x * p.y) {
        return length(x - shape->gap.x * shape->radius, p.y - shape->gap.y * shape->radius) - shape->half_width;
    }
    return fabs(length(p.x, p.y) - shape->radius) - shape->half_width;
}

static double shape_distance(const struct shape *shape, struct point p)
{
    switch (shape->kind) {
    case SHAPE_POLYGON:
        return polygon_distance(shape, p);
    case SHAPE_POLYLINE:
        return polyline_distance(shape, p);
    case SHAPE_DISC:
        return length(p.x, p.y) - shape->radius;
    case SHAPE_ARC:
        return arc_distance(shape, p);
    }
    return 1e9;
}

/* ---- the shapes ---- */

/* A star's outline, or a regular polygon when inner is 0. */
static void shape_star(struct shape *shape, int tips, double outer, double inner)
{
    shape->kind = SHAPE_POLYGON;
    shape->count = inner > 0.0 ? 2 * tips : tips;
    for (int i = 0; i < shape->count; i++) {
        const double radius = inner > 0.0 && i % 2 != 0 ? inner : outer, angle = 2.0 * PI * i / shape->count;
        shape->points[i] = (struct point){radius * cosine(angle), radius * sine(angle)};
    }
}

/* An Archimedean spiral of one and a half to two turns; outwards it turns right (clockwise, y points down) for
 * sense +1 and left for -1. */
static void shape_spiral(struct shape *shape, struct ei_random *rng, double sense)
{
    const double turns = between(rng, 1.5, 2.0);
    shape->kind = SHAPE_POLYLINE;
    shape->half_width = between(rng, 0.09, 0.14);
    shape->count = SPIRAL_POINTS;
    for (int i = 0; i < SPIRAL_POINTS; i++) {
        const double t = (double)i / (SPIRAL_POINTS - 1), angle = 2.0 * PI * turns * t, radius = 0.08 + 0.9 * t;
        shape->points[i] = (struct point){radius * cosine(angle), sense * radius * sine(angle)};
    }
}

/* Two arms and a rise between them: like a Z for sense +1, like an S for -1. */
static void shape_hook(struct shape *shape, struct ei_random *rng, double sense)
{
    const double arm = between(rng, 0.6, 0.95), rise = between(rng, 0.5, 0.8);
    shape->kind = SHAPE_POLYLINE;
    shape->half_width = between(rng, 0.12, 0.22);
    shape->count = 4;
    shape->points[0] = (struct point){-arm, -sense * rise};
    shape->points[1] = (struct point){0.0, -sense * rise};
    shape->points[2] = (struct point){0.0, sense * rise};
    shape->points[3] = (struct point){arm, sense * rise};
}

static void shape_ring(struct shape *shape, struct ei_random *rng, bool open)
{
    const double half_gap = open ? between(rng, 0.22, 0.45) : 0.0;
    shape->kind = SHAPE_ARC;
    shape->half_width = between(rng, 0.12, 0.22);
    shape->radius = 0.95 - shape->half_width;
    /* The round ends reach into the opening; widen it by them. */
    const double angle = open ? half_gap + shape->half_width / shape->radius : 0.0;
    shape->gap = (struct point){sine(angle), cosine(angle)};
}

static void shape_disc(struct shape *shape, double radius)
{
    shape->kind = SHAPE_DISC;
    shape->radius = radius;
}

/* The outer and, for two of the classes, the inner shape of a class. Returns how many. */
static int class_shapes(int32_t label, struct ei_random *rng, struct shape shapes[2])
{
    memset(shapes, 0, 2 * sizeof shapes[0]);
    switch (label) {
    case STAR_FIVE:
        shape_star(&shapes[0], 5, 1.0, between(rng, 0.40, 0.55));
        return 1;
    case STAR_SIX:
        shape_star(&shapes[0], 6, 1.0, between(rng, 0.42, 0.57));
        return 1;
    case SPIRAL_LEFT:
    case SPIRAL_RIGHT:
        shape_spiral(&shapes[0], rng, label == SPIRAL_RIGHT ? 1.0 : -1.0);
        return 1;
    case RING_CLOSED:
    case RING_OPEN:
        shape_ring(&shapes[0], rng, label == RING_OPEN);
        return 1;
    case SQUARE_IN_DISC:
        shape_disc(&shapes[0], 0.95);
        shape_star(&shapes[1], 4, between(rng, 0.6, 0.78), 0.0);
        return 2;
    case DISC_IN_SQUARE:
        shape_star(&shapes[0], 4, 1.15, 0.0);
        shape_disc(&shapes[1], between(rng, 0.5, 0.66));
        return 2;
    default:
        shape_hook(&shapes[0], rng, label == HOOK_Z ? 1.0 : -1.0);
        return 1;
    }
}

/* ---- painting ---- */

static struct pose draw_pose(struct ei_random *rng, double scale_px, double margin_px, double softness_px)
{
    const double angle = between(rng, 0.0, 2.0 * PI), aspect = between(rng, 0.85, 1.18);
    const double shear = between(rng, -0.25, 0.25), c = cosine(angle), s = sine(angle);
    const double ix = 1.0 / (scale_px * aspect), iy = aspect / scale_px;
    struct pose pose = {.scale_px = scale_px, .softness_px = softness_px};
    pose.centre.x = between(rng, margin_px, SIDE - margin_px);
    pose.centre.y = between(rng, margin_px, SIDE - margin_px);
    /* Turn back, undo the shear, undo the scale; the determinant is positive, so the sense of a shape is kept. */
    pose.m[0] = ix * (c + shear * s);
    pose.m[1] = ix * (s - shear * c);
    pose.m[2] = iy * -s;
    pose.m[3] = iy * c;
    return pose;
}

/* Paint a shape, or only its outline of the given half width in unit lengths when that is > 0. */
static void paint(struct canvas *canvas, const struct shape *shape, const struct pose *pose, struct colour colour,
                  double outline)
{
    const double reach = 1.35 + pose->softness_px / pose->scale_px;
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            const double px = x + 0.5 - pose->centre.x, py = y + 0.5 - pose->centre.y;
            const struct point p = {pose->m[0] * px + pose->m[1] * py, pose->m[2] * px + pose->m[3] * py};
            if (p.x * p.x + p.y * p.y > reach * reach) {
                continue;
            }
            double distance = shape_distance(shape, p);
            if (outline > 0.0) {
                distance = fabs(distance) - outline;
            }
            const double cover = clamp_unit(0.5 - distance * pose->scale_px / pose->softness_px);
            double *rgb = canvas->rgb[y * SIDE + x];
            for (int i = 0; i < 3; i++) {
                rgb[i] += cover * (colour.c[i] - rgb[i]);
            }
        }
    }
}

static struct colour draw_colour(struct ei_random *rng)
{
    struct colour colour;
    for (int i = 0; i < 3; i++) {
        colour.c[i] = ei_random_unit(rng);
    }
    return colour;
}

static double luma(struct colour colour)
{
    return 0.3 * colour.c[0] + 0.59 * colour.c[1] + 0.11 * colour.c[2];
}

/* A colour whose brightness differs from the given one by at least `contrast` (< 0.5). */
static struct colour draw_contrast(struct ei_random *rng, struct colour against, double contrast)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        const struct colour colour = draw_colour(rng);
        if (fabs(luma(colour) - luma(against)) >= contrast) {
            return colour;
        }
    }
    const double v = luma(against) < 0.5 ? 1.0 : 0.0;
    return (struct colour){{v, v, v}};
}

/* A gradient between two similar colours, with stripes of random direction and wave length on top. */
static void paint_background(struct canvas *canvas, struct ei_random *rng, struct colour base)
{
    const double angle = between(rng, 0.0, 2.0 * PI), gx = cosine(angle), gy = sine(angle);
    const double stripe_angle = between(rng, 0.0, 2.0 * PI), wave = between(rng, 0.4, 1.6);
    const double sx = wave * cosine(stripe_angle), sy = wave * sine(stripe_angle);
    const double amplitude = between(rng, 0.0, 0.12), phase = between(rng, 0.0, 2.0 * PI);
    struct colour slope;
    for (int i = 0; i < 3; i++) {
        slope.c[i] = between(rng, -0.2, 0.2);
    }
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            const double dx = (x + 0.5 - SIDE / 2.0) / SIDE, dy = (y + 0.5 - SIDE / 2.0) / SIDE;
            const double along = 2.0 * (gx * dx + gy * dy), stripe = amplitude * sine(sx * x + sy * y + phase);
            for (int i = 0; i < 3; i++) {
                canvas->rgb[y * SIDE + x][i] = base.c[i] + slope.c[i] * along + stripe;
            }
        }
    }
}

/* Small discs, triangles and strokes that belong to no class. */
static void paint_distractor(struct canvas *canvas, struct ei_random *rng, double softness_px)
{
    struct shape shape;
    memset(&shape, 0, sizeof shape);
    switch (ei_random_below(rng, 3)) {
    case 0:
        shape_disc(&shape, 1.0);
        break;
    case 1:
        shape_star(&shape, 3, 1.2, 0.0);
        break;
    default:
        shape.kind = SHAPE_POLYLINE;
        shape.half_width = 0.3;
        shape.count = 2;
        shape.points[0] = (struct point){-1.0, 0.0};
        shape.points[1] = (struct point){1.0, 0.0};
        break;
    }
    const struct pose pose = draw_pose(rng, between(rng, 1.5, 3.2), 1.0, softness_px);
    paint(canvas, &shape, &pose, draw_colour(rng), 0.0);
}

/* A bar across the shape, as a lamp post or a twig would hide it. */
static void paint_occlusion(struct canvas *canvas, struct ei_random *rng, const struct pose *shape_pose)
{
    const double angle = between(rng, 0.0, 2.0 * PI), c = cosine(angle), s = sine(angle);
    const double offset_px = between(rng, -0.8, 0.8) * shape_pose->scale_px, half_px = between(rng, 0.7, 2.0);
    const struct colour colour = draw_colour(rng);
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            const double across = c * (x + 0.5 - shape_pose->centre.x) + s * (y + 0.5 - shape_pose->centre.y);
            const double distance_px = fabs(across - offset_px) - half_px;
            const double cover = clamp_unit(0.5 - distance_px / shape_pose->softness_px);
            for (int i = 0; i < 3; i++) {
                double *v = &canvas->rgb[y * SIDE + x][i];
                *v += cover * (colour.c[i] - *v);
            }
        }
    }
}

/* Sensor noise (sum of four uniform 16-bit numbers, variance 1/3 before scaling), then 8 bit and planes. */
static void develop(const struct canvas *canvas, struct ei_random *rng, uint8_t *out_chw)
{
    const double gain = between(rng, 0.0, 0.07) / 0.57735;
    for (int i = 0; i < SIDE * SIDE; i++) {
        for (int channel = 0; channel < 3; channel++) {
            const uint64_t bits = ei_random_u64(rng);
            const uint64_t sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
            const double noise = (double)sum / 65535.0 - 2.0;
            const double v = clamp_unit(canvas->rgb[i][channel] + gain * noise);
            out_chw[channel * SIDE * SIDE + i] = (uint8_t)(v * 255.0 + 0.5);
        }
    }
}

/* Streams: bit 62 = test split, bit 61 = shuffles of labels, low bits = index. */
static uint64_t stream_of(enum ei_dataset_split split, bool shuffle, int32_t number)
{
    return (uint64_t)(split == EI_SPLIT_TEST) << 62 | (uint64_t)shuffle << 61 | (uint64_t)(uint32_t)number;
}

EINET_RT int32_t ei_generated_label(uint64_t seed, enum ei_dataset_split split, int32_t idx)
{
    struct ei_random rng;
    int32_t order[EI_GENERATED_CLASSES];
    ei_random_init(&rng, seed, stream_of(split, true, idx / EI_GENERATED_CLASSES));
    for (int32_t i = 0; i < EI_GENERATED_CLASSES; i++) { /* Fisher and Yates, inside out */
        const int32_t j = (int32_t)ei_random_below(&rng, (uint64_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    return order[idx % EI_GENERATED_CLASSES];
}

EINET_RT void ei_generated_draw(uint64_t seed, enum ei_dataset_split split, int32_t idx, uint8_t *out_chw)
{
    struct ei_random rng;
    struct canvas canvas;
    struct shape shapes[2];
    ei_random_init(&rng, seed, stream_of(split, false, idx));
    const int32_t label = ei_generated_label(seed, split, idx);

    const double softness_px = between(&rng, 0.9, 1.9), scale_px = between(&rng, 8.5, 13.0);
    const struct pose pose = draw_pose(&rng, scale_px, scale_px * 0.85, softness_px);
    const struct colour back = draw_colour(&rng), front = draw_contrast(&rng, back, 0.22);
    const struct colour inner = draw_contrast(&rng, front, 0.22);
    const int before = (int)ei_random_below(&rng, DISTRACTORS_MAX + 1), after = (int)ei_random_below(&rng, 2);
    const bool outlined = ei_random_below(&rng, 3) == 0, occluded = ei_random_below(&rng, 3) == 0;
    const int count = class_shapes(label, &rng, shapes);

    paint_background(&canvas, &rng, back);
    for (int i = 0; i < before; i++) {
        paint_distractor(&canvas, &rng, softness_px);
    }
    paint(&canvas, &shapes[0], &pose, front, outlined && shapes[0].kind == SHAPE_POLYGON ? 0.12 : 0.0);
    if (count == 2) {
        paint(&canvas, &shapes[1], &pose, inner, 0.0);
    }
    for (int i = 0; i < after; i++) {
        paint_distractor(&canvas, &rng, softness_px);
    }
    if (occluded) {
        paint_occlusion(&canvas, &rng, &pose);
    }
    develop(&canvas, &rng, out_chw);
}

int ei_dataset_open_generated(uint64_t seed, enum ei_dataset_split split, int32_t count, struct ei_dataset **out,
                              struct einet_error *err)
{
    if (count < 1 || count > EI_DATASET_GENERATED_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "%d generated samples asked for, choose 1 .. %d", count,
                               EI_DATASET_GENERATED_MAX);
    }
    if (split != EI_SPLIT_TRAIN && split != EI_SPLIT_TEST) {
        return einet_error_set(err, EINET_E_USAGE, "data set split %d is neither train nor test", (int)split);
    }
    struct ei_dataset_info info = {.name = "generated",
                                   .count = count,
                                   .classes = EI_GENERATED_CLASSES,
                                   .width_px = SIDE,
                                   .height_px = SIDE,
                                   .channels = 3,
                                   .class_names = ei_generated_class_names};
    snprintf(info.split, sizeof info.split, "%s", split == EI_SPLIT_TRAIN ? "train" : "test");
    struct ei_dataset *dataset;
    const int rc = ei_dataset_storage_create(&info, (size_t)count * EI_GENERATED_SAMPLE_BYTES, &dataset, err);
    if (rc < 0) {
        return rc;
    }
    dataset->sample_bytes = dataset->stride_bytes = EI_GENERATED_SAMPLE_BYTES;
    for (int32_t i = 0; i < count; i++) {
        dataset->labels[i] = ei_generated_label(seed, split, i);
        ei_generated_draw(seed, split, i, dataset->buffer + (size_t)i * EI_GENERATED_SAMPLE_BYTES);
    }
    *out = dataset;
    return 0;
}
