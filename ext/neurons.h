/* One clock step of a stretch of neurons of one kind; docs/neurons.md has the equations.
 *
 * All kinds keep one order: the membrane moves under the synaptic variables as they stood,
 * those decay, what arrived in this step is added, and the threshold is tested. That is the order
 * of NEST's models, whose spikes come out step for step. Linear equations are integrated exactly
 * (Rotter & Diesmann 1999, Biol. Cybern. 81), the others by the classical Runge-Kutta method.
 *
 * Loops run over blocks so that the common case, a block in which nobody fires, has no branch. */
#ifndef REFLEXARC_NEURONS_H
#define REFLEXARC_NEURONS_H

#include <string.h>

#include "wide.h"

#define BLOCK 64

typedef struct {
    int64_t first, last;   /* the neurons of the stretch */
    int64_t n;             /* of the whole layer */
    int64_t uniform;       /* whether all neurons share the parameters */
    double *state;         /* variable k of neuron i: state[k * n + i] */
    const double *rows;    /* parameter k of neuron i: rows[k * n + i], rows[k] if uniform */
    float *arrived;        /* receptor r of neuron i: arrived[r * n + i]; zero after the step */
    const double *current; /* graded input of neuron i, or NULL */
    int32_t *events;       /* where the indices of those that fire are written */
    double dt;             /* seconds */
    int64_t substeps;      /* of the kinds that are integrated numerically */
} Stretch;

#define P(k) (uniform ? rows[k] : rows[(k) * n + i])
#define CURRENT (driven ? current[i] : 0.0)

#define BEGIN                                                                        \
    const int64_t n = s->n;                                                          \
    const double *restrict rows = s->rows;                                           \
    const double *restrict current = s->current;                                     \
    double *restrict v = s->state;                                                   \
    int64_t count = 0;                                                               \
    (void)current;                                                                   \
    for (int64_t begin = s->first; begin < s->last; begin += BLOCK) {                \
        const int64_t end = begin + BLOCK < s->last ? begin + BLOCK : s->last;       \
        int64_t fires[BLOCK];

/* No two arrays of a stretch overlap. */
#define EACH _Pragma("GCC ivdep") for (int64_t i = begin; i < end; i++)

/* Take up what arrived at a receptor, and clear it. On its own: loops that mix widths of number
 * are not always vectorised. */
#define TAKE(r)                                                                      \
    double got##r[BLOCK];                                                            \
    take(got##r, s->arrived + r * n + begin, end - begin);
#define GOT(r) got##r[i - begin]

INLINE void take(double *restrict got, float *restrict arrived, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        got[k] = arrived[k];
        arrived[k] = 0.0f;
    }
}

#define FIRES(which) fires[i - begin] = (which);

#define END                                                                          \
        int64_t any = 0;                                                             \
        EACH any |= fires[i - begin];                                                \
        if (any)                                                                     \
            for (int64_t i = begin; i < end; i++) if (fires[i - begin]) s->events[count++] = (int32_t)i;              \
    }                                                                                \
    return count;

/* `a` where `mask` is all ones, `b` where it is 0. Written with bits: a conditional expression
 * lets the compiler move what it reads into a branch, and then the loop is not vectorised. */
INLINE double choose(int64_t mask, double a, double b)
{
    int64_t bits_a, bits_b;
    double chosen;
    memcpy(&bits_a, &a, sizeof bits_a);
    memcpy(&bits_b, &b, sizeof bits_b);
    bits_a = (bits_a & mask) | (bits_b & ~mask);
    memcpy(&chosen, &bits_a, sizeof chosen);
    return chosen;
}
#define WHERE(condition) (-(int64_t)(condition))

/* While `wait` is above 0 the membrane is held. */
#define SETTLE(wait, next, threshold, reset, refractory)                             \
    const double to = (reset);                                                       \
    const int64_t held = WHERE(wait[i] > 0.0);                                       \
    const double moved = choose(held, to, next);                                     \
    const int64_t over = WHERE(moved > (threshold));                                 \
    FIRES(over)                                                                      \
    v[i] = choose(over, to, moved);                                                  \
    wait[i] = choose(over, refractory, choose(held, wait[i] - 1.0, 0.0));

/* --- NIR's kinds; v = a v + g x + c, fires above the limit, is set to the reset ---------------- */

/* parameters: a g c limit reset [a_syn g_syn] [refractory]; variables: v [current] [wait] */
INLINE int64_t nir_lif(
    const Stretch *s, const int uniform, const int driven, const int projected, const int synapse,
    const int waits)
{
    double *restrict syn = s->state + s->n;
    double *restrict wait = s->state + (1 + synapse) * s->n;
    BEGIN
        double got0[BLOCK];
        if (projected)
            take(got0, s->arrived + begin, end - begin);
        EACH {
            double x = CURRENT;
            if (projected) {
                x += GOT(0);
                }
            if (synapse) {
                x = P(5) * syn[i] + P(6) * x;
                syn[i] = x;
            }
            const double next = P(0) * v[i] + P(1) * x + P(2);
            if (waits) {
                    SETTLE(wait, next, P(3), P(4), P(5 + 2 * synapse))
            } else {
                const int64_t over = WHERE(next > P(3));
                FIRES(over)
                v[i] = choose(over, P(4), next);
            }
        }
    END
}

/* --- leaky integrate-and-fire --------------------------------------------------------------- */

/* parameters: decay, gain, rest (1 - decay), threshold, reset, refractory, threshold decay, jump
 * variables: v, wait, threshold's adaptation */
INLINE int64_t alif(const Stretch *s, const int uniform, const int driven)
{
    double *restrict wait = s->state + s->n, *restrict adaptation = s->state + 2 * s->n;
    BEGIN
        TAKE(0)
        EACH {
            const double x = CURRENT + GOT(0);
            const double next = P(0) * v[i] + P(1) * x + P(2);
            const double raised = P(6) * adaptation[i];
            SETTLE(wait, next, P(3) + raised, P(4), P(5))
            adaptation[i] = raised + choose(over, P(7), 0.0);
        }
    END
}

/* parameters: decay, gain, rest (1 - decay), threshold, reset, refractory; variables: v, wait */
INLINE int64_t delta_lif(const Stretch *s, const int uniform, const int driven)
{
    double *restrict wait = s->state + s->n;
    BEGIN
        TAKE(0)
        EACH {
            const double next = P(0) * v[i] + P(1) * CURRENT + P(2) + GOT(0);
            SETTLE(wait, next, P(3), P(4), P(5))
        }
    END
}

/* parameters: as delta_lif, then decay and gain onto v of either current
 * variables: v, wait, excitatory, inhibitory current */
INLINE int64_t exp_lif(const Stretch *s, const int uniform, const int driven)
{
    double *restrict wait = s->state + s->n;
    double *restrict excited = s->state + 2 * s->n, *restrict inhibited = s->state + 3 * s->n;
    BEGIN
        TAKE(0)
        TAKE(1)
        EACH {
            const double next = P(0) * v[i] + P(1) * CURRENT + P(2)
                + (P(7) * excited[i] + P(9) * inhibited[i]);
            excited[i] = P(6) * excited[i] + GOT(0);
            inhibited[i] = P(8) * inhibited[i] + GOT(1);
            SETTLE(wait, next, P(3), P(4), P(5))
        }
    END
}

/* parameters: as delta_lif, then of either current: decay, dt decay, gain of its derivative and of
 * itself onto v, derivative at a spike of weight 1
 * variables: v, wait, then of either synapse: current, derivative + current / tau */
INLINE int64_t alpha_lif(const Stretch *s, const int uniform, const int driven)
{
    double *restrict wait = s->state + s->n;
    double *restrict ie = s->state + 2 * s->n, *restrict de = s->state + 3 * s->n;
    double *restrict ii = s->state + 4 * s->n, *restrict di = s->state + 5 * s->n;
    BEGIN
        TAKE(0)
        TAKE(1)
        EACH {
            const double next = P(0) * v[i] + P(1) * CURRENT + P(2)
                + ((P(8) * de[i] + P(9) * ie[i]) + (P(13) * di[i] + P(14) * ii[i]));
            ie[i] = P(7) * de[i] + P(6) * ie[i];
            de[i] = P(6) * de[i] + P(10) * GOT(0);
            ii[i] = P(12) * di[i] + P(11) * ii[i];
            di[i] = P(11) * di[i] + P(15) * GOT(1);
            SETTLE(wait, next, P(3), P(4), P(5))
        }
    END
}

/* --- conductances --------------------------------------------------------------------------- */

/* parameters: 1/c, g_leak/c, v_leak, threshold, reset, refractory, i_offset, e_excitatory,
 * e_inhibitory, then of either conductance the decay over half a step
 * variables: v, wait, excitatory, inhibitory conductance */
INLINE int64_t cond_lif(const Stretch *s, const int uniform, const int driven)
{
    double *restrict wait = s->state + s->n;
    double *restrict excited = s->state + 2 * s->n, *restrict inhibited = s->state + 3 * s->n;
    const double h = s->dt;
    BEGIN
        TAKE(0)
        TAKE(1)
        EACH {
            /* v' = drive - pull v, both known at the ends and the middle of the step */
            const double e0 = P(0) * excited[i], i0 = P(0) * inhibited[i];
            const double e1 = P(9) * e0, i1 = P(10) * i0, e2 = P(9) * e1, i2 = P(10) * i1;
            const double base = P(1) * P(2) + P(0) * (P(6) + CURRENT);
            const double drive0 = base + (e0 * P(7) + i0 * P(8)), pull0 = P(1) + (e0 + i0);
            const double drive1 = base + (e1 * P(7) + i1 * P(8)), pull1 = P(1) + (e1 + i1);
            const double drive2 = base + (e2 * P(7) + i2 * P(8)), pull2 = P(1) + (e2 + i2);
            const double k1 = drive0 - pull0 * v[i];
            const double k2 = drive1 - pull1 * (v[i] + 0.5 * h * k1);
            const double k3 = drive1 - pull1 * (v[i] + 0.5 * h * k2);
            const double k4 = drive2 - pull2 * (v[i] + h * k3);
            const double next = v[i] + h / 6.0 * ((k1 + k4) + 2.0 * (k2 + k3));
            excited[i] = P(9) * (P(9) * excited[i]) + GOT(0);
            inhibited[i] = P(10) * (P(10) * inhibited[i]) + GOT(1);
            SETTLE(wait, next, P(3), P(4), P(5))
        }
    END
}

/* --- adaptive exponential ------------------------------------------------------------------- */

/* exp(x) for |x| < 700 to 2e-16 or so: 2^k times a polynomial in the rest, without a branch. */
INLINE double exponential(double x)
{
    const double shift = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to a whole number */
    const double scaled = x * 1.4426950408889634 + shift;
    const double k = scaled - shift;
    const double r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
    double sum = 1.0 / 6227020800.0;
    uint64_t bits;
    double power;
    sum = sum * r + 1.0 / 479001600.0;
    sum = sum * r + 1.0 / 39916800.0;
    sum = sum * r + 1.0 / 3628800.0;
    sum = sum * r + 1.0 / 362880.0;
    sum = sum * r + 1.0 / 40320.0;
    sum = sum * r + 1.0 / 5040.0;
    sum = sum * r + 1.0 / 720.0;
    sum = sum * r + 1.0 / 120.0;
    sum = sum * r + 1.0 / 24.0;
    sum = sum * r + 1.0 / 6.0;
    sum = sum * r + 0.5;
    sum = sum * r + 1.0;
    sum = sum * r + 1.0;
    memcpy(&bits, &scaled, sizeof bits);
    bits = (bits + 1023) << 52;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

/* parameters: 1/c, g_leak/c, v_leak, v_threshold, reset, refractory, i_offset, delta_t, v_peak, a,
 * b, 1/tau_w, then of either current the decay over half a substep
 * variables: v, wait, w, excitatory, inhibitory current */
INLINE int64_t adex(const Stretch *s, const int uniform, const int driven)
{
    double *restrict wait = s->state + s->n, *restrict w = s->state + 2 * s->n;
    double *restrict excited = s->state + 3 * s->n, *restrict inhibited = s->state + 4 * s->n;
    const double h = s->dt / (double)s->substeps;
    BEGIN
        TAKE(0)
        TAKE(1)
        EACH fires[i - begin] = 0;
        for (int64_t sub = 0; sub < s->substeps; sub++) {
            EACH {
                const int64_t held = WHERE(wait[i] > 0.0);
                const double i0 = P(6) + CURRENT + (excited[i] + inhibited[i]);
                const double e1 = P(12) * excited[i], j1 = P(13) * inhibited[i];
                const double i1 = P(6) + CURRENT + (e1 + j1);
                const double e2 = P(12) * e1, j2 = P(13) * j1;
                const double i2 = P(6) + CURRENT + (e2 + j2);
                double x = v[i], y = w[i], dx[4], dy[4];
                for (int k = 0; k < 4; k++) {
                    const double into = k == 0 ? i0 : k == 3 ? i2 : i1;
                    const double u = choose(WHERE(x < P(8)), x, P(8));
                    const double reach = (u - P(3)) / P(7);
                    const double least = choose(WHERE(reach < -700.0), -700.0, reach);
                    const double up = P(7) * exponential(least);
                    dx[k] = P(1) * ((P(2) - u) + up) + P(0) * (into - y);
                    dy[k] = P(11) * (P(9) * (u - P(2)) - y);
                    dx[k] = choose(held, 0.0, dx[k]);
                    if (k < 3) {
                        const double ahead = k == 2 ? h : 0.5 * h;
                        x = v[i] + ahead * dx[k];
                        y = w[i] + ahead * dy[k];
                    }
                }
                x = v[i] + h / 6.0 * ((dx[0] + dx[3]) + 2.0 * (dx[1] + dx[2]));
                y = w[i] + h / 6.0 * ((dy[0] + dy[3]) + 2.0 * (dy[1] + dy[2]));
                excited[i] = e2;
                inhibited[i] = j2;
                const int64_t over = WHERE(!(x < P(8)));
                fires[i - begin] |= over;
                v[i] = choose(over, P(4), x);
                w[i] = y + choose(over, P(10), 0.0);
                wait[i] = choose(over & WHERE(P(5) > 0.0), P(5) + 1.0, wait[i]);
            }
        }
        EACH {
            excited[i] += GOT(0);
            inhibited[i] += GOT(1);
            wait[i] = choose(WHERE(wait[i] > 0.0), wait[i] - 1.0, 0.0);
        }
    END
}

/* --- Izhikevich ----------------------------------------------------------------------------- */

/* parameters: a, b, c, d, v_peak, i_offset; variables: v, u
 * Forward Euler in milliseconds, as the published scripts; both equations from the old values. */
INLINE int64_t izhikevich(const Stretch *s, const int uniform, const int driven)
{
    double *restrict u = s->state + s->n;
    const double h = 1e3 * s->dt;
    BEGIN
        TAKE(0)
        EACH {
            const double x = v[i], y = u[i];
            const double slope = 0.04 * x * x + 5.0 * x + 140.0 - y + (P(5) + CURRENT);
            const double next = x + h * slope + GOT(0);
            const double recovered = y + h * (P(0) * (P(1) * x - y));
            const int64_t over = WHERE(next >= P(4));
            FIRES(over)
            v[i] = choose(over, P(2), next);
            u[i] = recovered + choose(over, P(3), 0.0);
        }
    END
}

/* --- one compiled function a kind ------------------------------------------------------------- */

#define KIND(name)                                                                   \
    WIDE static int64_t name##_step(const Stretch *s)                                \
    {                                                                                \
        if (s->uniform)                                                              \
            return s->current ? name(s, 1, 1) : name(s, 1, 0);                       \
        return s->current ? name(s, 0, 1) : name(s, 0, 0);                           \
    }

KIND(alif)
KIND(delta_lif)
KIND(exp_lif)
KIND(alpha_lif)
KIND(cond_lif)
KIND(adex)
KIND(izhikevich)

#define NIR_KIND(name, synapse, waits)                                               \
    INLINE int64_t name##_fed(const Stretch *s, const int uniform)                   \
    {                                                                                \
        if (!s->arrived)                                                             \
            return nir_lif(s, uniform, 1, 0, synapse, waits);                        \
        return s->current ? nir_lif(s, uniform, 1, 1, synapse, waits)                \
                          : nir_lif(s, uniform, 0, 1, synapse, waits);               \
    }                                                                                \
    WIDE static int64_t name##_step(const Stretch *s)                                \
    {                                                                                \
        return s->uniform ? name##_fed(s, 1) : name##_fed(s, 0);                     \
    }

NIR_KIND(lif, 0, 0)
NIR_KIND(lif_waits, 0, 1)
NIR_KIND(cuba_lif, 1, 0)
NIR_KIND(cuba_lif_waits, 1, 1)

#endif
