/* A row of event-camera pixels: from intensities to those that may have crossed a threshold.
 *
 * Everything that every pixel goes through in every frame is here, in loops that the compiler makes
 * vectors of; the few pixels that fire are dealt with one by one in pixels.pyx. Logarithm and
 * exponential are written out, so that the same intensities give the same bits on every machine. */
#ifndef REFLEXARC_PIXELS_H
#define REFLEXARC_PIXELS_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "wide.h"

/* Intensities are in DN: 0 to 255, as an 8-bit image has them. */
#define WHITE_DN 255.0f

/* (I + 20) / 275, the share of the speed in white light (Hu, Liu & Delbruck 2021, v2e). */
#define DARK_DN 20.0f
#define SCALE_DN 275.0f

/* log x of a normal x > 0 as float32: log of the power of two and 2 atanh((m - 1) / (m + 1)). */
INLINE float log_of(float x)
{
    const int32_t root_half = 0x3f3504f3;
    int32_t bits, power;
    float m, s, q;
    memcpy(&bits, &x, sizeof bits);
    power = (bits - root_half) >> 23;
    bits -= power * (1 << 23);
    memcpy(&m, &bits, sizeof m);
    s = (m - 1.0f) / (m + 1.0f);
    q = s * s;
    q = q * (1.0f / 3 + q * (1.0f / 5 + q * (1.0f / 7 + q * (1.0f / 9))));
    return (float)power * 0.693147181f + (2.0f * s + 2.0f * s * q);
}

/* 1 - exp(-x) of x >= 0 as float32, exact for small x too: x is n ln 2 and a rest r. */
INLINE float settled_after(float x)
{
    const float whole = 12582912.0f; /* adding it leaves no bits for a fraction */
    float n, r, p, scale;
    int32_t bits;
    x = x < 80.0f ? x : 80.0f;
    n = (x * 1.44269504f + whole) - whole;
    r = (n * 0.693145752f - x) + n * 1.42860677e-6f;
    bits = (127 - (int32_t)n) << 23;
    memcpy(&scale, &bits, sizeof scale);
    p = 1.0f / 120 + r * (1.0f / 720 + r * (1.0f / 5040));
    p = r * (1.0f + r * (0.5f + r * (1.0f / 6 + r * (1.0f / 24 + r * p))));
    return (1.0f - scale) - scale * p;
}

/* Whether every intensity is finite and not negative. */
WIDE static int all_sound(const float *restrict image, int64_t n)
{
    int32_t wrong = 0;
    for (int64_t i = 0; i < n; i++)
        wrong |= -(int32_t)!((image[i] >= 0.0f) & (image[i] <= FLT_MAX / WHITE_DN));
    return !wrong;
}

WIDE static void load_bytes(const uint8_t *restrict image, float *restrict dn, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dn[i] = (float)image[i];
}

WIDE static void load_floats(const float *restrict image, float *restrict dn, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dn[i] = image[i] * WHITE_DN;
}

/* Linear up to the knee, logarithmic above it. */
WIDE static void lin_log(const float *restrict dn, float *restrict target, int64_t n, float knee_dn)
{
    const float slope = logf(knee_dn) / knee_dn;
    for (int64_t i = 0; i < n; i++) {
        const float above = log_of(dn[i] > knee_dn ? dn[i] : knee_dn);
        target[i] = dn[i] > knee_dn ? above : dn[i] * slope;
    }
}

/* What part of the way to its target each pixel goes; `reach` is 2 pi f3dB dt. */
WIDE static void low_pass(const float *restrict dn, float *restrict share, int64_t n, float reach)
{
    for (int64_t i = 0; i < n; i++)
        share[i] = settled_after(reach * ((dn[i] + DARK_DN) / SCALE_DN));
}

WIDE static void approach(const double *restrict level, const float *restrict target,
                          const float *restrict share, double *restrict next, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        next[i] = level[i] + (double)share[i] * ((double)target[i] - level[i]);
}

WIDE static void arrive(const float *restrict target, double *restrict next, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        next[i] = (double)target[i];
}

/* Let the references leak; mark who is within `tolerance` of a threshold, or beyond it. */
WIDE static int64_t compare(const double *restrict next, double *restrict reference,
                            const float *restrict leak, const float *restrict on_step,
                            const float *restrict off_step, int64_t *restrict hit, int64_t n,
                            double dt_s, double tolerance)
{
    const double reached = 1.0 - tolerance;
    int64_t any = 0;
    for (int64_t i = 0; i < n; i++) {
        const double fallen = reference[i] - dt_s * (double)leak[i];
        const double contrast = next[i] - fallen;
        const int64_t up = -(int64_t)(contrast >= reached * (double)on_step[i]);
        const int64_t down = -(int64_t)(-contrast >= reached * (double)off_step[i]);
        reference[i] = fallen;
        hit[i] = up | down;
        any |= up | down;
    }
    return any;
}

#endif
