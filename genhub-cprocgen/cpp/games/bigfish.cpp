// bigfish: eat smaller fish, grow, and keep away from larger ones.
#include "../engine.h"
#include "tables.h"

namespace cprocgen {
namespace {

constexpr int kFish = 2;
constexpr int kMostFish = 2000;  // slow ones may stay for ever

class Bigfish : public Game<Bigfish> {
 public:
  static constexpr const GameTable& kTable = kBigfish;

  Bigfish(Mode mode, const Options& options) : Game(mode, options) {}

  void game_reset() {
    timeout = params.max_episode_steps;
    maxspeed = static_cast<float>(params.maxspeed);
    centred = false;
    base_reset(params.world_dim, params.world_dim);
    eaten = 0;
    const float start_r = static_cast<float>(params.start_r);
    growth = (static_cast<float>(params.fish_max_r) - start_r) / params.fish_quota;
    Entity& a = agent();
    a.rx = a.ry = start_r;
    a.y = 1 + a.ry;
  }

  void on_agent_hit(Entity& e) {
    if (e.type != kFish) return;
    Entity& a = agent();
    if (e.rx > a.rx) {
      done = true;
      return;
    }
    reward += static_cast<float>(params.positive_reward);
    e.will_erase = true;
    a.rx += growth;
    a.ry += growth;
    eaten += 1;
  }

  void game_step(int action) {
    base_step(action);
    if (fish_enters()) add_fish();
    if (eaten >= params.fish_quota) {
      done = complete = true;
      reward += static_cast<float>(params.completion_bonus);
    }
    look_along_action();
  }

  bool can_obstruct(const Entity&, const Entity&) { return false; }

  void episode_values(double* values) const override {
    values[0] = static_cast<float>(params.start_r);
  }

  template <class Archive>
  void fields(Archive& a) {
    a("fish_eaten", eaten), a("r_inc", growth);
  }

  contexts::Bigfish params;
  int eaten = 0;
  float growth = 0;  // of the half sizes, per eaten fish

 private:
  bool fish_enters() {
    if (!params.set.fish_prob) return random.below(10) == 1;
    return random.uniform() < params.fish_prob;
  }

  void add_fish() {
    const double spread = params.fish_max_r - params.fish_min_r;
    const float r = static_cast<float>(spread * power(random.uniform(), params.size_exponent) +
                                       params.fish_min_r);
    const float y = random.uniform() * (height - 2 * r);
    const bool right = random.uniform() < params.from_left_prob;
    const double faster = params.set.min_speed || params.set.max_speed
                              ? params.max_speed - params.min_speed
                              : .25;
    float vx = static_cast<float>(params.min_speed + random.uniform() * faster);
    if (!right) vx = -vx;
    Entity e(right ? -r : width + r, y, vx, 0, r, kFish);
    choose_theme(e);
    match_width(e);
    e.is_reflected = !right;
    if (entities.size() <= kMostFish) entities.append(e);
  }
};

const Register<Bigfish> registered;

}  // namespace
}  // namespace cprocgen
