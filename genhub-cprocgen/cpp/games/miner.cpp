// miner: dig for diamonds under falling boulders, then leave by the exit.
#include <vector>

#include "../engine.h"
#include "tables.h"

namespace cprocgen {
namespace {

enum Type : int {
  kBoulder = 1,
  kDiamond = 2,
  kMovingBoulder = 3,
  kMovingDiamond = 4,
  kExit = 6,
  kDirt = 9,
  kOutside = 10,
};

bool is_stone(int type) { return type >= kBoulder && type <= kMovingDiamond; }
bool is_moving(int type) { return type == kMovingBoulder || type == kMovingDiamond; }
int at_rest(int type) { return is_moving(type) ? type - 2 : type; }
int in_motion(int type) { return is_moving(type) ? type : type + 2; }

class Miner : public Game<Miner> {
 public:
  static constexpr const GameTable& kTable = kMiner;
  static constexpr bool kUsefulVelocity = false;

  Miner(Mode mode, const Options& options) : Game(mode, options) {
    grid_step = true;
    out_of_bounds = kOutside;
  }

  void game_reset() {
    timeout = params.max_episode_steps;
    base_reset(params.world_dim, params.world_dim);
    centred = mode == Mode::memory;
    visibility = static_cast<float>(params.visibility);
    bury();
    place_exit();
    if (params.strict_reset) diamonds_remaining = diamonds_buried;
  }

  void set_action(int move) {
    Game::set_action(move);
    if (avx != 0) avy = 0;
  }

  bool is_blocked(const Entity& e, int cell, bool horizontal) {
    return Game::is_blocked(e, cell, horizontal) ||
           (e.type == kPlayer &&
            (cell == kBoulder || cell == kMovingBoulder || cell == kOutside));
  }

  void on_agent_hit(Entity& e) {
    if (e.type != kExit || diamonds_remaining != 0) return;
    reward += static_cast<float>(params.completion_bonus);
    done = complete = true;
  }

  void game_step(int action) {
    base_step(action);
    look_along_action();
    push_boulder(agent());
    dig(agent());
    let_fall();
  }

  int picture_of(int type) { return at_rest(type); }

  void episode_values(double* values) const override { values[0] = diamonds_buried; }

  template <class Archive>
  void fields(Archive& a) {
    a("diamonds_remaining", diamonds_remaining), a("diamonds_buried", diamonds_buried);
  }

  contexts::Miner params;
  int diamonds_remaining = 0;  // counted at the end of each step; a reset leaves it as it was
  int diamonds_buried = 0;

 private:
  static int share(bool set, double asked, float exact, int area) {
    return static_cast<int>((set ? static_cast<float>(asked) : exact) * area);
  }

  void bury() {
    diamonds_buried = share(params.set.diamond_pct, params.diamond_pct, 12 / 400.0f, area());
    const int boulders = share(params.set.boulder_pct, params.boulder_pct, 80 / 400.0f, area());
    const std::vector<int> chosen =
        random.simple_choose(area(), diamonds_buried + boulders + 1);
    Entity& a = agent();
    a.rx = a.ry = 0.5f;
    a.x = column(chosen[0]) + 0.5f;
    a.y = row(chosen[0]) + 0.5f;
    fill_grid(kDirt);
    for (int i = 1; i < static_cast<int>(chosen.size()); ++i)
      set_cell(chosen[i], i <= diamonds_buried ? kDiamond : kBoulder);
  }

  // Somewhere where no stone lies above; the agent's own cell was dirt too.
  void place_exit() {
    const std::vector<int> dirt = cells_of(kDirt);
    const int ax = static_cast<int>(agent().x), ay = static_cast<int>(agent().y);
    set_cell(ax, ay, kSpace);
    for (int x = ax - 1; x <= ax + 1; ++x)
      for (int y = ay - 1; y <= ay + 1; ++y)
        if (cell(x, y) == kBoulder) set_cell(x, y, kDirt);
    std::vector<int> candidates;
    for (int k : dirt) {
      const int above = cell(k + width);
      if (above == kDirt || above == kOutside) candidates.push_back(k);
    }
    const int k = random.choose_one(candidates);
    set_cell(k, kSpace);
    at_cell(k, 0.5f, kExit).render_z = -1;
  }

  void push_boulder(Entity& a) {
    if (a.vx != 0 || avx == 0) return;
    const int k = index(static_cast<int>(a.x), static_cast<int>(a.y));
    const int side = avx > 0 ? 1 : -1;
    const int x = column(k);
    if (side > 0 ? x >= width - 2 : x <= 1) return;
    if (cell(k + side) != kBoulder || cell(k + 2 * side) != kSpace) return;
    set_cell(k + side, kSpace);
    set_cell(k + 2 * side, kBoulder);
    a.x += side;
  }

  void dig(const Entity& a) {
    const int x = static_cast<int>(a.x), y = static_cast<int>(a.y);
    const int found = cell(x, y);
    if (found == kDiamond) reward += static_cast<float>(params.diamond_reward);
    if (found == kDiamond || found == kDirt) set_cell(x, y, kSpace);
  }

  // In place and upwards, so that a stone that rolled right is met again in the same pass.
  void let_fall() {
    const Entity& a = agent();
    agent_cell = static_cast<int>((a.y - .5) * width + (a.x - .5));
    int count = 0;
    for (int k = 0; k < area(); ++k) {
      const int type = cell(k);
      if (!is_stone(type)) continue;
      if (at_rest(type) == kDiamond) ++count;
      let_fall_at(k, type);
    }
    diamonds_remaining = count;
  }

  void let_fall_at(int k, int type) {
    const int below = k - width, under = cell(below);
    int to = k, as = at_rest(type);
    if (under == kSpace && agent_cell != below) {
      to = below;
      as = in_motion(type);
    } else if (agent_cell == below && is_moving(type)) {
      done = true;
      return;
    } else if (is_stone(under)) {
      if (column(k) > 0 && is_free(k - 1) && is_free(k - width - 1)) {
        to = k - 1;
      } else if (column(k) < width - 1 && is_free(k + 1) && is_free(k - width + 1)) {
        to = k + 1;
      }
    }
    set_cell(k, kSpace);
    set_cell(to, as);
  }

  bool is_free(int k) const { return cell(k) == kSpace && k != agent_cell; }

  int agent_cell = 0;  // only while stones fall
};

const Register<Miner> registered;

}  // namespace
}  // namespace cprocgen
