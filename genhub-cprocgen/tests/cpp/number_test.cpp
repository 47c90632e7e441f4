// Sines, powers and arctangents against closed forms and the library's long double functions.
#include "number.h"

#include <cmath>
#include <random>

#include "check.h"

namespace {

using namespace cprocgen;

constexpr long double kExactPi = 3.141592653589793238462643383279502884L;

void closed_forms() {
  CHECK(sine(0) == 0 && cosine(0) == 1);
  CHECK(static_cast<float>(sine(kExactPi / 6)) == 0.5f);
  CHECK(static_cast<float>(cosine(kExactPi / 3)) == 0.5f);
  CHECK(static_cast<float>(sine(kExactPi / 4)) == static_cast<float>(std::sqrt(0.5)));
  for (int k = -8; k <= 8; ++k) {
    CHECK(std::fabs(sine(static_cast<double>(k * kExactPi))) < 1e-14);
    CHECK(static_cast<float>(cosine(static_cast<double>(k * kExactPi))) == (k % 2 ? -1 : 1));
  }
  CHECK(power(0, 1.4) == 0 && power(0, 0) == 1 && power(1, 123.4) == 1);
  CHECK(static_cast<float>(power(0.25, 0.5)) == 0.5f);
  CHECK(static_cast<float>(power(2, 10)) == 1024.0f && static_cast<float>(power(2, -3)) == 0.125f);
  CHECK(sign(2) == 1 && sign(-0.5f) == -1 && sign(0) == 0);
}

// Rounded to f32, the results are the correctly rounded ones.
void rounded_to_f32() {
  std::mt19937 words(1);
  std::uniform_real_distribution<float> angle(-50, 50), unit(0, 1), exponent(0.1f, 10);
  for (int i = 0; i < 300000; ++i) {
    const float x = angle(words), u = unit(words);
    const double y = exponent(words);
    CHECK(static_cast<float>(sine(x)) == static_cast<float>(std::sin(static_cast<long double>(x))));
    CHECK(static_cast<float>(cosine(x)) ==
          static_cast<float>(std::cos(static_cast<long double>(x))));
    const long double exact = std::pow(static_cast<long double>(u), static_cast<long double>(y));
    CHECK(std::fabs(power(u, y) - exact) <= exact * 0x1p-44L);
  }
}

void arctangents() {
  const float pi = static_cast<float>(kExactPi);
  CHECK(arctangent2(0, 1) == 0 && arctangent2(0, -1) == pi && arctangent2(-0.0f, -1) == -pi);
  CHECK(arctangent2(1, 0) == pi / 2 && arctangent2(-1, 0) == -pi / 2);
  CHECK(arctangent2(1, 1) == pi / 4 && arctangent2(-1, 1) == -pi / 4);
  CHECK(arctangent2(3e30f, 1e-3f) == pi / 2);
  std::mt19937 words(2);
  std::uniform_real_distribution<float> side(-20, 20);
  for (int i = 0; i < 300000; ++i) {
    const float y = side(words), x = side(words);
    const long double exact = std::atan2(static_cast<long double>(y), static_cast<long double>(x));
    CHECK(std::fabs(arctangent2(y, x) - exact) <= 4e-7L);
    CHECK(arctangent2(-y, x) == -arctangent2(y, x));
  }
}

}  // namespace

int main() {
  closed_forms();
  rounded_to_f32();
  arctangents();
  std::puts("ok");
}
