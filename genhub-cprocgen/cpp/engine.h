// The step and reset protocol, with a game's rules compiled in. A game derives from
// Game<Itself> and shadows the hooks it changes; calls through self() are resolved at compile time.
#pragma once

#include <algorithm>
#include <cmath>

#include "draw.h"
#include "rows.h"
#include "soundness.h"
#include "world.h"

namespace cprocgen {

template <class Self>
class Game : public World, public Env {
 public:
  Game(Mode mode, const Options& options)
      : World(Self::kTable, mode, options),
        context_(Self::kTable.parameter_count, kUnset) {}

  // --- hooks: what a game may shadow ---
  // Dynamics. game_reset and game_step have no default; they call base_reset and base_step.
  void set_action(int move) {
    avx = static_cast<float>(move / 3 - 1);
    avy = static_cast<float>(move % 3 - 1);
    avrot = 0;
  }
  void update_agent_velocity() {
    Entity& a = agent();
    a.vx = (1 - mixrate) * a.vx;
    a.vy = (1 - mixrate) * a.vy;
    a.vx += mixrate * maxspeed * avx;
    a.vy += mixrate * maxspeed * avy;
    decay_agent_velocity();
  }
  bool is_blocked(const Entity&, int cell, bool /*horizontal*/) {
    return cell == kWall || cell == out_of_bounds;
  }
  bool blocks_entity(const Entity& e, const Entity& other, bool horizontal) {
    return self().is_blocked(e, other.type, horizontal);
  }
  bool reflects(int /*type*/, int /*other*/) { return false; }
  // Without side effects: could `other` block or reflect e at all? Spares the test of boxes.
  bool can_obstruct(const Entity& e, const Entity& other) {
    return self().is_blocked(e, other.type, true) || self().reflects(e.type, other.type);
  }
  void on_agent_hit(Entity&) {}
  void on_hit(Entity&, Entity&) {}
  void on_grid_hit(Entity&, int /*cell*/, int /*x*/, int /*y*/) {}

  // Drawing.
  int picture_of(int type) { return type < 0 ? -type : type; }  // negative: nothing is drawn
  int theme_of_cell(int /*type*/) { return 0; }
  static bool keeps_theme(int /*type*/) { return false; }  // under restrict_themes
  float tile_ratio(const Entity&) { return 0; }            // of copies side by side; 0: none
  // Offset and size in units of the entity's rectangle, y downwards; 0, 0, 1, 1 leaves it.
  void adjust_rect(const Entity&, float& /*x*/, float& /*y*/, float& /*w*/, float& /*h*/) {}
  bool draw_cell(Canvas&, const Rect&, int /*type*/) { return false; }  // true: it drew the cell
  void draw_background(Canvas& canvas, const Camera& camera, const Skin& skin) {
    draw_background_picture(*this, canvas, camera, skin);
  }
  void draw_overlay(Canvas&, const Camera&) {}
  bool draws_entity(const Entity&) { return true; }
  float center_x() { return agent().x; }
  float center_y() { return agent().y; }
  static constexpr bool kUsefulVelocity = true;
  static constexpr bool kScrolls = false;  // the background moves although the camera does not

  // --- pictures ---
  float aspect(int type, int theme) const {
    const PictureType* found = pictures_of(type);
    if (!found) return 1;
    if (options.restrict_themes && !Self::keeps_theme(type)) theme = 0;
    return found->themes[theme].aspect();
  }
  void match_width(Entity& e) const { e.ry = e.rx / aspect(e.image_type, e.image_theme); }
  void match_height(Entity& e) const { e.rx = e.ry * aspect(e.image_type, e.image_theme); }
  void fit_aspect(Entity& e) const {
    const float ratio = aspect(e.image_type, e.image_theme);
    if (ratio > 1) {
      e.ry = e.rx / ratio;
    } else {
      e.rx = e.ry * ratio;
    }
  }

  // --- for a game's own reset and step ---
  void base_reset(int w, int h) {
    width = w;
    height = h;
    bg_pct_x = random.uniform();
    fill_grid(kSpace);
    background_index = random.below(kBackgroundGroups[table_.background_group].count);
    entities.clear();
    const float r = 0.4f;
    float ax = r, ay = r;
    if (!fixed_start) {
      ax = random.uniform() * (width - 2 * r) + r;
      ay = random.uniform() * (height - 2 * r) + r;
    }
    Entity& a = add(ax, ay, 0, 0, r, kPlayer);
    a.smart_step = true;
    a.render_z = 1;
  }

  void base_step(int action) {
    sri = random.between(0, 1000000);
    const int move = action < 9 ? action : 4;
    special = action < 9 ? 0 : action - 8;
    if (move != 4) last_move = move;
    avx = avy = avrot = 0;
    self().set_action(move);
    drive_agent();
    step_entities();
    contacts();
    erase_pass();
    done = done || out_of_world(agent());
  }

  void step_entities() {
    for (int i = entities.size() - 1; i >= 0; --i) {
      Entity& e = entities[i];
      if (e.smart_step) move_entity(e);
      advance(e);
    }
  }

  void decay_agent_velocity() {
    Entity& a = agent();
    a.vx = static_cast<float>(0.9 * a.vx);
    a.vy = static_cast<float>(0.9 * a.vy);
  }

  // --- Env ---
  const GameTable& table() const override { return Self::kTable; }
  Mode distribution_mode() const override { return mode; }
  const std::vector<double>& context() const override { return context_; }

  void new_level(int32_t seed, const double* row) override {
    still.forget();
    context_.assign(row, row + Self::kTable.parameter_count);
    self().params.read(context_.data(), mode);
    random.seed(static_cast<uint32_t>(seed));
    for (int rejected = 0;; ++rejected) {
      try {
        self().game_reset();
        break;
      } catch (const HopelessLevelError&) {
        throw;
      } catch (const LevelError&) {
        if (rejected == kMostRejectedLevels) throw;
      }
    }
    t = 0;
    reward = 0;
    done = complete = false;
  }

  Outcome step(int action) override {
    const bool forced = action == -1;
    t += 1;
    reward = 0;
    done = complete = false;
    self().game_step(forced ? 4 : action);
    const bool ended = done || forced;
    return {reward, ended || t >= timeout, !ended && t >= timeout, complete};
  }

  void draw(Canvas& canvas, const Skin& skin) override { draw_game(self(), canvas, skin); }
  Snapshot snapshot() override {
    Snapshot s;
    s.width = width;
    s.height = height;
    s.grid = grid;
    for (int i = 0; i < entities.size(); ++i) s.entities.push_back(entities[i]);
    self().waiting(s.spawners);
    Inspector inspector;
    world_fields(inspector);
    self().fields(inspector);
    s.scalars = std::move(inspector.scalars);
    return s;
  }

  void archive(Writer& writer) override { all_fields(writer); }
  void archive(Reader& reader) override {
    still.forget();
    all_fields(reader);
    check_row(Self::kTable, context_);
    self().params.read(context_.data(), mode);
    check_loaded(self());
  }

  void waiting(std::vector<Entity>&) {}
  void check_state() const {}  // throws StateError where a loaded state cannot be

  StillFrame still;  // of the drawing alone; a state does without it

 private:
  static constexpr int kMostRejectedLevels = 100;

  Self& self() { return static_cast<Self&>(*this); }

  void drive_agent() {
    Entity& a = agent();
    if (grid_step) {
      a.vx = avx;
      a.vy = avy;
      return;
    }
    self().update_agent_velocity();
    a.vrot = 0.5f * a.vrot;
    a.vrot += 0.5f * (15.0f * kPi / 180) * avrot;
  }

  static void advance(Entity& e) {
    if (!e.smart_step) {
      e.x += e.vx;
      e.y += e.vy;
    }
    e.rotation += e.vrot;
    e.vx *= e.friction;
    e.vy *= e.friction;
    e.life_time += 1;
    if (e.expire_time > 0 && e.life_time > e.expire_time) e.will_erase = true;
    if (e.type == kExplosion && e.image_type < kLastExplosion) e.image_type += 1;
    e.rx *= e.grow_rate;
    e.ry *= e.grow_rate;
    e.alpha = e.alpha_decay * e.alpha;
  }

  void contacts() {
    for (int i = entities.size() - 1; i >= 0; --i) {
      Entity& e = entities[i];
      if (e.type != kPlayer && hit(e, agent(), e.collision_margin)) self().on_agent_hit(e);
      if (e.collides_with_entities) {
        for (int j = entities.size() - 1; j >= 0; --j) {
          Entity& other = entities[j];
          if (j != i && hit(e, other, e.collision_margin) && !e.will_erase && !other.will_erase)
            self().on_hit(e, other);
        }
      }
      if (e.smart_step) touch_cells(e);
    }
  }

  void touch_cells(Entity& e) {
    const float w = e.rx - 0.001f, h = e.ry - 0.001f;
    const int x0 = static_cast<int>(e.x - w), x1 = static_cast<int>(e.x + w);
    const int y0 = static_cast<int>(e.y - h), y1 = static_cast<int>(e.y + h);
    for (int x = x0; x <= x1; ++x)
      for (int y = y0; y <= y1; ++y) {
        const int found = cell(x, y);
        if (found != kSpace) self().on_grid_hit(e, found, x, y);
      }
  }

  // Movement in sub-steps, each first along the axis of the larger speed.
  void move_entity(Entity& e) {
    if (e.will_erase) return;
    int n = 1;
    if (!grid_step) {
      const float squared = e.vx * e.vx + e.vy * e.vy;
      n = std::max(4, static_cast<int>(4 * std::sqrt(static_cast<double>(squared))));
    }
    const float part = static_cast<float>(1.0 / n);
    const bool x_first = moves_x_first(e);
    int free_x = 0, free_y = 0;
    for (int i = 0; i < n; ++i) {
      bool blocked_x, blocked_y;
      if (x_first) {
        blocked_x = try_move(e, e.vx * part, 0, 0);
        blocked_y = try_move(e, 0, e.vy * part, 0);
      } else {
        blocked_y = try_move(e, 0, e.vy * part, 0);
        blocked_x = try_move(e, e.vx * part, 0, 0);
      }
      free_x += !blocked_x;
      free_y += !blocked_y;
      if (blocked_x && blocked_y) break;
    }
    e.vx *= static_cast<float>(free_x) / n;
    e.vy *= static_cast<float>(free_y) / n;
  }

  bool moves_x_first(const Entity& e) const {
    const float difference = std::fabs(e.vx) - std::fabs(e.vy);
    bool x_first = difference == 0 ? sri % 2 == 0 : difference > 0;
    if (e.type == kPlayer) {
      if (avx != 0) x_first = true;
      if (avy != 0) x_first = false;
    }
    return x_first;
  }

  // One sub-step along one axis; a move of zero counts as vertical. Says whether it was blocked.
  bool try_move(Entity& e, float dx, float dy, int depth) {
    if (e.will_erase) return false;
    float nx = e.x + dx, ny = e.y + dy;
    const bool horizontal = dx != 0;
    bool block = false, reflect = false;
    const float w = e.rx * 0.98f, h = e.ry * 0.98f;
    for (int i = -1; i <= 1; i += 2)
      for (int j = -1; j <= 1; j += 2) {
        const int found = lookup(nx + w * i, ny + h * j);
        block = block || self().is_blocked(e, found, horizontal);
        reflect = reflect || self().reflects(e.type, found);
      }
    if (reflect) {
      bounce(e, horizontal ? dx : dy, horizontal, nx, ny);
    } else if (block) {
      stop_at_cell(e, horizontal ? dx : dy, horizontal, nx, ny);
    }
    e.x = nx;
    e.y = ny;
    return meet_entities(e, dx, dy, horizontal, depth) || block;
  }

  static void bounce(Entity& e, float d, bool horizontal, float& nx, float& ny) {
    float& at = horizontal ? nx : ny;
    float& v = horizontal ? e.vx : e.vy;
    const float r = horizontal ? e.rx : e.ry;
    const float over =
        d < 0 ? std::ceil(at - r) - (at - r) : std::floor(at + r) - (at + r);
    v = -1 * v;
    at = at + 2 * over;
  }

  void stop_at_cell(const Entity& e, float d, bool horizontal, float& nx, float& ny) const {
    float& at = horizontal ? nx : ny;
    const float r = horizontal ? e.rx : e.ry;
    if (grid_step) {
      at = horizontal ? e.x : e.y;
    } else {
      at = d > 0 ? std::floor(at + r) - r : std::ceil(at - r) + r;
    }
  }

  bool meet_entities(Entity& e, float dx, float dy, bool horizontal, int depth) {
    bool blocked = false;
    for (int i = entities.size() - 1; i >= 0; --i) {
      Entity& q = entities[i];
      if (&q == &e || q.will_erase || !self().can_obstruct(e, q) || !hit(e, q, -0.001f)) continue;
      if (self().blocks_entity(e, q, horizontal)) {
        push(q, e, horizontal, depth);
        blocked = true;
      } else if (self().reflects(e.type, q.type)) {
        reflect_off(e, q, horizontal ? dx : dy, horizontal);
      }
    }
    return blocked;
  }

  static void reflect_off(Entity& e, const Entity& q, float d, bool horizontal) {
    float& at = horizontal ? e.x : e.y;
    float& v = horizontal ? e.vx : e.vy;
    const float delta = (horizontal ? q.x : q.y) - at;
    const float sum = horizontal ? q.rx + e.rx : q.ry + e.ry;
    at += d > 0 ? -2 * (sum - delta) : 2 * (sum + delta);
    v = -1 * v;
  }

  // `source` stands where `target` wants to be: target goes back to its edge.
  void push(const Entity& source, Entity& target, bool horizontal, int depth) {
    const double sum = horizontal ? target.rx + source.rx : target.ry + source.ry;
    const float delta = horizontal ? target.x - source.x : target.y - source.y;
    const double from = horizontal ? source.x : source.y;
    const double at = horizontal ? target.x : target.y;
    const float by = static_cast<float>(from + cprocgen::sign(delta) * sum - at);
    if (depth < 5) try_move(target, horizontal ? by : 0, horizontal ? 0 : by, depth + 1);
    (horizontal ? target.vx : target.vy) = 0;
  }

  template <class Archive>
  void all_fields(Archive& archive) {
    archive("context", context_);
    world_fields(archive);
    entity_fields(archive);
    self().fields(archive);
  }

  template <class Archive>
  void entity_fields(Archive& archive) {
    uint32_t count = static_cast<uint32_t>(entities.size());
    archive("entity_count", count);
    if constexpr (Archive::kReads) {
      if (count > archive.left()) throw StateError("the state is cut short");
      entities.clear();
      for (uint32_t i = 0; i < count; ++i) entities.append(Entity());
    }
    for (int i = 0; i < entities.size(); ++i) entities[i].fields(archive);
  }

  std::vector<double> context_;
};

}  // namespace cprocgen
