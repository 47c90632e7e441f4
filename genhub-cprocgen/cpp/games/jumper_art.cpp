// Pictures of jumper.
#include <cmath>

#include "../art.h"

namespace cprocgen {
namespace {

enum class Pose { stand, jump, stride, pass };

constexpr Ground kGrounds[] = {{tone(0x5b86c9), tone(0x3d5f99), tone(0xa9d4ff)},
                               {tone(0x5d9b57), tone(0x3f713c), tone(0xa8e070)},
                               {tone(0xd6a94a), tone(0xa47c2c), tone(0xffe48a)},
                               {tone(0x9c6b48), tone(0x6f472d), tone(0xd8a878)}};

void paint_ears(Painter& p, Tone fur, double fold) {
  for (int side = -1; side <= 1; side += 2) {
    const double tip = 0.5 + side * (0.17 + fold), root = 0.5 + side * 0.13;
    inked_ellipse(p, (tip + root) / 2, 0.17, 0.1, 0.16, lit(fur), side * (6 + 60 * fold));
    p.ellipse((tip + root) / 2, 0.18, 0.045, 0.11, tone(0xffb3c6), side * (6 + 60 * fold));
  }
}

// Looks right.
void paint_bunny(Painter& p, Pose pose) {
  const Tone fur = tone(0xf3ead8), shade = tone(0xcdbfa6);
  const double step = pose == Pose::stride ? 0.2 : pose == Pose::pass ? 0.02 : 0.13;
  const double feet = pose == Pose::jump ? 0.88 : 0.94;
  paint_ears(p, fur, pose == Pose::jump ? 0.13 : pose == Pose::stride ? 0.05 : 0);
  inked_disc(p, 0.24, 0.76, 0.12, tone(0xffffff));
  inked_ellipse(p, 0.46 - step, feet, 0.16, 0.045, shade);
  inked_ellipse(p, 0.56 + step, pose == Pose::pass ? feet - 0.04 : feet, 0.16, 0.045, shade);
  inked_ellipse(p, 0.5, 0.73, 0.28, 0.19, lit(fur));
  p.ellipse(0.54, 0.76, 0.16, 0.12, tone(0xffffff));
  const double hand = pose == Pose::jump ? 0.56 : 0.74;
  inked_stroke(p, {{0.3, 0.66}, {0.17, hand}}, 0.11, shade);
  inked_stroke(p, {{0.7, 0.66}, {0.85, hand}}, 0.11, shade);
  inked_ellipse(p, 0.5, 0.43, 0.37, 0.17, lit(fur));
  eye(p, 0.45, 0.41, 0.11, 0.3, 0.05);
  eye(p, 0.73, 0.41, 0.1, 0.3, 0.05);
  p.ellipse(0.62, 0.47, 0.05, 0.02, tone(0xff7f9a));
  p.curve({{0.53, 0.51}, {0.62, 0.53}, {0.7, 0.51}}, 0.035, kInk);
}

void paint_spike(Painter& p) {
  const Tone body = tone(0x8a2f52);
  for (int side = -1; side <= 1; side += 2) {
    p.stroke({{0.5 + side * 0.15, 0.8}, {0.5 + side * 0.17, 0.95}}, 0.13, kInk);
    p.stroke({{0.5 + side * 0.17, 0.95}, {0.5 + side * 0.28, 0.96}}, 0.1, kInk);
  }
  p.star(0.5, 0.46, 0.5, 0.35, 12, kInk, 15);
  p.star(0.5, 0.46, 0.455, 0.33, 12, tone(0xe05a7a), 15);
  inked_ellipse(p, 0.5, 0.47, 0.34, 0.21, lit(body));
  eye(p, 0.36, 0.42, 0.12, 0.1, 0.2);
  eye(p, 0.64, 0.42, 0.12, -0.1, 0.2);
  p.stroke({{0.22, 0.31}, {0.42, 0.37}}, 0.06, kInk);
  p.stroke({{0.78, 0.31}, {0.58, 0.37}}, 0.06, kInk);
  p.curve({{0.32, 0.62}, {0.5, 0.57}, {0.68, 0.62}}, 0.06, kInk);
}

void paint_carrot(Painter& p) {
  for (int k = -1; k <= 1; ++k) {
    p.curve({{0.66, 0.33}, {0.74 + 0.05 * k, 0.2 + 0.08 * k}, {0.86 + 0.09 * k, 0.13 + 0.11 * k}},
            0.15, kInk);
  }
  for (int k = -1; k <= 1; ++k) {
    p.curve({{0.66, 0.33}, {0.74 + 0.05 * k, 0.2 + 0.08 * k}, {0.86 + 0.09 * k, 0.13 + 0.11 * k}},
            0.08, tone(0x53c846));
  }
  inked_blob(p, {{0.05, 0.95}, {0.22, 0.52}, {0.56, 0.22}, {0.78, 0.42}, {0.5, 0.78}},
             linear({0.3, 0.3}, {0.6, 0.8}, tone(0xffa53c), tone(0xf0701a)), 0.06);
  p.stroke({{0.4, 0.45}, {0.5, 0.54}}, 0.045, tone(0xc25410));
  p.stroke({{0.28, 0.64}, {0.36, 0.71}}, 0.045, tone(0xc25410));
}

bool paint(Painter& p, int type, int theme) {
  switch (type) {
    case 0:
      paint_bunny(p, Pose::stand);
      return true;
    case 9:
      paint_bunny(p, Pose::jump);
      return true;
    case 10:
    case 12:
      paint_bunny(p, Pose::stride);
      return true;
    case 11:
    case 13:
      paint_bunny(p, Pose::pass);
      return true;
    case 1:
      paint_carrot(p);
      return true;
    case 2:
      paint_spike(p);
      return true;
    case 6:
      paint_ground(p, kGrounds[theme % 4], 50 + theme);
      return true;
    case 7:
      paint_ground_top(p, kGrounds[theme % 4], 50 + theme);
      return true;
    default:
      return false;
  }
}

const RegisterArt registered("jumper", paint);

}  // namespace
}  // namespace cprocgen
