// Refuses a state that no game can have been in: a file may hold anything, and what it holds becomes
// indices, sizes and loops.
#pragma once

#include <cmath>
#include <string>

#include "tables.h"
#include "world.h"

namespace cprocgen {

class Soundness {
 public:
  static constexpr bool kReads = false;

  // Every number of a game by name, as the other archives visit them: finite, and of this world.
  template <class T>
  void operator()(const char* name, T& value) {
    if constexpr (!std::is_same_v<T, bool>) within(name, static_cast<double>(value), -1e9, 1e9);
  }
  template <class T>
  void operator()(const char* name, std::vector<T>& values) {
    for (T& value : values) within(name, static_cast<double>(value), -1e9, 1e9);
  }
  template <class T, size_t N>
  void operator()(const char* name, T (&values)[N]) {
    for (T& value : values) (*this)(name, value);
  }
  void words(const char*, uint32_t*, int) {}

  static void within(const char* name, double value, double low, double high) {
    if (!(value >= low && value <= high))
      throw StateError(std::string("the state contradicts itself: ") + name + " cannot be " +
                       std::to_string(value));
  }

  static void check(const World& w, const GameTable& table) {
    within("generator_position", w.random.position(), 1, Random::kWords);
    within("world_width", w.width, 1, kMostCells);
    within("world_height", w.height, 1, kMostCells);
    within("the number of cells", static_cast<double>(w.grid.size()), w.area(), w.area());
    for (int cell : w.grid) within("a cell", cell, 0, kLastType);
    within("out_of_bounds", w.out_of_bounds, kInvalid, kLastType);
    within("timeout", w.timeout, 1, 1e6);
    within("cur_time", w.t, 0, 1e8);
    within("step_rand_int", w.sri, 0, 999999);
    within("mixrate", w.mixrate, 0, 1);
    within("maxspeed", w.maxspeed, 0, kMostSpeed);
    within("max_jump", w.max_jump, 0, kMostSpeed);
    within("visibility", w.visibility, 1, kMostCells);
    within("bg_pct_x", w.bg_pct_x, 0, 1);
    within("background_index", w.background_index, 0,
           kBackgroundGroups[table.background_group].count - 1);
    within("the number of entities", w.entities.size(), 1, 1e6);
    within("the agent's type", w.agent().type, kPlayer, kPlayer);
    for (int i = 0; i < w.entities.size(); ++i) check(w.entities[i], w);
  }

  static void check(const Entity& e, const World& w) {
    within("x", e.x, -1e5, 1e5), within("y", e.y, -1e5, 1e5);
    within("vx", e.vx, -kMostSpeed, kMostSpeed), within("vy", e.vy, -kMostSpeed, kMostSpeed);
    within("rx", e.rx, 0, kMostCells), within("ry", e.ry, 0, kMostCells);
    within("collision_margin", e.collision_margin, -kMostCells, kMostCells);
    within("type", e.type, kInvalid, kLastType);
    within("image_type", e.image_type, kInvalid, kLastType);
    within("image_theme", e.image_theme, 0, w.theme_count(e.image_type) - 1);
    within("rotation", e.rotation, -1e6, 1e6), within("vrot", e.vrot, -1e3, 1e3);
    within("friction", e.friction, 0, 1);
    // What moves through cells visits each that it touches: it must not grow.
    within("grow_rate", e.grow_rate, 0, e.smart_step ? 1 : 2);
    within("alpha", e.alpha, 0, 1), within("alpha_decay", e.alpha_decay, 0, 1);
    within("health", e.health, -1e9, 1e9), within("theta", e.theta, -1e6, 1e6);
    for (int time : {e.fire_time, e.spawn_time, e.life_time, e.expire_time})
      within("a time", time, -1, 1e8);
  }

 private:
  static constexpr double kMostCells = 256, kMostSpeed = 100, kLastType = 1100;
};

// Throws StateError.
template <class G>
void check_loaded(G& game) {
  Soundness numbers;
  game.world_fields(numbers);
  game.fields(numbers);
  Soundness::check(game, G::kTable);
  game.check_state();
}

}  // namespace cprocgen
