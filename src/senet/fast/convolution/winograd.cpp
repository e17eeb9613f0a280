// 3x3 convolutions by Winograd's algorithm, F(4x4, 3x3), for CPUs: 36 products for 16 outputs in place of 144.
//
// A map has n images of h x w positions and c channels (k after the convolution), stored channels last, [n][h][w][c].
// Its outputs are divided into tiles of 4 x 4, whose 6 x 6 inputs overlap. With the matrices A, B and G of a polynomial
// through six points,
//
//     y = A' [(G g G') * (B' x B)] A
//
// where * multiplies each of 36 frequencies and sums over the channels: 36 matrix products. The gradient of the weights
// is G' [sum over tiles of (B' x B) * (A dy A')] G, that of the map a convolution with the rotated weights. Tiles are
// processed in blocks, so that intermediate results stay in the cache, and sixteen channels at a time ("lanes").
// The points 0, +-5/8, +-3/2 and infinity round 2.5 times less than the usual 0, +-1, +-2 and infinity (docs/fast.md).

#include <cstdlib>

#include "lanes.h"

namespace {

constexpr Size OUT = 4, IN = 6, FREQUENCIES = IN * IN;
constexpr Size BUDGET = 128 * 1024;  // floats of a block between the transforms; they fit into the L2 cache
constexpr Size LEAST = 32;           // minimum tiles of a block: the weights are read once for each block
constexpr float P = 0.625f, Q = 1.5f, PP = P * P, QQ = Q * Q;

#ifdef __AVX512F__
constexpr int ROWS = 8, PANELS = 3;  // of a product, kept in 32 registers of sixteen lanes
#else
constexpr int ROWS = 6, PANELS = 1;
#endif

Lanes load(const float* from) {
    Lanes lanes;
    std::memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

void store(float* to, Lanes lanes) { std::memcpy(to, &lanes, sizeof lanes); }

// The first `count` lanes.
Lanes load(const float* from, Size count) {
    if (count == LANES) return load(from);
    Lanes lanes{};
    std::memcpy(&lanes, from, count * sizeof(float));
    return lanes;
}

void store(float* to, Lanes lanes, Size count) {
    count == LANES ? store(to, lanes) : void(std::memcpy(to, &lanes, count * sizeof(float)));
}

Size panels_of(Size channels) { return (channels + LANES - 1) / LANES; }

// Floats between two frequencies: never a multiple of 4 KiB, at which all would map to the same cache set.
Size apart(Size floats) { return floats + LANES; }
Size weights_apart(Size c, Size k) { return apart(panels_of(k) * c * LANES); }

// ---- The six matrices, applied to one column.

// B' x
struct Input {
    static constexpr int from = IN, to = IN;
    static void apply(const Lanes* x, Lanes* v) {
        Lanes p_even = x[4] - QQ * x[2], p_odd = P * (x[3] - QQ * x[1]);
        Lanes q_even = x[4] - PP * x[2], q_odd = Q * (x[3] - PP * x[1]);
        v[0] = PP * QQ * x[0] + (x[4] - (PP + QQ) * x[2]);
        v[1] = p_even + p_odd;
        v[2] = p_even - p_odd;
        v[3] = q_even + q_odd;
        v[4] = q_even - q_odd;
        v[5] = PP * QQ * x[1] + (x[5] - (PP + QQ) * x[3]);
    }
};

// A' m
struct Output {
    static constexpr int from = IN, to = OUT;
    static void apply(const Lanes* m, Lanes* y) {
        Lanes p_sum = m[1] + m[2], p_gap = m[1] - m[2], q_sum = m[3] + m[4], q_gap = m[3] - m[4];
        y[0] = m[0] + p_sum + q_sum;
        y[1] = P * p_gap + Q * q_gap;
        y[2] = PP * p_sum + QQ * q_sum;
        y[3] = PP * P * p_gap + (QQ * Q * q_gap + m[5]);
    }
};

// A dy
struct Gradient {
    static constexpr int from = OUT, to = IN;
    static void apply(const Lanes* dy, Lanes* m) {
        Lanes p_even = dy[0] + PP * dy[2], p_odd = P * (dy[1] + PP * dy[3]);
        Lanes q_even = dy[0] + QQ * dy[2], q_odd = Q * (dy[1] + QQ * dy[3]);
        m[0] = dy[0];
        m[1] = p_even + p_odd;
        m[2] = p_even - p_odd;
        m[3] = q_even + q_odd;
        m[4] = q_even - q_odd;
        m[5] = dy[3];
    }
};

constexpr float OF_0 = 1 / (PP * QQ), OF_P = 1 / (2 * PP * (PP - QQ)), OF_Q = 1 / (2 * QQ * (QQ - PP));

// G g
struct Weight {
    static constexpr int from = 3, to = IN;
    static void apply(const Lanes* g, Lanes* u) {
        Lanes p_even = OF_P * (g[0] + PP * g[2]), p_odd = OF_P * P * g[1];
        Lanes q_even = OF_Q * (g[0] + QQ * g[2]), q_odd = OF_Q * Q * g[1];
        u[0] = OF_0 * g[0];
        u[1] = p_even + p_odd;
        u[2] = p_even - p_odd;
        u[3] = q_even + q_odd;
        u[4] = q_even - q_odd;
        u[5] = g[2];
    }
};

// G' du
struct WeightGradient {
    static constexpr int from = IN, to = 3;
    static void apply(const Lanes* du, Lanes* dg) {
        Lanes p_sum = OF_P * (du[1] + du[2]), p_gap = OF_P * P * (du[1] - du[2]);
        Lanes q_sum = OF_Q * (du[3] + du[4]), q_gap = OF_Q * Q * (du[3] - du[4]);
        dg[0] = OF_0 * du[0] + p_sum + q_sum;
        dg[1] = p_gap + q_gap;
        dg[2] = PP * p_sum + (QQ * q_sum + du[5]);
    }
};

// Apply a matrix to the columns of a square, and then to its rows.
template <class Matrix, class Get, class Put>
inline __attribute__((always_inline)) void transform(const Get& get, const Put& put) {
    constexpr int from = Matrix::from, to = Matrix::to;
    Lanes half[from][to];
#pragma GCC unroll 6
    for (int j = 0; j < from; ++j) {
        Lanes column[from];
#pragma GCC unroll 6
        for (int i = 0; i < from; ++i) column[i] = get(i, j);
        Matrix::apply(column, half[j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < to; ++i) {
        Lanes row[from], out[to];
#pragma GCC unroll 6
        for (int j = 0; j < from; ++j) row[j] = half[j][i];
        Matrix::apply(row, out);
#pragma GCC unroll 6
        for (int j = 0; j < to; ++j) put(i, j, out[j]);
    }
}

// ---- The matrix product.

// d = a b, or d += a b. The columns of b and d are stored in panels, [panel][row][16].
struct Product {
    const float* a;
    Size a_row, a_column;
    const float* b;
    Size b_panel;
    float* d;
    Size d_panel;
    Size depth;
    bool add;
};

template <int rows, int panels>
inline __attribute__((always_inline)) void multiply_part(const Product& of) {
    Lanes sum[rows][panels] = {};
    const float *a = of.a, *b = of.b;
    for (Size step = 0; step < of.depth; ++step, a += of.a_column, b += LANES) {
        Lanes right[panels];
#pragma GCC unroll 3
        for (int j = 0; j < panels; ++j) right[j] = load(b + j * of.b_panel);
#pragma GCC unroll 8
        for (int i = 0; i < rows; ++i) {
            Lanes left = splat(a[i * of.a_row]);
#pragma GCC unroll 3
            for (int j = 0; j < panels; ++j) sum[i][j] += left * right[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 3
        for (int j = 0; j < panels; ++j) {
            float* to = of.d + j * of.d_panel + i * LANES;
            store(to, of.add ? load(to) + sum[i][j] : sum[i][j]);  // adding sums of blocks limits the rounding error
        }
}

template <int rows, int panels>
void multiply_rows(Product of, Size count) {
    for (; count >= rows; count -= rows, of.a += rows * of.a_row, of.d += rows * LANES) multiply_part<rows, panels>(of);
    if constexpr (rows > 1) {
        if (count) multiply_rows<rows / 2, panels>(of, count);
    }
}

void multiply(Product of, Size rows, Size panels) {
    auto next = [&](Size done) {
        of.b += done * of.b_panel;
        of.d += done * of.d_panel;
        panels -= done;
    };
    if constexpr (PANELS == 3) {
        for (; panels >= 3 && panels != 4; next(3)) multiply_rows<ROWS, 3>(of, rows);
        for (; panels >= 2; next(2)) multiply_rows<ROWS, 2>(of, rows);
    }
    for (; panels; next(1)) multiply_rows<ROWS, 1>(of, rows);
}

// ---- Maps and their tiles.

struct Map {
    const float* data;
    Size h, w, c;
    const float* image(Size number) const { return data + number * h * w * c; }
};

struct Layer {
    Size n, h, w, c, k, padding;
    int threads;

    Size oh() const { return h + 2 * padding - 2; }
    Size ow() const { return w + 2 * padding - 2; }
    Size down() const { return (oh() + OUT - 1) / OUT; }
    Size across() const { return (ow() + OUT - 1) / OUT; }
    Size tiles() const { return n * down() * across(); }
    Size widest() const { return std::max(panels_of(c), panels_of(k)) * LANES; }

    // tiles of a block
    Size room() const {
        Size fit = BUDGET / ((panels_of(c) + panels_of(k)) * LANES * FREQUENCIES), each = (tiles() + threads - 1) / threads;
        return (std::min(std::max(fit, LEAST), each) + ROWS - 1) / ROWS * ROWS;
    }
    Size blocks() const { return (tiles() + room() - 1) / room(); }
    int parts() const { return int(std::min<Size>(threads, blocks())); }  // a part is the share of one thread
    Size step(Size channels) const { return apart(room() * panels_of(channels) * LANES); }
    Size between() const { return FREQUENCIES * (step(c) + step(k)); }
    Size zeros() const { return IN * widest(); }
    Size weights() const { return FREQUENCIES * weights_apart(c, k); }
};

struct Tile {
    Size image, y, x;  // y and x of its first output

    Tile(const Layer& layer, Size number) {
        image = number / (layer.down() * layer.across());
        Size rest = number % (layer.down() * layer.across());
        y = rest / layer.across() * OUT;
        x = rest % layer.across() * OUT;
    }
};

struct Block {
    Size first, count;

    Block(const Layer& layer, Size number)
        : first(number * layer.room()), count(std::min(layer.room(), layer.tiles() - first)) {}
};

// A square window of a map, zero outside of it.
template <int side>
struct Window {
    const float* rows[side];
    Size first, last, c;  // columns inside

    Window(const Map& map, Size image, Size y, Size x, const float* zeros) {
        for (Size i = 0; i < side; ++i)
            rows[i] = y + i >= 0 && y + i < map.h ? map.image(image) + ((y + i) * map.w + x) * map.c : zeros;
        first = std::max<Size>(0, -x);
        last = std::min<Size>(side, map.w - x);
        c = map.c;
    }
    Lanes at(Size i, Size j, Size channel, Size count) const {
        return j >= first && j < last ? load(rows[i] + j * c + channel, count) : Lanes{};
    }
};

// v = B' x B of a block, [frequency][tile][channel]
void transform_inputs(const Layer& layer, const Map& x, const Block& block, const float* zeros, float* v) {
    Size step = layer.step(x.c), width = panels_of(x.c) * LANES;
    for (Size t = 0; t < block.count; ++t) {
        Tile tile(layer, block.first + t);
        Window<IN> window(x, tile.image, tile.y - layer.padding, tile.x - layer.padding, zeros);
        auto lanes = [&](Size channel, Size count) {
            float* to = v + t * width + channel;
            transform<Input>([&](int i, int j) { return window.at(i, j, channel, count); },
                             [&](int i, int j, Lanes value) { store(to + (i * IN + j) * step, value); });
        };
        Size channel = 0;
        for (; channel + LANES <= x.c; channel += LANES) lanes(channel, LANES);
        if (channel < x.c) lanes(channel, x.c - channel);
    }
}

// m = A dy A' of a block, [frequency][panel][tile][16], and the sum of dy to `total`
void transform_gradients(const Layer& layer, const Map& dy, const Block& block, const float* zeros, float* m,
                         float* total) {
    Size step = layer.step(dy.c);
    for (Size t = 0; t < block.count; ++t) {
        Tile tile(layer, block.first + t);
        Window<OUT> window(dy, tile.image, tile.y, tile.x, zeros);
        for (Size panel = 0; panel < panels_of(dy.c); ++panel) {
            Size channel = panel * LANES, count = std::min(LANES, dy.c - channel);
            float* to = m + (panel * layer.room() + t) * LANES;
            Lanes sum{};
            auto get = [&](int i, int j) {
                Lanes value = window.at(i, j, channel, count);
                sum += value;
                return value;
            };
            transform<Gradient>(get, [&](int i, int j, Lanes value) { store(to + (i * IN + j) * step, value); });
            store(total + channel, load(total + channel) + sum);
        }
    }
}

// y = A' m A + bias of a block
void transform_outputs(const Layer& layer, const float* m, const Block& block, const float* bias, bool relu, float* y) {
    Size step = layer.step(layer.k);
    for (Size t = 0; t < block.count; ++t) {
        Tile tile(layer, block.first + t);
        float* first = y + ((tile.image * layer.oh() + tile.y) * layer.ow() + tile.x) * layer.k;
        Size rows = std::min(OUT, layer.oh() - tile.y), columns = std::min(OUT, layer.ow() - tile.x);
        for (Size panel = 0; panel < panels_of(layer.k); ++panel) {
            Size channel = panel * LANES, count = std::min(LANES, layer.k - channel);
            const float* from = m + (panel * layer.room() + t) * LANES;
            Lanes offset = bias ? load(bias + channel, count) : Lanes{};
            auto put = [&](int i, int j, Lanes value) {
                if (i >= rows || j >= columns) return;
                value += offset;
                if (relu) value = value < 0 ? Lanes{} : value;  // NaN is preserved
                store(first + (i * layer.ow() + j) * layer.k + channel, value, count);
            };
            transform<Output>([&](int i, int j) { return load(from + (i * IN + j) * step); }, put);
        }
    }
}

// The strides of the weights in memory.
struct Strides {
    Size k, c, row, column;
};

// The weights between 16 x 16 channels, copied in memory order: strides of kilobytes would read every cache line
// sixteen times.
struct Part {
    alignas(64) float weights[LANES][3][3][LANES];  // from an input channel to sixteen outputs

    template <class Step>
    void each(Size inputs, Size outputs, Strides of, const Step& step) {
        auto at = [&](Size i, Size lane, Size r, Size s) {
            step(lane * of.k + i * of.c + r * of.row + s * of.column, weights[i][r][s][lane]);
        };
        bool by_output = std::abs(of.k) < std::abs(of.c);
        for (Size outer = 0; outer < (by_output ? inputs : outputs); ++outer)
            for (Size r = 0; r < 3; ++r)
                for (Size s = 0; s < 3; ++s)
                    for (Size inner = 0; inner < (by_output ? outputs : inputs); ++inner)
                        by_output ? at(outer, inner, r, s) : at(inner, outer, r, s);
    }
};

// u = G g G', [frequency][panel][c][16] with a gap after each frequency
void transform_weights(Size c, Size k, const float* g, Strides of, float* u) {
    Size step = weights_apart(c, k);
    Part part{};
    for (Size first = 0; first < k; first += LANES)
        for (Size channel = 0; channel < c; channel += LANES) {
            Size inputs = std::min(LANES, c - channel), outputs = std::min(LANES, k - first);
            const float* from = g + first * of.k + channel * of.c;
            bool lanes = of.k == 1;  // already in lanes
            if (outputs < LANES) part = Part{};
            if (!lanes) part.each(inputs, outputs, of, [&](Size at, float& value) { value = from[at]; });
            for (Size i = 0; i < inputs; ++i) {
                const float* own = from + i * of.c;
                float* to = u + first * c + (channel + i) * LANES;
                auto get = [&](int r, int s) {
                    return lanes ? load(own + r * of.row + s * of.column, outputs) : load(part.weights[i][r][s]);
                };
                transform<Weight>(get,
                                  [&](int r, int s, Lanes value) { store(to + (r * IN + s) * step, value); });
            }
        }
}

// dg = G' du G
void transform_weight_gradient(Size c, Size k, const float* du, Strides of, float* dg) {
    Size step = weights_apart(c, k);
    Part part{};
    for (Size first = 0; first < k; first += LANES)
        for (Size channel = 0; channel < c; channel += LANES) {
            Size inputs = std::min(LANES, c - channel), outputs = std::min(LANES, k - first);
            for (Size i = 0; i < inputs; ++i) {
                const float* from = du + first * c + (channel + i) * LANES;
                transform<WeightGradient>([&](int r, int s) { return load(from + (r * IN + s) * step); },
                                          [&](int r, int s, Lanes value) { store(part.weights[i][r][s], value); });
            }
            float* to = dg + first * of.k + channel * of.c;
            part.each(inputs, outputs, of, [&](Size at, float& value) { to[at] = value; });
        }
}

// ---- The convolution and the gradient of its weights.

// Scratch memory that the caller provides: zeros, and for every thread the data between the transforms.
Size forward_scratch(const Layer& layer) { return layer.zeros() + layer.parts() * layer.between(); }

void forward(const Layer& layer, const float* x, const float* u, const float* bias, bool relu, float* scratch, float* y) {
    std::fill(scratch, scratch + layer.zeros(), 0.0f);
    Map map{x, layer.h, layer.w, layer.c};
    Size v_step = layer.step(layer.c), m_step = layer.step(layer.k), u_step = weights_apart(layer.c, layer.k);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(layer.parts()) if (layer.parts() > 1)
#endif
    for (int part = 0; part < layer.parts(); ++part) {
        float *v = scratch + layer.zeros() + part * layer.between(), *m = v + FREQUENCIES * v_step;
        Size end = layer.blocks() * (part + 1) / layer.parts();
        for (Size number = layer.blocks() * part / layer.parts(); number < end; ++number) {
            Block block(layer, number);
            transform_inputs(layer, map, block, scratch, v);
            for (Size f = 0; f < FREQUENCIES; ++f)
                multiply({v + f * v_step, panels_of(layer.c) * LANES, 1, u + f * u_step, layer.c * LANES, m + f * m_step,
                          layer.room() * LANES, layer.c, false},
                         block.count, panels_of(layer.k));
            transform_outputs(layer, m, block, bias, relu, y);
        }
    }
}

Size gradient_part(const Layer& layer) { return layer.between() + layer.weights() + layer.widest(); }

// the same, and sums
Size gradient_scratch(const Layer& layer) { return layer.zeros() + layer.parts() * gradient_part(layer); }

void weight_gradient(const Layer& layer, const float* x, const float* dy, Strides of, float* scratch, float* dg,
                     float* dbias) {
    std::fill(scratch, scratch + layer.zeros(), 0.0f);
    Map map{x, layer.h, layer.w, layer.c}, gradient{dy, layer.oh(), layer.ow(), layer.k};
    Size v_step = layer.step(layer.c), m_step = layer.step(layer.k), u_step = weights_apart(layer.c, layer.k);
    auto sums = [&](int part) { return scratch + layer.zeros() + part * gradient_part(layer); };
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(layer.parts()) if (layer.parts() > 1)
#endif
    for (int part = 0; part < layer.parts(); ++part) {
        float *du = sums(part), *total = du + layer.weights(), *v = total + layer.widest(), *m = v + FREQUENCIES * v_step;
        std::fill(du, v, 0.0f);
        Size end = layer.blocks() * (part + 1) / layer.parts();
        for (Size number = layer.blocks() * part / layer.parts(); number < end; ++number) {
            Block block(layer, number);
            transform_inputs(layer, map, block, scratch, v);
            transform_gradients(layer, gradient, block, scratch, m, total);
            for (Size f = 0; f < FREQUENCIES; ++f)
                multiply({v + f * v_step, 1, panels_of(layer.c) * LANES, m + f * m_step, layer.room() * LANES,
                          du + f * u_step, layer.c * LANES, block.count, true},
                         layer.c, panels_of(layer.k));
        }
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(layer.parts()) if (layer.parts() > 1)
#endif
    for (int share = 0; share < layer.parts(); ++share) {
        Size all = layer.weights() + layer.widest(), end = all * (share + 1) / layer.parts();
        for (int part = 1; part < layer.parts(); ++part)  // in a fixed order, so that the result is deterministic
            for (Size i = all * share / layer.parts(); i < end; ++i) sums(0)[i] += sums(part)[i];
    }
    transform_weight_gradient(layer.c, layer.k, sums(0), of, dg);
    if (dbias) std::copy(sums(0) + layer.weights(), sums(0) + layer.weights() + layer.k, dbias);
}

}  // namespace

#define LAYER Size n, Size h, Size w, Size c, Size k, Size padding, int threads
#define THE_LAYER Layer{n, h, w, c, k, padding, threads}
#define STRIDES Size sk, Size sc, Size sr, Size ss
#define THE_STRIDES Strides{sk, sc, sr, ss}

extern "C" {

// Whether registers hold sixteen lanes; with fewer, the algorithm has not been measured.
int senet_winograd_wide() { return PANELS > 1; }

Size senet_winograd_floats(Size c, Size k) { return FREQUENCIES * weights_apart(c, k); }

Size senet_winograd_scratch(LAYER, int gradient) {
    return gradient ? gradient_scratch(THE_LAYER) : forward_scratch(THE_LAYER);
}

void senet_winograd_weights(Size c, Size k, const float* g, STRIDES, float* u) {
    transform_weights(c, k, g, THE_STRIDES, u);
}

void senet_winograd_forward(LAYER, const float* x, const float* u, const float* bias, int relu, float* scratch,
                            float* y) {
    forward(THE_LAYER, x, u, bias, relu, scratch, y);
}

void senet_winograd_weight_gradient(LAYER, const float* x, const float* dy, STRIDES, float* scratch, float* dg,
                                    float* dbias) {
    weight_gradient(THE_LAYER, x, dy, THE_STRIDES, scratch, dg, dbias);
}
}
