#include "art.h"

#include <cmath>

namespace cprocgen {

Fill lit(Tone base) {
  return linear({0.2, 0.05}, {0.75, 1}, lighter(base, 0.28), darker(base, 0.16));
}

void inked_disc(Painter& p, double x, double y, double r, const Fill& f, double line) {
  p.disc(x, y, r, kInk);
  p.disc(x, y, r - line, f);
}

void inked_ellipse(Painter& p, double x, double y, double rx, double ry, const Fill& f,
                   double degrees) {
  const double a = p.aspect();
  const double line_x = a > 1 ? kLine / a : kLine, line_y = a > 1 ? kLine : kLine * a;
  p.ellipse(x, y, rx, ry, kInk, degrees);
  p.ellipse(x, y, rx - line_x, ry - line_y, f, degrees);
}

void inked_polygon(Painter& p, const Contour& points, const Fill& f, double line) {
  p.polygon(points, f);
  p.stroke(points, line, kInk, true);
}

void inked_blob(Painter& p, const Contour& points, const Fill& f, double line) {
  p.blob(points, f);
  Contour closed = points;
  closed.push_back(points[0]);
  closed.push_back(points[1]);
  p.curve(closed, line, kInk);
}

void inked_stroke(Painter& p, const Contour& points, double width, const Fill& f) {
  p.stroke(points, width + 2 * kLine, kInk);
  p.stroke(points, width, f);
}

void eye(Painter& p, double x, double y, double r, double look_x, double look_y) {
  const double a = p.aspect();
  const double rx = a > 1 ? r / a : r, ry = a > 1 ? r : r * a;
  p.disc(x, y, r, kInk);
  p.disc(x, y, r * 0.84, tone(0xffffff));
  p.disc(x + look_x * rx, y + look_y * ry, r * 0.46, kInk);
}

void paint_ground(Painter& p, const Ground& ground, uint32_t seed) {
  p.all(ground.soil);
  p.shade([&](Point at, Tone c) {
    const double n = tiling_noise(at.x * 6, at.y * 6, 6, seed) * 0.6 +
                     tiling_noise(at.x * 12, at.y * 12, 12, seed + 1) * 0.4;
    return mixed(c, n > 0.5 ? lighter(ground.soil, 0.3) : ground.dark, std::fabs(n - 0.5) * 0.9);
  });
  for (int k = 0; k < 6; ++k) {
    const double x = 0.12 + 0.76 * cell_noise(k, 1, seed), y = 0.12 + 0.76 * cell_noise(k, 2, seed);
    const double r = 0.03 + 0.03 * cell_noise(k, 3, seed);
    p.ellipse(x, y + 0.015, r * 1.3, r, darker(ground.dark, 0.15));
    p.ellipse(x, y, r * 1.3, r * 0.9, lighter(ground.soil, 0.22));
  }
}

void paint_ground_top(Painter& p, const Ground& ground, uint32_t seed) {
  paint_ground(p, ground, seed);
  // The lower edge repeats after the tile's width, so that tiles join.
  Contour edge{{0, 0}};
  for (int k = 0; k <= 16; ++k)
    edge.push_back({k / 16.0, 0.29 + 0.05 * std::sin(k * 3.14159265 / 2) + 0.03 * (k % 2)});
  edge.push_back({1, 0});
  Contour shadow = edge;
  for (Point& at : shadow) at.y = at.y > 0 ? at.y + 0.055 : 0;
  p.polygon(shadow, darker(ground.dark, 0.3));
  p.polygon(edge,
            linear({0, 0}, {0, 0.34}, lighter(ground.crust, 0.1), darker(ground.crust, 0.12)));
  p.box(0, 0, 1, 0.075, lighter(ground.crust, 0.35));
}

void paint_bricks(Painter& p, Tone brick, Tone mortar, int rows, uint32_t seed) {
  p.all(mortar);
  const double h = 1.0 / rows, gap = 0.16 * h;
  for (int j = 0; j < rows; ++j) {
    for (int i = -1; i < rows / 2 + 1; ++i) {
      const double w = 2 * h, x = (i + (j % 2) * 0.5) * w;
      const int column = ((i % (rows / 2)) + rows / 2) % (rows / 2);
      const Tone face =
          mixed(darker(brick, 0.14), lighter(brick, 0.14), cell_noise(column, j, seed));
      p.box(x + gap / 2, j * h + gap / 2, w - gap, h - gap, darker(face, 0.22));
      p.box(x + gap / 2, j * h + gap / 2, w - gap * 1.5, h - gap * 1.7, lighter(face, 0.16));
      p.box(x + gap, j * h + gap, w - gap * 2, h - gap * 2.2, face);
    }
  }
}

void paint_gem(Painter& p, Tone base) {
  const Contour whole{{0.22, 0.06}, {0.78, 0.06}, {0.97, 0.36}, {0.5, 0.96}, {0.03, 0.36}};
  p.polygon(whole, base);
  p.polygon({{0.22, 0.06}, {0.36, 0.36}, {0.03, 0.36}}, lighter(base, 0.25));
  p.polygon({{0.22, 0.06}, {0.78, 0.06}, {0.64, 0.36}, {0.36, 0.36}}, lighter(base, 0.6));
  p.polygon({{0.78, 0.06}, {0.97, 0.36}, {0.64, 0.36}}, lighter(base, 0.12));
  p.polygon({{0.03, 0.36}, {0.36, 0.36}, {0.5, 0.96}}, darker(base, 0.12));
  p.polygon({{0.36, 0.36}, {0.64, 0.36}, {0.5, 0.96}}, lighter(base, 0.3));
  p.polygon({{0.64, 0.36}, {0.97, 0.36}, {0.5, 0.96}}, darker(base, 0.3));
  p.stroke(whole, 0.05, darker(base, 0.62), true);
}

void paint_rock(Painter& p, Tone base, uint32_t seed, double edge) {
  Contour outline;
  const int corners = 11;
  for (int k = 0; k < corners; ++k) {
    const double angle = k * 2 * 3.14159265 / corners,
                 r = edge * (0.84 + 0.16 * cell_noise(k, 0, seed));
    outline.push_back({0.5 + r * std::cos(angle), 0.5 + r * std::sin(angle)});
  }
  inked_polygon(p, outline, lit(base), 0.04);
  for (int k = 0; k < 5; ++k) {
    const double angle = 6.28 * cell_noise(k, 1, seed), away = edge * 0.62 * cell_noise(k, 2, seed);
    const double r = 0.05 + 0.07 * cell_noise(k, 3, seed);
    const double x = 0.5 + away * std::cos(angle), y = 0.5 + away * std::sin(angle);
    p.disc(x, y, r, darker(base, 0.34));
    p.disc(x + 0.016, y + 0.018, r * 0.82, darker(base, 0.14));
  }
}

}  // namespace cprocgen
