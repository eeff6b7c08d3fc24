/* exp, log and the Heaviside functions of native.c, inline and without calls: loops vectorise. */
#ifndef NATIVE_MATH_H
#define NATIVE_MATH_H

#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { MAHF, AHF, HF }; /* Heaviside functions, order of native.py */

/* exp(x) for x <= 0 or NaN; 1 ulp, 0 below -87. Cephes' polynomial. */
INLINE float exp_negative(float x) {
    float shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer n */
    float n = shifted - 12582912.0f;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    uint32_t bits;
    float scale;
    memcpy(&bits, &shifted, 4);
    bits = (bits << 23) + 0x3f800000u; /* 2^n */
    memcpy(&scale, &bits, 4);
    return x < -87.0f ? 0.0f : p * scale;
}

/* log(x) for x >= 1 or NaN; 1 ulp. Cephes' polynomial. */
INLINE float log_above_one(float x) {
    uint32_t bits;
    float m;
    memcpy(&bits, &x, 4);
    float e = (float)((int32_t)(bits >> 23) - 126);
    bits = (bits & 0x007fffffu) | 0x3f000000u;
    memcpy(&m, &bits, 4); /* x = m 2^e, m in [1/2, 1) */
    int low = m < 0.707106781f;
    e = low ? e - 1.0f : e;
    m = (low ? m + m : m) - 1.0f;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float square = m * m;
    float y = p * m * square - e * 2.12194440e-4f - 0.5f * square;
    return m + y + e * 0.693359375f + (x - x); /* x - x: NaN and inf give NaN */
}

/* atan(x) for x in [0, 1]; 2 ulp. Cephes' polynomial. */
INLINE float atan_unit(float x) {
    int high = x > 0.414213562f;
    float t = high ? (x - 1.0f) / (x + 1.0f) : x;
    float square = t * t;
    float p = 8.05374449538e-2f;
    p = p * square - 1.38776856032e-1f;
    p = p * square + 1.99777106478e-1f;
    p = p * square - 3.33329491539e-1f;
    return p * square * t + t + (high ? 0.785398163f : 0.0f);
}

/* The lesser of H(phi) and 1 - H(phi); `big` is the other. Both keep their relative accuracy. */
INLINE float lesser_step(float phi, int kind, float inverse_eps, float *big) {
    float x = (phi < 0.0f ? -phi : phi) * inverse_eps;
    if (kind == MAHF) {
        float e = exp_negative(-2.0f * x);
        *big = 1.0f / (1.0f + e);
        return e * *big;
    }
    if (kind == AHF) {
        const float inverse_pi = 0.318309886f;
        int far = x > 1.0f;
        float angle = atan_unit(far ? 1.0f / x : x) * inverse_pi;
        float small = far ? angle : 0.5f - angle;
        *big = 1.0f - small;
        return small;
    }
    *big = 1.0f;
    return 0.0f;
}

#endif
