// Draws the parameters of a level from rules, with a generator of its own: never from the game's.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "number.h"
#include "random.h"
#include "table.h"

namespace cprocgen {

enum class Rule { uniform, log_uniform, choice, grid, schedule };

struct SamplerRow {
  // Of the game's table. grid has a value for each; the other rules give all of them one value.
  std::vector<int> parameters;
  Rule rule;
  // uniform, log_uniform: lowest, highest. choice: the values. grid: the points, one after another,
  // each with a value per parameter. schedule: step, value, step, value ... with rising steps.
  std::vector<double> numbers;
};

class Sampler {
 public:
  void seed(uint64_t value) { state_ = value; }
  void set_rows(std::vector<SamplerRow> rows) { rows_ = std::move(rows); }
  bool empty() const { return rows_.empty(); }

  // Overrides the values of its parameters in `row`. `turn` counts the levels of all environments
  // and chooses the point of a grid, `step` the place in a schedule.
  void apply(const GameTable& table, uint64_t turn, double step, Mode mode, double* row) {
    const std::vector<double> given(row, row + table.parameter_count);
    for (int rejected = 0; rejected <= kMostRejections; ++rejected) {
      std::copy(given.begin(), given.end(), row);
      for (const SamplerRow& r : rows_) draw(r, table, turn, step, row);
      if (ordered(table, mode, row)) return;
    }
    throw LevelError("the sampler keeps drawing a lower bound above its upper bound");
  }

  template <class Archive>
  void fields(Archive& archive) {
    archive("sampler_state", state_);
  }

 private:
  static constexpr int kMostRejections = 100;

  double uniform() {  // SplitMix64
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
  }

  void draw(const SamplerRow& r, const GameTable& table, uint64_t turn, double step, double* row) {
    const std::vector<double>& n = r.numbers;
    if (r.rule == Rule::grid) {
      const size_t width = r.parameters.size();
      const size_t point = turn % (n.size() / width);
      for (size_t i = 0; i < width; ++i) row[r.parameters[i]] = n[point * width + i];
      return;
    }
    const double drawn = one(r.rule, n, table.parameters[r.parameters[0]].kind, step);
    for (int p : r.parameters) row[p] = drawn;
  }

  double one(Rule rule, const std::vector<double>& n, char kind, double step) {
    switch (rule) {
      case Rule::uniform:
        return between(kind, n[0], n[1], uniform());
      case Rule::log_uniform:
        return whole(kind, n[0] * power(n[1] / n[0], uniform()), n[0], n[1]);
      case Rule::choice:
        return n[static_cast<size_t>(uniform() * n.size())];
      default:
        return whole(kind, on_line(n, step), -HUGE_VAL, HUGE_VAL);
    }
  }

  static double between(char kind, double low, double high, double u) {
    if (kind == 'f') return low + (high - low) * u;
    const double stride = kind == 'o' ? 2 : 1;
    return low + stride * std::floor(u * (std::floor((high - low) / stride) + 1));
  }

  static double whole(char kind, double value, double low, double high) {
    if (kind == 'f') return value;
    if (kind == 'o') return std::fmin(std::fmax(2 * std::floor(value / 2) + 1, low), high);
    return std::fmin(std::fmax(std::nearbyint(value), low), high);
  }

  static double on_line(const std::vector<double>& points, double step) {
    if (step <= points[0]) return points[1];
    for (size_t i = 2; i < points.size(); i += 2) {
      if (step > points[i]) continue;
      const double part = (step - points[i - 2]) / (points[i] - points[i - 2]);
      return points[i - 1] + part * (points[i + 1] - points[i - 1]);
    }
    return points.back();
  }

  static bool ordered(const GameTable& table, Mode mode, const double* row) {
    for (int i = 0; i < table.pair_count; ++i) {
      const int* pair = table.ordered_pairs[i];
      if (value(row, table.parameters, pair[0], mode) > value(row, table.parameters, pair[1], mode))
        return false;
    }
    return true;
  }

  std::vector<SamplerRow> rows_;
  uint64_t state_ = 0;
};

}  // namespace cprocgen
