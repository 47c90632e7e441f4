// One environment as a batch sees it, whatever its game; and the list of the games compiled in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "archive.h"
#include "entity.h"
#include "table.h"

namespace cprocgen {

class Canvas;
class Skin;

// Chosen once per batch. None of these but restrict_themes changes dynamics or draws.
struct Options {
  bool center_agent = true;
  bool use_backgrounds = true;
  bool monochrome = false;
  bool restrict_themes = false;
  bool paint_vel_info = false;
};

struct Outcome {
  float reward = 0;
  bool done = false;      // the episode ended: by the game, by action -1, or at the step limit
  bool truncated = false; // only the step limit ended it
  bool complete = false;  // the level was won
};

// What a person or a test wants to see of a running environment.
struct Snapshot {
  int width = 0, height = 0;
  std::vector<int16_t> grid;  // row-major, index y * width + x
  std::vector<Entity> entities;
  std::vector<Entity> spawners;  // waiting, in list order (starpilot)
  std::vector<std::pair<std::string, double>> scalars;
};

class Env {
 public:
  virtual ~Env() = default;

  virtual const GameTable& table() const = 0;
  virtual Mode distribution_mode() const = 0;

  // Makes the level of a seed under a context: a row of parameters in the order of the table, kUnset
  // where the mode decides. Throws LevelError.
  virtual void new_level(int32_t seed, const double* row) = 0;
  virtual const std::vector<double>& context() const = 0;  // the running level's row
  virtual Outcome step(int action) = 0;      // -1..14
  virtual void draw(Canvas& canvas, const Skin& skin) = 0;
  virtual void episode_values(double* values) const = 0;
  virtual Snapshot snapshot() = 0;
  virtual void archive(Writer& writer) = 0;
  virtual void archive(Reader& reader) = 0;  // throws StateError
};

using Factory = std::unique_ptr<Env> (*)(Mode, const Options&);

struct RegisteredGame {
  const GameTable* table;
  Factory make;
};

std::vector<RegisteredGame>& registered_games();
const RegisteredGame* find_game(const std::string& name);  // null when there is none

// Each game's source file holds one of these; nothing else has to know of the game.
template <class G>
struct Register {
  Register() {
    registered_games().push_back(
        {&G::kTable, [](Mode mode, const Options& options) -> std::unique_ptr<Env> {
           return std::make_unique<G>(mode, options);
         }});
  }
};

}  // namespace cprocgen
