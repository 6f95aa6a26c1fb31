/* One clock step of a stretch of neurons of one kind; docs/neurons.md has the equations.
 *
 * All kinds keep one order, that of NEST's models: the membrane moves under the synaptic variables
 * as they stood, those decay and take up the spikes of the step, and the threshold is tested.
 * Linear equations are integrated exactly (Rotter & Diesmann 1999, Biol. Cybern. 81), the others
 * by the classical Runge-Kutta method.
 *
 * Speed is a matter of memory, so little is kept in float64 (what integrates: voltages), spikes are
 * added to the float32 synaptic variables where they lie, and the few neurons that are refractory
 * stand in a list instead of in every loop. Loops run over blocks, so that the common case, a block
 * in which nobody fires, has no branch. */
#ifndef REFLEXARC_NEURONS_H
#define REFLEXARC_NEURONS_H

#include <string.h>

#include "wide.h"

#define BLOCK 64

typedef struct {
    int64_t first, last;    /* the neurons of the stretch */
    int64_t n;              /* of the whole layer */
    int64_t uniform;        /* whether all neurons share the parameters */
    double *state;          /* variable k of neuron i: state[k * n + i] */
    const double *rows;     /* parameter k of neuron i: rows[k * n + i], rows[k] if uniform */
    float *arrived;         /* what spikes added to receptor r of neuron i: arrived[r * n + i] */
    const double *current;  /* graded input of neuron i, or NULL */
    int32_t *events;        /* where the indices of those that fire are written */
    double *wait;           /* steps that neuron i is still held, or NULL */
    double *peak;           /* voltage of neuron i at its latest spike, or NULL */
    int32_t *held;          /* the neurons that are */
    int64_t *held_count;
    double dt;              /* seconds */
    int64_t substeps;       /* of the kinds that are integrated numerically */
} Stretch;

/* A copy of what all neurons share cannot overlap with anything: it stays in registers. */
#define MOST_ROWS 16
#define P(k) (uniform ? shared[k] : rows[(k) * n + i])
#define CURRENT (driven ? current[i] : 0.0)

#define BEGIN                                                                        \
    const int64_t n = s->n;                                                          \
    const double *restrict rows = s->rows;                                           \
    double shared[MOST_ROWS];                                                        \
    for (int64_t k = 0; uniform && k < MOST_ROWS; k++)                               \
        shared[k] = rows[k];                                                         \
    const double *restrict current = s->current;                                     \
    double *restrict v = s->state;                                                   \
    int64_t count = 0;                                                               \
    (void)current;                                                                   \
    (void)shared;                                                                    \
    for (int64_t begin = s->first; begin < s->last; begin += BLOCK) {                \
        const int64_t end = begin + BLOCK < s->last ? begin + BLOCK : s->last;       \
        int64_t fires[BLOCK];

/* No two arrays of a stretch overlap. */
#define EACH _Pragma("GCC ivdep") for (int64_t i = begin; i < end; i++)

/* Bits, not a condition: what a condition reads may be moved into a branch, and then the loop is
 * not vectorised. */
#define FIRES(condition) fires[i - begin] = -(int64_t)(condition);

/* Jumps that act on the membrane in this very step: take them up, and clear them. Such loops stand
 * apart because those that mix widths of number are not always vectorised. */
#define JUMPS(got, r)                                                                \
    double got[BLOCK];                                                               \
    take(got, s->arrived + (r) * n + begin, end - begin);

INLINE void take(double *restrict got, float *restrict arrived, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        got[k] = arrived[k];
        arrived[k] = 0.0f;
    }
}

/* A synaptic variable that spikes are added to where it lies: as it stood, and decayed. */
#define SYNAPSE(got, r, decay)                                                       \
    double got[BLOCK];                                                               \
    {                                                                                \
        float *restrict arrived = s->arrived + (r) * n;                              \
        EACH                                                                         \
        {                                                                            \
            got[i - begin] = arrived[i];                                             \
            arrived[i] = (float)((decay) * got[i - begin]);                          \
        }                                                                            \
    }

/* Those above the threshold fire unless they are held; `reset` is what else happens then. */
#define END(reset)                                                                   \
        int64_t any = 0;                                                             \
        EACH any |= fires[i - begin];                                                \
        if (any)                                                                     \
            for (int64_t i = begin; i < end; i++)                                    \
                if (fires[i - begin] && !(s->wait && s->wait[i] > 0.0)) {            \
                    s->events[count++] = (int32_t)i;                                 \
                    if (s->peak)                                                     \
                        s->peak[i] = v[i];                                           \
                    reset                                                            \
                }                                                                    \
    }

#define RESET(row) v[i] = P(row);

/* Hold those that were held at their reset, and those that have just fired from the next step on. */
#define HOLD(reset_row, refractory_row)                                              \
    if (s->wait) {                                                                   \
        int64_t kept = 0;                                                            \
        for (int64_t k = 0; k < *s->held_count; k++) {                               \
            const int64_t i = s->held[k];                                            \
            v[i] = P(reset_row);                                                     \
            s->wait[i] -= 1.0;                                                       \
            if (s->wait[i] > 0.0)                                                    \
                s->held[kept++] = (int32_t)i;                                        \
        }                                                                            \
        for (int64_t k = 0; k < count; k++) {                                        \
            const int64_t i = s->events[k];                                          \
            s->wait[i] = P(refractory_row);                                          \
            if (s->wait[i] > 0.0)                                                    \
                s->held[kept++] = (int32_t)i;                                        \
        }                                                                            \
        *s->held_count = kept;                                                       \
    }

/* Find again who is held, from `wait`. */
static inline void find_held(const Stretch *s)
{
    int64_t kept = 0;
    for (int64_t i = s->first; i < s->last; i++)
        if (s->wait[i] > 0.0)
            s->held[kept++] = (int32_t)i;
    *s->held_count = kept;
}

/* --- NIR's kinds; v = a v + g x + c, fires above the limit, is set to the reset ---------------- */

/* parameters: a, g, c, limit, reset, refractory, then a_syn, g_syn; variables: v, current */
INLINE int64_t nir_lif(
    const Stretch *s, const int uniform, const int driven, const int projected, const int synapse)
{
    double *restrict syn = s->state + s->n;
    BEGIN
        double got[BLOCK];
        if (projected)
            take(got, s->arrived + begin, end - begin);
        EACH {
            double x = CURRENT;
            if (projected)
                x += got[i - begin];
            if (synapse) {
                x = P(6) * syn[i] + P(7) * x;
                syn[i] = x;
            }
            v[i] = P(0) * v[i] + P(1) * x + P(2);
            FIRES(v[i] > P(3))
        }
    END(RESET(4))
    HOLD(4, 5)
    return count;
}

/* --- leaky integrate-and-fire --------------------------------------------------------------- */

/* parameters: decay, gain, rest (1 - decay), threshold, reset, refractory, threshold decay, jump
 * variables: v, the threshold's adaptation */
INLINE int64_t alif(const Stretch *s, const int uniform, const int driven)
{
    double *restrict adaptation = s->state + s->n;
    BEGIN
        JUMPS(got, 0)
        EACH {
            v[i] = P(0) * v[i] + P(1) * (CURRENT + got[i - begin]) + P(2);
            adaptation[i] *= P(6);
            FIRES(v[i] > P(3) + adaptation[i])
        }
    END(RESET(4) adaptation[i] += P(7);)
    HOLD(4, 5)
    return count;
}

/* parameters: decay, gain, rest (1 - decay), threshold, reset, refractory; variable: v */
INLINE int64_t delta_lif(const Stretch *s, const int uniform, const int driven)
{
    BEGIN
        JUMPS(got, 0)
        EACH {
            v[i] = P(0) * v[i] + P(1) * CURRENT + P(2) + got[i - begin];
            FIRES(v[i] > P(3))
        }
    END(RESET(4))
    HOLD(4, 5)
    return count;
}

/* parameters: as delta_lif, then decay and gain onto v of either current; variable: v */
INLINE int64_t exp_lif(const Stretch *s, const int uniform, const int driven)
{
    BEGIN
        SYNAPSE(excited, 0, P(6))
        SYNAPSE(inhibited, 1, P(8))
        EACH {
            v[i] = P(0) * v[i] + P(1) * CURRENT + P(2)
                + (P(7) * excited[i - begin] + P(9) * inhibited[i - begin]);
            FIRES(v[i] > P(3))
        }
    END(RESET(4))
    HOLD(4, 5)
    return count;
}

/* parameters: as delta_lif, then of either synapse: decay, dt decay times e / tau, gain onto v of
 * its rise (times e / tau) and of its current
 * variables: v, excitatory, inhibitory current; spikes are added to its rise */
INLINE int64_t alpha_lif(const Stretch *s, const int uniform, const int driven)
{
    double *restrict ie = s->state + s->n, *restrict ii = s->state + 2 * s->n;
    BEGIN
        SYNAPSE(de, 0, P(6))
        SYNAPSE(di, 1, P(10))
        EACH {
            v[i] = P(0) * v[i] + P(1) * CURRENT + P(2)
                + ((P(8) * de[i - begin] + P(9) * ie[i])
                   + (P(12) * di[i - begin] + P(13) * ii[i]));
            ie[i] = P(7) * de[i - begin] + P(6) * ie[i];
            ii[i] = P(11) * di[i - begin] + P(10) * ii[i];
            FIRES(v[i] > P(3))
        }
    END(RESET(4))
    HOLD(4, 5)
    return count;
}

/* --- conductances --------------------------------------------------------------------------- */

/* parameters: 1/c, g_leak/c, v_leak, threshold, reset, refractory, i_offset, e_excitatory,
 * e_inhibitory, then of either conductance the decay over half a step; variable: v */
INLINE int64_t cond_lif(const Stretch *s, const int uniform, const int driven)
{
    const double h = s->dt;
    BEGIN
        SYNAPSE(excited, 0, P(9) * P(9))
        SYNAPSE(inhibited, 1, P(10) * P(10))
        EACH {
            /* v' = drive - pull v, both known at the ends and the middle of the step */
            const double e0 = P(0) * excited[i - begin], i0 = P(0) * inhibited[i - begin];
            const double e1 = P(9) * e0, i1 = P(10) * i0, e2 = P(9) * e1, i2 = P(10) * i1;
            const double base = P(1) * P(2) + P(0) * (P(6) + CURRENT);
            const double drive0 = base + (e0 * P(7) + i0 * P(8)), pull0 = P(1) + (e0 + i0);
            const double drive1 = base + (e1 * P(7) + i1 * P(8)), pull1 = P(1) + (e1 + i1);
            const double drive2 = base + (e2 * P(7) + i2 * P(8)), pull2 = P(1) + (e2 + i2);
            const double k1 = drive0 - pull0 * v[i];
            const double k2 = drive1 - pull1 * (v[i] + 0.5 * h * k1);
            const double k3 = drive1 - pull1 * (v[i] + 0.5 * h * k2);
            const double k4 = drive2 - pull2 * (v[i] + h * k3);
            v[i] += h / 6.0 * ((k1 + k4) + 2.0 * (k2 + k3));
            FIRES(v[i] > P(3))
        }
    END(RESET(4))
    HOLD(4, 5)
    return count;
}

/* --- adaptive exponential ------------------------------------------------------------------- */

/* exp(x) for |x| < 700 to 2e-16 or so: 2^k times a polynomial in the rest, without a branch. */
INLINE double exponential(double x)
{
    const double shift = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to a whole number */
    const double scaled = x * 1.4426950408889634 + shift;
    const double k = scaled - shift;
    const double r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
    double sum = 1.0 / 6227020800.0, power;
    uint64_t bits;
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

/* `a` where the mask is all ones, `b` where it is 0. */
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
#define LEAST(a, b) choose(-(int64_t)((a) < (b)), a, b)
#define MOST(a, b) choose(-(int64_t)((a) > (b)), a, b)

/* v' without and with the exponential, and w', of a neuron at v (up to the peak) and w. */
#define LEAK(u, into, w) (P(1) * (P(2) - (u)) + P(0) * ((into) - (w)))
#define RISE(u) (P(1) * P(7) * exponential(MOST(((u) - P(3)) / P(7), -700.0)))
#define ADAPT(u, w) (P(11) * (P(9) * ((u) - P(2)) - (w)))

/* parameters: 1/c, g_leak/c, v_leak, v_threshold, reset, refractory, i_offset, delta_t, v_peak, a,
 * b, 1/tau_w, then of either current the decay over half a substep; variables: v, w */
INLINE int64_t adex(const Stretch *s, const int uniform, const int driven)
{
    double *restrict w = s->state + s->n, *restrict wait = s->wait;
    const double h = s->dt / (double)s->substeps;
    BEGIN
        EACH fires[i - begin] = 0;
        double excited[BLOCK], inhibited[BLOCK], into[BLOCK], v0[BLOCK], w0[BLOCK];
        take(excited, s->arrived + begin, end - begin);
        take(inhibited, s->arrived + n + begin, end - begin);
        for (int64_t sub = 0; sub < s->substeps; sub++) {
            EACH {
                const int64_t k = i - begin;
                const double still = choose(-(int64_t)(wait[i] > 0.0), 0.0, 1.0);
                const double e1 = P(12) * excited[k], i1 = P(13) * inhibited[k];
                const double e2 = P(12) * e1, i2 = P(13) * i1;
                const double in0 = P(6) + CURRENT + (excited[k] + inhibited[k]);
                const double in1 = P(6) + CURRENT + (e1 + i1);
                const double in2 = P(6) + CURRENT + (e2 + i2);
                const double u1 = LEAST(v[i], P(8));
                const double v1 = still * (LEAK(u1, in0, w[i]) + RISE(u1)), w1 = ADAPT(u1, w[i]);
                const double y2 = w[i] + 0.5 * h * w1, u2 = LEAST(v[i] + 0.5 * h * v1, P(8));
                const double v2 = still * (LEAK(u2, in1, y2) + RISE(u2)), w2 = ADAPT(u2, y2);
                const double y3 = w[i] + 0.5 * h * w2, u3 = LEAST(v[i] + 0.5 * h * v2, P(8));
                const double v3 = still * (LEAK(u3, in1, y3) + RISE(u3)), w3 = ADAPT(u3, y3);
                const double y4 = w[i] + h * w3, u4 = LEAST(v[i] + h * v3, P(8));
                const double v4 = still * (LEAK(u4, in2, y4) + RISE(u4)), w4 = ADAPT(u4, y4);
                into[k] = in0;
                v0[k] = v[i];
                w0[k] = w[i];
                v[i] += h / 6.0 * ((v1 + v4) + 2.0 * (v2 + v3));
                w[i] += h / 6.0 * ((w1 + w4) + 2.0 * (w2 + w3));
                excited[k] = e2;
                inhibited[k] = i2;
            }
            for (int64_t i = begin; i < end; i++)
                if (!(v[i] < P(8))) {
                    /* On the upswing exp(-(v - v_threshold) / delta_t) is nearly linear in time:
                     * that tells where in the substep the peak was reached. */
                    const int64_t k = i - begin;
                    const double z0 = exponential(LEAST(-(v0[k] - P(3)) / P(7), 700.0));
                    const double z1 = exponential(LEAST(-(P(8) - P(3)) / P(7), 700.0));
                    const double fall = P(1) - z0 * LEAK(v0[k], into[k], w0[k]) / P(7);
                    const double when = MOST(LEAST((z0 - z1) / (h * fall), 1.0), 0.0);
                    const double rest = 1.0 - when, at = w0[k] + when * h * ADAPT(v0[k], w0[k]);
                    fires[k] = -1;
                    w[i] = at + P(10);
                    v[i] = P(4);
                    if (P(5) > 0.0)
                        wait[i] = P(5) + 1.0;
                    else
                        v[i] += rest * h * (LEAK(P(4), into[k], w[i]) + RISE(P(4)));
                    w[i] += rest * h * ADAPT(P(4), w[i]);
                }
        }
        float *restrict stored_e = s->arrived + begin, *restrict stored_i = s->arrived + n + begin;
        for (int64_t k = 0; k < end - begin; k++) {
            stored_e[k] = (float)excited[k];
            stored_i[k] = (float)inhibited[k];
        }
        EACH wait[i] = MOST(wait[i] - 1.0, 0.0);
        for (int64_t i = begin; i < end; i++)
            if (fires[i - begin])
                s->events[count++] = (int32_t)i;
    }
    return count;
}

/* --- Izhikevich ----------------------------------------------------------------------------- */

/* parameters: a, b, c, d, v_peak, i_offset; variables: v, u
 * Forward Euler in milliseconds, both equations from the old values. */
INLINE int64_t izhikevich(const Stretch *s, const int uniform, const int driven)
{
    double *restrict u = s->state + s->n;
    const double h = 1e3 * s->dt;
    BEGIN
        JUMPS(got, 0)
        EACH {
            const double x = v[i], y = u[i];
            const double slope = 0.04 * x * x + 5.0 * x + 140.0 - y + (P(5) + CURRENT);
            v[i] = x + h * slope + got[i - begin];
            u[i] = y + h * (P(0) * (P(1) * x - y));
            FIRES(v[i] >= P(4))
        }
    END(RESET(2) u[i] += P(3);)
    return count;
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

#define NIR_KIND(name, synapse)                                                      \
    INLINE int64_t name##_fed(const Stretch *s, const int uniform)                   \
    {                                                                                \
        if (!s->arrived)                                                             \
            return nir_lif(s, uniform, 1, 0, synapse);                               \
        return s->current ? nir_lif(s, uniform, 1, 1, synapse)                       \
                          : nir_lif(s, uniform, 0, 1, synapse);                      \
    }                                                                                \
    WIDE static int64_t name##_step(const Stretch *s)                                \
    {                                                                                \
        return s->uniform ? name##_fed(s, 1) : name##_fed(s, 0);                     \
    }

NIR_KIND(lif, 0)
NIR_KIND(cuba_lif, 1)

#endif
