// starpilot: fly to the right, shoot what comes, and reach the finish line.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "../engine.h"
#include "../introsort.h"
#include "tables.h"

namespace cprocgen {
namespace {

enum Type : int {
  kBulletPlayer = 1,
  kBulletFlyer = 2,
  kBulletTurret = 3,
  kFlyer = 4,
  kMeteor = 5,
  kCloud = 6,
  kTurret = 7,
  kFastFlyer = 8,
  kFinish = 9,
};
constexpr int kSide = 16;
constexpr size_t kMostSpawners = 100000;
constexpr float kUnitSpeed = 2.0f / 5.0f;
constexpr float kSlow = 0.5f;  // of what drifts: meteors, clouds, turrets, the finish line

bool is_flyer(int type) { return type == kFlyer || type == kFastFlyer; }
bool is_destructible(int type) { return is_flyer(type) || type == kMeteor || type == kTurret; }
bool is_lethal(int type) {
  return is_destructible(type) || type == kBulletFlyer || type == kBulletTurret;
}

struct Later {
  bool operator()(const Entity& a, const Entity& b) const { return a.spawn_time > b.spawn_time; }
};

class Starpilot : public Game<Starpilot> {
 public:
  static constexpr const GameTable& kTable = kStarpilot;
  static constexpr bool kScrolls = true;

  Starpilot(Mode mode, const Options& options) : Game(mode, options) {}

  void game_reset() {
    timeout = params.max_episode_steps;
    maxspeed = static_cast<float>(params.maxspeed);
    base_reset(kSide, kSide);
    visibility = kSide;
    make_timetable();
    agent().rotation = kPi / 2;
    choose_theme(agent());
  }

  void game_step(int action) {
    base_step(action);
    for (int i = entities.size() - 1; i > 0; --i) {
      Entity& e = entities[i];
      if (fires(e)) fire_at_agent(e);
      if (e.health <= 0 && is_destructible(e.type) && !e.will_erase) {
        child(e, kExplosion, 0.5f * e.rx, true);
        reward += static_cast<float>(params.enemy_reward);
        e.will_erase = true;
      }
    }
    while (!spawners.empty() && spawners.back().spawn_time <= t) {
      entities.append(spawners.back());
      spawners.pop_back();
    }
    if (special != 0) shoot(special == 2 ? kPi : 0.0f);
    if (t == params.win_time) add_finish_line();
  }

  void on_agent_hit(Entity& e) {
    if (e.type == kFinish) {
      done = complete = true;
      reward += static_cast<float>(params.completion_bonus);
    } else if (is_lethal(e.type)) {
      done = true;
    }
  }

  void on_hit(Entity& e, Entity& other) {
    if (e.type != kBulletPlayer || !is_destructible(other.type)) return;
    e.will_erase = true;
    other.health -= 1;
    add(e.x, e.y, other.vx, other.vy, 0.5f * e.rx, kExplosion);
  }

  // Square copies side by side, three screens high, pass by slowly; long episodes see them again.
  void draw_background(Canvas& canvas, const Camera&, const Skin& skin) {
    constexpr int kTiles = 18, kStepsPerTile = 240;
    const int h = canvas.size(), passed = t % ((kTiles - 1) * kStepsPerTile);
    const float x = -passed * static_cast<float>(h / 16) * 0.5f * 2 / 5;
    canvas.tiles({x, -1.0 * h, kTiles * 3.0 * h, 3.0 * h}, skin.background(background_index), 1,
                 false, 1);
  }

  void waiting(std::vector<Entity>& list) { list = spawners; }

  void episode_values(double* values) const override { values[0] = first_time; }

  template <class Archive>
  void fields(Archive& a) {
    a("first_time", first_time);
    uint32_t count = static_cast<uint32_t>(spawners.size());
    a("spawner_count", count);
    if constexpr (Archive::kReads) {
      if (count > a.left()) throw StateError("the state is cut short");
      spawners.assign(count, Entity());
    }
    if constexpr (!std::is_same_v<Archive, Inspector>)
      for (Entity& e : spawners) e.fields(a);
  }

  void check_state() const {
    for (const Entity& e : spawners) Soundness::check(e, *this);
  }

  contexts::Starpilot params;
  std::vector<Entity> spawners;  // the next to appear is the last
  int first_time = 0;            // when the first group appears

 private:
  // --- the level: a timetable of what appears when ---
  void make_timetable() {
    spawners.clear();
    int time = std::clamp(1 + gap(), params.min_time, params.max_time);
    first_time = time;
    while (time <= params.win_time && total_weight() > 0) {
      add_group(time);
      if (spawners.size() > kMostSpawners)
        throw HopelessLevelError(
            "more than 100000 enemies are to appear: set a smaller win_time or max_group_size, or a "
            "larger min_enemy_delta_t");
      time += gap();
    }
    // The order of those that appear together reaches the entity list.
    Introsort<Entity, Later>::sort(spawners);
  }

  int gap() {
    const int low = params.min_enemy_delta_t;
    return random.between(low, std::max(params.max_enemy_delta_t, low + 1));
  }

  float weight(int type) const {
    switch (type) {
      case kFlyer: return static_cast<float>(params.flyer_prob_weight);
      case kMeteor: return static_cast<float>(params.meteor_prob_weight);
      case kCloud: return static_cast<float>(params.cloud_prob_weight);
      case kTurret: return static_cast<float>(params.turret_prob_weight);
      case kFastFlyer: return static_cast<float>(params.fastflyer_prob_weight);
      default: return 0;
    }
  }

  float total_weight() const {
    float total = 0;
    for (int type = kFlyer; type <= kFastFlyer; ++type) total += weight(type);
    return total;
  }

  // A draw of exactly zero gives a stray bullet, as in the benchmark.
  int choose_type() {
    float left = random.uniform() * total_weight();
    for (int type = kBulletFlyer; type <= kFastFlyer; ++type) {
      left -= weight(type);
      if (left <= 0) return type;
    }
    return kFastFlyer;
  }

  void add_group(int time) {
    const int type = choose_type();
    int size = 1, theme = 0;
    if (is_flyer(type)) {
      size = random.below(params.max_group_size) + 1;
      theme = random.below(theme_count(type));
    }
    const float y = random_position(radius(type), 0, kSide);
    for (int i = 0; i < size; ++i) add_spawner(type, time + 5 * i, y, theme);
  }

  void add_spawner(int type, int time, float y, int theme) {
    int fire_time = random.between(10, 100);
    const float quarter = 2 * kPi / 4;
    float angle = static_cast<float>((random.uniform() - 0.5) * quarter);
    if (random.between(0, 2) == 1) angle = 0;
    float speed = speed_factor(type);
    if (!is_flyer(type)) angle = 0;
    if (type == kMeteor || type == kCloud) fire_time = -1;
    if (type == kTurret) fire_time = random.between(20, 30);
    speed *= kUnitSpeed;
    if (is_flyer(type) && params.set.min_flyer_speed)
      speed = std::max(speed, static_cast<float>(params.min_flyer_speed));
    float vx = static_cast<float>(-cosine(angle) * speed);
    const float vy = static_cast<float>(sine(angle) * speed);
    const float r = radius(type);
    float x = kSide + r;
    if (is_flyer(type) && comes_from_left()) {
      x = -r;
      vx = -vx;
    }
    Entity e(x, y, vx, vy, r, type);
    e.fire_time = fire_time;
    e.spawn_time = time;
    e.health = static_cast<float>(health(type));
    dress(e, theme);
    spawners.push_back(e);
  }

  bool comes_from_left() {
    const float above =
        params.set.left_prob ? static_cast<float>(1 - params.left_prob) : 0.9f;
    return random.uniform() > above && params.can_spawn_left;
  }

  void dress(Entity& e, int group_theme) {
    if (e.type == kCloud) e.render_z = 1;
    if (e.type == kCloud || e.type == kMeteor || e.type == kTurret) choose_theme(e);
    if (e.type == kTurret) match_width(e);
    if (is_flyer(e.type)) {
      e.image_theme = group_theme;
      e.rotation = (e.vx > 0 ? -kPi : kPi) / 2;
    }
  }

  // --- what the types are like ---
  static float radius(int type) {
    return type == kTurret || type == kMeteor || type == kCloud ? 2.0f : 0.5f;
  }

  float speed_factor(int type) const {
    switch (type) {
      case kFlyer: return static_cast<float>(params.flyer_speed);
      case kFastFlyer: return 1.5f;
      case kBulletFlyer: return static_cast<float>(params.bullet_speed);
      case kBulletPlayer:
      case kBulletTurret: return 2;
      default: return kSlow;
    }
  }

  int health(int type) const {
    switch (type) {
      case kFlyer: return params.flyer_health;
      case kFastFlyer: return mode == Mode::extreme ? 2 : 1;
      case kTurret: return params.turret_health;
      case kMeteor: return 500;
      default: return 0;
    }
  }

  // --- bullets and the end ---
  bool fires(const Entity& e) const {
    if (e.fire_time <= 0) return false;
    const int age = t - e.spawn_time;
    return e.type == kTurret ? age % e.fire_time == 0 : age == e.fire_time;
  }

  void fire_at_agent(const Entity& e) {
    const int type = e.type == kTurret ? kBulletTurret : kBulletFlyer;
    const float dx = agent().x - e.x, dy = agent().y - e.y;
    const float squared = dx * dx + dy * dy, speed = speed_factor(type) * kUnitSpeed;
    const float scale = static_cast<float>(speed / std::sqrt(static_cast<double>(squared)));
    Entity& bullet =
        add(e.x, e.y, dx * scale, dy * scale, static_cast<float>(params.bullet_r), type);
    face(bullet, bullet.vx, bullet.vy, -kPi / 2);
  }

  void shoot(float angle) {
    const Entity& a = agent();
    const float speed = speed_factor(kBulletPlayer) * kUnitSpeed;
    const float vx = static_cast<float>(cosine(angle) * speed);
    const float vy = static_cast<float>(sine(angle) * speed);
    const float x = a.x + static_cast<float>(a.rx * cosine(angle));
    Entity& bullet = add(x, a.y, vx, vy, static_cast<float>(params.bullet_r), kBulletPlayer);
    bullet.collides_with_entities = true;
    face(bullet, vx, vy);
    bullet.rotation -= kPi / 2;
  }

  void add_finish_line() {
    Entity e(kSide, kSide / 2, -kSlow * kUnitSpeed, 0, 2, kSide / 2, kFinish);
    choose_theme(e);
    match_height(e);
    e.x = kSide + e.rx;
    entities.append(e);
  }
};

const Register<Starpilot> registered;

}  // namespace
}  // namespace cprocgen
