// A batch drawn at random: games, modes, options, contexts and samplers, all within their ranges.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../batch.h"
#include "chance.h"

namespace cprocgen::fuzz {

// What a batch is made of, kept so that a second, equal one can be made.
struct Setting {
  BatchConfig config;
  std::vector<std::vector<double>> rows;              // per environment; empty: the mode's
  std::vector<std::vector<SamplerRow>> sampler_rows;  // per environment; empty: none
  std::vector<int32_t> level_seeds;  // of the first levels; empty: those of the batch's sequence
  bool defer = false;                // whether new levels wait to be started

  std::unique_ptr<Batch> make() const;
  std::string describe() const;  // one line per environment, for the report of a finding
};

// `environments` of any game; `threads` in all.
Setting draw_setting(Chance& chance, int environments, int threads);

// One of a game's contexts: bounds in order, odd sizes odd, extremes favoured.
std::vector<double> draw_row(Chance& chance, const GameTable& table, Mode mode);

}  // namespace cprocgen::fuzz
