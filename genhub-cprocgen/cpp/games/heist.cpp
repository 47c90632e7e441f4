// heist: find the keys of the locked doors and steal the gem.
#include <algorithm>
#include <vector>

#include "../engine.h"
#include "../maze.h"
#include "tables.h"

namespace cprocgen {
namespace {

enum Type : int {
  kLockedDoor = 1,
  kKey = 2,
  kExit = 9,
  kKeyOnRing = 11,
};

class Heist : public Game<Heist> {
 public:
  static constexpr const GameTable& kTable = kHeist;
  static constexpr bool kUsefulVelocity = false;
  static constexpr int kColors = 3;

  Heist(Mode mode, const Options& options) : Game(mode, options) { out_of_bounds = kWall; }

  void game_reset() {
    timeout = params.max_episode_steps;
    maxspeed = static_cast<float>(params.maxspeed);
    centred = mode == Mode::memory;
    visibility = static_cast<float>(params.visibility);
    base_reset(params.world_dim, params.world_dim);
    const int sizes = (params.max_maze_dim - params.min_maze_dim) / 2 + 1;
    const int difficulty = random.below(sizes);
    num_keys = mode == Mode::memory ? random.below(4) : difficulty + random.below(2);
    num_keys = std::clamp(std::min(num_keys, kColors), params.min_keys, params.max_keys);
    maze_dim = 2 * difficulty + params.min_maze_dim;
    std::fill(std::begin(held), std::end(held), false);

    Entity& a = agent();
    a.rx = a.ry = 0.375f;
    MazeGenerator maze(maze_dim);
    maze.generate_with_doors(random, num_keys);
    a.x = a.y = -1;
    const int left = random.below(width - maze_dim + 1);
    const int bottom = random.below(height - maze_dim + 1);
    fill_grid(kWall);
    for (int i = 0; i < maze_dim; ++i)
      for (int j = 0; j < maze_dim; ++j) furnish(left + i, bottom + j, maze.at(i, j));
    for (int i = 0; i < num_keys; ++i) hang_key(i);
  }

  static bool keeps_theme(int type) { return type == kKey || type == kLockedDoor; }

  bool blocks_entity(const Entity& e, const Entity& other, bool horizontal) {
    if (other.type == kLockedDoor) return !held[other.image_theme];
    return is_blocked(e, other.type, horizontal);
  }
  bool can_obstruct(const Entity&, const Entity& other) { return other.type == kLockedDoor; }

  void on_agent_hit(Entity& e) {
    if (e.type == kExit) {
      done = complete = true;
      reward = static_cast<float>(params.completion_bonus);
    } else if (e.type == kKey) {
      e.will_erase = true;
      held[e.image_theme] = true;
    } else if (e.type == kLockedDoor && held[e.image_theme]) {
      e.will_erase = true;
    }
  }

  void game_step(int action) {
    base_step(action);
    face(agent(), avx, avy);
  }

  bool draws_entity(const Entity& e) { return e.type != kKeyOnRing || held[e.image_theme]; }

  void episode_values(double* values) const override {
    values[0] = maze_dim;
    values[1] = num_keys;
  }

  template <class Archive>
  void fields(Archive& a) {
    a("maze_dim", maze_dim), a("num_keys", num_keys), a("has_keys", held);
  }

  void check_state() const {
    for (int i = 0; i < entities.size(); ++i) {
      const int type = entities[i].type;
      if (type == kLockedDoor || type == kKey || type == kKeyOnRing)
        Soundness::within("image_theme", entities[i].image_theme, 0, kColors - 1);
    }
  }

  contexts::Heist params;
  int maze_dim = 0, num_keys = 0;
  bool held[kColors] = {};

 private:
  void furnish(int x, int y, int found) {
    if (found != kWall) set_cell(x, y, kSpace);
    const float fx = static_cast<float>(x), fy = static_cast<float>(y);
    if (found >= MazeGenerator::kKeyCell) {
      Entity& key = spawn(0.375f, kKey, fx, fy, 1, 1);
      key.image_theme = found - MazeGenerator::kKeyCell - 1;
      match_width(key);
    } else if (found >= MazeGenerator::kDoorCell) {
      add(x + 0.5f, y + 0.5f, 0, 0, 0.5f, kLockedDoor).image_theme =
          found - MazeGenerator::kDoorCell - 1;
    } else if (found == MazeGenerator::kExitCell) {
      match_width(spawn(0.375f, kExit, fx, fy, 1, 1));
    } else if (found == MazeGenerator::kAgentCell) {
      agent().x = x + 0.5f;
      agent().y = y + 0.5f;
    }
  }

  // The ring of keys at the upper right corner of the screen.
  void hang_key(int i) {
    Entity& e = add(static_cast<float>(1 - 0.03f * (2 * i + 1.25)),
                    static_cast<float>(0.03f * 0.75), 0, 0, 0.03f, kKeyOnRing);
    e.image_theme = i;
    e.image_type = kKey;
    e.rotation = kPi / 2;
    e.render_z = 1;
    e.use_abs_coords = true;
    match_width(e);
  }
};

const Register<Heist> registered;

}  // namespace
}  // namespace cprocgen
