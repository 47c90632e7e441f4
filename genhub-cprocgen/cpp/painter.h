// Small vector painter for the built-in pictures. Coordinates are fractions of the picture's width
// and height, y downwards; lengths named r or width are fractions of the shorter side.
#pragma once

#include <cstdint>
#include <vector>

#include "raster.h"

namespace cprocgen {

struct Point {
  double x, y;
};

// Straight alpha, all in 0..1.
struct Tone {
  double r, g, b, a = 1;
};

// 0xRRGGBB.
constexpr Tone tone(uint32_t rgb, double a = 1) {
  return {(rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0, a};
}
Tone mixed(Tone a, Tone b, double t);
inline Tone lighter(Tone c, double t) { return mixed(c, {1, 1, 1, c.a}, t); }
inline Tone darker(Tone c, double t) { return mixed(c, {0, 0, 0, c.a}, t); }
inline Tone faint(Tone c, double a) { return {c.r, c.g, c.b, a}; }
Tone from_hsv(double hue, double saturation, double value);

struct Fill {
  enum class Kind { solid, linear, radial };

  Fill(Tone c) : kind(Kind::solid), first(c), last(c) {}  // NOLINT: a tone is a fill
  Fill(Kind k, Point a, Point b, double radius, Tone c, Tone d)
      : kind(k), from(a), to(b), r(radius), first(c), last(d) {}

  Tone at(Point p) const;

  Kind kind;
  Point from{0, 0}, to{0, 1};
  double r = 1;
  Tone first, last;
};

inline Fill linear(Point from, Point to, Tone first, Tone last) {
  return {Fill::Kind::linear, from, to, 1, first, last};
}
inline Fill vertical(Tone top, Tone bottom) { return linear({0, 0}, {0, 1}, top, bottom); }
inline Fill radial(Point centre, double r, Tone inner, Tone outer) {
  return {Fill::Kind::radial, centre, centre, r, inner, outer};
}

using Contour = std::vector<Point>;

class Painter {
 public:
  Painter(int width, int height);

  int width() const { return width_; }
  int height() const { return height_; }
  double aspect() const { return static_cast<double>(width_) / height_; }

  void all(const Fill& f);
  void polygon(const Contour& points, const Fill& f);
  void box(double x, double y, double w, double h, const Fill& f);
  void rounded(double x, double y, double w, double h, double r, const Fill& f);
  void ellipse(double x, double y, double rx, double ry, const Fill& f, double degrees = 0);
  void disc(double x, double y, double r, const Fill& f);
  void ring(double x, double y, double r, double width, const Fill& f);
  // Closed smooth curve through the points.
  void blob(const Contour& points, const Fill& f);
  void star(double x, double y, double outer, double inner, int tips, const Fill& f,
            double degrees = 0);
  void stroke(const Contour& points, double width, const Fill& f, bool closed = false);
  void curve(const Contour& points, double width, const Fill& f);

  // Everything painted between the two calls is turned about a point.
  void turn(Point centre, double degrees);
  void unturn() { turn({0, 0}, 0); }

  // Every pixel through f(Point, Tone so far) -> Tone.
  template <class F>
  void shade(F f);

  Image image() const;

 private:
  struct Premultiplied {
    float r = 0, g = 0, b = 0, a = 0;
  };
  struct Edge {
    double x0, y0, x1, y1;
    int direction;
  };

  void fill(const std::vector<Contour>& contours, const Fill& f);
  std::vector<Edge> edges_of(const std::vector<Contour>& contours) const;
  void cover_row(const std::vector<Edge>& edges, int y, std::vector<float>& cover) const;
  void put(int x, int y, Tone c, double cover);
  Point placed(Point p) const;
  double rx(double r) const { return r * shorter_ / width_; }
  double ry(double r) const { return r * shorter_ / height_; }

  int width_, height_, shorter_;
  Point centre_{0, 0};
  double sine_ = 0, cosine_ = 1;
  std::vector<Premultiplied> pixels_;
};

template <class F>
void Painter::shade(F f) {
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) {
      Premultiplied& p = pixels_[static_cast<size_t>(y) * width_ + x];
      const double a = p.a > 0 ? p.a : 1;
      const Tone c =
          f(Point{(x + 0.5) / width_, (y + 0.5) / height_}, Tone{p.r / a, p.g / a, p.b / a, p.a});
      p = {static_cast<float>(c.r * c.a), static_cast<float>(c.g * c.a),
           static_cast<float>(c.b * c.a), static_cast<float>(c.a)};
    }
  }
}

// Repeatable noise: a value in 0..1 of a lattice cell, smooth noise, and a sum of octaves.
double cell_noise(int x, int y, uint32_t seed);
double smooth_noise(double x, double y, uint32_t seed);
double cloud_noise(double x, double y, uint32_t seed, int octaves = 4);
// Smooth noise that repeats after `period` in both directions.
double tiling_noise(double x, double y, int period, uint32_t seed);

}  // namespace cprocgen
