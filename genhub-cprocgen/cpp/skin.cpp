#include "skin.h"

#include <algorithm>
#include <stdexcept>

#include "env.h"
#include "tables.h"

namespace cprocgen {
namespace {

// Only the aspect of a picture matters: more pixels would cost memory, fewer would blur.
constexpr int kLargestBackground = 512;
constexpr int kSmallestSprite = 48;

const BackgroundGroup& group_of(const GameTable& table) {
  return kBackgroundGroups[table.background_group];
}

std::map<std::string, Paint>& registered_art() {
  static std::map<std::string, Paint> art;
  return art;
}

// Small pictures are painted larger, for the human view.
int enlargement(int width, int height) {
  return std::max(1, (kSmallestSprite + std::min(width, height) - 1) / std::min(width, height));
}

}  // namespace

RegisterArt::RegisterArt(const char* game, Paint paint) { registered_art()[game] = paint; }

int Skin::slot_count(const GameTable& table) {
  int count = kTypes;
  for (int i = 0; i < table.type_count; ++i) count += table.types[i].count;
  return count;
}

void Skin::Slot::take(const Given& given, std::pair<int, int> key) {
  const auto found = given.find(key);
  if (found == given.end()) return;
  kept = found->second;
  ready = kept.get();
}

Skin::Skin(const GameTable& table, Paint paint, const Given& sprites, const Given& backgrounds)
    : table_(table), paint_(paint), slots_(slot_count(table)), backgrounds_(group_of(table).count) {
  int next = 0;
  for (int type = 0; type < kTypes; ++type) {
    const PictureType* found = nullptr;
    for (int i = 0; i < table.type_count; ++i)
      if (table.types[i].type == type) found = &table.types[i];
    first_[type] = next;
    count_[type] = found ? found->count : 1;
    for (int theme = 0; theme < count_[type]; ++theme) {
      Slot& slot = slots_[next++];
      slot.type = type;
      slot.theme = theme;
      const int width = found ? found->themes[theme].width : kSmallestSprite;
      const int height = found ? found->themes[theme].height : kSmallestSprite;
      slot.width = width * enlargement(width, height);
      slot.height = height * enlargement(width, height);
      slot.take(sprites, {type, theme});
    }
  }
  for (int index = 0; index < group_of(table).count; ++index) {
    const Picture& picture = group_of(table).pictures[index];
    const double longer = std::max(picture.width, picture.height);
    const double scale = std::min(1.0, kLargestBackground / longer);
    Slot& slot = backgrounds_[index];
    slot.type = -1;
    slot.theme = index;
    slot.width = std::max(1, static_cast<int>(picture.width * scale + 0.5));
    slot.height = std::max(1, static_cast<int>(picture.height * scale + 0.5));
    slot.take(backgrounds, {0, index});
    aspects_.push_back(picture.aspect());
  }
}

const Image& Skin::painted(const Slot& slot) const {
  const std::lock_guard<std::mutex> lock(painting_);
  if (slot.kept) return *slot.kept;
  Painter painter(slot.width, slot.height);
  if (slot.type < 0) {
    paint_background(painter, group_of(table_).name, slot.theme);
  } else if (!(paint_ && paint_(painter, slot.type, slot.theme)) &&
             !paint_shared(painter, slot.type, slot.theme)) {
    paint_generic(painter, slot.type, slot.theme);
  }
  slot.kept = std::make_shared<const Image>(painter.image());
  slot.ready.store(slot.kept.get(), std::memory_order_release);
  return *slot.kept;
}

void SkinSet::set_sprite(const std::string& game, int type, int theme, Image image) {
  const RegisteredGame* found = find_game(game);
  if (!found) throw std::invalid_argument("there is no game " + game);
  const PictureType* types = found->table->types;
  const auto* end = types + found->table->type_count;
  const auto* of_type =
      std::find_if(types, end, [&](const PictureType& t) { return t.type == type; });
  if (of_type == end || theme < 0 || theme >= of_type->count) {
    throw std::invalid_argument(game + " has no picture of type " + std::to_string(type) +
                                ", theme " + std::to_string(theme));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  sprites_[game][{type, theme}] = std::make_shared<const Image>(std::move(image));
  skins_.erase(game);
}

void SkinSet::set_background(const std::string& group, int index, Image image) {
  const auto* end = kBackgroundGroups + kBackgroundGroupCount;
  const auto* found = std::find_if(kBackgroundGroups, end,
                                   [&](const BackgroundGroup& g) { return group == g.name; });
  if (found == end || index < 0 || index >= found->count) {
    throw std::invalid_argument("there is no background " + std::to_string(index) + " in group " +
                                group);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  backgrounds_[group][{0, index}] = std::make_shared<const Image>(std::move(image));
  skins_.clear();
}

std::shared_ptr<const Skin> SkinSet::of(const std::string& game) {
  const RegisteredGame* found = find_game(game);
  if (!found) throw std::invalid_argument("there is no game " + game);
  const std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<const Skin>& skin = skins_[game];
  if (!skin) {
    skin = std::make_shared<const Skin>(*found->table, registered_art()[game], sprites_[game],
                                        backgrounds_[group_of(*found->table).name]);
  }
  return skin;
}

}  // namespace cprocgen
