// jumper: a bunny with a double jump and a compass looks for the carrot in a cave.
#include <cmath>
#include <vector>

#include "../engine.h"
#include "../maze.h"
#include "../rooms.h"
#include "tables.h"

namespace cprocgen {
namespace {

enum Type : int {
  kGoal = 1,
  kSpike = 2,
  kCaveWall = 6,
  kCaveWallTop = 7,
  kPlayerLeft1 = 10,
  kPlayerRight1 = 12,
};

bool is_cave(int type) { return type == kCaveWall || type == kCaveWallTop; }

class Jumper : public Game<Jumper> {
 public:
  static constexpr const GameTable& kTable = kJumper;

  Jumper(Mode mode, const Options& options) : Game(mode, options) {}

  void game_reset() {
    timeout = params.max_episode_steps;
    visibility = static_cast<float>(params.visibility);
    centred = options.center_agent;
    support = false;
    out_of_bounds = kWall;
    base_reset(params.world_dim, params.world_dim);
    wall_theme = random.below(theme_count(kCaveWall));
    jump_count = jump_delta = jump_time = 0;
    dig_cave();
    place_things();
    out_of_bounds = kCaveWall;
  }

  void set_action(int move) {
    Game::set_action(move);
    if (avy < 0) avy = 0;
    support = stands_on(agent(), is_cave);
    jump_delta = 0;
    if (support) jump_count = params.max_jump_count;
    if (avy == 1 && jump_count > 0 && t - jump_time > params.jump_cooldown) {
      jump_count -= 1;
      jump_delta = -1;
    } else {
      avy = 0;
    }
    if (avy > 0) jump_time = t;
  }

  void update_agent_velocity() {
    Entity& a = agent();
    a.vx = (1 - mixrate) * a.vx + mixrate * maxspeed * avx;
    if (avy == 0) return;
    a.vy = params.set.jump_speed ? static_cast<float>(params.jump_speed) * avy
                                 : maxspeed * avy * 2;
  }

  bool is_blocked(const Entity& e, int cell, bool horizontal) {
    return Game::is_blocked(e, cell, horizontal) || (e.type == kPlayer && is_cave(cell));
  }
  bool can_obstruct(const Entity&, const Entity&) { return false; }

  void on_agent_hit(Entity& e) {
    if (e.type == kGoal) {
      reward += static_cast<float>(params.goal_reward);
      done = complete = true;
    } else if (e.type == kSpike) {
      done = true;
    }
  }

  void game_step(int action) {
    base_step(action);
    look_along_action();
    Entity& a = agent();
    if (std::fabs(a.vx) + std::fabs(a.vy) > .05) leave_trail(a);
    if (a.vy > -2) a.vy -= static_cast<float>(params.gravity);
  }

  int picture_of(int type) {
    if (type != kPlayer) return type;
    if (std::fabs(agent().vx) < .01 && avx == 0 && support) return kPlayer;
    const int first = agent().is_reflected ? kPlayerLeft1 : kPlayerRight1;
    return t / 5 % 2 == 0 || !support ? first : first + 1;
  }

  int theme_of_cell(int type) { return is_cave(type) ? wall_theme : 0; }

  void draw_overlay(Canvas& canvas, const Camera& camera) {
    if (params.show_compass) draw_compass(canvas, camera);
    if (jump_delta < 0 && !support) draw_puff(canvas, camera);
  }

  void episode_values(double* values) const override { values[0] = goal_distance; }

  template <class Archive>
  void fields(Archive& a) {
    a("jump_count", jump_count), a("jump_delta", jump_delta), a("jump_time", jump_time);
    a("has_support", support), a("wall_theme", wall_theme), a("goal_distance", goal_distance);
    a("goal_x", goal_x), a("goal_y", goal_y);
  }

  void check_state() const {
    Soundness::within("wall_theme", wall_theme, 0, theme_count(kCaveWall) - 1);
  }

  contexts::Jumper params;
  int jump_count = 0, jump_delta = 0, jump_time = 0;
  bool support = false;
  int wall_theme = 0;
  int goal_distance = 0;  // cells of the shortest way from the start
  float goal_x = 0, goal_y = 0;

 private:
  // A maze three times as coarse as the grid, roughened by noise and an automaton.
  void dig_cave() {
    const int dim = width / 3;
    MazeGenerator maze(dim);
    maze.generate_without_dead_ends(random);
    for (int k = 0; k < area(); ++k) {
      const int x = column(k) / 3, y = row(k) / 3;
      const bool wall = x >= dim || y >= dim || maze.at(x, y) == kWall;
      set_cell(k, random.uniform() < (wall ? 0.8f : 0.2f) ? kWall : kSpace);
    }
    Rooms rooms(*this);
    for (int i = 0; i < 2; ++i) rooms.automaton_step();
    for (int i = 0; i < width; ++i) {
      set_cell(i, 0, kCaveWall);
      set_cell(i, height - 1, kCaveWall);
      set_cell(0, i, kCaveWall);
      set_cell(width - 1, i, kCaveWall);
    }
    const std::vector<int> room = rooms.best_room();
    fill_grid(kCaveWall);
    rooms.set_cells(room, kSpace);
    lay_out(rooms, room);
  }

  void lay_out(Rooms& rooms, const std::vector<int>& room) {
    const int goal = random.choose_one(room);
    std::vector<int> starts;
    for (int k = 0; k < area(); ++k)
      if (is_ground(column(k), row(k)) && !(params.safe_start && touches(k, goal)))
        starts.push_back(k);
    const int start = random.choose_one(starts);
    const std::vector<int> way = rooms.path(start, goal);
    goal_distance = static_cast<int>(way.size()) - 1;
    if (mode != Mode::memory) {
      const std::vector<int> wide = rooms.widen(way, 4);
      fill_grid(kCaveWall);
      rooms.set_cells(wide, kSpace);
    }
    goal_x = column(goal) + 0.5f;
    goal_y = row(goal) + 0.5f;
    at_cell(goal, 0.5f, kGoal);
    sow_spikes(start);
    breach_walls();
    agent().x = column(start) + 0.5f;
    agent().y = row(start) + agent().ry;
  }

  bool touches(int a, int b) const {
    return std::abs(column(a) - column(b)) <= 1 && std::abs(row(a) - row(b)) <= 1;
  }

  // A free cell under a free cell and on a wall.
  bool is_ground(int x, int y) const {
    const int below = cell(x, y - 1);
    return cell(x, y) == kSpace && cell(x, y + 1) == kSpace &&
           (below == kCaveWall || below == out_of_bounds);
  }

  void sow_spikes(int start) {
    const float chance = static_cast<float>(params.spike_prob);
    for (int k = 0; k < area(); ++k) {
      const int x = column(k), y = row(k);
      if (!is_ground(x - 1, y) || !is_ground(x, y) || !is_ground(x + 1, y)) continue;
      if (random.uniform() < chance && !(params.safe_start && touches(k, start)))
        set_cell(k, kSpike);
    }
  }

  // Walls of three cells in a row get a hole to jump into.
  void breach_walls() {
    for (int k = 0; k < area(); ++k)
      for (int side : {1, -1}) {
        const int x = column(k), y = row(k);
        bool wall = true;
        for (int i = 0; i < 3; ++i)
          wall = wall && cell(x, y + i) == kCaveWall && cell(x + side, y + i) == kSpace;
        if (wall) set_cell(x, y + random.below(3), kSpace);
      }
  }

  // Where the goal lies: its direction on a disc, its distance as a bar below.
  void draw_compass(Canvas& canvas, const Camera& camera) const {
    const float side = static_cast<float>(params.compass_dim);
    if (side == 0) return;
    const Color bright{252, 186, 3};
    const float left = static_cast<float>(camera.view - side - .25);
    const Rect disc = camera.screen(left, .25f, side, side);
    canvas.ellipse(disc, {168, 166, 158});
    const float dx = goal_x - agent().x, dy = goal_y - agent().y;
    const double angle = std::atan2(dy, dx), length = 0.95 * disc.w / 2;
    const double x = disc.x + disc.w / 2, y = disc.y + disc.h / 2;
    canvas.line(x, y, x + length * std::cos(angle), y - length * std::sin(angle),
                canvas.size() * side / 256, bright);
    const double distance = std::sqrt(static_cast<double>(dx * dx + dy * dy));
    const float bar = static_cast<float>(side * distance / (width * std::sqrt(2.0)));
    canvas.fill(camera.screen(left, .25f + side, bar, side / 8), bright);
  }

  // A cloud at the feet of who jumps in the air.
  void draw_puff(Canvas& canvas, const Camera& camera) const {
    const Entity& a = agent();
    const Rect r = camera.rect(a.x - a.rx, a.y + a.ry, 2 * a.rx, 2 * a.ry);
    canvas.ellipse({r.x, r.y + r.h * 5 / 6, r.w, r.h / 3}, {255, 255, 255}, 120 / 255.0f);
  }

  void place_things() {
    for (int k : cells_of(kSpike)) {
      set_cell(k, kSpace);
      add(column(k) + 0.5f, row(k) + 0.4f, 0, 0, 0.23f, 0.4f, kSpike);
    }
    for (int k = 0; k < area(); ++k)
      if (grid[k] == kCaveWall && cell(column(k), row(k) + 1) == kSpace) set_cell(k, kCaveWallTop);
    agent().rx = 0.254f;
    agent().ry = 0.4f;
  }
};

const Register<Jumper> registered;

}  // namespace
}  // namespace cprocgen
