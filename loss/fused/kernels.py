"""The kernels of `loss.fused.passes`, in Triton: the sums of all terms over pixels, and their weighted slope.

Each program takes TILES tiles of BLOCK_P pixels times BLOCK_C classes of one image. The arguments in capitals are known
to the compiler; those named after a term are its row in the sums and weights [S, B, C], or -1 for a term that is not
asked for, which is then left out. `_b`, `_c`, `_h` and `_w` are the strides of a tensor; FLAT: each is one row of
pixels, so that `_h` is not needed. Nothing is added up in an order that may change.

This module needs Triton, which is not part of every installation of torch, so it is imported when it is used.
"""

from __future__ import annotations

import triton
import triton.language as tl

# z: logit, e: e^-|z|, σ: sigmoid of z, t: target in 0..1, ℓ: cross-entropy, q = 1 - e^-ℓ.


@triton.jit
def offsets(pixel, of_class, width, stride_c, stride_h, stride_w, FLAT: tl.constexpr):
    """The places [C, P] of pixels and classes within an image."""
    place = pixel * stride_w if FLAT else (pixel // width) * stride_h + (pixel % width) * stride_w
    return (of_class * stride_c)[:, None] + place[None, :]


@triton.jit
def load_target(
    target, pixel, of_class, inside, width, stride_c, stride_h, stride_w, PACKED: tl.constexpr, FLAT: tl.constexpr
):
    """t at [C, P] in fp32; the classes of a packed target are bytes, and the strides are theirs."""
    if PACKED:
        at = offsets(pixel, of_class // 8, width, stride_c, stride_h, stride_w, FLAT)
        t = (tl.load(target + at, mask=inside, other=0).to(tl.int32) >> (of_class % 8)[:, None]) & 1
    else:
        t = tl.load(target + offsets(pixel, of_class, width, stride_c, stride_h, stride_w, FLAT), mask=inside, other=0)
    return t.to(tl.float32)


@triton.jit
def sigmoid(z, e):
    """σ and its slope σ(1 - σ), without overflow, by one division."""
    inverse = 1.0 / (1.0 + e)
    return tl.where(z >= 0, inverse, e * inverse), e * inverse * inverse


@triton.jit
def cross_entropy(z, e, t):
    """max(z, 0) - zt + log(1 + e). The logarithm as 2 artanh(e / (2 + e)): relatively exact, also for small e."""
    s = e / (2.0 + e)
    s2 = s * s
    series = 1 / 9 + s2 * (1 / 11 + s2 * (1 / 13 + s2 * (1 / 15)))
    series = 1.0 + s2 * (1 / 3 + s2 * (1 / 5 + s2 * (1 / 7 + s2 * series)))
    return tl.maximum(z, 0.0) - z * t + 2.0 * s * series


@triton.jit
def wrongness(loss):
    """q, the probability given to the wrong answer; below ℓ = 1/2 by its series, which small values do not cancel."""
    series = 1.0 - loss / 6 * (1.0 - loss / 7 * (1.0 - loss / 8))
    series = 1.0 - loss / 2 * (1.0 - loss / 3 * (1.0 - loss / 4 * (1.0 - loss / 5 * series)))
    return tl.where(loss < 0.5, loss * series, 1.0 - tl.exp(-loss))


@triton.jit
def power(q, gamma):
    """q^γ for q and γ of at least 0; 0^0 is 1."""
    return tl.where(gamma == 0.0, 1.0, tl.exp2(gamma * tl.log2(q)))


@triton.jit
def steepness(loss, gamma):
    """q^γ (1 + γ (1 - q) ℓ/q), by which the slope of the cross-entropy is multiplied; ℓ/q is 1 in the limit."""
    q = wrongness(loss)
    ratio = tl.where(q > 1e-30, loss / tl.maximum(q, 1e-30), 1.0)
    return power(q, gamma) * (1.0 + gamma * (1.0 - q) * ratio)


@triton.jit
def load_tile(
    logits, logits_c, logits_h, logits_w, target, target_c, target_h, target_w, pixel, of_class, inside, width,
    PACKED: tl.constexpr, FLAT: tl.constexpr,
):  # fmt: skip
    """z, e and t at [C, P]."""
    at = offsets(pixel, of_class, width, logits_c, logits_h, logits_w, FLAT)
    z = tl.load(logits + at, mask=inside, other=0).to(tl.float32)
    t = load_target(target, pixel, of_class, inside, width, target_c, target_h, target_w, PACKED, FLAT)
    return z, tl.exp(-tl.abs(z)), t


@triton.jit
def add(total, value, inside, ROW: tl.constexpr):
    """The total with the values inside the image, if the term is asked for."""
    if ROW >= 0:
        total += tl.where(inside, value, 0.0)
    return total


@triton.jit
def store_row(place, total, known, size, ROW: tl.constexpr):
    """Store the sums over pixels of one term; a row has `size` numbers."""
    if ROW >= 0:
        tl.store(place + ROW * size, tl.sum(total, 1), mask=known)


@triton.jit
def load_row(place, known, size, ROW: tl.constexpr):
    """The weights [C, 1] of one term."""
    return tl.load(place + ROW * size, mask=known, other=0)[:, None]


@triton.jit(do_not_specialize=["logits_b", "target_b", "pixels", "width", "classes"])
def sums_kernel(
    logits, logits_b, logits_c, logits_h, logits_w, target, target_b, target_c, target_h, target_w,
    sums, pixels, width, classes, gamma, balance_0, balance_t,
    PROBABILITY: tl.constexpr, TARGET: tl.constexpr, OVERLAP: tl.constexpr, CROSS_ENTROPY: tl.constexpr,
    FOCAL: tl.constexpr, PACKED: tl.constexpr, FLAT: tl.constexpr,
    TILES: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Write the sums over this program's pixels into sums[S, B, C, programs]; the caller adds up the last axis."""
    image = tl.program_id(2).to(tl.int64)
    logits += image * logits_b
    target += image * target_b
    of_class = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    known = of_class < classes
    sum_p = tl.zeros([BLOCK_C, BLOCK_P], tl.float32)
    sum_t, sum_o, sum_l, sum_f = sum_p, sum_p, sum_p, sum_p
    for tile in range(TILES):
        pixel = (tl.program_id(0) * TILES + tile) * BLOCK_P + tl.arange(0, BLOCK_P)
        inside = known[:, None] & (pixel < pixels)[None, :]
        z, e, t = load_tile(
            logits, logits_c, logits_h, logits_w, target, target_c, target_h, target_w, pixel, of_class, inside, width,
            PACKED, FLAT,
        )  # fmt: skip
        p, _ = sigmoid(z, e)
        loss = cross_entropy(z, e, t)
        sum_p = add(sum_p, p, inside, PROBABILITY)
        sum_t = add(sum_t, t, inside, TARGET)
        sum_o = add(sum_o, tl.where(t < p, t, p), inside, OVERLAP)
        sum_l = add(sum_l, loss, inside, CROSS_ENTROPY)
        sum_f = add(sum_f, power(wrongness(loss), gamma) * loss * (balance_0 + balance_t * t), inside, FOCAL)
    place = sums + (image * classes + of_class) * tl.num_programs(0) + tl.program_id(0)
    size = tl.num_programs(2).to(tl.int64) * classes * tl.num_programs(0)
    store_row(place, sum_p, known, size, PROBABILITY)
    store_row(place, sum_t, known, size, TARGET)
    store_row(place, sum_o, known, size, OVERLAP)
    store_row(place, sum_l, known, size, CROSS_ENTROPY)
    store_row(place, sum_f, known, size, FOCAL)


@triton.jit(do_not_specialize=["logits_b", "target_b", "gradient_b", "pixels", "width", "classes"])
def slope_kernel(
    logits, logits_b, logits_c, logits_h, logits_w, target, target_b, target_c, target_h, target_w,
    gradient, gradient_b, gradient_c, gradient_h, gradient_w,
    weights, pixels, width, classes, gamma, balance_0, balance_t,
    PROBABILITY: tl.constexpr, OVERLAP: tl.constexpr, CROSS_ENTROPY: tl.constexpr, FOCAL: tl.constexpr,
    PACKED: tl.constexpr, FLAT: tl.constexpr,
    TILES: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Write Σ weight · slope of each pixel into gradient[B, C, H, W]; weights are fp32[S, B, C], contiguous."""
    image = tl.program_id(2).to(tl.int64)
    logits += image * logits_b
    target += image * target_b
    gradient += image * gradient_b
    of_class = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    known = of_class < classes
    weights += image * classes + of_class
    size = tl.num_programs(2) * classes
    for tile in range(TILES):
        pixel = (tl.program_id(0) * TILES + tile) * BLOCK_P + tl.arange(0, BLOCK_P)
        inside = known[:, None] & (pixel < pixels)[None, :]
        z, e, t = load_tile(
            logits, logits_c, logits_h, logits_w, target, target_c, target_h, target_w, pixel, of_class, inside, width,
            PACKED, FLAT,
        )  # fmt: skip
        p, p_slope = sigmoid(z, e)
        slope = tl.zeros([BLOCK_C, BLOCK_P], tl.float32)
        if PROBABILITY >= 0:
            slope += load_row(weights, known, size, PROBABILITY) * p_slope
        if OVERLAP >= 0:
            slope += load_row(weights, known, size, OVERLAP) * p_slope * (p < t).to(tl.float32)
        if CROSS_ENTROPY >= 0:
            slope += load_row(weights, known, size, CROSS_ENTROPY) * (p - t)
        if FOCAL >= 0:
            focal_slope = steepness(cross_entropy(z, e, t), gamma) * (p - t) * (balance_0 + balance_t * t)
            slope += load_row(weights, known, size, FOCAL) * focal_slope
        at = offsets(pixel, of_class, width, gradient_c, gradient_h, gradient_w, FLAT)
        tl.store(gradient + at, slope, mask=inside)
