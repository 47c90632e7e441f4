// The state every game has, and the rules that need no hook of a game: lookups, hits, spawning.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "entity.h"
#include "env.h"
#include "number.h"
#include "random.h"
#include "table.h"

namespace cprocgen {

class World {
 public:
  World(const GameTable& table, Mode mode, const Options& options)
      : table_(table), mode(mode), options(options) {}

  // --- grid ---
  int index(int x, int y) const { return y * width + x; }
  int column(int k) const { return k % width; }
  int row(int k) const { return k / width; }
  int area() const { return width * height; }

  int cell(int x, int y) const {
    return x < 0 || y < 0 || x >= width || y >= height ? out_of_bounds : grid[index(x, y)];
  }
  int cell(int k) const { return k < 0 || k >= area() ? out_of_bounds : grid[k]; }
  int lookup(float x, float y) const {
    if (x < 0 || y < 0) return out_of_bounds;
    return cell(static_cast<int>(x), static_cast<int>(y));
  }
  void set_cell(int x, int y, int value) {
    if (x >= 0 && y >= 0 && x < width && y < height) set_cell(index(x, y), value);
  }
  void set_cell(int k, int value) { grid[k] = static_cast<int16_t>(value); }
  void fill_grid(int value) { grid.assign(area(), static_cast<int16_t>(value)); }
  void fill_block(int x, int y, int w, int h, int value) {
    for (int j = 0; j < h; ++j)
      for (int i = 0; i < w; ++i) set_cell(x + i, y + j, value);
  }
  std::vector<int> cells_of(int value) const {  // ascending
    std::vector<int> found;
    for (int k = 0; k < area(); ++k)
      if (grid[k] == value) found.push_back(k);
    return found;
  }

  // --- entities ---
  Entity& agent() { return entities[0]; }
  const Entity& agent() const { return entities[0]; }

  static bool hit(const Entity& a, const Entity& b, float margin) {
    return std::fabs(a.x - b.x) < (a.rx + b.rx) + margin &&
           std::fabs(a.y - b.y) < (a.ry + b.ry) + margin;
  }
  bool out_of_world(const Entity& e) const {
    return e.x + e.rx < 0 || e.y + e.ry < 0 || e.x - e.rx > width || e.y - e.ry > height;
  }
  bool hits_any(const Entity& e) const {  // anything that does not avoid collisions
    for (int i = 0; i < entities.size(); ++i)
      if (!entities[i].avoids_collisions && hit(e, entities[i], 0)) return true;
    return false;
  }

  Entity& add(float x, float y, float vx, float vy, float rx, float ry, int type) {
    return entities.append(Entity(x, y, vx, vy, rx, ry, type));
  }
  Entity& add(float x, float y, float vx, float vy, float r, int type) {
    return add(x, y, vx, vy, r, r, type);
  }
  Entity& child(const Entity& source, int type, float r, bool match_velocity = false) {
    const float vx = match_velocity ? source.vx : 0, vy = match_velocity ? source.vy : 0;
    return add(source.x, source.y, vx, vy, r, type);
  }
  Entity& at_cell(int k, float r, int type) {
    return add(column(k) + 0.5f, row(k) + 0.5f, 0, 0, r, type);
  }

  float random_position(float r, float low, float high) {
    if (high - low <= 2 * r) return (high + low) / 2;
    return ((high - low) - 2 * r) * random.uniform() + r + low;
  }

  // A new entity somewhere in a box, off the agent and (with check) off everything else; after 100
  // more tries it stays where it is.
  Entity& spawn(float rx, float ry, int type, float x, float y, float w, float h,
                bool check = true) {
    Entity e(0, 0, 0, 0, rx, ry, type);
    for (int i = 0;; ++i) {
      e.x = random_position(rx, x, x + w);
      e.y = random_position(ry, y, y + h);
      if (!hit(e, agent(), e.collision_margin) && !(check && hits_any(e))) break;
      if (i == 100) {
        ++crowded_spawns;
        break;
      }
    }
    return entities.append(e);
  }
  Entity& spawn(float r, int type, float x, float y, float w, float h, bool check = true) {
    return spawn(r, r, type, x, y, w, h, check);
  }

  void reposition_agent() {
    Entity& a = agent();
    for (int i = 0; i < 100; ++i) {
      a.x = random.uniform() * (width - 2 * a.rx) + a.rx;
      a.y = random.uniform() * (height - 2 * a.ry) + a.ry;
      bool free = true;
      for (int j = 1; j < entities.size() && free; ++j) free = !hit(entities[j], a, 0);
      if (free) return;
    }
  }

  static void face(Entity& e, float dx, float dy, float offset = 0) {
    if (dx != 0 || dy != 0) e.rotation = -1 * arctangent2(dy, dx) + offset;
  }

  // Does e stand on a cell that `solid` accepts? Looks just below both of its lower corners.
  template <class Solid>
  bool stands_on(const Entity& e, Solid solid) const {
    const float left = static_cast<float>(e.x - (e.rx - .01));
    const float right = static_cast<float>(e.x + (e.rx - .01));
    const float below = static_cast<float>(e.y - (e.ry + .01));
    return solid(lookup(left, below)) || solid(lookup(right, below));
  }

  // A puff that rises behind who walks, and fades.
  void leave_trail(const Entity& e) {
    const float y = static_cast<float>(e.y - e.ry * .5);
    Entity& trail = add(e.x, y, 0, 0.01f, 0.3f, 0.2f, kTrail);
    trail.expire_time = 8;
    trail.alpha = .5f;
  }

  // Pictures look to the right: they are mirrored while the action goes left.
  void look_along_action() {
    if (avx > 0) agent().is_reflected = false;
    if (avx < 0) agent().is_reflected = true;
  }

  // The agent stays, also outside the world: that ends the episode.
  void erase_pass() {
    const Entity* kept = &agent();
    entities.erase_if([this, kept](const Entity& e) {
      return &e != kept && (e.will_erase || (e.auto_erase && out_of_world(e)));
    });
  }

  // --- pictures: their sizes are part of the dynamics, whatever skin is drawn ---
  const PictureType* pictures_of(int type) const {
    for (int i = 0; i < table_.type_count; ++i)
      if (table_.types[i].type == type) return &table_.types[i];
    return nullptr;
  }
  int theme_count(int type) const {
    const PictureType* found = pictures_of(type);
    return found ? found->count : 1;
  }
  void choose_theme(Entity& e) { e.image_theme = random.below(theme_count(e.image_type)); }

  template <class G>
  friend class Game;

  // --- state, in the order in which it is saved ---
  Random random;  // drives the level and every step; seeded anew with each level
  int width = 0, height = 0;
  std::vector<int16_t> grid;
  EntityList entities;
  int out_of_bounds = kInvalid;

  int t = 0, timeout = 1000;
  int sri = 0;  // the step's random integer, 0..999,999
  int last_move = 7, special = 0;
  float avx = 0, avy = 0, avrot = 0;  // what the action asks of the agent
  float mixrate = 0.5f, maxspeed = 0.5f, max_jump = 0.5f;
  bool fixed_start = false, grid_step = false;

  float reward = 0;
  bool done = false, complete = false;

  float bg_pct_x = 0;
  int background_index = 0;
  bool centred = false;
  float visibility = 16;
  int crowded_spawns = 0;

  template <class Archive>
  void world_fields(Archive& a) {
    random.fields(a);
    a("world_width", width), a("world_height", height), a("grid", grid);
    a("out_of_bounds", out_of_bounds), a("cur_time", t), a("timeout", timeout);
    a("step_rand_int", sri), a("last_move", last_move), a("special_action", special);
    a("action_vx", avx), a("action_vy", avy), a("action_vrot", avrot);
    a("mixrate", mixrate), a("maxspeed", maxspeed), a("max_jump", max_jump);
    a("fixed_start", fixed_start), a("grid_step", grid_step);
    a("reward", reward), a("done", done), a("level_complete", complete);
    a("bg_pct_x", bg_pct_x), a("background_index", background_index);
    a("centred", centred), a("visibility", visibility), a("crowded_spawns", crowded_spawns);
  }

 protected:
  const GameTable& table_;

 public:
  const Mode mode;
  const Options options;
};

}  // namespace cprocgen
