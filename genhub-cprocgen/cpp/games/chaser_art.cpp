// Pictures of chaser.
#include <cmath>

#include "../art.h"

namespace cprocgen {
namespace {

void paint_hero(Painter& p) {
  const Tone body = tone(0x35b8f0);
  for (int k = 0; k < 3; ++k)
    inked_disc(p, 0.24 + 0.26 * k, 0.83, 0.13, lit(darker(body, 0.2)), 0.04);
  inked_blob(p,
             {{0.06, 0.55},
              {0.16, 0.2},
              {0.5, 0.05},
              {0.84, 0.2},
              {0.94, 0.55},
              {0.8, 0.84},
              {0.5, 0.88},
              {0.2, 0.84}},
             lit(body), 0.06);
  eye(p, 0.34, 0.44, 0.16, 0.2, 0.1);
  eye(p, 0.68, 0.44, 0.16, 0.2, 0.1);
  p.curve({{0.36, 0.68}, {0.5, 0.75}, {0.66, 0.68}}, 0.055, kInk);
  p.ellipse(0.3, 0.17, 0.1, 0.05, tone(0xffffff, 0.8), -35);
}

// A bat-like flyer; the frames beat its wings.
void paint_flyer(Painter& p, int frame, Tone body) {
  const double lift = (frame - 1) * 0.2;
  for (int side = -1; side <= 1; side += 2) {
    inked_polygon(p,
                  {{0.5 + side * 0.14, 0.42},
                   {0.5 + side * 0.34, 0.3 - lift},
                   {0.5 + side * 0.48, 0.38 - lift * 1.3},
                   {0.5 + side * 0.4, 0.52 - lift * 0.6},
                   {0.5 + side * 0.3, 0.5 - lift * 0.4},
                   {0.5 + side * 0.16, 0.64}},
                  lit(darker(body, 0.25)), 0.04);
    inked_polygon(p,
                  {{0.5 + side * 0.22, 0.34}, {0.5 + side * 0.2, 0.1}, {0.5 + side * 0.06, 0.27}},
                  body, 0.04);
  }
  inked_disc(p, 0.5, 0.54, 0.31, lit(body), 0.04);
  for (int side = -1; side <= 1; side += 2) {
    eye(p, 0.5 + side * 0.12, 0.48, 0.095, -side * 0.2, 0.2);
    p.stroke({{0.5 + side * 0.24, 0.33}, {0.5 + side * 0.07, 0.41}}, 0.05, kInk);
    p.polygon({{0.5 + side * 0.1 - 0.05, 0.66},
               {0.5 + side * 0.1 + 0.05, 0.66},
               {0.5 + side * 0.1, 0.79}},
              tone(0xffffff));
  }
  p.stroke({{0.34, 0.66}, {0.66, 0.66}}, 0.04, kInk);
}

void paint_scared(Painter& p) {
  const Tone body = tone(0x8fa6ff);
  inked_blob(p,
             {{0.1, 0.6},
              {0.2, 0.24},
              {0.5, 0.08},
              {0.8, 0.24},
              {0.9, 0.6},
              {0.82, 0.92},
              {0.66, 0.82},
              {0.5, 0.93},
              {0.34, 0.82},
              {0.18, 0.92}},
             lit(body), 0.05);
  eye(p, 0.34, 0.42, 0.13, 0, -0.3);
  eye(p, 0.66, 0.42, 0.13, 0, -0.3);
  p.curve({{0.28, 0.7}, {0.38, 0.64}, {0.5, 0.7}, {0.62, 0.64}, {0.72, 0.7}}, 0.05, kInk);
}

void paint_egg(Painter& p) {
  p.star(0.5, 0.5, 0.49, 0.36, 11, kInk);
  p.star(0.5, 0.5, 0.45, 0.33, 11, tone(0x8b4fd0));
  inked_disc(p, 0.5, 0.5, 0.31, lit(tone(0xb98af0)), 0.04);
  for (int k = 0; k < 5; ++k) {
    const double angle = 1.256 * k;
    p.disc(0.5 + 0.16 * std::cos(angle), 0.5 + 0.16 * std::sin(angle), 0.05, tone(0x6b2fb0));
  }
}

bool paint(Painter& p, int type, int) {
  switch (type) {
    case 0:
      paint_hero(p);
      return true;
    case 2:
      paint_gem(p, tone(0xffd21f));
      return true;
    case 3:
      paint_scared(p);
      return true;
    case 4:
      paint_egg(p);
      return true;
    case 5:
      paint_bricks(p, tone(0x4f83c4), tone(0x23406e), 4, 2);
      return true;
    case 6:
    case 7:
    case 8:
      paint_flyer(p, type - 6, tone(0xe8433f));
      return true;
    default:
      return false;
  }
}

const RegisterArt registered("chaser", paint);

}  // namespace
}  // namespace cprocgen
