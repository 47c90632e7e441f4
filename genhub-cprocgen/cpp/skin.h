// The pictures of a game: painted by the package itself at first use, or given from outside.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "env.h"
#include "painter.h"
#include "raster.h"

namespace cprocgen {

// Paints the picture of a type and theme; false where it knows none.
using Paint = bool (*)(Painter&, int type, int theme);

bool paint_shared(Painter& p, int type, int theme);   // explosions, trails
void paint_generic(Painter& p, int type, int theme);  // a plain badge coloured by type
void paint_background(Painter& p, const char* group, int index);

// The source file that holds a game's pictures holds one of these.
struct RegisterArt {
  RegisterArt(const char* game, Paint paint);
};

// What one game draws with. Safe to share between threads.
class Skin {
 public:
  using Given = std::map<std::pair<int, int>, std::shared_ptr<const Image>>;

  Skin(const GameTable& table, Paint paint, const Given& sprites, const Given& backgrounds);

  const Image& image(int type, int theme) const {
    const Slot& slot = slots_[slot_of(type, theme)];
    const Image* ready = slot.ready.load(std::memory_order_acquire);
    return ready ? *ready : painted(slot);
  }
  const Image& background(int index) const {
    const Slot& slot = backgrounds_[index];
    const Image* ready = slot.ready.load(std::memory_order_acquire);
    return ready ? *ready : painted(slot);
  }
  int background_count() const { return static_cast<int>(backgrounds_.size()); }
  // Of the picture in the table: that of a picture given from outside may differ.
  float background_aspect(int index) const { return aspects_[index]; }

 private:
  static constexpr int kTypes = 64;

  struct Slot {
    int type = 0, theme = 0, width = 0, height = 0;
    mutable std::atomic<const Image*> ready{nullptr};
    mutable std::shared_ptr<const Image> kept;

    void take(const Given& given, std::pair<int, int> key);
  };

  static int slot_count(const GameTable& table);
  int slot_of(int type, int theme) const {
    const int known = type >= 0 && type < kTypes ? type : kTypes - 1;
    return theme > 0 && theme < count_[known] ? first_[known] + theme : first_[known];
  }
  const Image& painted(const Slot& slot) const;

  const GameTable& table_;
  Paint paint_;
  std::array<int, kTypes> first_{}, count_{};
  std::vector<Slot> slots_, backgrounds_;
  std::vector<float> aspects_;
  mutable std::mutex painting_;
};

// A choice of pictures for any game: the built-in ones, with those replaced that were given.
class SkinSet {
 public:
  // Both throw std::invalid_argument where the tables have no such picture.
  void set_sprite(const std::string& game, int type, int theme, Image image);
  void set_background(const std::string& group, int index, Image image);

  // The same object for the same game, until a picture of it is replaced.
  std::shared_ptr<const Skin> of(const std::string& game);

 private:
  std::map<std::string, Skin::Given> sprites_, backgrounds_;
  std::map<std::string, std::shared_ptr<const Skin>> skins_;
  std::mutex mutex_;
};

}  // namespace cprocgen
