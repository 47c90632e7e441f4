#include "view.h"

#include <vector>

#include "raster.h"

namespace cprocgen {

void draw_view(Env& env, const Skin& skin, int size, uint8_t* rgb) {
  constexpr int kObservation = 64;
  if (size == kObservation) {
    Canvas canvas(rgb, size, Style::plain);
    env.draw(canvas, skin);
    return;
  }
  constexpr int kFactor = 2;
  const int side = size * kFactor;
  std::vector<uint8_t> large(static_cast<size_t>(side) * side * 3);
  Canvas canvas(large.data(), side, Style::smooth);
  env.draw(canvas, skin);
  shrink(large.data(), size, kFactor, rgb);
}

}  // namespace cprocgen
