/* Faces to pixels: integer edge functions with a top-left rule, a depth test, samples, luminance.
 *
 * A face covers a sample when its three edge functions, exact in whole numbers, are not negative
 * there; samples on an edge belong to the face on whose top or left side it lies (Pineda 1988).
 * So faces that share an edge leave no hole and hit nothing twice. Depths are 1 / z, which is
 * linear in the picture; larger is nearer, 0 is nothing. */
#ifndef REFLEXARC_RASTER_H
#define REFLEXARC_RASTER_H

#include <stdlib.h>

#include "corner.h"

#define SAMPLES 16
#define HALF (SUB / 2)

/* A value that is linear in the picture. */
typedef struct {
    float at, dx, dy;  /* at the face's first corner; change by pixel to the right and down */
} Plane;

typedef struct {
    int64_t c[3];            /* edge functions at the middle of pixel (0, 0) */
    int32_t a[3], b[3];      /* their change by 1/256 pixel to the right and down */
    int32_t x0, x1, y0, y1;  /* the pixels it touches, the last ones included */
    float px, py;            /* its first corner, from the middle of pixel (0, 0), in pixels */
    Plane depth, shade, u, v;  /* u and v divided by z */
    int32_t part, texture;   /* texture: -1 without */
} Face;

/* A texture with its smaller copies, each half as wide and high; the last is one value. */
typedef struct {
    const float *texels;
    int32_t width, height, levels;
} Texture;

typedef struct {
    int32_t width, height;
    float background;
    const Texture *textures;
    Face *faces;
    int64_t n_faces, capacity;
    int32_t failed;             /* there was no memory for a face */
    float *depth;               /* of the middle of each pixel */
    int32_t *face;              /* seen there; -1 for none */
    uint8_t *edge;              /* whether the pixel needs samples */
    int32_t *before;            /* pixels with samples before this one; one more than pixels */
    int32_t *sampled;           /* those pixels */
    float *sample_depth;        /* [pixel with samples][SAMPLES] */
    int32_t *sample_face;
} Raster;

/* Samples lie in 4 rows and 4 columns, sheared so that no two share a row or a column of 16: an
 * upright or level edge then has 16 places in a pixel, not 4 (n-rooks; Kensler 2013). */
INLINE int32_t sample_x(int k)
{
    return SUB / SAMPLES * (4 * (k & 3) + (k >> 2)) + SUB / SAMPLES / 2 - HALF;
}

INLINE int32_t sample_y(int k)
{
    return SUB / SAMPLES * (4 * (k >> 2) + (k & 3)) + SUB / SAMPLES / 2 - HALF;
}

INLINE int64_t down(int64_t a, int64_t b)  /* floor(a / b), b > 0 */
{
    return a / b - (a % b < 0);
}

INLINE int32_t low(int32_t a, int32_t b) { return a < b ? a : b; }
INLINE int32_t high(int32_t a, int32_t b) { return a > b ? a : b; }

/* The linear value that is f[k] at corner k; (x, y) lead from corner 0 to 1 and 2, in pixels. */
INLINE Plane plane_through(double f0, double f1, double f2, const double *x, const double *y)
{
    double over = 1.0 / (x[0] * y[1] - x[1] * y[0]), g = f1 - f0, h = f2 - f0;
    Plane p = {(float)f0, (float)((g * y[1] - h * y[0]) * over), (float)((h * x[0] - g * x[1]) * over)};
    return p;
}

/* Work out a face from corners that show its front; 0 if it touches no pixel. */
static int set_up(const Raster *r, Face *f, const Corner *p, const Corner *q, const Corner *s,
                  int32_t part, int32_t texture)
{
    const Corner *c[3] = {p, s, q};  /* with y down, the front runs the other way round */
    int64_t area = (int64_t)(s->ix - p->ix) * (q->iy - p->iy) - (int64_t)(q->ix - p->ix) * (s->iy - p->iy);
    if (area <= 0)
        return 0;
    f->x0 = high(low(low(p->ix, q->ix), s->ix) >> 8, 0);
    f->y0 = high(low(low(p->iy, q->iy), s->iy) >> 8, 0);
    f->x1 = low(high(high(p->ix, q->ix), s->ix) >> 8, r->width - 1);
    f->y1 = low(high(high(p->iy, q->iy), s->iy) >> 8, r->height - 1);
    if (f->x0 > f->x1 || f->y0 > f->y1)
        return 0;
    for (int k = 0; k < 3; k++) {
        const Corner *from = c[k], *to = c[(k + 1) % 3];
        int32_t dx = to->ix - from->ix, dy = to->iy - from->iy;
        int top_left = dy < 0 || (dy == 0 && dx > 0);
        f->a[k] = -dy;
        f->b[k] = dx;
        f->c[k] = (int64_t)dx * (HALF - from->iy) - (int64_t)dy * (HALF - from->ix) - !top_left;
    }
    double x[2] = {(s->ix - p->ix) / (double)SUB, (q->ix - p->ix) / (double)SUB};
    double y[2] = {(s->iy - p->iy) / (double)SUB, (q->iy - p->iy) / (double)SUB};
    double near_p = 1.0 / p->z, near_s = 1.0 / s->z, near_q = 1.0 / q->z;
    f->px = (p->ix - HALF) / (float)SUB;
    f->py = (p->iy - HALF) / (float)SUB;
    f->depth = plane_through(near_p, near_s, near_q, x, y);
    f->shade = plane_through(p->shade, s->shade, q->shade, x, y);
    f->part = part;
    f->texture = texture;
    if (texture >= 0) {
        f->u = plane_through(p->u * near_p, s->u * near_s, q->u * near_q, x, y);
        f->v = plane_through(p->v * near_p, s->v * near_s, q->v * near_q, x, y);
    }
    return 1;
}

/* Narrow [lo, hi] to the columns where an edge function that is e at column 0 is not negative. */
INLINE void narrow(int64_t e, int64_t step, int64_t *lo, int64_t *hi)
{
    if (step > 0) {
        int64_t first = -down(e, step);
        *lo = first > *lo ? first : *lo;
    } else if (step < 0) {
        int64_t last = down(e, -step);
        *hi = last < *hi ? last : *hi;
    } else if (e < 0) {
        *hi = -1;
    }
}

/* Show the face in every pixel whose middle it covers and where nothing is nearer. */
WIDE static void fill(const Face *f, int32_t id, int32_t width, float *depths, int32_t *ids)
{
    int64_t step[3] = {SUB * (int64_t)f->a[0], SUB * (int64_t)f->a[1], SUB * (int64_t)f->a[2]};
    for (int32_t y = f->y0; y <= f->y1; y++) {
        float *depth = depths + (int64_t)y * width;
        int32_t *seen = ids + (int64_t)y * width;
        float start = f->depth.at + f->depth.dy * (y - f->py);
        int64_t e[3], lo = f->x0, hi = f->x1;
        for (int k = 0; k < 3; k++)
            e[k] = f->c[k] + SUB * (int64_t)f->b[k] * y;
        if (hi - lo < 4) {
            for (int64_t x = lo; x <= hi; x++) {
                float at = start + f->depth.dx * (x - f->px);
                if (((e[0] + step[0] * x) | (e[1] + step[1] * x) | (e[2] + step[2] * x)) >= 0 && at > depth[x]) {
                    depth[x] = at;
                    seen[x] = id;
                }
            }
            continue;
        }
        for (int k = 0; k < 3; k++)
            narrow(e[k], step[k], &lo, &hi);
        for (int32_t x = (int32_t)lo; x <= (int32_t)hi; x++) {
            float at = start + f->depth.dx * ((float)x - f->px);
            int nearer = at > depth[x];
            depth[x] = nearer ? at : depth[x];
            seen[x] = nearer ? id : seen[x];
        }
    }
}

/* The same for the samples of the pixels that have them. */
WIDE static void sample(const Face *f, int32_t id, int32_t width, const int32_t *before,
                        const int32_t *sampled, float *depths, int32_t *ids)
{
    int32_t offset[3][SAMPLES];
    float rise[SAMPLES];
    int ready = 0;
    for (int32_t y = f->y0; y <= f->y1; y++) {
        const int32_t *row = before + (int64_t)y * width;
        int32_t begin = row[f->x0], end = row[f->x1 + 1];
        if (begin == end)
            continue;
        if (!ready) {
            for (int s = 0; s < SAMPLES; s++) {
                for (int k = 0; k < 3; k++)
                    offset[k][s] = f->a[k] * sample_x(s) + f->b[k] * sample_y(s);
                rise[s] = (f->depth.dx * sample_x(s) + f->depth.dy * sample_y(s)) * (1.0f / SUB);
            }
            ready = 1;
        }
        for (int32_t n = begin; n < end; n++) {
            int32_t x = sampled[n] - y * width, e[3];
            for (int k = 0; k < 3; k++) {
                int64_t exact = f->c[k] + SUB * ((int64_t)f->a[k] * x + (int64_t)f->b[k] * y);
                /* beyond this no offset changes the sign */
                e[k] = (int32_t)(exact > 1 << 30 ? 1 << 30 : exact < -(1 << 30) ? -(1 << 30) : exact);
            }
            float at = f->depth.at + f->depth.dx * (x - f->px) + f->depth.dy * (y - f->py);
            float *depth = depths + (int64_t)n * SAMPLES;
            int32_t *seen = ids + (int64_t)n * SAMPLES;
            for (int s = 0; s < SAMPLES; s++) {
                int32_t in = (e[0] + offset[0][s]) | (e[1] + offset[1][s]) | (e[2] + offset[2][s]);
                float nearness = at + rise[s];
                int shown = (in >= 0) & (nearness > depth[s]);
                depth[s] = shown ? nearness : depth[s];
                seen[s] = shown ? id : seen[s];
            }
        }
    }
}

/* One of a texture's copies. */
typedef struct {
    const float *texels;
    int32_t width, height;
} Level;

/* The copy whose texels are as wide as what a sample sees: `wide` of the texture itself. */
INLINE Level level_for(const Texture *t, float wide)
{
    Level l = {t->texels, t->width, t->height};
    for (int k = 1; k < t->levels && wide > 1.0f; k++) {
        l.texels += (int64_t)l.width * l.height;
        l.width = high(l.width / 2, 1);
        l.height = high(l.height / 2, 1);
        wide *= 0.5f;
    }
    return l;
}

/* A place between four texels. */
typedef struct {
    int32_t upper_left, upper_right, lower_left, lower_right;
    float right, down;  /* how far from the upper left one, 0 to 1 */
} Spot;

/* Where (u, v) lies in a texture, which goes once round from 0 to 1, v upwards. */
INLINE Spot spot_at(const Level *l, float u, float v)
{
    int32_t w = l->width, h = l->height;
    float x = (u - floorf(u)) * w - 0.5f, y = (1.0f - (v - floorf(v))) * h - 0.5f;
    float x_down = floorf(x), y_down = floorf(y), fx = x - x_down, fy = y - y_down;
    int32_t x0 = (int32_t)x_down, y0 = (int32_t)y_down;  /* -1 to w - 1 and to h - 1 */
    int32_t x1 = x0 + 1 == w ? 0 : x0 + 1, y1 = y0 + 1 == h ? 0 : y0 + 1;
    x0 = x0 < 0 ? w - 1 : x0;
    y0 = y0 < 0 ? h - 1 : y0;
    Spot at = {y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1, fx, fy};
    return at;
}

INLINE float between(float upper_left, float upper_right, float lower_left, float lower_right,
                     float right, float down)
{
    float top = upper_left + right * (upper_right - upper_left);
    float bottom = lower_left + right * (lower_right - lower_left);
    return top + down * (bottom - top);
}

INLINE float plane_at(const Plane *p, float x, float y)
{
    return p->at + p->dx * x + p->dy * y;
}

/* How many texels a pixel spans at (x, y), in pixels from the face's first corner. */
INLINE float texels_across(const Face *f, const Texture *t, float x, float y)
{
    float z = 1.0f / plane_at(&f->depth, x, y);
    float u = plane_at(&f->u, x, y) * z, v = plane_at(&f->v, x, y) * z;
    float across_u = larger(fabsf(f->u.dx - u * f->depth.dx), fabsf(f->u.dy - u * f->depth.dy));
    float across_v = larger(fabsf(f->v.dx - v * f->depth.dx), fabsf(f->v.dy - v * f->depth.dy));
    return z * larger(across_u * t->width, across_v * t->height);
}

/* Where face `f` has its texture at (x, y), in pixels from its first corner. */
INLINE Spot spot_of(const Face *f, const Level *l, float x, float y)
{
    float z = 1.0f / plane_at(&f->depth, x, y);
    return spot_at(l, plane_at(&f->u, x, y) * z, plane_at(&f->v, x, y) * z);
}

/* Luminance in the middle of pixel (x, y), where face `id` is seen. */
INLINE float luminance(const Raster *r, int32_t id, int32_t x, int32_t y)
{
    if (id < 0)
        return r->background;
    const Face *f = &r->faces[id];
    float along = x - f->px, across = y - f->py;
    float shade = larger(plane_at(&f->shade, along, across), 0.0f);
    if (f->texture < 0)
        return shade;
    const Texture *t = &r->textures[f->texture];
    Level l = level_for(t, texels_across(f, t, along, across));
    const Spot at = spot_of(f, &l, along, across);
    return shade * between(l.texels[at.upper_left], l.texels[at.upper_right], l.texels[at.lower_left],
                           l.texels[at.lower_right], at.right, at.down);
}

/* Luminance of face `id` at the samples of pixel (x, y). */
INLINE void sample_luminance(const Raster *r, int32_t id, int32_t x, int32_t y, float *at)
{
    const Face *f = &r->faces[id];
    float along = x - f->px, across = y - f->py;
    for (int s = 0; s < SAMPLES; s++)
        at[s] = larger(plane_at(&f->shade, along + sample_x(s) * (1.0f / SUB), across + sample_y(s) * (1.0f / SUB)), 0.0f);
    if (f->texture < 0)
        return;
    const Texture *t = &r->textures[f->texture];
    /* A sample is a quarter of a pixel wide. The copy whose texels are nearest to that, by their
     * ratio: the next coarser one blurs what the mean of 16 blurs already. */
    Level l = level_for(t, 0.25f / 1.41421356f * texels_across(f, t, along, across));
    /* Column by column, so that the compiler makes vectors of both loops. */
    int32_t upper_left[SAMPLES], upper_right[SAMPLES], lower_left[SAMPLES], lower_right[SAMPLES];
    float right[SAMPLES], down[SAMPLES];
    for (int s = 0; s < SAMPLES; s++) {
        Spot spot = spot_of(f, &l, along + sample_x(s) * (1.0f / SUB), across + sample_y(s) * (1.0f / SUB));
        upper_left[s] = spot.upper_left;
        upper_right[s] = spot.upper_right;
        lower_left[s] = spot.lower_left;
        lower_right[s] = spot.lower_right;
        right[s] = spot.right;
        down[s] = spot.down;
    }
    const float *texels = l.texels;
    for (int s = 0; s < SAMPLES; s++)
        at[s] *= between(texels[upper_left[s]], texels[upper_right[s]], texels[lower_left[s]],
                         texels[lower_right[s]], right[s], down[s]);
}

/* Mean luminance of the samples of pixel (x, y), at which the faces `ids` are seen. */
INLINE float mean_luminance(const Raster *r, const int32_t *ids, int32_t x, int32_t y)
{
    float at[SAMPLES], shown[SAMPLES] = {0}, sum = 0.0f;
    int32_t differ = 0;
    for (int s = 1; s < SAMPLES; s++)
        differ |= ids[s] ^ ids[0];
    if (!differ && (ids[0] < 0 || r->faces[ids[0]].texture < 0))
        return luminance(r, ids[0], x, y);  /* the mean of what is linear */
    for (uint32_t left = (1u << SAMPLES) - 1; left;) {  /* face by face */
        int32_t id = ids[__builtin_ctz(left)];
        if (id >= 0)
            sample_luminance(r, id, x, y, at);
        for (int s = 0; s < SAMPLES; s++) {
            uint32_t same = ids[s] == id;
            shown[s] = !same ? shown[s] : id < 0 ? r->background : at[s];
            left &= ~(same << s);
        }
    }
    for (int s = 0; s < SAMPLES; s++)
        sum += shown[s];
    return sum * (1.0f / SAMPLES);
}

/* The picture as the middles of its pixels show it. */
WIDE static void show_middles(const Raster *r, float *image)
{
    for (int32_t y = 0, i = 0; y < r->height; y++)
        for (int32_t x = 0; x < r->width; x++, i++)
            image[i] = luminance(r, r->face[i], x, y);
}

/* What the samples show, in the pixels that have them. */
WIDE static void show_means(const Raster *r, float *image)
{
    for (int32_t n = 0; n < r->before[r->width * r->height]; n++) {
        int32_t y = r->sampled[n] / r->width, x = r->sampled[n] - y * r->width;
        image[r->sampled[n]] = mean_luminance(r, r->sample_face + (int64_t)n * SAMPLES, x, y);
    }
}

/* Mark both of two neighbouring pixels where their luminance differs by more than `contrast` of
 * the brighter. */
WIDE static void mark_contrast(const float *image, uint8_t *edge, int32_t width, int32_t height, float contrast)
{
    for (int32_t y = 0; y < height; y++) {
        const float *row = image + (int64_t)y * width;
        uint8_t *mark = edge + (int64_t)y * width;
        for (int32_t x = 0; x < width - 1; x++) {
            uint8_t differs = fabsf(row[x] - row[x + 1]) > contrast * larger(row[x], row[x + 1]);
            mark[x] |= differs;
            mark[x + 1] |= differs;
        }
        if (y == height - 1)
            break;
        for (int32_t x = 0; x < width; x++) {
            uint8_t differs = fabsf(row[x] - row[x + width]) > contrast * larger(row[x], row[x + width]);
            mark[x] |= differs;
            mark[x + width] |= differs;
        }
    }
}

/* Mark every pixel that the line from (x0, y0) to (x1, y1), in pixels, goes through. */
static void mark_line(Raster *r, float x0, float y0, float x1, float y1)
{
    int32_t x = (int32_t)floorf(x0), y = (int32_t)floorf(y0);
    if (x == (int32_t)floorf(x1) && y == (int32_t)floorf(y1)) {
        if (x >= 0 && x < r->width && y >= 0 && y < r->height)
            r->edge[(int64_t)y * r->width + x] = 1;
        return;
    }
    int steep = fabsf(y1 - y0) > fabsf(x1 - x0);
    float a0 = steep ? y0 : x0, b0 = steep ? x0 : y0, a1 = steep ? y1 : x1, b1 = steep ? x1 : y1;
    int32_t length = steep ? r->height : r->width, across = steep ? r->width : r->height;
    if (a0 > a1) {
        float a = a0, b = b0;
        a0 = a1, b0 = b1, a1 = a, b1 = b;
    }
    float slope = a1 > a0 ? (b1 - b0) / (a1 - a0) : 0.0f;
    int32_t first = high((int32_t)floorf(a0), 0), last = low((int32_t)floorf(a1), length - 1);
    for (int32_t a = first; a <= last; a++) {
        float enter = b0 + slope * (larger((float)a, a0) - a0);
        float leave = b0 + slope * (smaller(a + 1.0f, a1) - a0);
        int32_t from = high((int32_t)floorf(smaller(enter, leave)), 0);
        int32_t to = low((int32_t)floorf(larger(enter, leave)), across - 1);
        for (int32_t b = from; b <= to; b++)
            r->edge[steep ? (int64_t)a * r->width + b : (int64_t)b * r->width + a] = 1;
    }
}

/* Draw a triangle that shows its front and lies within the lens's view, in pieces where the lens
 * bends its edges. Whether an edge is split depends on the edge alone: neighbours agree. */
static void add(Raster *r, const Lens *l, const Corner *a, const Corner *b, const Corner *c,
                int32_t part, int32_t texture, int splits)
{
    const Corner *at[3] = {a, b, c};
    Corner mid[3];
    int bowed[3] = {0, 0, 0}, n = 0;
    for (int k = 0; k < 3 && splits; k++)
        if ((bowed[k] = bows(l, at[k], at[(k + 1) % 3]))) {
            mid[k] = middle(l, at[k], at[(k + 1) % 3]);
            n++;
        }
    if (n == 3) {
        add(r, l, a, &mid[0], &mid[2], part, texture, splits - 1);
        add(r, l, &mid[0], b, &mid[1], part, texture, splits - 1);
        add(r, l, &mid[2], &mid[1], c, part, texture, splits - 1);
        add(r, l, &mid[0], &mid[1], &mid[2], part, texture, splits - 1);
        return;
    }
    if (n) {
        int k = bowed[0] ? 0 : bowed[1] ? 1 : 2;
        add(r, l, at[k], &mid[k], at[(k + 2) % 3], part, texture, splits - 1);
        add(r, l, &mid[k], at[(k + 1) % 3], at[(k + 2) % 3], part, texture, splits - 1);
        return;
    }
    if (r->n_faces == r->capacity) {
        Face *grown = realloc(r->faces, 2 * (r->capacity + 512) * sizeof(Face));
        if (grown == NULL) {
            r->failed = 1;
            return;
        }
        r->faces = grown;
        r->capacity = 2 * (r->capacity + 512);
    }
    Face *f = &r->faces[r->n_faces];
    if (set_up(r, f, a, b, c, part, texture))
        fill(f, (int32_t)r->n_faces++, r->width, r->depth, r->face);
}

/* Mark the pixels of an outline between two corners within the lens's view. */
static void mark_edge(Raster *r, const Lens *l, const Corner *a, const Corner *b, int splits)
{
    if (splits && bows(l, a, b)) {
        Corner m = middle(l, a, b);
        mark_edge(r, l, a, &m, splits - 1);
        mark_edge(r, l, &m, b, splits - 1);
    } else {
        mark_line(r, a->px, a->py, b->px, b->py);
    }
}

#define STRIDE 2  /* every which row and column `flow` looks at */

/* How far, in pixels, what the picture shows moves at most when every part makes its `move` (3 x 4
 * each, in the camera's frame). ways: x / z and y / z of each pixel's middle. */
static float flow(const Raster *r, const Lens *l, const float *ways, const float *moves)
{
    float most = 0.0f;
    for (int32_t y = 0; y < r->height; y += STRIDE)
        for (int32_t x = 0; x < r->width; x += STRIDE) {
            int64_t i = (int64_t)y * r->width + x;
            if (r->face[i] < 0)
                continue;
            const float *m = moves + 12 * (int64_t)r->faces[r->face[i]].part;
            float z = 1.0f / r->depth[i], px, py;
            float ax = ways[2 * i] * z, ay = ways[2 * i + 1] * z;
            float over = 1.0f / larger(m[8] * ax + m[9] * ay + m[10] * z + m[11], l->near);
            bend(l, (m[0] * ax + m[1] * ay + m[2] * z + m[3]) * over,
                 (m[4] * ax + m[5] * ay + m[6] * z + m[7]) * over, &px, &py);
            px -= x + 0.5f;
            py -= y + 0.5f;
            most = larger(most, px * px + py * py);
        }
    return sqrtf(most);
}

#endif
