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

/* The texture at (u, v), each copy of it once round from 0 to 1, v upwards; `spread` is how far one
 * sample reaches, in u and v. */
static float texel(const Texture *t, float u, float v, float spread_u, float spread_v)
{
    float wide = fmaxf(spread_u * t->width, spread_v * t->height);
    const float *level = t->texels;
    int32_t w = t->width, h = t->height;
    for (int k = 1; k < t->levels && wide > 1.5f; k++) {
        level += (int64_t)w * h;
        w = high(w / 2, 1);
        h = high(h / 2, 1);
        wide *= 0.5f;
    }
    float x = (u - floorf(u)) * w - 0.5f, y = (1.0f - (v - floorf(v))) * h - 0.5f;
    int32_t x0 = (int32_t)floorf(x), y0 = (int32_t)floorf(y);
    float fx = x - x0, fy = y - y0;
    int32_t x1 = (x0 + 1) % w, y1 = (y0 + 1) % h;
    x0 = (x0 + w) % w;
    y0 = (y0 + h) % h;
    float top = level[y0 * (int64_t)w + x0] * (1 - fx) + level[y0 * (int64_t)w + x1] * fx;
    float bottom = level[y1 * (int64_t)w + x0] * (1 - fx) + level[y1 * (int64_t)w + x1] * fx;
    return top * (1 - fy) + bottom * fy;
}

INLINE float plane_at(const Plane *p, float x, float y)
{
    return p->at + p->dx * x + p->dy * y;
}

/* Luminance of a face at (x, y), in pixels from the middle of pixel (0, 0); `reach`: how wide the
 * sample is, in pixels. */
static float luminance(const Raster *r, int32_t id, float x, float y, float reach)
{
    if (id < 0)
        return r->background;
    const Face *f = &r->faces[id];
    x -= f->px;
    y -= f->py;
    float shade = fmaxf(plane_at(&f->shade, x, y), 0.0f);
    if (f->texture < 0)
        return shade;
    float z = 1.0f / plane_at(&f->depth, x, y);
    float u = plane_at(&f->u, x, y) * z, v = plane_at(&f->v, x, y) * z;
    float spread_u = fmaxf(fabsf(f->u.dx - u * f->depth.dx), fabsf(f->u.dy - u * f->depth.dy)) * z;
    float spread_v = fmaxf(fabsf(f->v.dx - v * f->depth.dx), fabsf(f->v.dy - v * f->depth.dy)) * z;
    return shade * texel(&r->textures[f->texture], u, v, reach * spread_u, reach * spread_v);
}

/* Mean luminance of the samples of pixel (x, y), which has the n-th set of them. */
static float mean_luminance(const Raster *r, int32_t n, int32_t x, int32_t y)
{
    const int32_t *ids = r->sample_face + (int64_t)n * SAMPLES;
    int same = 1;
    for (int s = 1; s < SAMPLES; s++)
        same &= ids[s] == ids[0];
    if (same && (ids[0] < 0 || r->faces[ids[0]].texture < 0))
        return luminance(r, ids[0], (float)x, (float)y, 1.0f);
    float sum = 0.0f;
    for (int s = 0; s < SAMPLES; s++)
        sum += luminance(r, ids[s], x + sample_x(s) / (float)SUB, y + sample_y(s) / (float)SUB, 0.25f);
    return sum * (1.0f / SAMPLES);
}

/* Mark both of two neighbouring pixels where their luminance differs by more than `contrast` of
 * the brighter. */
WIDE static void mark_contrast(const float *image, uint8_t *edge, int32_t width, int32_t height, float contrast)
{
    for (int32_t y = 0; y < height; y++) {
        const float *row = image + (int64_t)y * width;
        uint8_t *mark = edge + (int64_t)y * width;
        for (int32_t x = 0; x < width - 1; x++) {
            uint8_t differs = fabsf(row[x] - row[x + 1]) > contrast * fmaxf(row[x], row[x + 1]);
            mark[x] |= differs;
            mark[x + 1] |= differs;
        }
        if (y == height - 1)
            break;
        for (int32_t x = 0; x < width; x++) {
            uint8_t differs = fabsf(row[x] - row[x + width]) > contrast * fmaxf(row[x], row[x + width]);
            mark[x] |= differs;
            mark[x + width] |= differs;
        }
    }
}

/* Mark every pixel that the line from (x0, y0) to (x1, y1), in pixels, goes through. */
static void mark_line(Raster *r, float x0, float y0, float x1, float y1)
{
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
        float enter = b0 + slope * (fmaxf((float)a, a0) - a0);
        float leave = b0 + slope * (fminf(a + 1.0f, a1) - a0);
        int32_t from = high((int32_t)floorf(fminf(enter, leave)), 0);
        int32_t to = low((int32_t)floorf(fmaxf(enter, leave)), across - 1);
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

#endif
