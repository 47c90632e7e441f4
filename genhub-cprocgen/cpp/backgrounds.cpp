#include "backgrounds.h"

#include <cmath>
#include <cstring>

#include "skin.h"

namespace cprocgen {
namespace {

constexpr double kTurn = 6.283185307179586;
constexpr int kLandscapes = 49;  // of the platform group; the rest is space again

struct Palette {
  Tone deep, gas, glow;
};

void paint_stars(Painter& p, uint32_t seed, int count) {
  for (int k = 0; k < count; ++k) {
    const double size = cell_noise(k, 2, seed), r = 0.0016 + 0.0026 * size * size;
    const Tone light = mixed(tone(0xbcd0ff), tone(0xfff2cf), cell_noise(k, 3, seed));
    p.disc(cell_noise(k, 0, seed), cell_noise(k, 1, seed), r, faint(light, 0.25 + 0.6 * size));
  }
}

void paint_planet(Painter& p, uint32_t seed) {
  const double x = 0.15 + 0.7 * cell_noise(1, 0, seed), y = 0.2 + 0.6 * cell_noise(2, 0, seed);
  const double r = 0.08 + 0.16 * cell_noise(3, 0, seed), a = p.aspect();
  const Tone base = from_hsv(cell_noise(4, 0, seed), 0.4, 0.5);
  p.disc(x, y, r * 1.08, faint(base, 0.16));
  p.disc(x, y, r,
         radial({x - r * 0.5 / a, y - r * 0.5}, r * 1.5, lighter(base, 0.3), darker(base, 0.75)));
  if (cell_noise(5, 0, seed) < 0.5) return;
  const Tone ring = lighter(base, 0.45);
  p.ellipse(x, y + r * 0.1, r * 1.7 / a, r * 0.12, faint(ring, 0.55), -14);
}

// Offsets one plank or slab from the next by a shade.
void paint_slabs(Painter& p, Tone base, int columns, int rows, double shift, double gap,
                 uint32_t seed) {
  p.all(darker(base, 0.4));
  for (int j = 0; j < rows; ++j) {
    for (int i = -1; i < columns; ++i) {
      const double w = 1.0 / columns, h = 1.0 / rows, x = (i + (j % 2) * shift) * w;
      const Tone face = mixed(darker(base, 0.1), lighter(base, 0.08), cell_noise(i, j, seed));
      p.box(x + gap * w, j * h + gap * h, w * (1 - gap), h * (1 - gap), face);
      p.box(x + gap * w, j * h + gap * h, w * (1 - gap), h * 0.06, lighter(face, 0.1));
    }
  }
}

void paint_meadow(Painter& p, Tone base, Tone tuft, uint32_t seed) {
  p.shade([&](Point at, Tone) {
    return mixed(darker(base, 0.2), lighter(base, 0.1), cloud_noise(at.x * 6, at.y * 6, seed));
  });
  for (int k = 0; k < 150; ++k) {
    const double x = cell_noise(k, 0, seed), y = cell_noise(k, 1, seed),
                 lean = cell_noise(k, 2, seed) - 0.5;
    p.stroke({{x, y}, {x + 0.02 * lean, y - 0.02}}, 0.006, tuft);
    p.stroke({{x + 0.008, y}, {x + 0.012 + 0.02 * lean, y - 0.015}}, 0.005, tuft);
  }
}

void paint_grit(Painter& p, Tone base, uint32_t seed) {
  p.shade([&](Point at, Tone) {
    const double n = cloud_noise(at.x * 5, at.y * 9, seed, 5);
    return mixed(darker(base, 0.22), lighter(base, 0.14), n);
  });
  for (int k = 0; k < 60; ++k) {
    const double r = 0.004 + 0.008 * cell_noise(k, 2, seed);
    p.ellipse(cell_noise(k, 0, seed), cell_noise(k, 1, seed), r * 1.3, r, darker(base, 0.3));
  }
}

}  // namespace

void paint_space(Painter& p, int index) {
  constexpr Palette kSkies[] = {{tone(0x05060f), tone(0x1c2a5e), tone(0x4a6fd0)},
                                {tone(0x090512), tone(0x3a1450), tone(0xb04fc0)},
                                {tone(0x03090d), tone(0x0d3a42), tone(0x3fb8a8)},
                                {tone(0x0c0608), tone(0x4a1a24), tone(0xe0704a)},
                                {tone(0x06060a), tone(0x2a2a3a), tone(0x8088a8)}};
  const uint32_t seed = 100 + index * 7;
  const Palette& sky = kSkies[index % 5];
  const double stretch = 2 + index % 3;
  p.shade([&](Point at, Tone) {
    const double x = at.x * p.aspect(), n = cloud_noise(x * stretch + 3, at.y * stretch, seed, 5);
    const double band = cloud_noise(x * 1.5, at.y * 1.5 + 9, seed + 50, 3);
    const double gas = std::fmin(1, std::fmax(0, (n - 0.35) * 2.2)) * band;
    return mixed(mixed(sky.deep, sky.gas, gas * 1.2), sky.glow, gas * gas * 0.6);
  });
  paint_stars(p, seed, 170);
  for (int k = 0; k < index % 3; ++k) paint_planet(p, seed + k * 31);
}

void paint_floor(Painter& p, int index) {
  const uint32_t seed = 300 + index;
  switch (index % 9) {
    case 0:
      return paint_slabs(p, tone(0x545a68), 8, 8, 0, 0.06, seed);
    case 1:
      return paint_meadow(p, tone(0x3f7a3c), tone(0x6fae55), seed);
    case 2:
      return paint_grit(p, tone(0x7a5a3c), seed);
    case 3:
      return paint_slabs(p, tone(0x6e4a30), 3, 12, 0.45, 0.03, seed);
    case 4:
      return paint_grit(p, tone(0x4c5560), seed);
    case 5:
      return paint_slabs(p, tone(0x3d5a6a), 6, 6, 0, 0.05, seed);
    case 6:
      return paint_meadow(p, tone(0x5a6a2f), tone(0x97a04c), seed);
    case 7:
      return paint_slabs(p, tone(0x5b4a5e), 6, 12, 0.5, 0.07, seed);
    default:
      return paint_grit(p, tone(0x2f4a45), seed);
  }
}

void paint_underwater(Painter& p, int index) {
  constexpr Tone kTop[] = {tone(0x54c8e8), tone(0x4fa8e0), tone(0x58d0c0), tone(0x6f9ae8)};
  constexpr Tone kDepth[] = {tone(0x0d4a86), tone(0x0f2f6e), tone(0x0c5a66), tone(0x241f66)};
  const uint32_t seed = 500 + index;
  const Tone top = kTop[index % 4], depth = kDepth[index % 4];
  p.shade([&](Point at, Tone) {
    const double wave = smooth_noise(at.x * 9 + at.y * 3, at.y * 2, seed);
    const double ray = std::pow(wave, 3) * (1 - at.y) * 0.7;
    return lighter(mixed(top, depth, std::pow(at.y, 0.8)), ray * 0.6);
  });
  for (int layer = 0; layer < 2; ++layer) {
    Contour reef{{0, 1}};
    for (int k = 0; k <= 40; ++k) {
      const double n = cloud_noise(k * (0.16 + 0.05 * layer), layer * 7.0, seed + 9);
      reef.push_back({k / 40.0, 1 - (0.34 - 0.14 * layer) * n});
    }
    reef.push_back({1, 1});
    p.polygon(reef, darker(depth, 0.15 + 0.3 * layer));
  }
  for (int k = 0; k < 9 + index; ++k) {
    const double x = cell_noise(k, 0, seed), tall = 0.12 + 0.2 * cell_noise(k, 1, seed);
    const double sway = 0.02 + 0.02 * cell_noise(k, 2, seed);
    p.curve({{x, 1}, {x + sway, 1 - tall * 0.4}, {x - sway, 1 - tall * 0.75}, {x + sway, 1 - tall}},
            0.018, mixed(tone(0x2f9a6a), depth, 0.35 + 0.4 * cell_noise(k, 3, seed)));
  }
  for (int k = 0; k < 26; ++k) {
    const double r = 0.005 + 0.012 * cell_noise(k, 6, seed);
    p.ring(cell_noise(k, 4, seed), cell_noise(k, 5, seed), r, r * 0.4, tone(0xffffff, 0.35));
  }
}

void paint_waves(Painter& p, int index) {
  constexpr Tone kSea[] = {tone(0x2f86c8), tone(0x2a9fb0), tone(0x3a6fc0), tone(0x2f8f9a)};
  const uint32_t seed = 700 + index;
  const Tone sea = kSea[index % 4];
  p.shade([&](Point at, Tone) {
    const double bend = smooth_noise(at.x * 5, at.y * 5, seed) * 3;
    const double crest = 0.5 + 0.5 * std::sin((at.y * (9 + index) + bend * 0.35) * kTurn);
    const double foam = std::pow(crest, 12) * smooth_noise(at.x * 12, at.y * 30, seed + 1);
    return lighter(mixed(darker(sea, 0.2), sea, crest), foam * 0.5);
  });
}

void paint_background(Painter& p, const char* group, int index) {
  const auto is = [group](const char* name) { return std::strcmp(group, name) == 0; };
  if (is("platform_backgrounds") && index < kLandscapes) return paint_landscape(p, index);
  if (is("topdown_backgrounds") || is("topdown_simple_backgrounds")) return paint_floor(p, index);
  if (is("water_backgrounds")) return paint_underwater(p, index);
  if (is("water_surface_backgrounds")) return paint_waves(p, index);
  paint_space(p, index);
}

}  // namespace cprocgen
