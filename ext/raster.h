/* Faces to pixels: integer edge functions with a top-left rule, a depth test, samples, luminance.
 *
 * A face covers a sample when its three edge functions, exact in whole numbers, are not negative
 * there; samples on an edge belong to the face on whose top or left side it lies (Pineda 1988).
 * So faces that share an edge leave no hole and hit nothing twice. Depths are 1 / z, which is
 * linear in the picture; larger is nearer, 0 is nothing. */
#ifndef REFLEXARC_RASTER_H
#define REFLEXARC_RASTER_H

#include <stdlib.h>
#include <string.h>

#include "corner.h"

#define SAMPLES 16      /* of a pixel with an edge; as many are worked on at once */
#define FINE 256        /* of one where 16 are too coarse */
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

/* Where the samples of a pixel lie from its middle, in 1/256 of a pixel. */
typedef struct {
    int32_t n, x[FINE], y[FINE];
} Pattern;

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
    int64_t room;               /* samples that there is space for */
    float *sample_depth;        /* pixel by pixel */
    int32_t *sample_face;
} Raster;

/* Order `side` numbers by chance, the same on every machine. */
static void shuffle(int32_t *numbers, int32_t side, uint32_t *chance)
{
    for (int32_t k = side - 1; k > 0; k--) {
        *chance = *chance * 1664525u + 1013904223u;  /* Knuth's; its upper bits are the better */
        int32_t other = (int32_t)((*chance >> 16) % (uint32_t)(k + 1)), kept = numbers[k];
        numbers[k] = numbers[other];
        numbers[other] = kept;
    }
}

/* Samples in `side` rows and columns of cells, one in each, so that no two share a row or a column
 * of side^2: an upright or level edge then has as many places in a pixel as there are samples.
 *
 * 4 x 4 are sheared (Kensler 2013). Of 16 x 16 a sheared edge would meet 16 at once: places in a
 * cell are shuffled by row and column (multi-jittered; Chiu, Shirley & Wang 1994). */
static void lay_out(Pattern *p, int32_t side)
{
    int32_t in_column[16][16], in_row[16][16], wide = SUB / (side * side);
    uint32_t chance = 1;
    p->n = side * side;
    for (int32_t i = 0; i < side; i++) {
        for (int32_t j = 0; j < side; j++)
            in_column[i][j] = in_row[i][j] = j;
        if (p->n == FINE) {
            shuffle(in_column[i], side, &chance);
            shuffle(in_row[i], side, &chance);
        }
    }
    for (int32_t k = 0; k < p->n; k++) {
        int32_t column = k % side, row = k / side;
        p->x[k] = wide * (side * column + in_column[column][row]) + wide / 2 - HALF;
        p->y[k] = wide * (side * row + in_row[row][column]) + wide / 2 - HALF;
    }
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

/* Show face `id` at those of SAMPLES samples that it covers and where nothing is nearer: `e` and `at`
 * are its edge functions and depth in the middle of the pixel, offsets and `rise` lead from there. */
INLINE void show_at(const int32_t *restrict e, const int32_t *restrict a, const int32_t *restrict b,
                    const int32_t *restrict c, float at, const float *restrict rise, int32_t id,
                    float *restrict depth, int32_t *restrict seen)
{
    int32_t ea = e[0], eb = e[1], ec = e[2];
    for (int s = 0; s < SAMPLES; s++) {
        int32_t in = (ea + a[s]) | (eb + b[s]) | (ec + c[s]);
        float nearness = at + rise[s];
        int shown = (in >= 0) & (nearness > depth[s]);
        depth[s] = shown ? nearness : depth[s];
        seen[s] = shown ? id : seen[s];
    }
}

/* The same for the samples of pixels `first` to `last` of those that have them. */
WIDE static void sample(const Raster *r, const Face *f, int32_t id, const Pattern *p, int32_t first,
                        int32_t last)
{
    int32_t offset[3][FINE], reach[3];
    float rise[FINE];
    int ready = 0;
    if (r->before[f->y0 * r->width] == r->before[(f->y1 + 1) * r->width])
        return;  /* no pixel of its rows has samples */
    for (int k = 0; k < 3; k++)
        reach[k] = HALF * (abs(f->a[k]) + abs(f->b[k]));
    for (int32_t y = f->y0; y <= f->y1; y++) {
        const int32_t *row = r->before + (int64_t)y * r->width;
        int32_t begin = high(row[f->x0], first), end = low(row[f->x1 + 1], last);
        for (int32_t n = begin; n < end; n++) {
            int32_t x = r->sampled[n] - y * r->width, e[3], beside = 0;
            for (int k = 0; k < 3; k++) {
                int64_t exact = f->c[k] + SUB * ((int64_t)f->a[k] * x + (int64_t)f->b[k] * y);
                /* beyond this no offset changes the sign */
                e[k] = (int32_t)(exact > 1 << 30 ? 1 << 30 : exact < -(1 << 30) ? -(1 << 30) : exact);
                beside |= e[k] + reach[k];
            }
            if (beside < 0)
                continue;
            if (!ready) {
                for (int s = 0; s < p->n; s++) {
                    for (int k = 0; k < 3; k++)
                        offset[k][s] = f->a[k] * p->x[s] + f->b[k] * p->y[s];
                    rise[s] = (f->depth.dx * p->x[s] + f->depth.dy * p->y[s]) * (1.0f / SUB);
                }
                ready = 1;
            }
            float at = f->depth.at + f->depth.dx * (x - f->px) + f->depth.dy * (y - f->py);
            float *depth = r->sample_depth + (int64_t)(n - first) * p->n;
            int32_t *seen = r->sample_face + (int64_t)(n - first) * p->n;
            for (int s = 0; s < p->n; s += SAMPLES)
                show_at(e, offset[0] + s, offset[1] + s, offset[2] + s, at, rise + s, id, depth + s, seen + s);
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

/* What the texture of a face makes of `shade` at SAMPLES samples, their middle (along, across) from
 * its first corner; `blur`: how wide a sample is, in pixels. */
INLINE void lay_texture(const Texture *t, const Face *f, const int32_t *dx, const int32_t *dy,
                        float along, float across, float blur, float *shade)
{
    /* The copy whose texels are nearest to a sample's width, by their ratio: the next coarser one
     * blurs what the mean of the samples blurs already. */
    Level l = level_for(t, blur / 1.41421356f * texels_across(f, t, along, across));
    /* Column by column, so that the compiler makes vectors of both loops. */
    int32_t upper_left[SAMPLES], upper_right[SAMPLES], lower_left[SAMPLES], lower_right[SAMPLES];
    float right[SAMPLES], down[SAMPLES];
    for (int s = 0; s < SAMPLES; s++) {
        Spot spot = spot_of(f, &l, along + dx[s] * (1.0f / SUB), across + dy[s] * (1.0f / SUB));
        upper_left[s] = spot.upper_left;
        upper_right[s] = spot.upper_right;
        lower_left[s] = spot.lower_left;
        lower_right[s] = spot.lower_right;
        right[s] = spot.right;
        down[s] = spot.down;
    }
    const float *texels = l.texels;
    for (int s = 0; s < SAMPLES; s++)
        shade[s] *= between(texels[upper_left[s]], texels[upper_right[s]], texels[lower_left[s]],
                            texels[lower_right[s]], right[s], down[s]);
}

/* Sum of the luminance of a textured face at those of SAMPLES samples that show it. */
INLINE float textured_sum(const Raster *r, int32_t id, const int32_t *ids, const int32_t *dx,
                          const int32_t *dy, int32_t x, int32_t y, float blur)
{
    const Face *f = &r->faces[id];
    float along = x - f->px, across = y - f->py, shade[SAMPLES], sum = 0.0f;
    for (int s = 0; s < SAMPLES; s++)
        shade[s] = larger(plane_at(&f->shade, along + dx[s] * (1.0f / SUB), across + dy[s] * (1.0f / SUB)), 0.0f);
    lay_texture(&r->textures[f->texture], f, dx, dy, along, across, blur, shade);
    for (int s = 0; s < SAMPLES; s++)
        sum += ids[s] == id ? shade[s] : 0.0f;
    return sum;
}

/* Sum of the luminance of SAMPLES samples of pixel (x, y), at which the faces `ids` are seen. */
INLINE float sum_luminance(const Raster *r, const int32_t *ids, const int32_t *dx, const int32_t *dy,
                           int32_t x, int32_t y, float blur)
{
    float sum = 0.0f;
    int32_t differ = 0;
    for (int s = 1; s < SAMPLES; s++)
        differ |= ids[s] ^ ids[0];
    if (!differ && ids[0] < 0)
        return SAMPLES * r->background;
    for (uint32_t left = (1u << SAMPLES) - 1; left;) {  /* face by face */
        int32_t id = ids[__builtin_ctz(left)], many = 0, right = 0, down = 0;
        uint32_t these = 0;
        #pragma GCC unroll 1  /* unrolled it would not become vectors */
        for (int s = 0; s < SAMPLES; s++) {
            int32_t same = -(ids[s] == id);
            many -= same;
            right += dx[s] & same;
            down += dy[s] & same;
            these |= (uint32_t)(same & 1) << s;
        }
        left &= ~these;
        const Face *f = &r->faces[id < 0 ? 0 : id];
        if (id < 0)
            sum += many * r->background;
        else if (f->texture >= 0)
            sum += textured_sum(r, id, ids, dx, dy, x, y, blur);
        else  /* shade is linear: its sum is that of the samples' places */
            sum += larger(many * plane_at(&f->shade, x - f->px, y - f->py)
                          + (f->shade.dx * right + f->shade.dy * down) * (1.0f / SUB), 0.0f);
    }
    return sum;
}

/* The picture as the middles of its pixels show it. */
WIDE static void show_middles(const Raster *r, float *image)
{
    for (int32_t y = 0, i = 0; y < r->height; y++)
        for (int32_t x = 0; x < r->width; x++, i++)
            image[i] = luminance(r, r->face[i], x, y);
}

/* What the samples show, in pixels `first` to `last` of those that have them. */
WIDE static void show_means(const Raster *r, const Pattern *p, int32_t first, int32_t last, float *image)
{
    float blur = 1.0f / sqrtf((float)p->n);
    for (int32_t n = first; n < last; n++) {
        int32_t y = r->sampled[n] / r->width, x = r->sampled[n] - y * r->width;
        const int32_t *ids = r->sample_face + (int64_t)(n - first) * p->n;
        float sum = 0.0f;
        for (int s = 0; s < p->n; s += SAMPLES)
            sum += sum_luminance(r, ids + s, p->x + s, p->y + s, x, y, blur);
        image[r->sampled[n]] = sum / p->n;
    }
}

/* List the marked pixels in `before` and `sampled`; how many there are. */
static int32_t list_marked(Raster *r)
{
    int32_t n = r->width * r->height, count = 0;
    for (int32_t i = 0; i < n; i++) {
        r->before[i] = count;
        r->sampled[count] = i;
        count += r->edge[i];
    }
    r->before[n] = count;
    return count;
}

/* Draw the faces again at the samples of the marked pixels alone, and show their means. */
static int32_t draw_samples(Raster *r, const Pattern *p, float *image)
{
    int32_t count = list_marked(r), at_once = (int32_t)(r->room / p->n);
    for (int32_t first = 0, last; first < count; first = last) {
        last = low(first + at_once, count);
        memset(r->sample_depth, 0, sizeof(float) * (last - first) * p->n);
        memset(r->sample_face, 0xFF, sizeof(int32_t) * (last - first) * p->n);
        for (int64_t k = 0; k < r->n_faces; k++)
            sample(r, &r->faces[k], (int32_t)k, p, first, last);
        show_means(r, p, first, last, image);
    }
    return count;
}

/* The steepest a photoreceptor is: linear below 20 of 255, as ln I ends there (v2e). */
#define DARK (20.0f / 255.0f / 2.9957323f)

/* Of the marked pixels keep those where one of SAMPLES may change the level of a photoreceptor by
 * more than `step`. What it may change is the most that the picture differs nearby. */
static void keep_coarse(Raster *r, const float *image, float step)
{
    int32_t w = r->width, h = r->height;
    for (int32_t n = 0; n < r->before[w * h]; n++) {
        int32_t i = r->sampled[n], y = i / w, x = i - y * w;
        float least = image[i], most = least;
        for (int32_t v = high(y - 1, 0); v <= low(y + 1, h - 1); v++)
            for (int32_t u = high(x - 1, 0); u <= low(x + 1, w - 1); u++) {
                least = smaller(least, image[v * w + u]);
                most = larger(most, image[v * w + u]);
            }
        r->edge[i] = most - least > step * SAMPLES * larger(image[i], DARK);
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
