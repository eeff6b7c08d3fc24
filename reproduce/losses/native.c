/* Cross-entropy plus level set loss, eq. (8), and its gradient for float32 logits on a CPU.
 *
 * The mathematics is that of `_pass` in fused.py. Three rounds of threads:
 *   count   labels of every image: which classes it holds, how many pixels are valid;
 *   first   per pixel max z and sum exp(z - max z): cross-entropy, P, and the sums behind c1, c2;
 *   second  exp(z - max z) again, because that is cheaper than to store it, and the gradient.
 * The last two go over a few images at a time, so that the second finds logits in the cache.
 *
 * Work is cut into blocks of pixels of one image whose size depends on C alone. A block's sums are
 * kept apart and added in the order of the blocks in float64, so results do not depend on the
 * number of threads, nor on which of them did what.
 *
 * Threads are torch's own: `parallel` is GOMP_parallel of the runtime it has loaded.
 * Build with -O3 -fopenmp-simd -fno-math-errno -fno-trapping-math: loops vectorise, and NaN and
 * infinities keep their meaning (no -ffast-math).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "native_math.h"

#define SIMD _Pragma("omp simd")

enum { DONE, BAD_LABEL, NO_MEMORY };     /* what level_set_run returns */
enum { COUNT_BLOCK = 16384, RUN = 32 };  /* pixels */
enum { MAX_BLOCK = 1024, SUM_BLOCK = 256, ALIGN = 64 };
static const int64_t BLOCK_ELEMENTS = 49152;     /* logits of a block: fits a core's cache */
static const int64_t GROUP_BYTES = 12 << 20;     /* logits of a group of images, one at least */
static const int64_t SERIAL_ELEMENTS = 32768;    /* fewer are not worth a second thread */
static const float TINY = 1.17549435e-38f;

typedef struct { double inside, outside, rest_inside, rest_outside; } Sums; /* a, b, a-, b- */
typedef struct { float inside, outside; } Slopes;                          /* weight * dE/dH */
typedef void (*Parallel)(void (*)(void *), void *, unsigned, unsigned);

typedef struct {
    const float *logits;      /* (B, C, N) */
    const int64_t *target;    /* (B, N) */
    float *grad;              /* (B, C, N), may be the logits; NULL: none */
    int64_t batch, classes, pixels, ignore;
    double eps;
    int kind;
    int64_t block, blocks;              /* pixels of a block, blocks of an image */
    int64_t image, images;              /* first image of the group, number of its images */
    int64_t *counts;                    /* (B, C) pixels of each class */
    int32_t *present, *num_present;     /* (B, C) classes an image holds, (B,) how many */
    float *largest, *inverse;           /* (group, N) max z, and 1 / sum exp or 0 at void */
    double *nll;                        /* (group, blocks) */
    Sums *sums;                         /* (group, blocks, C), the first num_present of each C */
    Slopes *slopes;                     /* (group, C) */
    float weight;                       /* of a pixel's cross-entropy */
    char *scratch;                      /* (threads, scratch_bytes) */
    int64_t scratch_bytes;
    int64_t next, slot, bad;            /* shared by the threads: counters, and the verdict */
    int64_t units;
} Job;

/* Sums of one class over some pixels; `e` holds exp(z - max z) of the class. */
INLINE void add_sums(Sums *sums, const float *e, const float *inverse, const int32_t *labels,
                     int32_t class, int64_t n, float inverse_eps, int kind) {
    float a = 0, b = 0, rest_a = 0, rest_b = 0;
    _Pragma("omp simd reduction(+ : a, b, rest_a, rest_b)")
    for (int64_t i = 0; i < n; i++) {
        float big, phi = e[i] * inverse[i] - 0.5f;
        float small = lesser_step(phi, kind, inverse_eps, &big);
        int up = phi >= 0.0f, in = labels[i] == class, out = (labels[i] >= 0) & !in;
        float step = up ? big : small, rest = up ? small : big;
        a += in ? step : 0.0f;
        b += out ? step : 0.0f;
        rest_a += in ? rest : 0.0f;
        rest_b += out ? rest : 0.0f;
    }
    sums->inside += a, sums->outside += b;
    sums->rest_inside += rest_a, sums->rest_outside += rest_b;
}

/* P and P * weight * dE/dP of one class; the latter is taken from `factor` at each pixel. */
INLINE void add_slopes(float *restrict probability, float *restrict part, float *restrict factor,
                       const float *z, const float *largest, const float *inverse,
                       const int32_t *labels, int32_t class, Slopes slopes, int64_t n,
                       float inverse_eps, int kind) {
    SIMD for (int64_t i = 0; i < n; i++) {
        float p = exp_negative(z[i] - largest[i]) * inverse[i];
        float big, phi = p - 0.5f, delta;
        if (kind == AHF) {
            float x = phi * inverse_eps;
            delta = 1.0f / (1.0f + x * x);
        } else {
            delta = lesser_step(phi, kind, inverse_eps, &big) * big;
        }
        float g = delta * (labels[i] == class ? slopes.inside : slopes.outside) * p;
        probability[i] = p;
        part[i] = g;
        factor[i] -= g;
    }
}

/* Classes of some pixels, -1 at void. */
INLINE void load_labels(int32_t *labels, const int64_t *target, int64_t ignore, int64_t n) {
    SIMD for (int64_t i = 0; i < n; i++)
        labels[i] = target[i] == ignore ? -1 : (int32_t)target[i];
}

static char *claim_scratch(Job *job) {
    int64_t slot = __atomic_fetch_add(&job->slot, 1, __ATOMIC_RELAXED);
    return job->scratch + slot * job->scratch_bytes;
}

static int64_t claim_unit(Job *job) {
    return __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
}

static void note_bad_label(Job *job) { __atomic_store_n(&job->bad, 1, __ATOMIC_RELAXED); }

static void count(void *data) {
    Job *job = data;
    int64_t *local = (int64_t *)claim_scratch(job), classes = job->classes, n = job->pixels;
    int64_t per_image = (n + COUNT_BLOCK - 1) / COUNT_BLOCK;
    for (int64_t unit; (unit = claim_unit(job)) < job->units;) {
        int64_t image = unit / per_image, start = unit % per_image * COUNT_BLOCK;
        int64_t end = start + COUNT_BLOCK < n ? start + COUNT_BLOCK : n;
        const int64_t *target = job->target + image * n;
        memset(local, 0, (size_t)classes * sizeof *local);
        for (int64_t i = start; i < end;) {
            int64_t label = target[i], length = 1, differs = 0;
            if (i + RUN <= end) { /* most runs of pixels are of one label */
                for (int j = 0; j < RUN; j++) differs |= target[i + j] ^ label;
                length = differs ? 1 : RUN;
            }
            int64_t last = differs ? i + RUN : i + length;
            for (; i < last; i += length) {
                label = target[i];
                if (label == job->ignore) continue;
                if (label < 0 || label >= classes) {
                    note_bad_label(job);
                    continue;
                }
                local[label] += length;
            }
        }
        for (int64_t k = 0; k < classes; k++)
            if (local[k])
                __atomic_fetch_add(job->counts + image * classes + k, local[k], __ATOMIC_RELAXED);
    }
}

static void sum_class(const Job *job, Sums *sums, const float *e, const float *inverse,
                      const int32_t *labels, int32_t class, int64_t n) {
    float s = (float)(1 / job->eps);
    *sums = (Sums){0, 0, 0, 0};
    for (int64_t i = 0; i < n; i += SUM_BLOCK) {
        int64_t m = n - i < SUM_BLOCK ? n - i : SUM_BLOCK;
        if (job->kind == MAHF)
            add_sums(sums, e + i, inverse + i, labels + i, class, m, s, MAHF);
        else if (job->kind == AHF)
            add_sums(sums, e + i, inverse + i, labels + i, class, m, s, AHF);
        else
            add_sums(sums, e + i, inverse + i, labels + i, class, m, s, HF);
    }
}

static void first(void *data) {
    Job *job = data;
    int64_t classes = job->classes, n = job->pixels;
    float *e = (float *)claim_scratch(job), *own = e + classes * job->block;
    float *total = own + job->block, *top = total + job->block, *inverse = top + job->block;
    int32_t *labels = (int32_t *)(inverse + job->block);
    for (int64_t unit; (unit = claim_unit(job)) < job->units;) {
        int64_t place = unit / job->blocks, start = unit % job->blocks * job->block;
        int64_t size = n - start < job->block ? n - start : job->block;
        int64_t image = job->image + place;
        const float *logits = job->logits + image * classes * n + start;
        load_labels(labels, job->target + image * n + start, job->ignore, size);
        memcpy(e, logits, (size_t)size * sizeof *e);
        memcpy(top, logits, (size_t)size * sizeof *top);
        /* Copied, because rows of logits may share sets of the cache. */
        for (int64_t k = 1; k < classes; k++) {
            const float *row = logits + k * n;
            float *copy = e + k * job->block;
            SIMD for (int64_t i = 0; i < size; i++) {
                float z = row[i];
                copy[i] = z;
                top[i] = z > top[i] ? z : top[i];
            }
        }
        for (int64_t i = 0; i < size; i++)
            own[i] = labels[i] < 0 ? top[i] : e[labels[i] * job->block + i];
        memset(total, 0, (size_t)size * sizeof *total);
        for (int64_t k = 0; k < classes; k++) {
            float *row = e + k * job->block;
            SIMD for (int64_t i = 0; i < size; i++) {
                float value = exp_negative(row[i] - top[i]);
                row[i] = value;
                total[i] += value;
            }
        }
        double nll = 0;
        _Pragma("omp simd reduction(+ : nll)")
        for (int64_t i = 0; i < size; i++) {
            float valid = labels[i] < 0 ? 0.0f : 1.0f;
            nll += (top[i] - own[i] + log_above_one(total[i])) * valid;
            inverse[i] = valid / total[i];
        }
        job->nll[unit] = nll;
        if (job->grad) {
            memcpy(job->largest + place * n + start, top, (size_t)size * sizeof *top);
            memcpy(job->inverse + place * n + start, inverse, (size_t)size * sizeof *inverse);
        }
        for (int32_t j = 0; j < job->num_present[image]; j++) {
            int32_t class = job->present[image * classes + j];
            sum_class(job, job->sums + unit * classes + j, e + class * job->block, inverse, labels,
                      class, size);
        }
    }
}

static void second(void *data) {
    Job *job = data;
    int64_t classes = job->classes, n = job->pixels;
    float s = (float)(1 / job->eps);
    float *part = (float *)claim_scratch(job), *probability = part + classes * job->block;
    float *factor = probability + classes * job->block;
    int32_t *labels = (int32_t *)(factor + job->block);
    for (int64_t unit; (unit = claim_unit(job)) < job->units;) {
        int64_t block = job->units - 1 - unit; /* what was read last is still in the cache */
        int64_t place = block / job->blocks, start = block % job->blocks * job->block;
        int64_t size = n - start < job->block ? n - start : job->block;
        int64_t image = job->image + place;
        const float *logits = job->logits + image * classes * n + start;
        float *grad = job->grad + image * classes * n + start, weight = job->weight;
        const float *top = job->largest + place * n + start;
        const float *inverse = job->inverse + place * n + start;
        const int32_t *present = job->present + image * classes;
        int32_t num_present = job->num_present[image];
        load_labels(labels, job->target + image * n + start, job->ignore, size);
        for (int64_t i = 0; i < size; i++) factor[i] = weight;
        for (int32_t j = 0; j < num_present; j++) {
            const float *z = logits + present[j] * n;
            float *p = probability + j * job->block, *g = part + j * job->block;
            Slopes slopes = job->slopes[place * classes + j];
            if (job->kind == AHF)
                add_slopes(p, g, factor, z, top, inverse, labels, present[j], slopes, size, s, AHF);
            else
                add_slopes(p, g, factor, z, top, inverse, labels, present[j], slopes, size, s,
                           MAHF); /* hf: slopes are 0 */
        }
        for (int64_t k = 0, j = 0; k < classes; k++) {
            const float *z = logits + k * n;
            float *out = grad + k * n;
            if (j < num_present && present[j] == k) {
                const float *p = probability + j * job->block, *g = part + j * job->block;
                SIMD for (int64_t i = 0; i < size; i++)
                    out[i] = p[i] * factor[i] + g[i] - (labels[i] == k ? weight : 0.0f);
                j++;
            } else {
                SIMD for (int64_t i = 0; i < size; i++)
                    out[i] = exp_negative(z[i] - top[i]) * (inverse[i] * factor[i]);
            }
        }
    }
}

static void share(Job *job, void (*work)(void *), int64_t units, Parallel parallel, int threads) {
    job->next = job->slot = 0;
    job->units = units;
    if (threads > 1 && units > 1)
        parallel(work, job, (unsigned)threads, 0);
    else
        work(job);
}

/* Energy of an image, and the weights of the gradient; eq. (4), (5) and (7). */
static double energy_of_image(Job *job, int64_t place, double weight) {
    int64_t image = job->image + place;
    double energy = 0;
    for (int32_t j = 0; j < job->num_present[image]; j++) {
        Sums t = {0, 0, 0, 0};
        for (int64_t k = 0; k < job->blocks; k++) {
            const Sums *s = job->sums + (place * job->blocks + k) * job->classes + j;
            t.inside += s->inside, t.outside += s->outside;
            t.rest_inside += s->rest_inside, t.rest_outside += s->rest_outside;
        }
        double within = t.inside + t.outside, beyond = t.rest_inside + t.rest_outside;
        double c1 = t.inside / (within < TINY ? TINY : within); /* an empty region: 0/0 is 0 */
        double c2 = t.rest_inside / (beyond < TINY ? TINY : beyond);
        energy += c1 * t.outside + c2 * t.rest_outside;
        /* delta's constant is taken here: 2 / eps H (1 - H), or 1 / (pi eps) / (1 + x^2). */
        double constant = job->kind == MAHF ? 2 / job->eps : 0.318309886183790672 / job->eps;
        double slope = job->kind == HF ? 0 : weight * constant * (c2 - c1);
        job->slopes[place * job->classes + j] =
            (Slopes){(float)(slope * (2 - c1 - c2)), (float)(-slope * (c1 + c2))};
    }
    return energy;
}

static void list_present(Job *job) {
    for (int64_t image = 0; image < job->batch; image++)
        for (int64_t k = 0; k < job->classes; k++)
            if (job->counts[image * job->classes + k])
                job->present[image * job->classes + job->num_present[image]++] = (int32_t)k;
}

/* Take `bytes` of an arena; with a NULL base only measure. */
static void *take(char *base, int64_t *used, int64_t bytes) {
    char *found = base ? base + *used : NULL;
    *used += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return found;
}

static int64_t lay_out(Job *job, char *base, int64_t group, int threads) {
    int64_t used = 0, all = job->batch * job->classes, blocks = group * job->blocks;
    int64_t map = job->grad ? group * job->pixels : 0;
    job->counts = take(base, &used, all * (int64_t)sizeof *job->counts);
    job->present = take(base, &used, all * (int64_t)sizeof *job->present);
    job->num_present = take(base, &used, job->batch * (int64_t)sizeof *job->num_present);
    job->largest = take(base, &used, map * (int64_t)sizeof *job->largest);
    job->inverse = take(base, &used, map * (int64_t)sizeof *job->inverse);
    job->nll = take(base, &used, blocks * (int64_t)sizeof *job->nll);
    job->sums = take(base, &used, blocks * job->classes * (int64_t)sizeof *job->sums);
    job->slopes = take(base, &used, group * job->classes * (int64_t)sizeof *job->slopes);
    job->scratch = take(base, &used, threads * job->scratch_bytes);
    return used;
}

/* Loss, cross-entropy and energy of a batch in `terms`, the gradient in `grad` unless it is NULL.
 * `reference_area` is 0 for none. Sizes are 1 or more. */
int level_set_run(const float *logits, const int64_t *target, float *grad, int64_t batch,
                  int64_t classes, int64_t pixels, int64_t ignore, int kind, double eps, double lam,
                  double reference_area, Parallel parallel, int threads, double *terms) {
    Job job = {.logits = logits, .target = target, .grad = grad, .batch = batch,
               .classes = classes, .pixels = pixels, .ignore = ignore, .eps = eps, .kind = kind};
    int64_t size = classes * pixels * (int64_t)sizeof *logits;
    if (threads < 1 || batch * classes * pixels < SERIAL_ELEMENTS) threads = 1;
    job.block = BLOCK_ELEMENTS / classes / ALIGN * ALIGN;
    job.block = job.block < ALIGN ? ALIGN : job.block > MAX_BLOCK ? MAX_BLOCK : job.block;
    job.blocks = (pixels + job.block - 1) / job.block;
    job.scratch_bytes = (2 * classes + 8) * job.block * (int64_t)sizeof *logits;
    int64_t group = GROUP_BYTES / size < 1 ? 1 : GROUP_BYTES / size;
    if (group > batch) group = batch;
    int64_t bytes = lay_out(&job, NULL, group, threads);
    char *arena = malloc((size_t)bytes + ALIGN);
    if (!arena) return NO_MEMORY;
    lay_out(&job, arena + (ALIGN - (uintptr_t)arena % ALIGN), group, threads);
    memset(job.counts, 0, (size_t)(batch * classes) * sizeof *job.counts);
    memset(job.num_present, 0, (size_t)batch * sizeof *job.num_present);

    share(&job, count, batch * ((pixels + COUNT_BLOCK - 1) / COUNT_BLOCK), parallel, threads);
    if (job.bad) {
        free(arena);
        return BAD_LABEL;
    }
    list_present(&job);
    int64_t valid = 0;
    for (int64_t k = 0; k < batch * classes; k++) valid += job.counts[k];
    job.weight = (float)(1.0 / (double)(valid ? valid : 1));

    double cross_entropy = 0, level_set = 0;
    for (job.image = 0; job.image < batch; job.image += group) {
        job.images = batch - job.image < group ? batch - job.image : group;
        share(&job, first, job.images * job.blocks, parallel, threads);
        for (int64_t k = 0; k < job.images * job.blocks; k++) cross_entropy += job.nll[k];
        for (int64_t place = 0; place < job.images; place++) {
            const int64_t *counts = job.counts + (job.image + place) * classes;
            int64_t own = 0;
            for (int64_t k = 0; k < classes; k++) own += counts[k];
            double scale = reference_area > 0 ? reference_area / (double)(own ? own : 1) : 1;
            level_set += scale * energy_of_image(&job, place, scale * lam / (double)batch);
        }
        if (grad) share(&job, second, job.images * job.blocks, parallel, threads);
    }
    free(arena);
    terms[1] = cross_entropy / (double)(valid ? valid : 1);
    terms[2] = level_set / (double)batch;
    terms[0] = terms[1] + lam * terms[2];
    return DONE;
}
