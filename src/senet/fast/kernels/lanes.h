// Iteration and sums over maps in two memory layouts, sixteen values at a time; shared by all passes in C++.
//
// A map has n images, c channels and hw positions, stored either channels last, [n][hw][c], or contiguous, [n][c][hw].
// Sixteen consecutive values are processed at a time ("lanes"): sixteen channels of a position in the first layout,
// sixteen positions of a channel in the second. Sums are accumulated in double over short float partial sums.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

typedef float Lanes __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Bits __attribute__((vector_size(64)));
typedef uint16_t Halfs __attribute__((vector_size(32)));
typedef std::ptrdiff_t Size;

constexpr Size LANES = 16;

struct Bf16 {
    uint16_t bits;
};

Lanes splat(float value) { return Lanes{} + value; }

Lanes widen(Halfs halfs) {
    Bits bits = __builtin_convertvector(halfs, Bits) << 16;
    Lanes lanes;
    std::memcpy(&lanes, &bits, sizeof lanes);
    return lanes;
}

Halfs narrow(Lanes lanes) {  // to nearest, ties to even, like torch; NaN is preserved
    Bits bits;
    std::memcpy(&bits, &lanes, sizeof bits);
    Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    Ints is_nan = lanes != lanes;
    Bits nan = Bits{} + 0x7fc0;
    rounded = (rounded & ~(Bits)is_nan) | (nan & (Bits)is_nan);
    return __builtin_convertvector(rounded, Halfs);
}

// Sixteen lanes, or the first `count` of them at the end of a row.
template <bool full>
struct Span {
    int count;

    Lanes load(const float* from) const {
        Lanes lanes{};
        std::memcpy(&lanes, from, full ? sizeof lanes : count * sizeof(float));
        return lanes;
    }
    Lanes load(const Bf16* from) const {
        Halfs halfs{};
        std::memcpy(&halfs, from, full ? sizeof halfs : count * sizeof(Bf16));
        return widen(halfs);
    }
    void store(float* to, Lanes lanes) const { std::memcpy(to, &lanes, full ? sizeof lanes : count * sizeof(float)); }
    void store(Bf16* to, Lanes lanes) const {
        Halfs halfs = narrow(lanes);
        std::memcpy(to, &halfs, full ? sizeof halfs : count * sizeof(Bf16));
    }
};

// The position of sixteen consecutive values, with access to the coefficients of their channels.
template <bool full, bool last>
struct Place : Span<full> {
    Size at;       // of the first lane, in the map of this image
    Size channel;  // of the first lane

    Lanes coefficient(const float* row) const {
        return last ? Span<full>::load(row + channel) : splat(row[channel]);
    }
};

Lanes positive_part(Lanes x) { return x < 0 ? Lanes{} : x; }      // NaN is preserved

template <class Step>
void each_channels_last(Size c, Size hw, const Step& step) {
    Size whole = c / LANES * LANES;
    for (Size p = 0; p < hw; ++p) {
        for (Size i = 0; i < whole; i += LANES) step(Place<true, true>{{16}, p * c + i, i});
        if (whole < c) step(Place<false, true>{{int(c - whole)}, p * c + whole, whole});
    }
}

template <class Step>
void each_contiguous(Size c, Size hw, const Step& step) {
    Size whole = hw / LANES * LANES;
    for (Size i = 0; i < c; ++i) {
        for (Size p = 0; p < whole; p += LANES) step(Place<true, false>{{16}, i * hw + p, i});
        if (whole < hw) step(Place<false, false>{{int(hw - whole)}, i * hw + whole, i});
    }
}

// Call `step` at every place of an image.
template <class Step>
void each(bool last, Size c, Size hw, const Step& step) {
    last ? each_channels_last(c, hw, step) : each_contiguous(c, hw, step);
}

double horizontal(Lanes part, int count) {
    double total = 0;
    for (int lane = 0; lane < count; ++lane) total += part[lane];
    return total;
}

template <int sums, bool full, class Step>
void sum_rows(Size c, Size first, Size p0, Size p1, int count, const Step& step, float* partial) {
    Span<full> span{count};
    Lanes part[sums];
    for (int k = 0; k < sums; ++k) part[k] = span.load(partial + k * c + first);
    for (Size p = p0; p < p1; ++p) step(Place<full, true>{{count}, p * c + first, first}, part);
    for (int k = 0; k < sums; ++k) span.store(partial + k * c + first, part[k]);
}

// Sum over the positions of an image: `step` adds the values of a place to its partial sums.
// `rows` positions are processed together along the channels, so that partial sums are loaded and stored once for all of
// them. Each row is a memory stream; processors prefetch a limited number of streams, and short rows form a single one.
template <int sums, class Step>
void sum_channels_last(Size c, Size hw, Size rows, const Step& step, double* total) {
    constexpr Size FLUSH = 64, ONE_STREAM = 256;
    Size whole = c / LANES * LANES, flushed = 0;
    rows = std::max(rows, ONE_STREAM / c);
    std::vector<float> partial(sums * c, 0.0f);
    for (Size p = 0; p < hw; p += rows) {
        Size end = std::min(p + rows, hw);
        for (Size i = 0; i < whole; i += LANES) sum_rows<sums, true>(c, i, p, end, 16, step, partial.data());
        if (whole < c) sum_rows<sums, false>(c, whole, p, end, int(c - whole), step, partial.data());
        if (end - flushed >= FLUSH || end == hw) {
            flushed = end;
            for (Size i = 0; i < sums * c; ++i) total[i] += partial[i];
            std::fill(partial.begin(), partial.end(), 0.0f);
        }
    }
}

template <int sums, class Step>
void sum_contiguous(Size c, Size hw, const Step& step, double* total) {
    constexpr Size TILE = 8 * LANES;
    for (Size i = 0; i < c; ++i) {
        for (Size p = 0; p < hw; p += TILE) {
            Size end = std::min(p + TILE, hw), q = p;
            Lanes part[sums] = {};
            for (; q + LANES <= end; q += LANES) step(Place<true, false>{{16}, i * hw + q, i}, part);
            for (int k = 0; k < sums; ++k) total[k * c + i] += horizontal(part[k], LANES);
            if (q < end) {
                Lanes rest[sums] = {};
                step(Place<false, false>{{int(end - q)}, i * hw + q, i}, rest);
                for (int k = 0; k < sums; ++k) total[k * c + i] += horizontal(rest[k], int(end - q));
            }
        }
    }
}

template <int sums, int rows, class Step>
std::vector<double> sum(bool last, Size c, Size hw, const Step& step) {
    std::vector<double> total(sums * c, 0.0);
    last ? sum_channels_last<sums>(c, hw, rows, step, total.data()) : sum_contiguous<sums>(c, hw, step, total.data());
    return total;
}

struct Shape {
    Size n, c, hw;
    bool last;
    int threads;
    Size image() const { return c * hw; }
};

template <class Work>
void images(const Shape& shape, const Work& work) {
    int threads = int(std::min<Size>(shape.threads, shape.n));
    (void)threads;
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) if (threads > 1)
#endif
    for (Size image = 0; image < shape.n; ++image) work(image);
}

}  // namespace
