// Pictures of coinrun.
#include <cmath>

#include "../art.h"

namespace cprocgen {
namespace {

enum class Pose { stand, jump, stride, pass };

constexpr Tone kSuits[] = {tone(0xe8c79a), tone(0x5aa6ff), tone(0x62d26a), tone(0xff8fc0),
                           tone(0xffd23f)};
constexpr Ground kGrounds[] = {{tone(0xa9744a), tone(0x7c4f2f), tone(0xc99a64)},
                               {tone(0x8f6440), tone(0x6b4529), tone(0x6cc24a)},
                               {tone(0x9b7fc0), tone(0x6f5596), tone(0xc9a8f0)},
                               {tone(0xe0bd78), tone(0xb98f4c), tone(0xf6dfa0)},
                               {tone(0x9fb7cf), tone(0x7790ab), tone(0xf4faff)},
                               {tone(0x8a8f99), tone(0x62666f), tone(0xb6bcc6)}};

void paint_leg(Painter& p, double hip, double foot, double heel, Tone suit) {
  inked_stroke(p, {{hip, 0.84}, {foot, heel - 0.02}}, 0.14, darker(suit, 0.12));
  inked_ellipse(p, foot + 0.05, heel, 0.13, 0.035, darker(suit, 0.45));
}

// A round-headed visitor with antennas, in the lower part of a tall picture; looks right.
void paint_runner(Painter& p, Pose pose, int theme) {
  const Tone suit = kSuits[theme % 5];
  const bool jump = pose == Pose::jump;
  const double step = pose == Pose::stride ? 0.2 : pose == Pose::pass ? 0.05 : 0.11;
  const double lean = pose == Pose::stride ? 0.03 : 0;
  paint_leg(p, 0.44, 0.5 - step, jump ? 0.9 : pose == Pose::pass ? 0.93 : 0.96, suit);
  paint_leg(p, 0.56, 0.46 + step, jump ? 0.93 : 0.96, suit);
  const double hand = jump ? 0.56 : pose == Pose::stride ? 0.74 : 0.8;
  inked_stroke(p, {{0.32, 0.7}, {0.14, hand}}, 0.12, darker(suit, 0.12));
  inked_ellipse(p, 0.5 + lean, 0.755, 0.25, 0.115, lit(suit));
  p.ellipse(0.54 + lean, 0.775, 0.14, 0.07, lighter(suit, 0.5));
  inked_stroke(p, {{0.68, 0.7}, {0.86, pose == Pose::stride ? 0.79 : hand}}, 0.12,
               darker(suit, 0.04));
  for (int side = -1; side <= 1; side += 2) {
    p.stroke({{0.5 + side * 0.16, 0.44}, {0.5 + side * 0.24, 0.375}}, 0.06, kInk);
    inked_disc(p, 0.5 + side * 0.25, 0.37, 0.085, lit(lighter(suit, 0.2)));
  }
  inked_ellipse(p, 0.5 + lean, 0.545, 0.38, 0.15, lit(suit));
  eye(p, 0.46 + lean, 0.53, 0.125, 0.3, 0.05);
  eye(p, 0.74 + lean, 0.53, 0.11, 0.3, 0.05);
  p.curve({{0.5, 0.62}, {0.6, 0.637}, {0.7, 0.622}}, 0.05, kInk);
}

void paint_slime(Painter& p, Tone c, bool moving, bool square) {
  const double top = moving ? 0.42 : 0.28, wide = moving ? 0.48 : 0.42;
  if (square) {
    p.rounded(0.5 - wide, top - 0.02, 2 * wide, 1 - top, 0.1, kInk);
    p.rounded(0.54 - wide, top + 0.02, 2 * wide - 0.08, 0.94 - top, 0.08, lit(c));
  } else {
    inked_blob(p,
               {{0.5, top},
                {0.5 + wide * 0.75, top + 0.16},
                {0.5 + wide, 0.88},
                {0.5, 0.95},
                {0.5 - wide, 0.88},
                {0.5 - wide * 0.75, top + 0.16}},
               lit(c));
  }
  eye(p, 0.28, top + 0.27, 0.1, -0.3, 0);
  eye(p, 0.52, top + 0.27, 0.1, -0.3, 0);
  p.curve({{0.3, 0.8}, {0.4, 0.76}, {0.5, 0.8}}, 0.045, kInk);
  p.ellipse(0.36, top + 0.1, 0.1, 0.03, tone(0xffffff, 0.7), -15);
}

// Looks left, like all walkers here.
void paint_walker(Painter& p, Tone shell, Tone skin, bool moving, bool spots) {
  const double shift = moving ? 0.05 : 0;
  for (int k = 0; k < 3; ++k)
    inked_stroke(p, {{0.34 + 0.2 * k, 0.82}, {0.3 + 0.2 * k + (k % 2 ? -shift : shift), 0.92}},
                 0.07, skin);
  inked_disc(p, 0.19, 0.66 - shift / 2, 0.18, lit(skin), 0.035);
  inked_blob(p, {{0.24, 0.84}, {0.28, 0.5}, {0.58, 0.28}, {0.9, 0.5}, {0.94, 0.84}, {0.6, 0.88}},
             lit(shell));
  if (spots) {
    p.curve({{0.56, 0.32}, {0.5, 0.58}, {0.52, 0.84}}, 0.04, kInk);
    for (const Point at : {Point{0.38, 0.56}, Point{0.72, 0.5}, Point{0.68, 0.72}, Point{0.4, 0.74},
                           Point{0.84, 0.7}})
      p.disc(at.x, at.y, 0.065, kInk);
  } else {
    p.ring(0.6, 0.6, 0.22, 0.05, darker(shell, 0.4));
    p.ring(0.6, 0.6, 0.11, 0.05, darker(shell, 0.4));
  }
  eye(p, 0.14, 0.6 - shift / 2, 0.085, -0.3, 0);
}

void paint_mouse_walker(Painter& p, bool moving) {
  const Tone fur = tone(0xb0a29a), pink = tone(0xff8fa3);
  const double rise = moving ? 0.07 : 0;
  p.curve({{0.82, 0.8}, {0.95, 0.7 - 2 * rise}, {0.9, 0.45 - rise}}, 0.05, kInk);
  for (int k = 0; k < 2; ++k) {
    const double foot = 0.3 + 0.36 * k + (k ? -rise : rise);
    inked_ellipse(p, foot, 0.93, 0.1, 0.045, pink);
  }
  inked_disc(p, 0.42, 0.5 - rise, 0.16, lit(fur), 0.035);
  p.disc(0.42, 0.5 - rise, 0.08, tone(0xffa8b8));
  inked_blob(p,
             {{0.05, 0.78 - rise},
              {0.22, 0.58 - rise},
              {0.55, 0.46 - rise},
              {0.86, 0.64 - rise},
              {0.9, 0.86},
              {0.5, 0.9},
              {0.14, 0.88 - rise}},
             lit(fur));
  eye(p, 0.24, 0.7 - rise, 0.08, -0.3, 0);
  inked_disc(p, 0.07, 0.78 - rise, 0.06, pink, 0.02);
}

void paint_worm(Painter& p, Tone c, bool moving) {
  const double hump = moving ? 0.22 : 0.06;
  for (int k = 4; k >= 0; --k) {
    const double rise = k == 0 ? 0.08 : hump * std::sin(k * 0.785);
    inked_disc(p, 0.2 + 0.155 * k, 0.76 - rise, k == 0 ? 0.2 : 0.165,
               lit(k % 2 ? darker(c, 0.14) : c), 0.04);
  }
  eye(p, 0.14, 0.64, 0.085, -0.3, 0);
  eye(p, 0.28, 0.64, 0.085, -0.3, 0);
}

void paint_enemy(Painter& p, int theme, bool moving) {
  switch (theme % 9) {
    case 0:
      return paint_slime(p, tone(0x8fa3b8), moving, true);
    case 1:
      return paint_slime(p, tone(0xb067e0), moving, false);
    case 2:
      return paint_slime(p, tone(0x4fa8ff), moving, false);
    case 3:
      return paint_slime(p, tone(0x5fcf5a), moving, false);
    case 4:
      return paint_mouse_walker(p, moving);
    case 5:
      return paint_walker(p, tone(0xf0a04a), tone(0xf5dba8), moving, false);
    case 6:
      return paint_walker(p, tone(0xf0413c), tone(0x4a4050), moving, true);
    case 7:
      return paint_worm(p, tone(0x74d05a), moving);
    default:
      return paint_worm(p, tone(0xff86b8), moving);
  }
}

void paint_coin(Painter& p) {
  p.disc(0.5, 0.5, 0.42, tone(0x8a5410));
  p.disc(0.5, 0.5, 0.38, linear({0.2, 0.1}, {0.8, 0.95}, tone(0xffe98a), tone(0xf5a80f)));
  p.ring(0.5, 0.5, 0.3, 0.045, tone(0xc9810c));
  p.star(0.5, 0.51, 0.23, 0.1, 5, tone(0xc9810c));
  p.star(0.5, 0.495, 0.2, 0.09, 5, tone(0xfff3b8));
}

// Half a blade above the floor.
void paint_saw(Painter& p, bool moving) {
  p.star(0.5, 0.98, 0.49, 0.38, 14, kInk, moving ? 12.8 : 0);
  p.star(0.5, 0.98, 0.45, 0.36, 14, tone(0xc9d0da), moving ? 12.8 : 0);
  p.disc(0.5, 0.98, 0.33, radial({0.4, 0.8}, 0.45, tone(0xf4f7fb), tone(0x8a929f)));
  p.disc(0.5, 0.98, 0.13, tone(0xe8433f));
  p.disc(0.5, 0.98, 0.06, kInk);
}

void paint_crate(Painter& p, int theme) {
  const Tone wood = tone(0xc98f52), dark = tone(0x7c4f25);
  p.all(dark);
  for (int k = 0; k < 4; ++k)
    p.box(0.05, 0.06 + 0.225 * k, 0.9, 0.195, k % 2 ? wood : lighter(wood, 0.12));
  if (theme == 0 || theme == 1) p.stroke({{0.14, 0.86}, {0.86, 0.14}}, 0.15, dark);
  if (theme == 0 || theme == 1) p.stroke({{0.14, 0.86}, {0.86, 0.14}}, 0.09, lighter(wood, 0.25));
  if (theme == 1) p.stroke({{0.14, 0.14}, {0.86, 0.86}}, 0.15, dark);
  if (theme == 1) p.stroke({{0.14, 0.14}, {0.86, 0.86}}, 0.09, lighter(wood, 0.25));
  p.stroke({{0.08, 0.08}, {0.92, 0.08}, {0.92, 0.92}, {0.08, 0.92}}, 0.16, dark, true);
  p.stroke({{0.08, 0.08}, {0.92, 0.08}, {0.92, 0.92}, {0.08, 0.92}}, 0.1, lighter(wood, 0.2), true);
  if (theme != 3) return;
  p.polygon({{0.5, 0.2}, {0.82, 0.78}, {0.18, 0.78}}, kInk);
  p.polygon({{0.5, 0.28}, {0.75, 0.73}, {0.25, 0.73}}, tone(0xffd52e));
  p.stroke({{0.5, 0.42}, {0.5, 0.58}}, 0.06, kInk);
  p.disc(0.5, 0.67, 0.035, kInk);
}

void paint_lava(Painter& p, bool surface) {
  p.all(tone(0xf46a1c));
  p.shade([](Point at, Tone c) {
    const double n = tiling_noise(at.x * 8, at.y * 8, 8, 9) * 0.7 +
                     tiling_noise(at.x * 16, at.y * 16, 16, 3) * 0.3;
    return mixed(c, n > 0.5 ? tone(0xffd24a) : tone(0xb3200f), std::fabs(n - 0.5) * 1.2);
  });
  if (!surface) return;
  Contour crest;
  for (int k = 0; k <= 24; ++k)
    crest.push_back({k / 24.0, 0.13 + 0.05 * std::sin(k * 3.14159265 / 6)});
  p.stroke(crest, 0.1, tone(0xffe98a));
}

bool paint(Painter& p, int type, int theme) {
  switch (type) {
    case 0:
      paint_runner(p, Pose::stand, theme);
      return true;
    case 9:
      paint_runner(p, Pose::jump, theme);
      return true;
    case 12:
      paint_runner(p, Pose::stride, theme);
      return true;
    case 13:
      paint_runner(p, Pose::pass, theme);
      return true;
    case 1:
      paint_coin(p);
      return true;
    case 2:
    case 3:
      paint_saw(p, type == 3);
      return true;
    case 6:
    case 7:
      paint_enemy(p, theme, type == 7);
      return true;
    case 15:
      paint_ground(p, kGrounds[theme % 6], 30 + theme);
      return true;
    case 16:
      paint_ground_top(p, kGrounds[theme % 6], 30 + theme);
      return true;
    case 17:
    case 18:
      paint_lava(p, type == 18);
      return true;
    case 20:
      paint_crate(p, theme);
      return true;
    default:
      return false;
  }
}

const RegisterArt registered("coinrun", paint);

}  // namespace
}  // namespace cprocgen
