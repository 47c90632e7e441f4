// One frame of a game: background, entities behind, cells, entities, overlay.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "cells.h"
#include "entity.h"
#include "raster.h"
#include "skin.h"
#include "tables.h"

namespace cprocgen {

constexpr int kFrame = 64;  // side of an observation in pixels

// Colour of a type and theme where pictures are replaced by rectangles.
inline Color plain_color(int type, int theme) {
  const int c = ((29 * (type + 1)) % 64 + 19 * theme) % 64;
  const auto shade = [](int level) { return static_cast<uint8_t>(64 * (level + 1) - 1); };
  return {shade(c / 16), shade(c / 4 % 4), shade(c % 4)};
}

// The part of a frame that changes little while the camera stands still: background, entities
// behind the cells, and cells. Drawn once a level; afterwards only around cells that changed.
struct StillFrame {
  struct Behind {
    float x, y, rx, ry, rotation, alpha;
    int type, theme;
    bool mirrored;
    bool operator==(const Behind& o) const {
      return x == o.x && y == o.y && rx == o.rx && ry == o.ry && rotation == o.rotation &&
             alpha == o.alpha && type == o.type && theme == o.theme && mirrored == o.mirrored;
    }
  };

  void forget() { skin = nullptr; }

  const Skin* skin = nullptr;  // with which it was drawn; null: nothing is kept
  std::vector<uint8_t> rgb;
  std::vector<int16_t> grid;
  std::vector<Behind> behind, behind_now;
  std::vector<int> changed;
};

// How the rules of drawing read one game. Made anew for each frame.
template <class G>
class Scene {
 public:
  Scene(G& game, Canvas& canvas, const Skin& skin) : game_(game), canvas_(canvas), skin_(skin) {
    cx_ = game.centred ? game.center_x() : static_cast<float>(game.width / 2.0);
    cy_ = game.centred ? game.center_y() : static_cast<float>(game.height / 2.0);
    vis_ = game.centred ? game.visibility : static_cast<float>(std::max(game.width, game.height));
    camera_ = Camera::around(cx_, cy_, vis_, canvas.size());
    range_ = {0, 0, game.width - 1, game.height - 1};
    if (game.centred) {
      const float reach = vis_ / 2 + 1;
      range_ = {static_cast<int>(cx_ - reach), static_cast<int>(cy_ - reach),
                static_cast<int>(cx_ + reach), static_cast<int>(cy_ + reach)};
    }
  }

  void draw() {
    if (canvas_.size() != kFrame || canvas_.style() != Style::fast) {
      draw_behind(canvas_, range_);
    } else if (game_.centred || G::kScrolls) {
      draw_behind_fast(canvas_);
    } else {
      refresh_still();
      std::memcpy(canvas_.pixel(0, 0), game_.still.rgb.data(), game_.still.rgb.size());
    }
    draw_entities(canvas_, 0);
    draw_entities(canvas_, 1);
    game_.draw_overlay(canvas_, camera_);
    if (game_.options.paint_vel_info && G::kUsefulVelocity) draw_velocity();
  }

 private:
  static constexpr int kLooks = 64;
  static constexpr size_t kMostChanged = 24;  // cells redrawn one by one

  // --- what is shown ---
  int theme_shown(int type, int theme) const {
    return game_.options.restrict_themes && !G::keeps_theme(type) ? 0 : theme;
  }

  CellLook look_of(int value) {
    CellLook look;
    look.kind = CellLook::Kind::nothing;
    if (value == kSpace || value == kInvalid) return look;
    if (value >= kLooks) {
      look.kind = CellLook::Kind::custom;
      return look;
    }
    const int type = game_.picture_of(value);
    if (type < 0) return look;
    const int theme = theme_shown(type, game_.theme_of_cell(value));
    look.kind = game_.options.monochrome ? CellLook::Kind::plain : CellLook::Kind::picture;
    look.color = plain_color(type, theme);
    if (look.kind == CellLook::Kind::picture) look.image = &skin_.image(type, theme);
    return look;
  }

  Rect rect_of(const Entity& e) const {
    if (e.use_abs_coords) {
      const float view = camera_.view, unit = camera_.unit;
      return {view * (e.x - e.rx) * unit, view * (e.y + e.ry) * unit, 2 * view * e.rx * unit,
              2 * view * e.ry * unit};
    }
    return camera_.rect(e.x - e.rx, e.y + e.ry, 2 * e.rx, 2 * e.ry);
  }

  // --- plain drawing ---
  void draw_behind(Canvas& canvas, const CellRange& range) {
    clear(canvas);
    if (game_.options.use_backgrounds) game_.draw_background(canvas, camera_, skin_);
    draw_entities(canvas, -1);
    CellLook looks[kLooks];
    for (int x = range.x0; x <= range.x1; ++x) {
      for (int y = range.y0; y <= range.y1; ++y) {
        const int value = game_.cell(x, y);
        if (value == kSpace || value == kInvalid) continue;
        draw_cell(canvas, value, look(looks, value), camera_.cell(x, y));
      }
    }
  }

  void clear(Canvas& canvas) {
    const double side = canvas.size();
    canvas.fill({0, 0, side, side}, {0, 0, 0});
  }

  void draw_cell(Canvas& canvas, int value, const CellLook& look, const Rect& rect) {
    switch (look.kind) {
      case CellLook::Kind::picture:
        return canvas.picture(rect, *look.image);
      case CellLook::Kind::plain:
        return canvas.fill(rect, look.color);
      case CellLook::Kind::custom:
        game_.draw_cell(canvas, rect, value);
        return;
      default:
        return;
    }
  }

  CellLook look(CellLook* looks, int value) {
    if (value >= kLooks) return look_of(value);
    if (looks[value].kind == CellLook::Kind::unknown) looks[value] = look_of(value);
    return looks[value];
  }

  void draw_entities(Canvas& canvas, int z) {
    for (int i = 0; i < game_.entities.size(); ++i) {
      const Entity& e = game_.entities[i];
      if (e.render_z == z && game_.draws_entity(e)) draw_entity(canvas, e);
    }
  }

  void draw_entity(Canvas& canvas, const Entity& e) {
    const int type = game_.picture_of(e.image_type);
    if (type < 0) return;
    const int theme = theme_shown(type, e.image_theme);
    Rect rect = rect_of(e);
    if (game_.options.monochrome) return canvas.fill(rect, plain_color(type, theme));
    float x = 0, y = 0, w = 1, h = 1;
    game_.adjust_rect(e, x, y, w, h);
    rect = {rect.x + rect.w * x, rect.y + rect.h * y, rect.w * w, rect.h * h};
    const Image& image = skin_.image(type, theme);
    const float ratio = game_.tile_ratio(e);
    if (ratio != 0 && e.rotation == 0) {
      canvas.tiles(rect, image, ratio, e.is_reflected, e.alpha);
    } else {
      canvas.picture(rect, image, e.is_reflected, e.alpha, e.rotation);
    }
  }

  void draw_velocity() {
    const float side = static_cast<float>(0.2 * canvas_.size());
    const Entity& a = game_.agent();
    const auto shade = [](float v, float most) {
      const float level = most > 0 ? static_cast<float>(0.5 * v / most + 0.5) : 0.5f;
      const int byte = static_cast<int>(std::clamp(255 * level, 0.0f, 255.0f));
      return Color{static_cast<uint8_t>(byte), static_cast<uint8_t>(byte),
                   static_cast<uint8_t>(byte)};
    };
    canvas_.fill({0, 0, side, side}, shade(a.vx, game_.maxspeed));
    canvas_.fill({side, 0, side, side}, shade(a.vy, game_.max_jump));
  }

  // --- the same pixels with less work ---
  void draw_behind_fast(Canvas& canvas) {
    static thread_local CellSheet sheet;
    CellLook looks[kLooks];
    sheet.begin(camera_, range_, canvas.size());
    if (game_.options.monochrome || !list_cells(sheet, looks)) return draw_behind(canvas, range_);
    uint64_t hidden[kFrame] = {};
    const bool hides = sheet.cover(hidden);
    canvas.clear();
    if (game_.options.use_backgrounds) {
      canvas.hide(hides ? hidden : nullptr);
      game_.draw_background(canvas, camera_, skin_);
      canvas.hide(nullptr);
    }
    draw_entities(canvas, -1);
    sheet.paint(canvas);
  }

  // False where the game draws some of them itself.
  bool list_cells(CellSheet& sheet, CellLook* looks) {
    for (int y = range_.y0; y <= range_.y1; ++y) {
      for (int x = range_.x0; x <= range_.x1; ++x) {
        const int value = game_.cell(x, y);
        if (value == kSpace || value == kInvalid) continue;
        if (value >= kLooks) return false;
        CellLook& look = looks[value];
        if (look.kind == CellLook::Kind::unknown) {
          look = look_of(value);
          if (look.image) {
            look.columns = &sheet.columns(look.image->width);
            look.rows = &sheet.rows(look.image->height);
          }
        }
        if (look.image) sheet.show(&look, x - range_.x0, y - range_.y0);
      }
    }
    return true;
  }

  void refresh_still() {
    StillFrame& still = game_.still;
    list_behind(still);
    const bool fresh = still.skin == &skin_ && still.grid.size() == game_.grid.size() &&
                       still.behind == still.behind_now;
    if (fresh && still.grid == game_.grid) return;
    still.rgb.resize(static_cast<size_t>(kFrame) * kFrame * 3);
    Canvas canvas(still.rgb.data(), kFrame);
    if (fresh && find_changed(still)) {
      for (int cell : still.changed) redraw_cell(canvas, game_.column(cell), game_.row(cell));
    } else {
      draw_behind_fast(canvas);
    }
    still.skin = &skin_;
    still.grid = game_.grid;
    still.behind = still.behind_now;
  }

  void list_behind(StillFrame& still) const {
    still.behind_now.clear();
    for (int i = 0; i < game_.entities.size(); ++i) {
      const Entity& e = game_.entities[i];
      if (e.render_z != -1) continue;
      still.behind_now.push_back({e.x, e.y, e.rx, e.ry, e.rotation, e.alpha,
                                  game_.picture_of(e.image_type), e.image_theme, e.is_reflected});
    }
  }

  bool find_changed(StillFrame& still) const {
    still.changed.clear();
    const int16_t* before = still.grid.data();
    const int16_t* now = game_.grid.data();
    for (int k = 0; k < game_.area(); ++k) {
      if (before[k] == now[k]) continue;
      if (still.changed.size() == kMostChanged) return false;
      still.changed.push_back(k);
    }
    return true;
  }

  // Neighbours reach into a cell's pixels; they are drawn again in their order, inside its borders.
  void redraw_cell(Canvas& canvas, int x, int y) {
    const Rect rect = camera_.cell(x, y);
    const Span xs = pixel_span(rect.x, rect.w, kFrame), ys = pixel_span(rect.y, rect.h, kFrame);
    const int reach = camera_.unit >= 2 ? 1 : 2 + static_cast<int>(2 / camera_.unit);
    canvas.clip(xs, ys);
    draw_behind(canvas,
                {std::max(x - reach, 0), std::max(y - reach, 0),
                 std::min(x + reach, game_.width - 1), std::min(y + reach, game_.height - 1)});
    canvas.unclip();
  }

  G& game_;
  Canvas& canvas_;
  const Skin& skin_;
  Camera camera_;
  CellRange range_;
  float cx_, cy_, vis_;
};

// The picture of the level, stretched over the world's height and shifted by the level's share.
template <class G>
void draw_background_picture(G& game, Canvas& canvas, const Camera& camera, const Skin& skin) {
  const float w = static_cast<float>(game.width), h = static_cast<float>(game.height);
  const Rect main = camera.rect(0, h, w, h);
  const float picture = skin.background_aspect(game.background_index), world = w / h;
  const float offset = game.bg_pct_x * (picture - world);
  canvas.picture({main.x + main.w * -offset, main.y, main.w * (picture / world), main.h},
                 skin.background(game.background_index));
}

template <class G>
void draw_game(G& game, Canvas& canvas, const Skin& skin) {
  Scene<G>(game, canvas, skin).draw();
}

}  // namespace cprocgen
