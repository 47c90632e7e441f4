// Pictures of miner.
#include "../art.h"

namespace cprocgen {
namespace {

// A digging robot on a track; looks right.
void paint_robot(Painter& p) {
  const Tone body = tone(0x58c857);
  p.rounded(0.1, 0.72, 0.7, 0.26, 0.14, kInk);
  p.rounded(0.14, 0.765, 0.62, 0.17, 0.09, tone(0x5b6070));
  for (int k = 0; k < 3; ++k) p.disc(0.235 + 0.215 * k, 0.85, 0.075, tone(0xc9d0da));
  inked_polygon(p, {{0.72, 0.46}, {0.99, 0.6}, {0.72, 0.74}}, lit(tone(0xd5dae3)), 0.05);
  p.stroke({{0.8, 0.5}, {0.77, 0.71}}, 0.035, kInk);
  p.stroke({{0.88, 0.55}, {0.86, 0.66}}, 0.035, kInk);
  p.rounded(0.13, 0.16, 0.64, 0.6, 0.16, kInk);
  p.rounded(0.165, 0.205, 0.57, 0.51, 0.12, lit(body));
  p.rounded(0.3, 0.28, 0.4, 0.24, 0.1, kInk);
  p.disc(0.44, 0.4, 0.08, tone(0xa8f4ff));
  p.disc(0.61, 0.4, 0.08, tone(0xa8f4ff));
  p.stroke({{0.3, 0.17}, {0.24, 0.06}}, 0.05, kInk);
  p.disc(0.23, 0.06, 0.06, tone(0xff5b4a));
  p.rounded(0.22, 0.58, 0.2, 0.07, 0.03, tone(0xfff08a));
}

void paint_dirt(Painter& p) {
  const Tone soil = tone(0x9a643a);
  p.all(soil);
  p.shade([&](Point at, Tone) {
    const double n = tiling_noise(at.x * 5, at.y * 5, 5, 4);
    return n > 0.5 ? lighter(soil, (n - 0.5) * 0.5) : darker(soil, (0.5 - n) * 0.7);
  });
  for (int k = 0; k < 5; ++k)
    p.disc(0.15 + 0.7 * cell_noise(k, 1, 6), 0.15 + 0.7 * cell_noise(k, 2, 6), 0.06,
           darker(soil, 0.4));
}

void paint_exit(Painter& p) {
  p.rounded(0.03, 0.03, 0.94, 0.94, 0.12, tone(0x5b3a20));
  p.rounded(0.08, 0.08, 0.84, 0.84, 0.1, tone(0xc98f52));
  p.rounded(0.16, 0.16, 0.68, 0.68, 0.06, tone(0x5b3a20));
  p.rounded(0.19, 0.19, 0.62, 0.62, 0.05,
            linear({0.2, 0.2}, {0.8, 0.8}, tone(0xd8f6ff), tone(0x4fa8e8)));
  p.polygon({{0.24, 0.6}, {0.6, 0.22}, {0.72, 0.22}, {0.24, 0.72}}, tone(0xffffff, 0.6));
  p.stroke({{0.5, 0.18}, {0.5, 0.82}}, 0.05, tone(0x8a5a2e));
  p.stroke({{0.18, 0.5}, {0.82, 0.5}}, 0.05, tone(0x8a5a2e));
}

bool paint(Painter& p, int type, int) {
  switch (type) {
    case 0:
      paint_robot(p);
      return true;
    case 1:
      paint_rock(p, tone(0x9aa0ac), 61, 0.49);
      return true;
    case 2:
      paint_gem(p, tone(0x2fa8ff));
      return true;
    case 6:
      paint_exit(p);
      return true;
    case 9:
      paint_dirt(p);
      return true;
    case 10:
      paint_bricks(p, tone(0x8e94a3), tone(0x4c515f), 4, 7);
      return true;
    default:
      return false;
  }
}

const RegisterArt registered("miner", paint);

}  // namespace
}  // namespace cprocgen
