// A block at inference in one call, for CPUs: its channel weights from the map that it averages, and the tail of its
// unit, y = relu(s u + r), which may overwrite u. Plain C++ without torch, compiled once by the user's compiler.
//
// Layouts and lanes: lanes.h. Averages, hidden values and channel weights are float matrices [n][c] for all dtypes of
// maps and layers.

#include <cmath>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include "lanes.h"

namespace {

// Some positions of an image in channels last, or some channels of a contiguous one.
struct Part {
    Size image, number, at, channel, c, hw;
};

// Divides a map into parts for parallel processing.
struct Parts {
    static constexpr Size WORTH = 1 << 15;  // minimum values per thread
    const Shape& shape;
    Size threads, each;  // each: parts of an image

    explicit Parts(const Shape& shape) : shape(shape) {
        threads = std::max<Size>(1, std::min<Size>(shape.threads, shape.n * shape.image() / WORTH));
        each = (threads + shape.n - 1) / std::max<Size>(shape.n, 1);
    }

    template <class Work>
    void run(const Work& work) const {
        Size rows = shape.last ? shape.hw : shape.c, length = shape.last ? shape.c : shape.hw;
#ifdef _OPENMP
#pragma omp parallel for num_threads(int(threads)) if (threads > 1)
#endif
        for (Size i = 0; i < shape.n * each; ++i) {
            Size image = i / each, number = i % each, first = rows * number / each, end = rows * (number + 1) / each;
            Size at = image * shape.image() + first * length;
            if (shape.last)
                work(Part{image, number, at, 0, shape.c, end - first});
            else
                work(Part{image, number, at, first, end - first, shape.hw});
        }
    }
};

template <class T>
void average(const Shape& shape, const T* map, float* z) {
    Parts parts(shape);
    std::vector<double> sums(shape.n * parts.each * shape.c, 0.0);
    parts.run([&](const Part& part) {
        auto total = sum<1, 4>(shape.last, part.c, part.hw, [&](auto place, Lanes* lanes) {
            lanes[0] += place.load(map + part.at + place.at);
        });
        double* to = sums.data() + (part.image * parts.each + part.number) * shape.c + part.channel;
        std::copy(total.begin(), total.end(), to);
    });
    for (Size image = 0; image < shape.n; ++image)
        for (Size i = 0; i < shape.c; ++i) {
            double total = 0;
            for (Size number = 0; number < parts.each; ++number)
                total += sums[(image * parts.each + number) * shape.c + i];
            z[image * shape.c + i] = float(total / shape.hw);
        }
}

// exp(x) = 2^k exp(r) with |r| <= log(2) / 2 and a Taylor polynomial for exp(r); relative error 1e-7. Results outside
// the range of float are clamped, NaN is preserved.
Lanes exponential(Lanes x) {
    constexpr float TO_INTEGER = 12582912;  // 1.5 * 2^23: adding it rounds to an integer
    x = x < -87 ? splat(-87) : x;
    x = x > 88 ? splat(88) : x;
    Lanes k = (x * 1.44269504f + TO_INTEGER) - TO_INTEGER;
    Lanes r = (x - k * 0.693359375f) + k * 2.12194440e-4f;  // log(2) in two parts
    Lanes y = splat(1.0f / 5040);
    for (float factor : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) y = y * r + factor;
    Ints power = (__builtin_convertvector(k, Ints) + 127) << 23;
    Lanes scale;
    std::memcpy(&scale, &power, sizeof scale);
    return y * scale;
}

Lanes sigmoid(Lanes x) { return 1 / (1 + exponential(-x)); }

Lanes clamp(Lanes x, float low, float high) {
    x = x < low ? splat(low) : x;
    return x > high ? splat(high) : x;
}

template <class Function>
Lanes one_by_one(Lanes x, const Function& function) {
    for (Size lane = 0; lane < LANES; ++lane) x[lane] = function(x[lane]);
    return x;
}

// The functions of `senet/fast/inference/chain.py`, by their index there.
Lanes activated(Size number, Lanes x) {
    switch (number) {
        case 1: return positive_part(x);
        case 2: return sigmoid(x);
        case 3: return clamp(x + 3, 0, 6) / 6;
        case 4: return x * sigmoid(x);
        case 5: return x * clamp(x + 3, 0, 6) / 6;
        case 6: return x < 0 ? x * 0.01f : x;
        case 7: return one_by_one(x, [](float v) { return std::tanh(v); });
        case 8: return one_by_one(x, [](float v) { return v * 0.5f * std::erfc(v * -0.70710678f); });
        case 9: return 2 * sigmoid(x);
        case 10: return one_by_one(x, [](float v) { return 1 + std::tanh(v); });
        case 11: return 1 + sigmoid(x);
        default: return x;
    }
}

// Written by Python: addresses of the weights [outputs][inputs] and the bias (0 for none), and the function.
struct Layer {
    int64_t weight, bias, inputs, outputs, function;
};

float total(Lanes lanes) {
    typedef float Eight __attribute__((vector_size(32)));
    typedef float Four __attribute__((vector_size(16)));
    Eight eight[2];
    std::memcpy(eight, &lanes, sizeof lanes);
    eight[0] += eight[1];
    Four four[2];
    std::memcpy(four, eight, sizeof four);
    four[0] += four[1];
    return (four[0][0] + four[0][2]) + (four[0][1] + four[0][3]);
}

// Some outputs of some images: every loaded weight is used for all images, every input for all outputs.
template <Size rows, Size images, class W>
void tile(Size inputs, Size outputs, const W* weight, const float* x, float* y) {
    Lanes sums[rows][images] = {};
    auto step = [&](auto span, Size i) {
        Lanes given[images];
        for (Size image = 0; image < images; ++image) given[image] = span.load(x + image * inputs + i);
        for (Size row = 0; row < rows; ++row) {
            Lanes w = span.load(weight + row * inputs + i);
            for (Size image = 0; image < images; ++image) sums[row][image] += w * given[image];
        }
    };
    Size whole = inputs / LANES * LANES;
    for (Size i = 0; i < whole; i += LANES) step(Span<true>{16}, i);
    if (whole < inputs) step(Span<false>{int(inputs - whole)}, whole);
    for (Size row = 0; row < rows; ++row)
        for (Size image = 0; image < images; ++image) y[image * outputs + row] = total(sums[row][image]);
}

template <Size rows, class W>
void tiles(Size n, const Layer& layer, const W* weight, const float* x, float* y) {
    Size image = 0;
    for (; image + 4 <= n; image += 4)
        tile<rows, 4>(layer.inputs, layer.outputs, weight, x + image * layer.inputs, y + image * layer.outputs);
    for (; image < n; ++image)
        tile<rows, 1>(layer.inputs, layer.outputs, weight, x + image * layer.inputs, y + image * layer.outputs);
}

// y = function(W x + b), all images at once
template <class W>
void apply(Size n, const Layer& layer, const float* x, float* y, Size threads) {
    constexpr Size ROWS = 16, WORTH = 1 << 18;  // ROWS: outputs per step; WORTH: minimum products per thread
    const W* weight = reinterpret_cast<const W*>(layer.weight);
    const W* bias = reinterpret_cast<const W*>(layer.bias);
    threads = std::max<Size>(1, std::min(threads, n * layer.inputs * layer.outputs / WORTH));
#ifdef _OPENMP
#pragma omp parallel for num_threads(int(threads)) if (threads > 1)
#endif
    for (Size block = 0; block < layer.outputs; block += ROWS) {
        Size end = std::min(block + ROWS, layer.outputs), row = block;
        for (; row + 4 <= end; row += 4) tiles<4>(n, layer, weight + row * layer.inputs, x, y + row);
        for (; row < end; ++row) tiles<1>(n, layer, weight + row * layer.inputs, x, y + row);
        Span<false> span{int(end - block)};
        Lanes offset = bias ? span.load(bias + block) : Lanes{};
        for (Size image = 0; image < n; ++image) {
            float* at = y + image * layer.outputs + block;
            span.store(at, activated(layer.function, span.load(at) + offset));
        }
    }
}

// Prepared by Python (`senet/fast/inference/ends.py`) once for maps of the same size: the map at the end of a unit, the
// map that is averaged, and the layers.
struct Map {
    int64_t c, hw, last, bf16;
    Shape shape(Size n, int threads) const { return Shape{n, c, hw, bool(last), threads}; }
};

struct Plan {
    int64_t n, threads, relu;
    Map end, averaged;
    int64_t count, bf16_layers;
    Layer layers[];
};

// Replace averages by channel weights.
template <class W>
void excite(const Plan& plan, std::vector<float>& z) {
    std::vector<float> next;
    for (Size i = 0; i < plan.count; ++i) {
        next.resize(plan.n * plan.layers[i].outputs);
        apply<W>(plan.n, plan.layers[i], z.data(), next.data(), plan.threads);
        z.swap(next);
    }
}

template <bool full, bool last>
void store(const Place<full, last>& place, float* to, Lanes lanes) {
    place.store(to, lanes);
}

// Rounding in software takes a third of the time for such a map. The instruction flushes values below 1.2e-38 to 0.
template <bool full, bool last>
void store(const Place<full, last>& place, Bf16* to, Lanes lanes) {
#ifdef __AVX512BF16__
    if (full) {
        __m256bh halfs = _mm512_cvtneps_pbh((__m512)lanes);
        std::memcpy(to, &halfs, sizeof halfs);
        return;
    }
#endif
    place.store(to, lanes);
}

// y = relu(s u + r), where s may be absent (1), and r (0)
template <class T, bool scaled, bool summed, bool rectified>
void finish(const Shape& shape, const T* u, const float* s, const T* r, T* y) {
    Parts(shape).run([&](const Part& part) {
        const float* scale = scaled ? s + part.image * shape.c + part.channel : nullptr;
        each(shape.last, part.c, part.hw, [&](auto place) {
            Size at = part.at + place.at;
            Lanes x = place.load(u + at);
            if (scaled) x *= place.coefficient(scale);
            if (summed) x += place.load(r + at);
            store(place, y + at, rectified ? positive_part(x) : x);
        });
    });
}

template <class T>
void finish(const Shape& shape, const void* map, const float* s, const void* shortcut, bool relu, void* result) {
    const T *u = static_cast<const T*>(map), *r = static_cast<const T*>(shortcut);
    T* y = static_cast<T*>(result);
    switch (4 * bool(s) + 2 * bool(r) + relu) {
        case 7: return finish<T, true, true, true>(shape, u, s, r, y);
        case 6: return finish<T, true, true, false>(shape, u, s, r, y);
        case 5: return finish<T, true, false, true>(shape, u, s, r, y);
        case 4: return finish<T, true, false, false>(shape, u, s, r, y);
        case 3: return finish<T, false, true, true>(shape, u, s, r, y);
        case 2: return finish<T, false, true, false>(shape, u, s, r, y);
        case 1: return finish<T, false, false, true>(shape, u, s, r, y);
        default: return finish<T, false, false, false>(shape, u, s, r, y);
    }
}

}  // namespace

extern "C" {

// Compute the output y of a unit, which may overwrite u. The channel weights are s, or computed from the map h, or 1.
// Absent arguments are null; the shortcut r may be absent too.
void senet_end(const void* words, const void* u, const float* s, const void* r, const void* h, void* y) {
    const Plan& plan = *static_cast<const Plan*>(words);
    std::vector<float> z;
    if (h) {
        Shape shape = plan.averaged.shape(plan.n, int(plan.threads));
        z.resize(shape.n * shape.c);
        plan.averaged.bf16 ? average(shape, static_cast<const Bf16*>(h), z.data())
                           : average(shape, static_cast<const float*>(h), z.data());
        plan.bf16_layers ? excite<Bf16>(plan, z) : excite<float>(plan, z);
        s = z.data();
    }
    Shape shape = plan.end.shape(plan.n, int(plan.threads));
    plan.end.bf16 ? finish<Bf16>(shape, u, s, r, plan.relu, y) : finish<float>(shape, u, s, r, plan.relu, y);
}
}
