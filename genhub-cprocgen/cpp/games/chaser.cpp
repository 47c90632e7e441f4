// chaser: collect every orb of the maze; large orbs make the enemies edible for a while.
#include <cmath>
#include <cstdlib>
#include <vector>

#include "../engine.h"
#include "../maze.h"
#include "tables.h"

namespace cprocgen {
namespace {

enum Type : int {
  kLargeOrb = 2,
  kEnemyWeak = 3,
  kEgg = 4,
  kMazeWall = 5,
  kEnemy = 6,
  kEnemyLast = 8,
  kMarker = 1001,
  kOrb = 1002,
};

class Chaser : public Game<Chaser> {
 public:
  static constexpr const GameTable& kTable = kChaser;
  static constexpr bool kUsefulVelocity = false;

  Chaser(Mode mode, const Options& options) : Game(mode, options) { mixrate = 1; }

  void game_reset() {
    timeout = params.max_episode_steps;
    maxspeed = static_cast<float>(params.maxspeed);
    centred = false;
    base_reset(params.maze_dim, params.maze_dim);
    agent().rx = agent().ry = 0.5f;
    eat_time = -params.eat_time;
    fill_grid(kMazeWall);
    build_maze();
    const std::vector<int> free = cells_of(kSpace);
    place_agent_and_eggs(free);
    for (int k : free) set_cell(k, kOrb);
    limit_orbs(free);
    orbs_collected = 0;
    for (int k : cells_of(kMarker)) set_cell(k, kSpace);
    find_ways();
  }

  void update_agent_velocity() {
    Entity& a = agent();
    if (avx != 0) a.vx = maxspeed * avx;
    if (avy != 0) a.vy = maxspeed * avy;
    a.vx = sign(a.vx) * maxspeed;
    a.vy = sign(a.vy) * maxspeed;
  }

  bool is_blocked(const Entity& e, int cell, bool horizontal) {
    return cell == kMazeWall || Game::is_blocked(e, cell, horizontal);
  }
  bool can_obstruct(const Entity&, const Entity&) { return false; }

  void on_agent_hit(Entity& e) {
    if (e.type == kLargeOrb) {
      eat_time = t;
      reward += static_cast<float>(params.orb_reward);
      e.will_erase = true;
    } else if (e.type == kEnemy) {
      if (enemies_are_weak()) {
        e.will_erase = true;
      } else {
        done = true;
      }
    }
  }

  void game_step(int action) {
    base_step(action);
    const float speed =
        enemies_are_weak() ? 0.5f * static_cast<float>(params.weak_speed_scale) : 0.5f;
    int enemies = 0;
    for (int i = entities.size() - 1; i >= 0; --i) {
      Entity& e = entities[i];
      if (e.type == kEgg) {
        ++enemies;
        hatch(e);
      } else if (e.type == kEnemy) {
        ++enemies;
        steer(e, speed);
      }
    }
    if (enemies < params.total_enemies) lay_egg(all_free[sri % all_free.size()]);
    collect_orb();
    if (orbs_collected == total_orbs) {
      reward += static_cast<float>(params.completion_bonus);
      done = complete = true;
    }
  }

  int picture_of(int type) {
    if (type != kEnemy) return type;
    if (enemies_are_weak()) return kEnemyWeak;
    const int beat = t / 2 % 4;
    return kEnemy + (beat == 3 ? 1 : beat);
  }

  bool draw_cell(Canvas& canvas, const Rect& rect, int type) {
    if (type != kOrb) return false;
    const double side = 0.3f, margin = (1 - side) / 2;
    canvas.fill({rect.x + rect.w * margin, rect.y + rect.h * margin, rect.w * side, rect.h * side},
                {0, 255, 0});
    return true;
  }

  void episode_values(double* values) const override { values[0] = total_orbs; }

  template <class Archive>
  void fields(Archive& a) {
    a("eat_time", eat_time), a("total_orbs", total_orbs), a("orbs_collected", orbs_collected);
    a("is_space", is_space);
    if constexpr (Archive::kReads) list_free_cells();
  }

  void check_state() const {
    Soundness::within("the number of ways", static_cast<double>(is_space.size()), area(), area());
    Soundness::within("the number of free cells", static_cast<double>(all_free.size()), 1, area());
  }

  contexts::Chaser params;
  int eat_time = 0;  // the step at which the last large orb was eaten
  int total_orbs = 0, orbs_collected = 0;
  std::vector<uint8_t> is_space;
  std::vector<int> all_free;  // the cells that are no wall, ascending

 private:
  bool enemies_are_weak() const { return t - eat_time < params.eat_time; }

  // The maze, and its large orbs: one a quadrant, more or fewer in one of them.
  void build_maze() {
    const int dim = params.maze_dim;
    MazeGenerator maze(dim);
    maze.generate_without_dead_ends(random);
    const int odd_quadrant = random.below(4);
    std::vector<int> quadrants[4];
    for (int i = 0; i < dim; ++i)
      for (int j = 0; j < dim; ++j) {
        const int found = maze.at(i, j);
        set_cell(i, j, found == kWall ? kMazeWall : found);
        if (found == kSpace) quadrants[2 * (i >= dim / 2.0) + (j >= dim / 2.0)].push_back(j * dim + i);
      }
    for (int q = 0; q < 4; ++q) {
      const int count = 1 + (q == odd_quadrant ? params.extra_orb_sign : 0);
      for (int n : random.simple_choose(static_cast<int>(quadrants[q].size()), count)) {
        at_cell(quadrants[q][n], 0.4f, kLargeOrb);
        set_cell(quadrants[q][n], kMarker);
      }
    }
  }

  void place_agent_and_eggs(const std::vector<int>& free) {
    const std::vector<int> chosen =
        random.simple_choose(static_cast<int>(free.size()), 1 + params.total_enemies);
    agent().x = column(free[chosen[0]]) + 0.5f;
    agent().y = row(free[chosen[0]]) + 0.5f;
    for (size_t i = 1; i < chosen.size(); ++i) {
      set_cell(free[chosen[i]], kMarker);
      lay_egg(free[chosen[i]]);
    }
  }

  void lay_egg(int k) { at_cell(k, 0.5f, kEgg).health = static_cast<float>(params.egg_time); }

  void limit_orbs(const std::vector<int>& free) {
    total_orbs = static_cast<int>(free.size());
    if (params.total_orbs == 0 || params.total_orbs >= total_orbs) return;
    std::vector<int> kept = random.simple_choose(total_orbs, params.total_orbs);
    for (int k : free) set_cell(k, kSpace);
    for (int n : kept) set_cell(free[n], kOrb);
    total_orbs = params.total_orbs;
  }

  void find_ways() {
    is_space.assign(area(), 0);
    for (int k = 0; k < area(); ++k) is_space[k] = grid[k] != kMazeWall;
    list_free_cells();
  }

  void list_free_cells() {
    all_free.clear();
    for (size_t k = 0; k < is_space.size(); ++k)
      if (is_space[k]) all_free.push_back(static_cast<int>(k));
  }

  void hatch(Entity& egg) {
    egg.health -= 1;
    if (egg.health != 0) return;
    egg.will_erase = true;
    child(egg, kEnemy, 0.5f).smart_step = true;
  }

  // At a junction, or standing still: choose the neighbouring cell to go to, never the last one.
  void steer(Entity& e, float speed) {
    const float x = e.x - 0.5f, y = e.y - 0.5f;
    const float off = std::fabs(x - std::round(x)) + std::fabs(y - std::round(y));
    if (!(e.vx == 0 && e.vy == 0) && !(off < .01)) return;
    const int here = index(static_cast<int>(x), static_cast<int>(y));
    const int last = index(static_cast<int>(x - sign(e.vx)), static_cast<int>(y - sign(e.vy)));
    const int target = choose_way(here, last);
    if (target < 0) return;
    e.vx = (column(target) - x) * speed;
    e.vy = (row(target) - y) * speed;
  }

  int choose_way(int here, int last) const {
    const Entity& a = agent();
    const int ax = static_cast<int>(a.x), ay = static_cast<int>(a.y);
    const bool aggressive = sri % 2 == 0;
    const int towards = enemies_are_weak() ? -1 : 1;
    int least = 2 * width, ways[4], count = 0;
    static constexpr int kSteps[4][2] = {{-1, 0}, {0, -1}, {0, 1}, {1, 0}};
    for (const auto& step : kSteps) {
      const int x = column(here) + step[0], y = row(here) + step[1];
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const int k = index(x, y);
      if (!is_space[k] || k == last) continue;
      const int distance = (std::abs(x - ax) + std::abs(y - ay)) * towards;
      if (aggressive && distance > least) continue;
      if (aggressive && distance < least) {
        least = distance;
        count = 0;
      }
      ways[count++] = k;
    }
    return count == 0 ? -1 : ways[sri % count];
  }

  void collect_orb() {
    const int x = static_cast<int>(agent().x), y = static_cast<int>(agent().y);
    if (cell(x, y) != kOrb) return;
    set_cell(x, y, kSpace);
    reward += static_cast<float>(params.orb_reward);
    orbs_collected += 1;
  }
};

const Register<Chaser> registered;

}  // namespace
}  // namespace cprocgen
