// Pictures of maze.
#include "../art.h"

namespace cprocgen {
namespace {

void paint_cheese(Painter& p) {
  inked_polygon(p, {{0.05, 0.62}, {0.78, 0.14}, {0.95, 0.44}, {0.95, 0.86}, {0.07, 0.86}},
                vertical(tone(0xffe27a), tone(0xf2a81d)), 0.07);
  p.polygon({{0.1, 0.62}, {0.76, 0.2}, {0.9, 0.46}}, tone(0xfff0a8));
  p.disc(0.36, 0.74, 0.08, tone(0xc77d10));
  p.disc(0.68, 0.68, 0.1, tone(0xc77d10));
}

// Looks to the left.
void paint_mouse(Painter& p) {
  const Tone fur = tone(0xf6f3ff), pink = tone(0xff9fb0);
  p.curve({{0.8, 0.72}, {0.93, 0.66}, {0.9, 0.48}, {0.97, 0.4}}, 0.06, kInk);
  p.curve({{0.8, 0.72}, {0.93, 0.66}, {0.9, 0.48}, {0.97, 0.4}}, 0.03, pink);
  inked_disc(p, 0.52, 0.3, 0.17, lit(fur), 0.03);
  p.disc(0.52, 0.3, 0.09, pink);
  inked_blob(p,
             {{0.05, 0.66},
              {0.2, 0.45},
              {0.5, 0.32},
              {0.82, 0.5},
              {0.87, 0.78},
              {0.5, 0.88},
              {0.14, 0.82}},
             lit(fur), 0.035);
  inked_disc(p, 0.38, 0.34, 0.16, lit(fur), 0.03);
  p.disc(0.37, 0.35, 0.09, pink);
  p.ellipse(0.5, 0.8, 0.25, 0.06, lighter(fur, 0.45));
  eye(p, 0.25, 0.57, 0.075, -0.3, 0);
  inked_disc(p, 0.07, 0.67, 0.065, pink, 0.02);
  p.rounded(0.3, 0.83, 0.14, 0.07, 0.03, pink);
  p.rounded(0.6, 0.83, 0.14, 0.07, 0.03, pink);
}

bool paint(Painter& p, int type, int) {
  switch (type) {
    case 0:
      paint_mouse(p);
      return true;
    case 2:
      paint_cheese(p);
      return true;
    case 51:
      paint_ground(p, {tone(0xe0b568), tone(0xb98a45), tone(0xf3d38c)}, 3);
      return true;
    default:
      return false;
  }
}

const RegisterArt registered("maze", paint);

}  // namespace
}  // namespace cprocgen
