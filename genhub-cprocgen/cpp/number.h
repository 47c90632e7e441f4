// Arithmetic that gives the same bits on every platform: f64 functions accurate enough that their
// rounding to f32 is the correctly rounded one, and the f32 arctangent of the benchmark's libm.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace cprocgen {

constexpr float kPi = 3.14159265358979323846;

namespace number_detail {

// Taylor polynomials on [-pi/4, pi/4]; the first omitted terms are below 1e-19.
inline double sine_near_zero(double x) {
  const double z = x * x;
  double sum = 1.0 / 355687428096000.0;  // 1/17!
  sum = sum * -z + 1.0 / 1307674368000.0;
  sum = sum * -z + 1.0 / 6227020800.0;
  sum = sum * -z + 1.0 / 39916800.0;
  sum = sum * -z + 1.0 / 362880.0;
  sum = sum * -z + 1.0 / 5040.0;
  sum = sum * -z + 1.0 / 120.0;
  sum = sum * -z + 1.0 / 6.0;
  return x - x * z * sum;
}

inline double cosine_near_zero(double x) {
  const double z = x * x;
  double sum = 1.0 / 6402373705728000.0;  // 1/18!
  sum = sum * -z + 1.0 / 20922789888000.0;
  sum = sum * -z + 1.0 / 87178291200.0;
  sum = sum * -z + 1.0 / 479001600.0;
  sum = sum * -z + 1.0 / 3628800.0;
  sum = sum * -z + 1.0 / 40320.0;
  sum = sum * -z + 1.0 / 720.0;
  sum = sum * -z + 1.0 / 24.0;
  return 1.0 - (0.5 * z - z * z * sum);
}

// x minus the nearest multiple of pi/2, which is taken off in two parts; `quadrant` is its number.
inline double reduce(double x, int& quadrant) {
  const double turns = std::nearbyint(x * 0.63661977236758134308);
  quadrant = static_cast<int>(static_cast<long long>(turns) & 3);
  return (x - turns * 1.57079632673412561417) - turns * 6.07710050650619224932e-11;
}

inline float arctangent(float x) {
  // Argument reduction about 0.5, 1, 1.5 and infinity; high and low parts of those angles.
  static constexpr float kHigh[] = {4.6364760399e-01f, 7.8539812565e-01f, 9.8279368877e-01f,
                                    1.5707962513e+00f};
  static constexpr float kLow[] = {5.0121582440e-09f, 3.7748947079e-08f, 3.4473217170e-08f,
                                   7.5497894159e-08f};
  if (x >= 17179869184.0f) return kHigh[3] + kLow[3];
  int centre = -1;
  if (x >= 0.4375f) {
    if (x < 0.6875f) {
      centre = 0;
      x = (2.0f * x - 1.0f) / (2.0f + x);
    } else if (x < 1.1875f) {
      centre = 1;
      x = (x - 1.0f) / (x + 1.0f);
    } else if (x < 2.4375f) {
      centre = 2;
      x = (x - 1.5f) / (1.0f + 1.5f * x);
    } else {
      centre = 3;
      x = -1.0f / x;
    }
  } else if (x < 1.862645149e-09f) {
    return x;
  }
  const float z = x * x;
  const float w = z * z;
  const float odd =
      z * (3.3333334327e-01f +
           w * (1.4285714924e-01f +
                w * (9.0908870101e-02f +
                     w * (6.6610731184e-02f + w * (4.9768779427e-02f + w * 1.6285819933e-02f)))));
  const float even =
      w * (-2.0000000298e-01f +
           w * (-1.1111110449e-01f +
                w * (-7.6918758452e-02f + w * (-5.8335702866e-02f + w * -3.6531571299e-02f))));
  if (centre < 0) return x - x * (odd + even);
  return kHigh[centre] - ((x * (odd + even) - kLow[centre]) - x);
}

}  // namespace number_detail

inline double sine(double x) {
  int quadrant;
  const double r = number_detail::reduce(x, quadrant);
  const double value =
      quadrant & 1 ? number_detail::cosine_near_zero(r) : number_detail::sine_near_zero(r);
  return quadrant & 2 ? -value : value;
}

inline double cosine(double x) {
  int quadrant;
  const double r = number_detail::reduce(x, quadrant);
  const double value =
      quadrant & 1 ? number_detail::sine_near_zero(r) : number_detail::cosine_near_zero(r);
  return (quadrant + 1) & 2 ? -value : value;
}

// x to the power y for x >= 0, within 2^-45 relative for results that an f32 can hold.
inline double power(double x, double y) {
  if (x == 0.0) return y == 0.0 ? 1.0 : 0.0;
  int exponent;
  double m = std::frexp(x, &exponent);  // in [0.5, 1)
  if (m < 0.70710678118654752440) {
    m *= 2.0;
    exponent -= 1;
  }
  const double s = (m - 1.0) / (m + 1.0);  // ln m = 2 artanh s, |s| < 0.172
  const double z = s * s;
  double sum = 0.0;
  for (int k = 23; k >= 1; k -= 2) sum = sum * z + 1.0 / k;
  const double log2 = exponent + 2.0 * s * sum * 1.44269504088896340736;
  const double total = y * log2;
  if (total > 1000.0) return HUGE_VAL;
  if (total < -1000.0) return 0.0;
  const double whole = std::nearbyint(total);
  const double t = (total - whole) * 0.69314718055994530942;  // |t| < 0.347
  double e = 1.0;
  for (int k = 16; k >= 1; --k) e = 1.0 + e * t / k;
  return std::ldexp(e, static_cast<int>(whole));
}

// The f32 atan2 of the C library the benchmark ran on (not correctly rounded, so not std::atan2).
inline float arctangent2(float y, float x) {
  constexpr float kPiHigh = 3.1415927410e+00f;
  constexpr float kPiLow = -8.7422776573e-08f;
  if (y == 0.0f) return std::signbit(x) ? std::copysign(kPiHigh, y) : y;
  if (x == 0.0f) return std::copysign(1.5707963705e+00f, y);
  float angle = number_detail::arctangent(std::fabs(y / x));
  if (std::signbit(x)) angle = kPiHigh - (angle - kPiLow);
  return std::signbit(y) ? -angle : angle;
}

inline float sign(float x) { return x > 0.0f ? 1.0f : (x < 0.0f ? -1.0f : 0.0f); }

}  // namespace cprocgen
