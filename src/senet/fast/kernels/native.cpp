// The passes over the maps of a fused norm for CPUs: plain C++ without torch, compiled once by the user's compiler.
//
// Layouts and lanes: lanes.h. Coefficients and sums are float matrices [n][c].

#include <cmath>

#include "lanes.h"

namespace {

// A coefficient of every channel: one row shared by all images, or one for each.
struct Row {
    const float* first;
    Size stride;
    explicit operator bool() const { return first; }
    const float* of(Size image) const { return first + image * stride; }
};

Lanes where_positive(Lanes x, Lanes y) { return x <= 0 ? Lanes{} : y; }  // like torch's threshold_backward
Lanes affine(Lanes a, Lanes u, Lanes b) { return a * u + b; }

template <class T>
void moments(const Shape& shape, const T* u, float* mean, float* variance) {
    images(shape, [&](Size image) {
        const T* map = u + image * shape.image();
        std::vector<float> first(shape.c);  // a shift near the mean avoids cancellation in the variance
        for (Size i = 0; i < shape.c; ++i) {
            T value = map[shape.last ? i : i * shape.hw];
            first[i] = Span<false>{1}.load(&value)[0];
        }
        auto total = sum<2, 4>(shape.last, shape.c, shape.hw, [&](auto place, Lanes* part) {
            Lanes d = place.load(map + place.at) - place.coefficient(first.data());
            part[0] += d;
            part[1] += d * d;
        });
        for (Size i = 0; i < shape.c; ++i) {
            double shifted = total[i] / shape.hw, square = total[shape.c + i] / shape.hw;
            mean[image * shape.c + i] = float(first[i] + shifted);
            double spread = square - shifted * shifted;
            variance[image * shape.c + i] = float(spread < 0 ? 0 : spread);  // NaN is preserved
        }
    });
}

// y = post * relu(a u + b + e r)
template <class T>
void apply(const Shape& shape, const T* u, const T* r, Row a, Row b, Row e, Row post, bool relu, T* y) {
    images(shape, [&](Size image) {
        Size base = image * shape.image();
        each(shape.last, shape.c, shape.hw, [&](auto place) {
            Size at = base + place.at;
            Lanes x = affine(place.coefficient(a.of(image)), place.load(u + at), place.coefficient(b.of(image)));
            if (r) x += e ? place.coefficient(e.of(image)) * place.load(r + at) : place.load(r + at);
            if (relu) x = positive_part(x);
            if (post) x *= place.coefficient(post.of(image));
            place.store(y + at, x);
        });
    });
}

// total = sum relu(a u + b + r)
template <class T>
void rectified_sum(const Shape& shape, const T* u, const T* r, Row a, Row b, float* out) {
    images(shape, [&](Size image) {
        Size base = image * shape.image(), row = image * shape.c;
        auto total = sum<1, 4>(shape.last, shape.c, shape.hw, [&](auto place, Lanes* part) {
            Lanes x = affine(place.coefficient(a.of(image)), place.load(u + base + place.at), place.coefficient(b.of(image)));
            if (r) x += place.load(r + base + place.at);
            part[0] += positive_part(x);
        });
        for (Size i = 0; i < shape.c; ++i) out[row + i] = float(total[i]);
    });
}

// g = dy where y > 0, or dy itself without y; its sums, and those of its products with u and r
template <class T, bool with_r>
void mask(const Shape& shape, const T* dy, const T* y, const T* u, const T* r, T* g, float* const* out) {
    constexpr int SUMS = with_r ? 3 : 2;
    images(shape, [&](Size image) {
        Size base = image * shape.image(), row = image * shape.c;
        auto total = sum<SUMS, 1>(shape.last, shape.c, shape.hw, [&](auto place, Lanes* part) {
            // loads come before the store to avoid 4K aliasing: large maps are often multiples of 4 KiB apart
            Size at = base + place.at;
            Lanes masked = place.load(dy + at), x = place.load(u + at);
            if (y) masked = where_positive(place.load(y + at), masked);
            part[0] += masked;
            part[1] += masked * x;
            if (with_r) part[SUMS - 1] += masked * place.load(r + at);
            if (y) place.store(g + at, masked);
        });
        for (int k = 0; k < SUMS; ++k)
            for (Size i = 0; i < shape.c; ++i) out[k][row + i] = float(total[k * shape.c + i]);
    });
}

// With m = [a u + b > 0]: sums of m dy and m dy u; of m and m u where `full`
template <class T, bool full>
void masked_sums(const Shape& shape, const T* dy, const T* u, Row a, Row b, float* const* out) {
    constexpr int SUMS = full ? 4 : 2;
    images(shape, [&](Size image) {
        Size base = image * shape.image(), row = image * shape.c;
        auto total = sum<SUMS, 4>(shape.last, shape.c, shape.hw, [&](auto place, Lanes* part) {
            Lanes x = place.load(u + base + place.at);
            Lanes open = affine(place.coefficient(a.of(image)), x, place.coefficient(b.of(image)));
            Lanes g = where_positive(open, place.load(dy + base + place.at));
            part[0] += g;
            part[1] += g * x;
            if (full) {
                part[SUMS - 2] += where_positive(open, splat(1));
                part[SUMS - 1] += where_positive(open, x);
            }
        });
        for (int k = 0; k < SUMS; ++k)
            for (Size i = 0; i < shape.c; ++i) out[k][row + i] = float(total[k * shape.c + i]);
    });
}

// du = m (A g + D) + B u + C, where m = [a u + b > 0], or 1 without a
template <class T>
void finish(const Shape& shape, const T* g, const T* u, Row A, Row B, Row C, Row D, Row a, Row b, T* du) {
    images(shape, [&](Size image) {
        Size base = image * shape.image();
        each(shape.last, shape.c, shape.hw, [&](auto place) {
            Size at = base + place.at;
            Lanes out = place.coefficient(A.of(image)) * place.load(g + at);
            if (D) out += place.coefficient(D.of(image));
            if (a || B) {
                Lanes x = place.load(u + at);
                if (a) out = where_positive(affine(place.coefficient(a.of(image)), x, place.coefficient(b.of(image))), out);
                if (B) out += place.coefficient(B.of(image)) * x;
            }
            if (C) out += place.coefficient(C.of(image));
            place.store(du + at, out);
        });
    });
}

}  // namespace

#define FOR_TYPE(call)              \
    if (bf16) {                     \
        typedef Bf16 T;             \
        call;                       \
    } else {                        \
        typedef float T;            \
        call;                       \
    }
#define MAP(name) static_cast<const T*>(name)
#define ROW(name, place) Row{name, each_image >> place & 1 ? c : 0}  // each_image: bit mask of the rows that are matrices
#define SHAPE Size n, Size c, Size hw, int last, int bf16, int threads
#define THE_SHAPE Shape{n, c, hw, bool(last), threads}

extern "C" {

void senet_moments(SHAPE, const void* u, float* mean, float* variance) {
    FOR_TYPE(moments<T>(THE_SHAPE, MAP(u), mean, variance))
}

void senet_apply(SHAPE, int each_image, const void* u, const void* r, const float* a, const float* b, const float* e,
                 const float* post, int relu, void* y) {
    FOR_TYPE(apply<T>(THE_SHAPE, MAP(u), MAP(r), ROW(a, 0), ROW(b, 1), ROW(e, 2), ROW(post, 3), relu,
                      static_cast<T*>(y)))
}

void senet_rectified_sum(SHAPE, int each_image, const void* u, const void* r, const float* a, const float* b,
                         float* out) {
    FOR_TYPE(rectified_sum<T>(THE_SHAPE, MAP(u), MAP(r), ROW(a, 0), ROW(b, 1), out))
}

void senet_mask(SHAPE, const void* dy, const void* y, const void* u, const void* r, void* g, float* sg, float* sgu,
                float* sgr) {
    float* const out[] = {sg, sgu, sgr};
    if (r) {
        FOR_TYPE((mask<T, true>(THE_SHAPE, MAP(dy), MAP(y), MAP(u), MAP(r), static_cast<T*>(g), out)))
    } else {
        FOR_TYPE((mask<T, false>(THE_SHAPE, MAP(dy), MAP(y), MAP(u), nullptr, static_cast<T*>(g), out)))
    }
}

void senet_masked_sums(SHAPE, int each_image, const void* dy, const void* u, const float* a, const float* b, float* sg,
                       float* sgu, float* sm, float* smu) {
    float* const out[] = {sg, sgu, sm, smu};
    if (sm) {
        FOR_TYPE((masked_sums<T, true>(THE_SHAPE, MAP(dy), MAP(u), ROW(a, 0), ROW(b, 1), out)))
    } else {
        FOR_TYPE((masked_sums<T, false>(THE_SHAPE, MAP(dy), MAP(u), ROW(a, 0), ROW(b, 1), out)))
    }
}

void senet_finish(SHAPE, int each_image, const void* g, const void* u, const float* A, const float* B, const float* C,
                  const float* D, const float* a, const float* b, void* du) {
    FOR_TYPE(finish<T>(THE_SHAPE, MAP(g), MAP(u), ROW(A, 0), ROW(B, 1), ROW(C, 2), ROW(D, 3), ROW(a, 4), ROW(b, 5),
                       static_cast<T*>(du)))
}

// Compute the statistics of a norm from the moments of every image, and a and b of norm(u) = a u + b; update its
// running statistics unless `momentum` is negative.
void senet_combine(Size n, Size c, Size positions, const float* mean, const float* variance, const float* gamma,
                   const float* beta, double eps, double momentum, float* running_mean, float* running_var,
                   float* centre, float* inverse, float* a, float* b) {
    double count = double(n) * positions;
    for (Size i = 0; i < c; ++i) {
        double middle = 0, within = 0, between = 0;
        for (Size image = 0; image < n; ++image) {
            middle += mean[image * c + i];
            within += variance[image * c + i];
        }
        middle /= n;
        for (Size image = 0; image < n; ++image) {
            double d = mean[image * c + i] - middle;
            between += d * d;
        }
        double total = (within + between) / n, k = 1 / std::sqrt(total + eps);
        if (momentum >= 0) {
            running_mean[i] = float(running_mean[i] + momentum * (middle - running_mean[i]));
            running_var[i] = float(running_var[i] + momentum * (total * count / (count - 1) - running_var[i]));
        }
        centre[i] = float(middle);
        inverse[i] = float(k);
        a[i] = float(gamma[i] * k);
        b[i] = float(beta[i] - gamma[i] * k * middle);
    }
}

// Compute the gradients of gamma and beta and the coefficients of `finish` from the sums of the first backward pass:
// G0 = s sg + q e0, G1 = s sgu + q e1 are the sums of the gradient of the normalised map and of its product with u.
// s, q and e0 may be absent (1, 0 and all positions). The term of q goes to C if q acts on the whole map, and to D if it
// is masked.
void senet_gradients(Size n, Size c, Size positions, int batch, const float* sg, const float* sgu,
                     const float* s, const float* q, const float* e0, const float* e1, const float* gamma, const float* centre,
                     const float* inverse, float* dgamma, float* dbeta, float* A, float* B, float* C, float* D) {
    double count = double(n) * positions;
    for (Size i = 0; i < c; ++i) {
        double G0 = 0, G1 = 0, k = inverse[i], mu = centre[i], slope = gamma[i] * k;
        for (Size image = 0; image < n; ++image) {
            Size at = image * c + i;
            double scale = s ? s[at] : 1;
            G0 += scale * sg[at];
            G1 += scale * sgu[at];
            if (q) {
                G0 += double(q[at]) * (e0 ? e0[at] : positions);
                G1 += double(q[at]) * e1[at];
            }
        }
        double weight = k * (G1 - mu * G0), b = 0, offset = 0;
        dgamma[i] = float(weight);
        dbeta[i] = float(G0);
        if (batch) {
            b = -slope * k * weight / count;
            offset = -slope * G0 / count - b * mu;
        }
        B[i] = float(b);
        for (Size image = 0; image < n; ++image) {
            Size at = image * c + i;
            A[at] = float(slope * (s ? s[at] : 1));
            C[at] = float(offset + (q && !D ? slope * q[at] : 0));
            if (D) D[at] = float(slope * q[at]);
        }
    }
}
}
