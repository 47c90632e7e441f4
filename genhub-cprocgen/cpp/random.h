// The 32-bit Mersenne Twister and the draws the games make from it (one word each unless noted).
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace cprocgen {

// A level that cannot be made from this context: an empty list of candidates, say.
struct LevelError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The same where other draws would not help either.
struct HopelessLevelError : LevelError {
  using LevelError::LevelError;
};

class Random {
 public:
  static constexpr int kWords = 624;

  explicit Random(uint32_t value = 5489) { seed(value); }

  void seed(uint32_t value) {
    state_[0] = value;
    for (uint32_t i = 1; i < kWords; ++i) {
      value = 1812433253u * (value ^ (value >> 30)) + i;
      state_[i] = value;
    }
    position_ = kWords;
    consumed_ = 0;
  }

  // Words are made one by one, when they are used: few levels need a whole block of them.
  uint32_t word() {
    const int i = position_ == kWords ? 0 : position_;
    const int next = i + 1 == kWords ? 0 : i + 1;
    const int far = i < kWords - 397 ? i + 397 : i + 397 - kWords;
    const uint32_t mixed = (state_[i] & 0x80000000u) | (state_[next] & 0x7fffffffu);
    uint32_t u = state_[far] ^ (mixed >> 1) ^ ((0u - (mixed & 1u)) & 0x9908b0dfu);
    state_[i] = u;
    position_ = i + 1;
    ++consumed_;
    u ^= u >> 11;
    u ^= (u << 7) & 0x9d2c5680u;
    u ^= (u << 15) & 0xefc60000u;
    return u ^ (u >> 18);
  }

  int32_t raw() { return static_cast<int32_t>(word()); }

  // 0 <= result < n.
  int below(int n) {
    if (n <= 0) throw LevelError("nothing to choose from");
    return static_cast<int>(word() % static_cast<uint32_t>(n));
  }

  // low <= result < high.
  int between(int low, int high) { return low + below(high - low); }

  // 0 <= result <= 1: rounding to f32 can give exactly 1.
  float uniform() { return static_cast<float>(word() / 4294967296.0); }
  float uniform(float low, float high) { return uniform() * (high - low) + low; }
  bool coin() { return uniform() > 0.5f; }

  // x balls into n bins, one word each.
  std::vector<int> partition(int x, int n) {
    std::vector<int> bins(n, 0);
    for (int i = 0; i < x; ++i) bins[below(n)] += 1;
    return bins;
  }

  int choose_one(const std::vector<int>& from) { return from[below(static_cast<int>(from.size()))]; }

  // k of the list in the order drawn; the whole list, without a draw, if it is shorter.
  std::vector<int> choose_n(std::vector<int> from, int k) {
    if (k > static_cast<int>(from.size())) return from;
    std::vector<int> chosen;
    for (int i = 0; i < k; ++i) {
      const int at = below(static_cast<int>(from.size()));
      chosen.push_back(from[at]);
      from.erase(from.begin() + at);
    }
    return chosen;
  }

  // k distinct numbers below n in the order drawn; a number drawn before is drawn again.
  std::vector<int> simple_choose(int n, int k) {
    if (k > n) throw LevelError("more things to place than there are cells for them");
    std::vector<bool> taken(n > 0 ? n : 0, false);
    std::vector<int> chosen;
    while (static_cast<int>(chosen.size()) < k) {
      const int at = below(n);
      if (taken[at]) continue;
      taken[at] = true;
      chosen.push_back(at);
    }
    return chosen;
  }

  int position() const { return position_; }
  uint64_t consumed() const { return consumed_; }

  template <class Archive>
  void fields(Archive& archive) {
    archive.words("generator", state_, kWords);
    archive("generator_position", position_);
    archive("generator_consumed", consumed_);
  }

 private:
  uint32_t state_[kWords];
  int position_ = kWords;  // of the next word, 1..624 after the first, in the benchmark's counting
  uint64_t consumed_ = 0;
};

}  // namespace cprocgen
