// coinrun: run and jump to the right, over pits and past enemies, to the coin.
#include <algorithm>
#include <cmath>
#include <vector>

#include "../engine.h"
#include "tables.h"

namespace cprocgen {
namespace {

enum Type : int {
  kGoal = 1,
  kSaw = 2,
  kSaw2 = 3,
  kEnemy = 5,
  kEnemy1 = 6,
  kEnemy2 = 7,
  kPlayerRight1 = 12,
  kPlayerRight2 = 13,
  kWallMid = 15,
  kWallTop = 16,
  kLavaMid = 17,
  kLavaTop = 18,
  kBarrier = 19,  // turns enemies round, is not drawn
  kCrate = 20,
};
enum Danger : int { kInLava, kInSaws, kInEnemies };

bool is_wall(int type) { return type == kWallMid || type == kWallTop; }
bool is_lava(int type) { return type == kLavaMid || type == kLavaTop; }

class Coinrun : public Game<Coinrun> {
 public:
  static constexpr const GameTable& kTable = kCoinrun;

  Coinrun(Mode mode, const Options& options) : Game(mode, options) {
    out_of_bounds = kWallMid;
    mixrate = 0.2f;
  }

  void game_reset() {
    timeout = params.max_episode_steps;
    visibility = static_cast<float>(params.visibility);
    centred = options.center_agent;
    maxspeed = static_cast<float>(params.maxspeed);
    max_jump = static_cast<float>(params.max_jump);
    gravity = static_cast<float>(params.gravity);
    air_control = static_cast<float>(params.air_control);
    base_reset(params.main_width, params.main_height);
    Entity& a = agent();
    if (mode == Mode::easy) {
      wall_theme = background_index = 0;
    } else {
      choose_theme(a);
      wall_theme = random.below(theme_count(kWallTop));
    }
    a.rx = 0.5f;
    a.ry = 0.5787f;
    a.x = 1.5f;
    a.y = 1 + a.ry;
    last_y = a.y;
    support = on_crate = false;
    make_level();
  }

  void set_action(int move) {
    Game::set_action(move);
    support = (on_crate || stands_on(agent(), is_wall)) && agent().vy == 0;
    on_crate = false;
    if (avy == 1 && !support) avy = 0;
  }

  void update_agent_velocity() {
    Entity& a = agent();
    const float rate = support ? mixrate : mixrate * air_control;
    a.vx = (1 - rate) * a.vx + rate * maxspeed * avx;
    if (std::fabs(a.vx) < rate * maxspeed) a.vx = 0;
    if (avy > 0) {
      a.vy = max_jump;
    } else if (support) {
      a.vy = static_cast<float>(a.vy + .2 * avy);
    }
    if (!(support && avy > 0)) {
      a.vy -= gravity;
      a.vy = std::clamp(a.vy, -max_jump, max_jump);
    }
  }

  bool is_blocked(const Entity& e, int cell, bool horizontal) {
    return Game::is_blocked(e, cell, horizontal) || (e.type == kPlayer && is_wall(cell));
  }

  bool reflects(int type, int other) {
    return type == kEnemy && (is_wall(other) || other == kBarrier);
  }

  bool can_obstruct(const Entity&, const Entity& other) { return other.type == kCrate; }

  // A crate holds whoever falls on it from above; anybody passes it otherwise.
  bool blocks_entity(const Entity& e, const Entity& other, bool horizontal) {
    if (other.type != kCrate || horizontal) return is_blocked(e, other.type, horizontal);
    const Entity& a = agent();
    if (a.vy >= 0 || avy < 0 || last_y < (other.y + other.ry) + a.ry) return false;
    on_crate = true;
    return true;
  }

  void on_agent_hit(Entity& e) {
    if (e.type == kEnemy || e.type == kSaw) done = true;
  }

  void on_grid_hit(Entity& e, int cell, int, int) {
    if (e.type != kPlayer) return;
    if (cell == kGoal) {
      reward += static_cast<float>(params.goal_reward);
      done = complete = true;
    } else if (is_lava(cell)) {
      done = true;
    }
  }

  void game_step(int action) {
    base_step(action);
    look_along_action();
    for (int i = entities.size() - 1; i > 0; --i) {
      Entity& e = entities[i];
      if (e.type == kEnemy) animate_enemy(e);
      if (e.type == kSaw) e.image_type = t % 2 == 0 ? kSaw : kSaw2;
    }
    last_y = agent().y;
  }

  int picture_of(int type) {
    if (type == kBarrier) return -1;
    if (type != kPlayer) return type;
    if (std::fabs(agent().vx) < .01 && avx == 0 && support) return kPlayer;
    return t / 5 % 2 == 0 || !support ? kPlayerRight1 : kPlayerRight2;
  }

  int theme_of_cell(int type) { return is_wall(type) ? wall_theme : 0; }

  void adjust_rect(const Entity& e, float& /*x*/, float& y, float& /*w*/, float& h) {
    if (e.type != kPlayer) return;
    y = -.7415f;
    h = 1.7415f;
  }

  void episode_values(double* values) const override {
    values[0] = difficulty;
    values[1] = sections;
  }

  template <class Archive>
  void fields(Archive& a) {
    a("last_agent_y", last_y), a("wall_theme", wall_theme), a("has_support", support);
    a("is_on_crate", on_crate), a("gravity", gravity), a("air_control", air_control);
    a("difficulty", difficulty), a("num_sections", sections);
  }

  void check_state() const {
    Soundness::within("wall_theme", wall_theme, 0, theme_count(kWallTop) - 1);
  }

  contexts::Coinrun params;
  float last_y = 0, gravity = 0.2f, air_control = 0.15f;
  int wall_theme = 0;
  bool support = false, on_crate = false;
  int difficulty = 0, sections = 0;

 private:
  // --- pieces of a level ---
  void pile(int x, int y, int w, int h, int inside, int top) {
    if (h < 1) return;
    fill_block(x, y, w, h - 1, inside);
    fill_block(x, y + h - 1, w, 1, top);
  }
  void add_ground(int x, int y, int w, int h) { pile(x, y, w, h, kWallMid, kWallTop); }

  void add_saw(int x, int y) { add(x + 0.5f, y + 0.5f, 0, 0, 0.5f, kSaw); }

  void add_enemy(int x, int y) {
    const int direction = random.below(2) * 2 - 1;
    const float vx = static_cast<float>(params.enemy_speed * direction);
    Entity& e = add(x + 0.5f, y + 0.5f, vx, 0, 0.5f, kEnemy);
    e.smart_step = true;
    e.image_type = kEnemy1;
    e.render_z = 1;
    choose_theme(e);
  }

  void add_crate(int x, int y) {
    choose_theme(add(x + 0.5f, y + 0.5f, 0, 0, 0.5f, kCrate));
  }

  // --- the level, section by section from left to right ---
  void make_level() {
    fill_block(0, 0, width, 1, kWallTop);
    fill_block(0, 0, 1, height, kWallMid);
    fill_block(width - 1, 0, 1, height, kWallMid);
    fill_block(0, height - 1, width, 1, kWallMid);

    difficulty = std::clamp(random.below(3) + 1, params.min_difficulty, params.max_difficulty);
    sections = std::clamp(random.below(difficulty) + difficulty, params.min_section_num,
                          params.max_section_num);
    danger = random.below(3);
    max_dy = static_cast<int>(max_jump * max_jump / (2 * gravity) - .5);
    max_dx = static_cast<int>(maxspeed * 2 * max_jump / gravity - .5);
    platforms.clear();
    int x = 5, y = 1;
    for (int i = 0; i < sections && x + 15 < width; ++i) add_section(x, y);
    place_goal(x, y);
    fill_block(x + 1, 0, width - x - 1, height, kWallMid);
  }

  void add_section(int& x, int& y) {
    int dy = std::min(random.below(4) + 1 + difficulty / 3, max_dy);
    if (y >= 20 || (y >= 5 && random.below(2) == 1)) dy = -dy;
    if (!params.unenven_ground) dy = 0;
    // Sections of the highest difficulties could be longer than what is left of the world.
    const int dx =
        std::min(random.below(2 * difficulty) + 3 + difficulty / 3, width - x - 2);
    y = std::max(1, y + dy);
    if (dx > 7 && y > 3 && params.allow_pit && random.below(20) >= difficulty) {
      add_pit(x, y, dx);
    } else {
      add_plain(x, y, dx);
    }
    if (!is_wall(cell(x - 1, y))) set_cell(x - 1, y, kBarrier);
    x += dx;
    set_cell(x, y, kBarrier);
  }

  void add_pit(int x, int y, int dx) {
    const int x1 = random.below(3) + 1;
    int x2 = random.below(3) + 1;
    int width_of_pit = dx - x1 - x2;
    if (width_of_pit > max_dx) {
      width_of_pit = max_dx;
      x2 = dx - x1 - width_of_pit;
    }
    add_ground(x, 0, x1, y);
    add_ground(x + dx - x2, 0, x2, y);
    const int lava_height = random.below(y - 3) + 1;
    const int kind = danger_of_pits();
    if (kind == kInLava) {
      pile(x + x1, 1, width_of_pit, lava_height, kLavaMid, kLavaTop);
    } else {
      for (int i = 0; i < width_of_pit; ++i) {
        if (kind == kInSaws) add_saw(x + x1 + i, 1);
        if (kind == kInEnemies) add_enemy(x + x1 + i, 1);
      }
    }
    if (width_of_pit > 4) add_island(x + x1, y - 1, width_of_pit);
    for (int i = 0; i < x1; ++i) remember_platform(x + i, y);
    for (int i = 0; i < x2; ++i) remember_platform(x + dx - x2 + i, y);
  }

  // The level's danger, or the first that the context allows instead of it. Enemies in pits are
  // forbidden only by a context that says so, not by the modes without enemies on the ground.
  int danger_of_pits() const {
    const bool allowed[] = {params.allow_lava, params.allow_saw,
                            params.allow_monsters || !params.set.allow_monsters};
    if (allowed[danger]) return danger;
    for (int kind : {kInLava, kInSaws, kInEnemies})
      if (allowed[kind]) return kind;
    return kInLava;
  }

  void add_island(int x, int y, int width_of_pit) {
    int left, w;
    if (width_of_pit <= 6) {
      left = width_of_pit - 4 + random.below(2);
      w = 1 + random.below(2);
    } else {
      left = 2 + random.below(2);
      w = width_of_pit - left - (2 + random.below(2));
    }
    add_ground(x + left, y, w, 1);
  }

  void add_plain(int x, int y, int dx) {
    add_ground(x, 0, dx, y);
    int saw = -1, enemy = -1;
    if (random.below(10) < 2 * difficulty && dx > 3 && params.allow_saw) {
      saw = x + random.below(dx - 2) + 1;
      add_saw(saw, y);
    }
    if (random.below(10) < difficulty && dx > 3 && max_dx >= 4 && params.allow_monsters) {
      enemy = x + random.below(dx - 2) + 1;
      add_enemy(enemy, y);
    }
    int crates[2] = {-1, -1};
    if (params.allow_crate)
      for (int& crate : crates) crate = add_crates(x, y, dx, saw, enemy);
    for (int k = x; k < x + dx; ++k)
      if (k != saw && k != crates[0] && k != crates[1]) remember_platform(k, y);
  }

  // Where the pile is, -1 if there is none.
  int add_crates(int x, int y, int dx, int saw, int enemy) {
    const int k = x + random.below(dx - 2) + 1;
    if (random.below(2) != 1 || k == saw || k == enemy) return -1;
    const int low = params.min_crate_height;
    const int count = random.below(params.max_crate_height - low + 1) + low;
    for (int i = 0; i < count; ++i) add_crate(k, y + i);
    return k;
  }

  void remember_platform(int x, int y) {
    if (params.goal_x_random) platforms.push_back(index(x, y));
  }

  void place_goal(int x, int y) {
    set_cell(x, y, kGoal);
    add_ground(x, 0, 1, y);
    if (!params.goal_x_random) return;
    std::vector<int> free = {index(x, y)};
    for (int k : platforms)
      if (cell(k) == kSpace) free.push_back(k);
    set_cell(x, y, kSpace);
    set_cell(random.choose_one(free), kGoal);
  }

  void animate_enemy(Entity& e) {
    leave_trail(e);
    e.image_type = t / 5 % 2 == 0 ? kEnemy1 : kEnemy2;
    e.is_reflected = e.vx > 0;
  }

  int danger = 0, max_dy = 0, max_dx = 0;  // only while a level is made
  std::vector<int> platforms;
};

const Register<Coinrun> registered;

}  // namespace
}  // namespace cprocgen
