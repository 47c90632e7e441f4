// What moves or stands in a world: an axis-aligned box with half sizes, and the ordered list of them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace cprocgen {

// Type numbers that every game shares.
enum CommonType : int {
  kInvalid = -1,
  kPlayer = 0,
  kWall = 51,
  kExplosion = 54,
  kLastExplosion = 58,
  kTrail = 59,
  kSpace = 100,
};

struct Entity {
  // What collision tests read comes first, in the same cache line.
  float x = 0, y = 0, vx = 0, vy = 0, rx = 0, ry = 0;
  int type = kInvalid;
  bool will_erase = false;
  bool collides_with_entities = false;
  bool smart_step = false;
  bool avoids_collisions = false;
  bool auto_erase = true;
  bool is_reflected = false;
  bool use_abs_coords = false;
  float collision_margin = 0;

  int image_type = kInvalid, image_theme = 0, render_z = 0;
  float rotation = 0, vrot = 0;
  int fire_time = -1, spawn_time = -1, life_time = 0, expire_time = -1;
  float friction = 1, alpha = 1, health = 1, theta = -100, grow_rate = 1, alpha_decay = 1;
  float climber_spawn_x = 0;

  Entity() = default;
  Entity(float x, float y, float vx, float vy, float rx, float ry, int type)
      : x(x), y(y), vx(vx), vy(vy), rx(rx), ry(ry), type(type), image_type(type) {
    if (type == kExplosion) {
      grow_rate = 1.4f;
      expire_time = 4;
    } else if (type == kTrail) {
      grow_rate = 1.05f;
      alpha_decay = 0.8f;
    }
  }
  Entity(float x, float y, float vx, float vy, float r, int type)
      : Entity(x, y, vx, vy, r, r, type) {}

  template <class Archive>
  void fields(Archive& archive) {
    archive("x", x), archive("y", y), archive("vx", vx), archive("vy", vy);
    archive("rx", rx), archive("ry", ry), archive("type", type);
    archive("image_type", image_type), archive("image_theme", image_theme);
    archive("render_z", render_z), archive("will_erase", will_erase);
    archive("collides_with_entities", collides_with_entities);
    archive("collision_margin", collision_margin), archive("rotation", rotation);
    archive("vrot", vrot), archive("is_reflected", is_reflected);
    archive("fire_time", fire_time), archive("spawn_time", spawn_time);
    archive("life_time", life_time), archive("expire_time", expire_time);
    archive("use_abs_coords", use_abs_coords), archive("friction", friction);
    archive("smart_step", smart_step), archive("avoids_collisions", avoids_collisions);
    archive("auto_erase", auto_erase), archive("alpha", alpha), archive("health", health);
    archive("theta", theta), archive("grow_rate", grow_rate);
    archive("alpha_decay", alpha_decay), archive("climber_spawn_x", climber_spawn_x);
  }
};

// An ordered list whose elements keep their addresses: they live in pages that are never freed, and
// erasing moves pointers only. Index 0 is the agent.
class EntityList {
 public:
  int size() const { return static_cast<int>(order_.size()); }
  Entity& operator[](int i) { return *order_[i]; }
  const Entity& operator[](int i) const { return *order_[i]; }

  Entity& append(const Entity& entity) {
    if (free_.empty()) add_page();
    Entity* slot = free_.back();
    free_.pop_back();
    *slot = entity;
    order_.push_back(slot);
    return *slot;
  }

  void clear() {
    free_.insert(free_.end(), order_.rbegin(), order_.rend());
    order_.clear();
  }

  // Keeps the order of what stays.
  template <class Condition>
  void erase_if(Condition gone) {
    size_t kept = 0;
    for (size_t i = 0; i < order_.size(); ++i) {
      if (gone(*order_[i])) {
        free_.push_back(order_[i]);
      } else {
        order_[kept++] = order_[i];
      }
    }
    order_.resize(kept);
  }

 private:
  static constexpr int kPage = 32;

  void add_page() {
    pages_.push_back(std::make_unique<Entity[]>(kPage));
    for (int i = kPage - 1; i >= 0; --i) free_.push_back(&pages_.back()[i]);
    order_.reserve(pages_.size() * kPage);
  }

  std::vector<std::unique_ptr<Entity[]>> pages_;
  std::vector<Entity*> free_;
  std::vector<Entity*> order_;
};

}  // namespace cprocgen
