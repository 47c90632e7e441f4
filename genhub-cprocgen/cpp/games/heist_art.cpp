// Pictures of heist.
#include "../art.h"

namespace cprocgen {
namespace {

constexpr Tone kColours[] = {tone(0x3f8cff), tone(0x3ec35a), tone(0xf0483e)};

void paint_thief(Painter& p) {
  const Tone suit = tone(0xf2f4f8);
  inked_ellipse(p, 0.5, 0.74, 0.34, 0.24, lit(suit));
  inked_stroke(p, {{0.17, 0.66}, {0.13, 0.84}}, 0.13, suit);
  inked_stroke(p, {{0.83, 0.66}, {0.87, 0.84}}, 0.13, suit);
  inked_ellipse(p, 0.5, 0.34, 0.4, 0.32, lit(suit));
  inked_ellipse(p, 0.5, 0.36, 0.3, 0.21,
                linear({0.2, 0.2}, {0.8, 0.55}, tone(0x6fd0ff), tone(0x1d4f91)));
  p.ellipse(0.38, 0.29, 0.07, 0.045, tone(0xffffff, 0.9), -25);
  p.rounded(0.38, 0.72, 0.24, 0.13, 0.05, tone(0xff7b2e));
}

void paint_key(Painter& p, Tone c) {
  const Tone edge = darker(c, 0.5), bright = lighter(c, 0.3);
  p.ring(0.27, 0.46, 0.46, 0.3, edge);
  p.stroke({{0.48, 0.46}, {0.92, 0.46}}, 0.36, edge);
  p.stroke({{0.86, 0.46}, {0.86, 0.84}}, 0.24, edge);
  p.stroke({{0.68, 0.46}, {0.68, 0.74}}, 0.24, edge);
  p.ring(0.27, 0.46, 0.41, 0.2, bright);
  p.stroke({{0.48, 0.46}, {0.92, 0.46}}, 0.26, bright);
  p.stroke({{0.86, 0.46}, {0.86, 0.82}}, 0.14, c);
  p.stroke({{0.68, 0.46}, {0.68, 0.72}}, 0.14, c);
}

void paint_lock(Painter& p, Tone c) {
  p.all(darker(c, 0.55));
  p.rounded(0.05, 0.05, 0.9, 0.9, 0.1, vertical(lighter(c, 0.3), darker(c, 0.1)));
  p.rounded(0.13, 0.13, 0.74, 0.74, 0.08, vertical(darker(c, 0.12), darker(c, 0.3)));
  p.disc(0.5, 0.41, 0.16, tone(0xfff4d6));
  p.polygon({{0.44, 0.45}, {0.56, 0.45}, {0.63, 0.78}, {0.37, 0.78}}, tone(0xfff4d6));
  for (const Point at :
       {Point{0.12, 0.12}, Point{0.88, 0.12}, Point{0.12, 0.88}, Point{0.88, 0.88}})
    p.disc(at.x, at.y, 0.045, lighter(c, 0.55));
}

bool paint(Painter& p, int type, int theme) {
  switch (type) {
    case 0:
      paint_thief(p);
      return true;
    case 1:
      paint_lock(p, kColours[theme % 3]);
      return true;
    case 2:
      paint_key(p, kColours[theme % 3]);
      return true;
    case 9:
      paint_gem(p, tone(0xffc21a));
      return true;
    case 51:
      paint_ground(p, {tone(0x9a6a44), tone(0x6d4529), tone(0xb98356)}, 8);
      return true;
    default:
      return false;
  }
}

const RegisterArt registered("heist", paint);

}  // namespace
}  // namespace cprocgen
