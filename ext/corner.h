/* Corners of triangles: where a camera sees them, and what clipping and a lens make of them.
 *
 * The camera's frame is that of computer vision: x to the right, y down, z forward, in metres. A
 * pixel covers [x, x + 1) x [y, y + 1); whole-number coordinates are in 1/256 of a pixel. */
#ifndef REFLEXARC_CORNER_H
#define REFLEXARC_CORNER_H

#include <math.h>

#include "wide.h"

#define SUB 256          /* steps of a coordinate in a pixel */
#define LIMIT_PX 4096    /* nothing is projected further from the origin than this */
#define BOW_PX 0.1f      /* how far the middle of an edge may lie beside that of its ends */
#define LONG_PX 48.0f    /* under a lens that bends, no edge is longer */
#define MOST_SPLITS 20   /* of a triangle, one or all of its edges at a time */

typedef struct {
    float fx, fy, cx, cy;        /* pinhole, in pixels */
    float k1, k2, p1, p2;        /* Brown-Conrady */
    int32_t bends;               /* whether any of the four is not 0 */
    float near, slope_x, slope_y;  /* corners with z < near or |x| > slope_x z are clipped */
} Lens;

typedef struct {
    float x, y, z;
    float shade, u, v;  /* luminance before the texture; place in the texture */
    float px, py;       /* where it is seen, in pixels; */
    int32_t ix, iy;     /* the same in 1/256, rounded */
} Corner;

/* The shape of what is drawn, part after part, each in its own frame; arrays of float32 by vertex. */
typedef struct {
    const float *x, *y, *z, *nx, *ny, *nz, *grey, *u, *v;
} Vertices;

/* What became of each vertex in the picture. */
typedef struct {
    float *x, *y, *z, *shade, *px, *py;
    int32_t *ix, *iy;
    uint8_t *inside;
} Seen;

/* Not fmaxf and fminf, which are calls: nothing here is NaN. */
INLINE float larger(float a, float b) { return a > b ? a : b; }
INLINE float smaller(float a, float b) { return a < b ? a : b; }

INLINE void bend(const Lens *l, float x, float y, float *px, float *py)
{
    float r2 = x * x + y * y, radial = 1.0f + r2 * (l->k1 + r2 * l->k2);
    *px = l->fx * (x * radial + 2.0f * l->p1 * x * y + l->p2 * (r2 + 2.0f * x * x)) + l->cx;
    *py = l->fy * (y * radial + l->p1 * (r2 + 2.0f * y * y) + 2.0f * l->p2 * x * y) + l->cy;
}

INLINE float limited(float at)
{
    return smaller(larger(at, -(float)LIMIT_PX), (float)LIMIT_PX);
}

INLINE int32_t whole(float at)
{
    return (int32_t)floorf(at * SUB + 0.5f);
}

/* Move, shade and project `n` vertices of one part.
 *
 * move: camera from part, 3 x 4, row by row; light: direction to the light in the part's frame. */
WIDE static void see(const Vertices *m, Seen *s, int64_t begin, int64_t end, const float *move,
                     const float *light, float ambient, const Lens *lens)
{
    const Lens l = *lens;
    for (int64_t i = begin; i < end; i++) {
        float x = m->x[i], y = m->y[i], z = m->z[i];
        float cx = move[0] * x + move[1] * y + move[2] * z + move[3];
        float cy = move[4] * x + move[5] * y + move[6] * z + move[7];
        float cz = move[8] * x + move[9] * y + move[10] * z + move[11];
        float facing = m->nx[i] * light[0] + m->ny[i] * light[1] + m->nz[i] * light[2];
        float over = 1.0f / larger(cz, l.near), px, py;
        bend(&l, cx * over, cy * over, &px, &py);
        s->x[i] = cx;
        s->y[i] = cy;
        s->z[i] = cz;
        s->shade[i] = m->grey[i] * (ambient + (1.0f - ambient) * larger(facing, 0.0f));
        s->px[i] = limited(px);
        s->py[i] = limited(py);
        s->ix[i] = whole(limited(px));
        s->iy[i] = whole(limited(py));
        s->inside[i] = (cz >= l.near) & (fabsf(cx) <= l.slope_x * cz) & (fabsf(cy) <= l.slope_y * cz);
    }
}

INLINE Corner corner_of(const Vertices *m, const Seen *s, int64_t i)
{
    Corner c = {s->x[i], s->y[i], s->z[i], s->shade[i], m->u[i], m->v[i],
                s->px[i], s->py[i], s->ix[i], s->iy[i]};
    return c;
}

static void project(const Lens *l, Corner *c)
{
    float over = 1.0f / c->z;
    bend(l, c->x * over, c->y * over, &c->px, &c->py);
    c->px = limited(c->px);
    c->py = limited(c->py);
    c->ix = whole(c->px);
    c->iy = whole(c->py);
}

/* From a towards b by `part`, not projected. */
static Corner towards(const Corner *a, const Corner *b, float part)
{
    Corner c = *a;
    c.x += part * (b->x - a->x);
    c.y += part * (b->y - a->y);
    c.z += part * (b->z - a->z);
    c.shade += part * (b->shade - a->shade);
    c.u += part * (b->u - a->u);
    c.v += part * (b->v - a->v);
    return c;
}

/* The point of an edge that a pinhole shows in the middle of it; the same bits from either end. */
static Corner middle(const Lens *l, const Corner *a, const Corner *b)
{
    float over = 1.0f / (a->z + b->z), of_a = b->z * over, of_b = a->z * over;
    Corner c = *a;
    c.x = of_a * a->x + of_b * b->x;
    c.y = of_a * a->y + of_b * b->y;
    c.z = of_a * a->z + of_b * b->z;
    c.shade = of_a * a->shade + of_b * b->shade;
    c.u = of_a * a->u + of_b * b->u;
    c.v = of_a * a->v + of_b * b->v;
    project(l, &c);
    return c;
}

/* Whether the lens bends or stretches the edge visibly: its middle does not lie halfway. One that
 * runs through the optical axis may, and be stretched on both sides all the same: hence LONG_PX. */
static int bows(const Lens *l, const Corner *a, const Corner *b)
{
    if (!l->bends)
        return 0;
    float dx = b->px - a->px, dy = b->py - a->py, long2 = dx * dx + dy * dy;
    if (long2 < 1.0f || long2 > LONG_PX * LONG_PX)
        return long2 >= 1.0f;
    Corner m = middle(l, a, b);
    dx = m.px - 0.5f * (a->px + b->px);
    dy = m.py - 0.5f * (a->py + b->py);
    return dx * dx + dy * dy > BOW_PX * BOW_PX;
}

/* How far a corner lies inside each of the five planes; negative outside. */
INLINE float inside_by(const Lens *l, const Corner *c, int plane)
{
    switch (plane) {
    case 0: return c->z - l->near;
    case 1: return l->slope_x * c->z - c->x;
    case 2: return l->slope_x * c->z + c->x;
    case 3: return l->slope_y * c->z - c->y;
    default: return l->slope_y * c->z + c->y;
    }
}

#define PLANES 5
#define MOST_CORNERS (3 + PLANES)

/* Cut a convex polygon of n corners (in place) at the planes; how many corners are left.
 *
 * Cuts go from the inner corner to the outer one, so that neighbours share the new corner's bits. */
static int clip(const Lens *l, Corner *c, int n)
{
    Corner kept[MOST_CORNERS];
    for (int plane = 0; plane < PLANES && n; plane++) {
        int k = 0;
        for (int i = 0; i < n; i++) {
            const Corner *a = &c[i], *b = &c[(i + 1) % n];
            float da = inside_by(l, a, plane), db = inside_by(l, b, plane);
            if (da >= 0)
                kept[k++] = *a;
            if (da >= 0 && db < 0)
                kept[k++] = towards(a, b, da / (da - db));
            else if (da < 0 && db >= 0)
                kept[k++] = towards(b, a, db / (db - da));
        }
        for (int i = 0; i < k; i++)
            c[i] = kept[i];
        n = k;
    }
    for (int i = 0; i < n; i++)
        project(l, &c[i]);
    return n;
}

/* Cut the line between c[0] and c[1] (in place) at the planes; whether anything is left. */
static int clip_line(const Lens *l, Corner *c)
{
    for (int plane = 0; plane < PLANES; plane++) {
        float d0 = inside_by(l, &c[0], plane), d1 = inside_by(l, &c[1], plane);
        if (d0 < 0 && d1 < 0)
            return 0;
        if (d0 < 0)
            c[0] = towards(&c[1], &c[0], d1 / (d1 - d0));
        else if (d1 < 0)
            c[1] = towards(&c[0], &c[1], d0 / (d0 - d1));
    }
    project(l, &c[0]);
    project(l, &c[1]);
    return 1;
}

/* Twice the area on the picture, in pixels; positive where the triangle shows its front (its
 * corners run against the clock as seen). */
INLINE float front(float ax, float ay, float bx, float by, float cx, float cy)
{
    return (cx - ax) * (by - ay) - (bx - ax) * (cy - ay);
}

#endif
