// Pictures of bigfish. Fish look to the right.
#include "../art.h"

namespace cprocgen {
namespace {

struct Looks {
  Tone body, fin, belly;
  int stripes;
  double nose;
};

void paint_fish(Painter& p, const Looks& l) {
  inked_polygon(p, {{0.27, 0.5}, {0.03, 0.14}, {0.09, 0.5}, {0.03, 0.86}}, lit(l.fin), 0.05);
  inked_blob(p, {{0.38, 0.24}, {0.5, 0.03}, {0.72, 0.12}, {0.7, 0.3}}, lit(l.fin), 0.05);
  inked_blob(p, {{0.42, 0.8}, {0.46, 0.97}, {0.62, 0.93}, {0.62, 0.78}}, lit(l.fin), 0.05);
  inked_blob(p,
             {{0.2, 0.5},
              {0.36, 0.22},
              {0.62, 0.13},
              {0.86, 0.28},
              {l.nose, 0.52},
              {0.86, 0.76},
              {0.62, 0.88},
              {0.36, 0.78}},
             linear({0.5, 0.1}, {0.5, 0.95}, lighter(l.body, 0.15), l.belly), 0.055);
  for (int k = 0; k < l.stripes; ++k) {
    const double x = 0.34 + 0.13 * k;
    p.curve({{x + 0.02, 0.27}, {x - 0.03, 0.5}, {x + 0.02, 0.74}}, 0.085,
            mixed(l.fin, l.body, 0.1));
  }
  inked_blob(p, {{0.56, 0.56}, {0.42, 0.5}, {0.38, 0.66}, {0.5, 0.72}}, lit(l.fin), 0.04);
  eye(p, 0.78, 0.4, 0.12, 0.25, 0.05);
  p.curve({{l.nose - 0.02, 0.62}, {0.87, 0.66}, {0.82, 0.62}}, 0.045, kInk);
}

bool paint(Painter& p, int type, int theme) {
  constexpr Looks kPlayer{tone(0x5fe06a), tone(0x1f9a4c), tone(0xe9ffd0), 0, 0.98};
  constexpr Looks kFish[] = {
      {tone(0xff7a3c), tone(0xfff1de), tone(0xffd0a0), 3, 0.98},
      {tone(0xd95fd0), tone(0x8430b8), tone(0xffc6f2), 0, 0.97},
      {tone(0xf24f55), tone(0xb3203f), tone(0xffd9b0), 2, 0.98},
  };
  if (type != 0 && type != 2) return false;
  paint_fish(p, type == 0 ? kPlayer : kFish[theme % 3]);
  return true;
}

const RegisterArt registered("bigfish", paint);

}  // namespace
}  // namespace cprocgen
