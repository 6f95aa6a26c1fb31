/* Compile a function once for each width of vector, and choose when the module is loaded.
 *
 * The loops marked WIDE work element by element and floating-point contraction is off, so that
 * every version gives the same bits. */
#ifndef REFLEXARC_WIDE_H
#define REFLEXARC_WIDE_H

#include <stdint.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

#define INLINE static inline __attribute__((always_inline))

#endif
