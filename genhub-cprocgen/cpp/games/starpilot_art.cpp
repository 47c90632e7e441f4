// Pictures of starpilot. The player's ship points up, the others down.
#include <cmath>

#include "../art.h"

namespace cprocgen {
namespace {

constexpr Tone kGlass = tone(0xbdf0ff);
constexpr Tone kHulls[] = {tone(0xe8504a), tone(0xf2a02c), tone(0x58c46a), tone(0xa862e0),
                           tone(0xd9dde6), tone(0xf06fae), tone(0x39b9b0)};

void paint_player(Painter& p) {
  const Tone hull = tone(0x3f8cff);
  inked_polygon(p, {{0.5, 0.3}, {0.96, 0.72}, {0.96, 0.86}, {0.5, 0.8}, {0.04, 0.86}, {0.04, 0.72}},
                lit(hull));
  inked_polygon(p, {{0.06, 0.42}, {0.12, 0.42}, {0.14, 0.8}, {0.04, 0.8}}, tone(0xdfe6f0), 0.03);
  inked_polygon(p, {{0.94, 0.42}, {0.88, 0.42}, {0.86, 0.8}, {0.96, 0.8}}, tone(0xdfe6f0), 0.03);
  inked_polygon(p, {{0.5, 0.04}, {0.6, 0.3}, {0.63, 0.92}, {0.37, 0.92}, {0.4, 0.3}},
                lit(tone(0xeef3fa)));
  inked_ellipse(p, 0.5, 0.45, 0.075, 0.17, vertical(kGlass, tone(0x1d5fb0)));
  p.polygon({{0.42, 0.93}, {0.58, 0.93}, {0.5, 1}}, tone(0xffb02e));
}

// Seven hulls from wide fins to a long dart.
void paint_enemy(Painter& p, int theme) {
  const Tone hull = kHulls[theme];
  const double sweep = 0.1 + 0.06 * theme, tip = 0.5 - 0.03 * (theme % 3);
  for (int side = -1; side <= 1; side += 2) {
    const auto x = [&](double v) { return 0.5 + side * v; };
    inked_polygon(
        p, {{x(0.1), 0.18}, {x(tip - 0.05), sweep}, {x(tip - 0.02), 0.4 + sweep}, {x(0.12), 0.72}},
        lit(darker(hull, 0.12)));
    inked_polygon(p,
                  {{x(tip - 0.12), sweep + 0.12},
                   {x(tip - 0.05), sweep + 0.1},
                   {x(tip - 0.06), 0.78},
                   {x(tip - 0.12), 0.7}},
                  tone(0x4a4f60), 0.03);
    if (theme % 2 == 0)
      p.polygon({{x(0.12), 0.36}, {x(0.34), 0.3}, {x(0.34), 0.42}, {x(0.12), 0.52}},
                lighter(hull, 0.5));
  }
  inked_blob(p, {{0.5, 0.02}, {0.64, 0.16}, {0.63, 0.6}, {0.5, 0.97}, {0.37, 0.6}, {0.36, 0.16}},
             lit(hull));
  inked_ellipse(p, 0.5, 0.62, 0.07, 0.14, vertical(tone(0x30304a), kGlass));
  p.box(0.43, 0.08, 0.14, 0.05, tone(0xffc14a));
  if (theme % 3 == 1) p.rounded(0.44, 0.24, 0.12, 0.18, 0.04, lighter(hull, 0.55));
}

// Bolts are long upwards: the game turns them along their way.
void paint_bolt(Painter& p, Tone glow, Tone core, double width) {
  p.ellipse(0.5, 0.5, width * 1.5, 0.46, radial({0.5, 0.5}, 0.46, glow, faint(glow, 0.35)));
  p.ellipse(0.5, 0.47, width, 0.37, glow);
  p.ellipse(0.5, 0.42, width * 0.55, 0.24, core);
}

void paint_cloud(Painter& p, int theme) {
  const Tone gas = mixed(tone(0x9fb4e8), tone(0xd8a8e0), theme / 8.0);
  for (int k = 0; k < 9; ++k) {
    const double angle = k * 0.698 + theme,
                 away = k == 0 ? 0 : 0.25 + 0.04 * cell_noise(k, theme, 1);
    const double r = 0.17 + 0.06 * cell_noise(k, theme, 2);
    const double x = 0.5 + away * std::cos(angle), y = 0.5 + away * std::sin(angle);
    p.disc(x, y, r, faint(gas, 0.85));
    p.disc(x - 0.03, y - 0.04, r * 0.6, lighter(faint(gas, 0.8), 0.4));
  }
}

void paint_turret(Painter& p, int theme) {
  const Tone metal = theme == 0 ? tone(0x8d96aa) : tone(0xb59a7c);
  inked_polygon(p, {{0.03, 0.98}, {0.1, 0.52}, {0.3, 0.4}, {0.7, 0.4}, {0.9, 0.52}, {0.97, 0.98}},
                lit(metal), 0.08);
  for (int k = 0; k < 4; ++k) p.rounded(0.16 + 0.19 * k, 0.66, 0.1, 0.17, 0.05, tone(0x3b4258));
  inked_ellipse(p, 0.5, 0.4, 0.16, 0.33, lit(lighter(metal, 0.15)));
  p.disc(0.5, 0.34, 0.17, theme == 0 ? tone(0xff4b3f) : tone(0xffb52e));
  p.disc(0.48, 0.29, 0.06, tone(0xffffff, 0.85));
}

// A rocket on its pad, the end of the flight.
void paint_finish(Painter& p, int theme) {
  constexpr Tone kTrim[] = {tone(0xe8433f), tone(0x3f8cff), tone(0x3ec35a), tone(0xffb52e)};
  const Tone trim = kTrim[theme % 4];
  inked_polygon(p, {{0.3, 0.62}, {0.03, 0.8}, {0.03, 0.97}, {0.34, 0.88}}, lit(trim));
  inked_polygon(p, {{0.7, 0.62}, {0.97, 0.8}, {0.97, 0.97}, {0.66, 0.88}}, lit(trim));
  inked_blob(p,
             {{0.5, 0.01},
              {0.72, 0.16},
              {0.8, 0.45},
              {0.72, 0.84},
              {0.5, 0.9},
              {0.28, 0.84},
              {0.2, 0.45},
              {0.28, 0.16}},
             linear({0.2, 0}, {0.85, 0}, tone(0xffffff), tone(0xaeb6c6)));
  p.blob({{0.5, 0.02}, {0.67, 0.12}, {0.72, 0.2}, {0.5, 0.22}, {0.28, 0.2}, {0.33, 0.12}},
         lit(trim));
  p.box(0.23, 0.6, 0.54, 0.045, trim);
  inked_disc(p, 0.5, 0.37, 0.17, radial({0.45, 0.35}, 0.25, kGlass, tone(0x1d5fb0)), 0.05);
  p.polygon({{0.36, 0.9}, {0.64, 0.9}, {0.5, 1}}, tone(0xffb02e));
}

bool paint(Painter& p, int type, int theme) {
  switch (type) {
    case 0:
      paint_player(p);
      return true;
    case 1:
      paint_bolt(p, tone(0x5fd0ff), tone(0xffffff), 0.16);
      return true;
    case 2:
      paint_bolt(p, tone(0xff8a2e), tone(0xfff0a8), 0.22);
      return true;
    case 3:
      paint_bolt(p, tone(0xff3f6f), tone(0xffd0e0), 0.28);
      return true;
    case 4:
    case 8:
      paint_enemy(p, theme % 7);
      return true;
    case 5:
      paint_rock(p, theme < 4 ? tone(0xa5805f) : tone(0x8f95a3), 20 + theme);
      return true;
    case 6:
      paint_cloud(p, theme);
      return true;
    case 7:
      paint_turret(p, theme);
      return true;
    case 9:
      paint_finish(p, theme);
      return true;
    default:
      return false;
  }
}

const RegisterArt registered("starpilot", paint);

}  // namespace
}  // namespace cprocgen
