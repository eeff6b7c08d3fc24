"""The kernels of ``cuda.py``, in Triton, which is imported here alone.

The mathematics is that of ``_pass`` in ``fused.py``. A program works on a block of pixels of one
image; its sums are stored apart and added in the order of the blocks in float64, so results are
the same in every run. Sums of H and of 1 - H are kept separately: neither may cancel.
"""

import triton
from triton import language as tl
from triton.language import tensor

#: Arguments whose values do not call for kernels of their own.
COUNTS = ("blocks", "batch")
#: Smallest normal float32: an empty region's 0/0 becomes 0.
TINY = tl.constexpr(1.17549435e-38)
#: Heaviside functions, the order of ``native.KINDS``.
MAHF = tl.constexpr(0)
AHF = tl.constexpr(1)


@triton.jit
def log_above_one(x: tensor) -> tensor:
    """log(x) for x >= 1 or NaN by Cephes' polynomial; the GPU's own is only good to 2e-7."""
    bits = x.to(tl.int32, bitcast=True)
    exponent = ((bits >> 23) - 126).to(tl.float32)
    m = ((bits & 0x007FFFFF) | 0x3F000000).to(tl.float32, bitcast=True)  # x = m 2^exponent
    low = m < 0.707106781
    exponent = tl.where(low, exponent - 1.0, exponent)
    m = tl.where(low, m + m, m) - 1.0
    p = 7.0376836292e-2 * m - 1.1514610310e-1
    p = p * m + 1.1676998740e-1
    p = p * m - 1.2420140846e-1
    p = p * m + 1.4249322787e-1
    p = p * m - 1.6668057665e-1
    p = p * m + 2.0000714765e-1
    p = p * m - 2.4999993993e-1
    p = p * m + 3.3333331174e-1
    y = p * m * m * m - exponent * 2.12194440e-4 - 0.5 * m * m
    return m + y + exponent * 0.693359375 + (x - x)  # NaN and inf give NaN


@triton.jit
def atan_unit(x: tensor) -> tensor:
    """atan(x) for x in [0, 1] by Cephes' polynomial."""
    high = x > 0.414213562
    t = tl.where(high, (x - 1.0) / (x + 1.0), x)
    square = t * t
    p = 8.05374449538e-2 * square - 1.38776856032e-1
    p = p * square + 1.99777106478e-1
    p = p * square - 3.33329491539e-1
    return p * square * t + t + tl.where(high, 0.785398163, 0.0)


@triton.jit
def steps(phi: tensor, inverse_eps: tensor, kind: tl.constexpr) -> tuple[tensor, tensor]:
    """The lesser and the greater of H(phi) and 1 - H(phi), both to relative accuracy."""
    x = tl.abs(phi) * inverse_eps
    if kind == MAHF:
        e = tl.exp(-2.0 * x)
        large = 1.0 / (1.0 + e)
        small = e * large
    elif kind == AHF:
        far = x > 1.0
        angle = atan_unit(tl.where(far, 1.0 / x, x)) * 0.318309886
        small = tl.where(far, angle, 0.5 - angle)
        large = 1.0 - small
    else:
        small = x * 0.0
        large = small + 1.0
    return small, large


@triton.jit
def pull(p: tensor, slope: tensor, inverse_eps: tensor, kind: tl.constexpr) -> tensor:
    """``P * weight * dE/dP``; delta's constant is in the slope."""
    phi = p - 0.5
    if kind == AHF:
        x = phi * inverse_eps
        delta = 1.0 / (1.0 + x * x)
    else:  # hf: the slope is 0
        small, large = steps(phi, inverse_eps, MAHF)
        delta = small * large
    return delta * slope * p


@triton.jit(do_not_specialize=COUNTS)
def labels_kernel(
    target: tensor,
    labels: tensor,  # (B, N) int16: the class, -1 at void
    present: tensor,  # (B, C) int32 zeros: 1 where the image holds the class
    valid: tensor,  # (B,) int32 zeros: valid pixels
    extremes: tensor,  # (2,) int64 zeros: labels below 0 and above C - 1, if any
    pixels: int,
    classes: int,
    blocks: int,
    ignore: int,
    block: tl.constexpr,
) -> None:
    """What the image holds. Integer atomics only: the order does not matter."""
    program = tl.program_id(0)
    image = (program // blocks).to(tl.int64)
    n = program % blocks * block + tl.arange(0, block)
    label = tl.load(target + image * pixels + n, mask=n < pixels, other=0).to(tl.int64)
    counted = (n < pixels) & (label != ignore)
    lowest = tl.min(tl.where(counted, label, classes), 0)
    highest = tl.max(tl.where(counted, label, -1), 0)
    tl.atomic_min(extremes, lowest, mask=lowest < 0)
    tl.atomic_max(extremes + 1, highest, mask=highest >= classes)
    fits = counted & (label >= 0) & (label < classes)
    tl.store(labels + image * pixels + n, tl.where(fits, label, -1).to(tl.int16), mask=n < pixels)
    tl.atomic_add(valid + image, tl.sum(fits.to(tl.int32), 0))
    first = tl.maximum(lowest, 0).to(tl.int32)
    last = tl.minimum(highest, classes - 1).to(tl.int32)
    for k in range(first, last + 1):
        held = tl.max((label == k).to(tl.int32) * fits.to(tl.int32), 0)
        tl.store(present + image * classes + k, 1, mask=held > 0)


@triton.jit(do_not_specialize=COUNTS)
def sums_kernel(
    logits: tensor,  # (B, C, N)
    labels: tensor,
    present: tensor,
    largest: tensor,  # (B, N) in the logits' dtype: max z
    inverse: tensor,  # (B, N) float32: 1 / sum exp(z - max z), 0 at void
    nll: tensor,  # (B, blocks) float32
    sums: tensor,  # (B, blocks, 4, C) float32: a, b, a-bar, b-bar of the classes present
    pixels: int,
    classes: int,
    blocks: int,
    inverse_eps: tensor,
    kind: tl.constexpr,
    keep: tl.constexpr,
    rows: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """First pass over the logits: softmax's normalisers, cross-entropy, the sums of eq. (5)."""
    program = tl.program_id(0).to(tl.int64)
    image = program // blocks
    n = (program % blocks).to(tl.int32) * block + tl.arange(0, block)
    inside = n < pixels
    label = tl.load(labels + image * pixels + n, mask=inside, other=-1).to(tl.int32)
    base = logits + image * classes * pixels
    top = tl.full([block], float("-inf"), tl.float32)
    total = tl.zeros([block], tl.float32)
    for start in range(0, classes, rows):
        ks = start + tl.arange(0, rows)
        at = base + ks.to(tl.int64)[:, None] * pixels + n[None, :]
        mask = (ks < classes)[:, None] & inside[None, :]
        z = tl.load(at, mask=mask, other=float("-inf")).to(tl.float32)
        higher = tl.maximum(top, tl.max(z, 0))
        anchor = tl.where(higher == float("-inf"), 0.0, higher)  # -inf - (-inf) is NaN
        total = total * tl.exp(top - anchor) + tl.sum(tl.exp(z - anchor[None, :]), 0)
        top = higher
    weight = tl.where(label >= 0, 1.0, 0.0)
    own = tl.load(base + label.to(tl.int64) * pixels + n, mask=label >= 0, other=0.0)
    # Not finite at void either: the PyTorch path multiplies, too.
    loss = (top - own.to(tl.float32) + log_above_one(total)) * weight
    tl.store(nll + program, tl.sum(tl.where(inside, loss, 0.0), 0))
    scale = weight / total
    if keep:
        tl.store(largest + image * pixels + n, top.to(largest.dtype.element_ty), mask=inside)
        tl.store(inverse + image * pixels + n, scale, mask=inside)
    row = base
    for k in range(classes):
        if tl.load(present + image * classes + k) != 0:
            z = tl.load(row + n, mask=inside, other=0.0).to(tl.float32)
            phi = tl.exp(z - top) * scale - 0.5
            small, large = steps(phi, inverse_eps, kind)
            step = tl.where(phi >= 0, large, small)
            rest = tl.where(phi >= 0, small, large)
            mine = label == k
            other = (label >= 0) & (label != k)
            place = sums + program * 4 * classes + k
            tl.store(place, tl.sum(tl.where(mine, step, 0.0), 0))
            tl.store(place + classes, tl.sum(tl.where(other, step, 0.0), 0))
            tl.store(place + 2 * classes, tl.sum(tl.where(mine, rest, 0.0), 0))
            tl.store(place + 3 * classes, tl.sum(tl.where(other, rest, 0.0), 0))
        row += pixels


@triton.jit
def total_of(at: tensor, mask: tensor) -> tensor:
    """Sum of a column of partial sums in float64."""
    return tl.sum(tl.load(at, mask=mask, other=0.0).to(tl.float64), 0)


@triton.jit(do_not_specialize=COUNTS)
def energy_kernel(
    sums: tensor,
    nll: tensor,
    present: tensor,
    valid: tensor,
    slopes: tensor,  # (B, C, 2) float32: weight of the energy times dE/dH, inside and outside
    images: tensor,  # (2, B) float64: cross-entropy and scaled energy of the images
    classes: int,
    blocks: int,
    batch: int,
    lam: tensor,
    area: tensor,  # 0: none
    constant: tensor,  # of delta
    width: tl.constexpr,
    rows: tl.constexpr,
) -> None:
    """Eq. (4), (5) and (7) of one image."""
    image = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, width)
    held = tl.load(present + image * classes + k, mask=k < classes, other=0) != 0
    a = tl.zeros([width], tl.float64)
    b = tl.zeros([width], tl.float64)
    rest_a = tl.zeros([width], tl.float64)
    rest_b = tl.zeros([width], tl.float64)
    loss = tl.zeros([rows], tl.float64)
    for start in range(0, blocks, rows):
        r = start + tl.arange(0, rows)
        place = image * blocks + r
        at = sums + place[:, None] * 4 * classes + k[None, :]
        mask = (r < blocks)[:, None] & held[None, :]
        a += total_of(at, mask)
        b += total_of(at + classes, mask)
        rest_a += total_of(at + 2 * classes, mask)
        rest_b += total_of(at + 3 * classes, mask)
        loss += tl.load(nll + place, mask=r < blocks, other=0.0).to(tl.float64)
    c1 = a / tl.maximum(a + b, TINY)
    c2 = rest_a / tl.maximum(rest_a + rest_b, TINY)
    scale = tl.full([], 1.0, tl.float64)
    if area > 0:
        scale *= area / tl.maximum(tl.load(valid + image), 1).to(tl.float64)
    tl.store(images + image, tl.sum(loss, 0))
    tl.store(images + batch + image, tl.sum(c1 * b + c2 * rest_b, 0) * scale)
    slope = scale * lam / batch * constant * (c2 - c1)
    at = slopes + (image * classes + k) * 2
    tl.store(at, (slope * (2 - c1 - c2)).to(tl.float32), mask=k < classes)
    tl.store(at + 1, (-slope * (c1 + c2)).to(tl.float32), mask=k < classes)


@triton.jit(do_not_specialize=COUNTS)
def terms_kernel(
    images: tensor,
    valid: tensor,
    extremes: tensor,
    loss: tensor,
    cross_entropy: tensor,
    level_set: tensor,
    weight: tensor,  # of a pixel's cross-entropy
    classes: int,
    batch: int,
    lam: tensor,
    width: tl.constexpr,
) -> None:
    """The three terms, NaN if a label is neither void nor a class."""
    i = tl.arange(0, width)
    pixels = tl.sum(tl.load(valid + i, mask=i < batch, other=0).to(tl.int64), 0)
    wrong = (tl.load(extremes) < 0) | (tl.load(extremes + 1) >= classes)
    one = tl.where(wrong, float("nan"), 1.0).to(tl.float64)
    share = one / tl.maximum(pixels, 1)
    ce_mean = tl.sum(tl.load(images + i, mask=i < batch, other=0.0), 0) * share
    ls_mean = tl.sum(tl.load(images + batch + i, mask=i < batch, other=0.0), 0) * one / batch
    tl.store(loss, (ce_mean + lam * ls_mean).to(tl.float32))
    tl.store(cross_entropy, ce_mean.to(tl.float32))
    tl.store(level_set, ls_mean.to(tl.float32))
    tl.store(weight, share.to(tl.float32))


@triton.jit(do_not_specialize=COUNTS)
def gradient_kernel(
    upstream: tensor,
    logits: tensor,
    labels: tensor,
    largest: tensor,
    inverse: tensor,
    slopes: tensor,
    weight: tensor,
    grad: tensor,  # (B, C, N) in the logits' dtype
    pixels: int,
    classes: int,
    blocks: int,
    inverse_eps: tensor,
    kind: tl.constexpr,
    rows: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """Second pass: d/dz_k = w (P_k - [k = label]) + P_k (g_k - sum_l g_l P_l), g = dE/dP."""
    program = tl.program_id(0).to(tl.int64)
    image = program // blocks
    n = (program % blocks).to(tl.int32) * block + tl.arange(0, block)
    inside = n < pixels
    label = tl.load(labels + image * pixels + n, mask=inside, other=-1).to(tl.int32)
    top = tl.load(largest + image * pixels + n, mask=inside, other=0.0).to(tl.float32)
    scale = tl.load(inverse + image * pixels + n, mask=inside, other=0.0)
    base = image * classes * pixels
    pixel_weight = tl.load(weight)
    factor = tl.where(label >= 0, pixel_weight, 0.0)
    row = logits + base
    slope = slopes + image * classes * 2
    for k in range(classes):
        within = tl.load(slope)
        beyond = tl.load(slope + 1)
        if (within != 0) | (beyond != 0):  # 0 for classes that the image lacks
            z = tl.load(row + n, mask=inside, other=0.0).to(tl.float32)
            p = tl.exp(z - top) * scale
            factor -= pull(p, tl.where(label == k, within, beyond), inverse_eps, kind)
        row += pixels
        slope += 2
    factor_of_upstream = tl.load(upstream)
    for start in range(0, classes, rows):
        ks = start + tl.arange(0, rows)
        at = base + ks.to(tl.int64)[:, None] * pixels + n[None, :]
        mask = (ks < classes)[:, None] & inside[None, :]
        z = tl.load(logits + at, mask=mask, other=0.0).to(tl.float32)
        p = tl.exp(z - top[None, :]) * scale[None, :]
        mine = ks[:, None] == label[None, :]
        g = p * factor[None, :] - tl.where(mine, pixel_weight, 0.0)
        pair = slopes + (image * classes + ks) * 2
        inner = tl.load(pair, mask=ks < classes, other=0.0)
        outer = tl.load(pair + 1, mask=ks < classes, other=0.0)
        if tl.max(((inner != 0) | (outer != 0)).to(tl.int32), 0) > 0:
            g += pull(p, tl.where(mine, inner[:, None], outer[:, None]), inverse_eps, kind)
        tl.store(grad + at, (g * factor_of_upstream).to(grad.dtype.element_ty), mask=mask)
