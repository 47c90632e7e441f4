// The fuzzer's own randomness: everything it does follows from one number.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace cprocgen::fuzz {

class Chance {  // SplitMix64
 public:
  explicit Chance(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u) {}

  uint64_t word() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  int below(int n) { return static_cast<int>(word() % static_cast<uint64_t>(n)); }
  int between(int low, int high) { return low + below(high - low + 1); }  // high included
  bool one_in(int n) { return below(n) == 0; }
  double uniform() { return static_cast<double>(word() >> 11) / 9007199254740992.0; }

  template <class T>
  const T& of(const std::vector<T>& list) {
    return list[below(static_cast<int>(list.size()))];
  }

 private:
  uint64_t state_;
};

}  // namespace cprocgen::fuzz
