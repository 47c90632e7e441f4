// Whether a row of parameters is one that a game takes.
#pragma once

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "table.h"

namespace cprocgen {

// Throws std::invalid_argument.
inline void check_row(const GameTable& game, const std::vector<double>& row) {
  if (row.size() != static_cast<size_t>(game.parameter_count))
    throw std::invalid_argument("a context must have a value per parameter of its game");
  for (int i = 0; i < game.parameter_count; ++i) {
    const Parameter& p = game.parameters[i];
    const double x = row[i];
    if (x != x) continue;  // unset
    const bool odd = std::fmod(x, 2) == 1;
    if (x < p.minimum || x > p.maximum || (p.kind != 'f' && x != std::floor(x)) ||
        (p.kind == 'o' && !odd))
      throw std::invalid_argument(std::string(p.name) + " of " + game.name +
                                  " cannot be " + std::to_string(x));
  }
}

}  // namespace cprocgen
