// Landscapes behind platforms: nine kinds, each under several skies.
#include <cmath>

#include "backgrounds.h"

namespace cprocgen {
namespace {

struct Sky {
  Tone high, low, far, near, light;
};

constexpr Sky kSkies[] = {
    {tone(0x5fa8e8), tone(0xcfeaf8), tone(0x9cc4d8), tone(0x5f9a88), tone(0xfff6d0)},
    {tone(0x3b3f8c), tone(0xf0a080), tone(0xa0708c), tone(0x5a4068), tone(0xffd890)},
    {tone(0x14183c), tone(0x3f4f86), tone(0x34406e), tone(0x1c2448), tone(0xe8ecff)},
    {tone(0x66b8b0), tone(0xe8f4d8), tone(0xa8cca0), tone(0x688c5c), tone(0xffffff)},
    {tone(0x8c6cc0), tone(0xf8d0e0), tone(0xc09cc8), tone(0x80609c), tone(0xfff0f8)},
    {tone(0x58748c), tone(0xb8c8d0), tone(0x8ca0ac), tone(0x5c7080), tone(0xf0f4f8)}};

void paint_sky(Painter& p, const Sky& sky, uint32_t seed) {
  p.all(vertical(sky.high, sky.low));
  const double x = 0.15 + 0.7 * cell_noise(0, 1, seed), y = 0.14 + 0.2 * cell_noise(0, 2, seed);
  p.disc(x, y, 0.13, faint(sky.light, 0.22));
  p.disc(x, y, 0.08, sky.light);
}

void paint_clouds(Painter& p, Tone cloud, uint32_t seed, int count) {
  for (int k = 0; k < count; ++k) {
    const double x = cell_noise(k, 3, seed), y = 0.08 + 0.4 * cell_noise(k, 4, seed);
    const double r = 0.03 + 0.04 * cell_noise(k, 5, seed);
    for (int puff = -2; puff <= 2; ++puff) {
      const double rise = r * (1.1 - 0.25 * puff * puff);
      p.disc(x + puff * r / p.aspect(), y - rise * 0.35, rise * 0.8, faint(cloud, 0.55));
    }
  }
}

// A horizon: from x to the height there, in fractions of the picture.
template <class Height>
void paint_ridge(Painter& p, const Fill& f, Height height) {
  constexpr int kSteps = 160;
  Contour ridge{{0, 1}};
  for (int k = 0; k <= kSteps; ++k)
    ridge.push_back({k / double{kSteps}, 1 - height(k / double{kSteps})});
  ridge.push_back({1, 1});
  p.polygon(ridge, f);
}

Tone between(const Sky& sky, double t) { return mixed(sky.far, sky.near, t); }

void paint_hills(Painter& p, const Sky& sky, uint32_t seed) {
  for (int layer = 0; layer < 4; ++layer) {
    const double base = 0.5 - 0.12 * layer;
    const Tone c = between(sky, layer / 3.0);
    paint_ridge(p, vertical(lighter(c, 0.16), darker(c, 0.1)), [&](double x) {
      return base + 0.16 * (smooth_noise(x * (3 + layer), layer * 5.0, seed) - 0.5);
    });
  }
}

void paint_mountains(Painter& p, const Sky& sky, uint32_t seed) {
  for (int layer = 0; layer < 3; ++layer) {
    const Tone c = between(sky, layer / 2.0);
    paint_ridge(p, vertical(lighter(c, 0.5 - 0.2 * layer), c), [&](double x) {
      const double n = std::fabs(cloud_noise(x * (3 + layer), layer * 9.0, seed, 5) - 0.5) * 2;
      return 0.62 - 0.17 * layer - 0.42 * n;
    });
  }
}

void paint_dunes(Painter& p, const Sky& sky, uint32_t seed) {
  const Tone sand = tone(0xd8b078);
  for (int layer = 0; layer < 4; ++layer) {
    const Tone c = mixed(mixed(sand, sky.far, 0.6 - 0.15 * layer), sky.near, 0.1 * layer);
    paint_ridge(p, vertical(lighter(c, 0.15), darker(c, 0.12)), [&](double x) {
      const double wave = std::fmod(x * (1.5 + layer * 0.4) + cell_noise(layer, 0, seed), 1.0);
      return 0.44 - 0.1 * layer + 0.12 * std::sin(wave * 3.14159265);
    });
  }
  for (int k = 0; k < 5; ++k) {
    const double x = cell_noise(k, 8, seed), y = 0.72 + 0.2 * cell_noise(k, 9, seed);
    p.stroke({{x, y}, {x, y - 0.12}}, 0.03, tone(0x5f8a58));
    p.stroke({{x, y - 0.05}, {x + 0.03, y - 0.06}, {x + 0.03, y - 0.1}}, 0.02, tone(0x5f8a58));
  }
}

void paint_forest(Painter& p, const Sky& sky, uint32_t seed) {
  for (int layer = 0; layer < 3; ++layer) {
    const Tone c = mixed(between(sky, layer / 2.0), tone(0x3f7a54), 0.35);
    const double ground = 0.34 - 0.1 * layer;
    for (int k = 0; k < 26 - 5 * layer; ++k) {
      const double x = (k + cell_noise(k, layer, seed)) / (26 - 5 * layer);
      const double tall = 0.2 + 0.16 * cell_noise(k, layer + 9, seed) + 0.05 * layer;
      for (int part = 0; part < 3; ++part) {
        const double y = 1 - ground - tall * (0.3 + 0.28 * part),
                     w = tall * (0.32 - 0.07 * part) / p.aspect();
        p.polygon({{x - w, y + tall * 0.22}, {x + w, y + tall * 0.22}, {x, y - tall * 0.24}},
                  darker(c, 0.06 * (2 - part)));
      }
    }
    paint_ridge(p, darker(c, 0.15),
                [&](double x) { return ground + 0.05 * smooth_noise(x * 6, layer, seed); });
  }
}

void paint_town(Painter& p, const Sky& sky, uint32_t seed) {
  for (int layer = 0; layer < 3; ++layer) {
    const Tone c = between(sky, layer / 2.0);
    const int count = 16 - 3 * layer;
    for (int k = 0; k < count; ++k) {
      const double w = 1.0 / count, h = 0.25 + 0.4 * cell_noise(k, layer, seed) - 0.08 * layer;
      p.box(k * w, 1 - h, w * 0.92, h, vertical(lighter(c, 0.1), darker(c, 0.12)));
      for (int row = 0; row < 9; ++row) {
        for (int column = 0; column < 3; ++column) {
          if (cell_noise(k * 16 + row, column + 10 * layer, seed) < 0.55) continue;
          p.box(k * w + w * (0.14 + 0.25 * column), 1 - h + 0.03 + 0.045 * row, w * 0.14, 0.02,
                mixed(c, sky.light, 0.55));
        }
      }
    }
  }
}

void paint_cave(Painter& p, const Sky& sky, uint32_t seed) {
  const Tone rock = mixed(sky.near, tone(0x4a3f48), 0.55);
  p.shade([&](Point at, Tone) {
    const double n = cloud_noise(at.x * 5 * p.aspect(), at.y * 5, seed, 4);
    return mixed(darker(rock, 0.45), lighter(rock, 0.08), n);
  });
  for (int layer = 0; layer < 2; ++layer) {
    const Tone c = darker(rock, 0.3 + 0.2 * layer);
    const auto teeth = [&](double x, double side) {
      const double n = smooth_noise(x * (11 - 3 * layer), side + layer, seed);
      return (0.32 - 0.1 * layer) * std::pow(n, 2.2) + 0.08;
    };
    paint_ridge(p, c, [&](double x) { return teeth(x, 3); });
    p.turn({0.5, 0.5}, 180);
    paint_ridge(p, c, [&](double x) { return teeth(x, 17); });
    p.unturn();
  }
  for (int k = 0; k < 14; ++k) {
    const double x = cell_noise(k, 6, seed), y = 0.2 + 0.6 * cell_noise(k, 7, seed);
    const Tone crystal = mixed(from_hsv(cell_noise(0, 8, seed), 0.5, 0.8), rock, 0.3);
    p.polygon({{x, y - 0.03}, {x + 0.01, y}, {x, y + 0.02}, {x - 0.01, y}}, crystal);
  }
}

void paint_beach(Painter& p, const Sky& sky, uint32_t seed) {
  const Tone sea = mixed(tone(0x2f90b8), sky.high, 0.35);
  p.box(0, 0.52, 1, 0.3, vertical(lighter(sea, 0.25), sea));
  for (int k = 0; k < 40; ++k) {
    const double x = cell_noise(k, 1, seed), y = 0.54 + 0.2 * cell_noise(k, 2, seed);
    p.stroke({{x, y}, {x + 0.05 * (y - 0.4), y}}, 0.006, tone(0xffffff, 0.4));
  }
  paint_ridge(p, vertical(tone(0xf0dcae), tone(0xd0b080)),
              [&](double x) { return 0.2 + 0.06 * smooth_noise(x * 3, 1, seed); });
  for (int k = 0; k < 3; ++k) {
    const double x = (k + 0.2 + 0.6 * cell_noise(k, 5, seed)) / 3, tip = x + 0.05,
                 top = 0.4 + 0.1 * cell_noise(k, 6, seed);
    p.curve({{x, 0.86}, {x + 0.015, 0.65}, {tip, top}}, 0.022, tone(0x7a5a40));
    for (int leaf = 0; leaf < 6; ++leaf) {
      const double angle = 3.3 + leaf * 0.6, reach = 0.13;
      p.curve({{tip, top},
               {tip + 0.5 * reach * std::cos(angle) / p.aspect(),
                top + 0.5 * reach * std::sin(angle) - 0.02},
               {tip + reach * std::cos(angle) / p.aspect(), top + reach * std::sin(angle) + 0.05}},
              0.022, tone(0x4f8f56));
    }
  }
}

void paint_candy(Painter& p, const Sky& sky, uint32_t seed) {
  for (int layer = 0; layer < 3; ++layer) {
    const Tone c = mixed(from_hsv(cell_noise(layer, 0, seed), 0.3, 0.86), sky.far, 0.3);
    for (int k = 0; k < 7; ++k) {
      const double x = (k + cell_noise(k, layer, seed)) / 7,
                   y = 0.45 + 0.1 * layer + 0.1 * cell_noise(k, 4, seed);
      p.stroke({{x, y}, {x, 1}}, 0.016, lighter(c, 0.5));
      p.disc(x, y, 0.06, mixed(c, sky.light, 0.25));
      p.ring(x, y, 0.042, 0.014, lighter(c, 0.6));
      p.disc(x, y, 0.014, lighter(c, 0.6));
    }
    paint_ridge(p, vertical(lighter(c, 0.12), darker(c, 0.08)), [&](double x) {
      return 0.36 - 0.11 * layer + 0.06 * std::sin(x * (9 + 3 * layer) + seed + layer);
    });
  }
}

void paint_islands(Painter& p, const Sky& sky, uint32_t seed) {
  for (int k = 0; k < 11; ++k) {
    const double x = cell_noise(k, 1, seed), y = 0.2 + 0.065 * k,
                 w = (0.05 + 0.06 * cell_noise(k, 2, seed)) * (0.6 + 0.05 * k);
    const Tone c = between(sky, k / 10.0);
    p.blob({{x - w, y},
            {x - w * 0.5, y + w * 0.9},
            {x + 0.1 * w, y + w * 1.7},
            {x + w * 0.6, y + w * 0.8},
            {x + w, y}},
           darker(c, 0.15));
    p.ellipse(x, y, w * 1.05, w * 0.32, mixed(c, tone(0x7fc070), 0.45));
    p.ellipse(x, y - w * 0.07, w * 0.98, w * 0.22, mixed(lighter(c, 0.2), tone(0xa0d888), 0.45));
  }
}

}  // namespace

void paint_landscape(Painter& p, int index) {
  using Scene = void (*)(Painter&, const Sky&, uint32_t);
  constexpr Scene kScenes[] = {paint_hills, paint_mountains, paint_cave,  paint_forest, paint_town,
                               paint_dunes, paint_beach,     paint_candy, paint_islands};
  const Sky& sky = kSkies[(index + index / 9) % 6];
  const uint32_t seed = 900 + index;
  paint_sky(p, sky, seed);
  if (index % 9 != 2) paint_clouds(p, mixed(sky.low, tone(0xffffff), 0.5), seed, 5);
  kScenes[index % 9](p, sky, seed);
}

}  // namespace cprocgen
