// Pictures that several games show: explosions and trails; and the badge of a type without art.
#include <cmath>

#include "skin.h"

namespace cprocgen {
namespace {

constexpr int kExplosionType = 54;
constexpr int kExplosionFrames = 5;
constexpr int kTrailType = 59;

// A burst that grows, breaks into tongues and cools to smoke.
void paint_explosion(Painter& p, int frame) {
  const double age = frame / (kExplosionFrames - 1.0);
  const Tone outer = mixed(tone(0xff8c1a), tone(0x8a3324, 0.75), age);
  const Tone inner = mixed(tone(0xfff3a0), tone(0xff7a1a, 0.8), age);
  const double reach = 0.36 + 0.12 * age;
  p.star(0.5, 0.5, reach + 0.02, reach * (0.68 - 0.1 * age), 9 + frame, outer, 13.0 * frame);
  p.star(0.5, 0.5, reach * (0.74 - 0.1 * age), reach * (0.48 - 0.12 * age), 8, inner, 31.0 * frame);
  if (frame < 3) p.disc(0.5, 0.5, reach * (0.36 - 0.1 * frame), tone(0xfffde8));
  if (frame < 2) return;
  for (int k = 0; k < 7; ++k) {
    const double angle = 0.9 * k + frame, away = reach * (0.75 + 0.2 * cell_noise(k, frame, 5));
    p.disc(0.5 + away * std::cos(angle), 0.5 + away * std::sin(angle), 0.05 + 0.02 * (k % 3),
           mixed(tone(0xffb347), tone(0x5a4a48, 0.8), age));
  }
}

}  // namespace

bool paint_shared(Painter& p, int type, int theme) {
  (void)theme;
  if (type >= kExplosionType && type < kExplosionType + kExplosionFrames) {
    paint_explosion(p, type - kExplosionType);
    return true;
  }
  if (type != kTrailType) return false;
  p.disc(0.5, 0.5, 0.48, radial({0.5, 0.5}, 0.5, tone(0xffffff), tone(0xf2f2f2)));
  return true;
}

void paint_generic(Painter& p, int type, int theme) {
  const Tone base = from_hsv(std::fmod(type * 0.381966 + theme * 0.11, 1.0), 0.62, 0.86);
  p.rounded(0.06, 0.06, 0.88, 0.88, 0.22, darker(base, 0.45));
  p.rounded(0.11, 0.11, 0.78, 0.78, 0.18, vertical(lighter(base, 0.2), base));
  p.star(0.5, 0.5, 0.26, 0.14, 3 + type % 5, lighter(base, 0.65), 20.0 * theme);
}

}  // namespace cprocgen
