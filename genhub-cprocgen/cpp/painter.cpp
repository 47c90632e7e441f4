#include "painter.h"

#include <algorithm>
#include <cmath>

namespace cprocgen {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kSubRows = 5;

double fade(double t) { return t * t * (3 - 2 * t); }

double spread(double a, double b, double t) { return a + (b - a) * t; }

// Adds the part of [from, to) that each pixel has.
void cover_span(std::vector<float>& cover, double from, double to) {
  const double width = static_cast<double>(cover.size());
  from = std::clamp(from, 0.0, width);
  to = std::clamp(to, 0.0, width);
  if (!(to > from)) return;
  const int first = static_cast<int>(from);
  const int last = std::min(static_cast<int>(to), static_cast<int>(width) - 1);
  for (int x = first; x <= last; ++x) {
    const double part = std::min(to, x + 1.0) - std::max(from, static_cast<double>(x));
    cover[x] += static_cast<float>(part / kSubRows);
  }
}

Contour smoothed(const Contour& points, bool closed) {
  const int n = static_cast<int>(points.size());
  const int pieces = 12;
  Contour out;
  const auto at = [&](int i) { return points[closed ? (i + n) % n : std::clamp(i, 0, n - 1)]; };
  for (int i = 0; i < (closed ? n : n - 1); ++i) {
    const Point p0 = at(i - 1), p1 = at(i), p2 = at(i + 1), p3 = at(i + 2);
    for (int k = 0; k < pieces; ++k) {
      const double t = static_cast<double>(k) / pieces, t2 = t * t, t3 = t2 * t;
      const double a = -t3 + 2 * t2 - t, b = 3 * t3 - 5 * t2 + 2, c = -3 * t3 + 4 * t2 + t;
      const double d = t3 - t2;
      out.push_back({(a * p0.x + b * p1.x + c * p2.x + d * p3.x) / 2,
                     (a * p0.y + b * p1.y + c * p2.y + d * p3.y) / 2});
    }
  }
  if (!closed) out.push_back(points.back());
  return out;
}

}  // namespace

Tone mixed(Tone a, Tone b, double t) {
  return {spread(a.r, b.r, t), spread(a.g, b.g, t), spread(a.b, b.b, t), spread(a.a, b.a, t)};
}

Tone from_hsv(double hue, double saturation, double value) {
  const auto channel = [&](double n) {
    const double k = std::fmod(n + hue * 6 + 12, 6);
    return value - value * saturation * std::clamp(std::min(k, 4 - k), 0.0, 1.0);
  };
  return {channel(5), channel(3), channel(1)};
}

Tone Fill::at(Point p) const {
  if (kind == Kind::solid) return first;
  if (kind == Kind::radial) {
    return mixed(first, last, std::clamp(std::hypot(p.x - from.x, p.y - from.y) / r, 0.0, 1.0));
  }
  const double dx = to.x - from.x, dy = to.y - from.y;
  const double t = ((p.x - from.x) * dx + (p.y - from.y) * dy) / (dx * dx + dy * dy);
  return mixed(first, last, std::clamp(t, 0.0, 1.0));
}

Painter::Painter(int width, int height)
    : width_(width),
      height_(height),
      shorter_(std::min(width, height)),
      pixels_(static_cast<size_t>(width) * height) {}

void Painter::turn(Point centre, double degrees) {
  centre_ = centre;
  sine_ = std::sin(degrees * kPi / 180);
  cosine_ = std::cos(degrees * kPi / 180);
}

// Turned in pixels, so that nothing is sheared in pictures that are not square.
Point Painter::placed(Point p) const {
  const double x = (p.x - centre_.x) * width_, y = (p.y - centre_.y) * height_;
  return {centre_.x * width_ + x * cosine_ - y * sine_,
          centre_.y * height_ + x * sine_ + y * cosine_};
}

void Painter::put(int x, int y, Tone c, double cover) {
  Premultiplied& p = pixels_[static_cast<size_t>(y) * width_ + x];
  const double a = c.a * std::min(cover, 1.0);
  p.r = static_cast<float>(c.r * a + p.r * (1 - a));
  p.g = static_cast<float>(c.g * a + p.g * (1 - a));
  p.b = static_cast<float>(c.b * a + p.b * (1 - a));
  p.a = static_cast<float>(a + p.a * (1 - a));
}

std::vector<Painter::Edge> Painter::edges_of(const std::vector<Contour>& contours) const {
  std::vector<Edge> edges;
  for (const Contour& contour : contours) {
    for (size_t i = 0; i < contour.size(); ++i) {
      const Point a = placed(contour[i]), b = placed(contour[(i + 1) % contour.size()]);
      if (a.y < b.y) edges.push_back({a.x, a.y, b.x, b.y, 1});
      if (a.y > b.y) edges.push_back({b.x, b.y, a.x, a.y, -1});
    }
  }
  return edges;
}

// Non-zero winding on five lines of the row, exact between the crossings of each.
void Painter::cover_row(const std::vector<Edge>& edges, int y, std::vector<float>& cover) const {
  std::vector<std::pair<double, int>> crossings;
  for (int k = 0; k < kSubRows; ++k) {
    const double line = y + (k + 0.5) / kSubRows;
    crossings.clear();
    for (const Edge& e : edges) {
      if (line < e.y0 || line >= e.y1) continue;
      crossings.emplace_back(e.x0 + (e.x1 - e.x0) * (line - e.y0) / (e.y1 - e.y0), e.direction);
    }
    std::sort(crossings.begin(), crossings.end());
    int winding = 0;
    for (size_t i = 0; i + 1 < crossings.size(); ++i) {
      winding += crossings[i].second;
      if (winding != 0) cover_span(cover, crossings[i].first, crossings[i + 1].first);
    }
  }
}

void Painter::fill(const std::vector<Contour>& contours, const Fill& f) {
  const std::vector<Edge> edges = edges_of(contours);
  if (edges.empty()) return;
  double top = edges[0].y0, bottom = edges[0].y1;
  for (const Edge& e : edges) {
    top = std::min(top, e.y0);
    bottom = std::max(bottom, e.y1);
  }
  const int first = std::clamp(static_cast<int>(std::floor(top)), 0, height_);
  const int last = std::clamp(static_cast<int>(std::ceil(bottom)), 0, height_);
  std::vector<float> cover(width_);
  for (int y = first; y < last; ++y) {
    std::fill(cover.begin(), cover.end(), 0.0f);
    cover_row(edges, y, cover);
    for (int x = 0; x < width_; ++x) {
      if (cover[x] > 0) put(x, y, f.at({(x + 0.5) / width_, (y + 0.5) / height_}), cover[x]);
    }
  }
}

void Painter::all(const Fill& f) {
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) put(x, y, f.at({(x + 0.5) / width_, (y + 0.5) / height_}), 1);
  }
}

void Painter::polygon(const Contour& points, const Fill& f) { fill({points}, f); }

void Painter::box(double x, double y, double w, double h, const Fill& f) {
  fill({{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}}, f);
}

void Painter::rounded(double x, double y, double w, double h, double r, const Fill& f) {
  const double ax = std::min(rx(r), w / 2), ay = std::min(ry(r), h / 2);
  const Point corners[4] = {
      {x + w - ax, y + h - ay}, {x + ax, y + h - ay}, {x + ax, y + ay}, {x + w - ax, y + ay}};
  Contour contour;
  for (int corner = 0; corner < 4; ++corner) {
    for (int k = 0; k <= 8; ++k) {
      const double angle = (corner + k / 8.0) * kPi / 2;
      contour.push_back(
          {corners[corner].x + ax * std::cos(angle), corners[corner].y + ay * std::sin(angle)});
    }
  }
  fill({contour}, f);
}

void Painter::ellipse(double x, double y, double rx, double ry, const Fill& f, double degrees) {
  Contour contour;
  const double s = std::sin(degrees * kPi / 180), c = std::cos(degrees * kPi / 180);
  for (int k = 0; k < 48; ++k) {
    const double u = rx * width_ * std::cos(k * kPi / 24),
                 v = ry * height_ * std::sin(k * kPi / 24);
    contour.push_back({x + (u * c - v * s) / width_, y + (u * s + v * c) / height_});
  }
  fill({contour}, f);
}

void Painter::disc(double x, double y, double r, const Fill& f) { ellipse(x, y, rx(r), ry(r), f); }

void Painter::ring(double x, double y, double r, double width, const Fill& f) {
  std::vector<Contour> contours(2);
  for (int k = 0; k < 48; ++k) {
    const double c = std::cos(k * kPi / 24), s = std::sin(k * kPi / 24);
    contours[0].push_back({x + rx(r) * c, y + ry(r) * s});
    contours[1].push_back({x + rx(r - width) * c, y - ry(r - width) * s});
  }
  fill(contours, f);
}

void Painter::blob(const Contour& points, const Fill& f) { fill({smoothed(points, true)}, f); }

void Painter::star(double x, double y, double outer, double inner, int tips, const Fill& f,
                   double degrees) {
  Contour contour;
  for (int k = 0; k < 2 * tips; ++k) {
    const double angle = k * kPi / tips + (degrees - 90) * kPi / 180,
                 r = k % 2 == 0 ? outer : inner;
    contour.push_back({x + rx(r) * std::cos(angle), y + ry(r) * std::sin(angle)});
  }
  fill({contour}, f);
}

// One piece a segment and a disc a joint, all turning the same way.
void Painter::stroke(const Contour& points, double width, const Fill& f, bool closed) {
  std::vector<Contour> pieces;
  const double half = width * shorter_ / 2;
  const size_t n = points.size();
  for (size_t i = 0; i < n; ++i) {
    Contour joint;
    for (int k = 0; k < 16; ++k) {
      joint.push_back({points[i].x + half * std::cos(k * kPi / 8) / width_,
                       points[i].y + half * std::sin(k * kPi / 8) / height_});
    }
    pieces.push_back(joint);
    if (i + 1 == n && !closed) break;
    const Point a = points[i], b = points[(i + 1) % n];
    const double dx = (b.x - a.x) * width_, dy = (b.y - a.y) * height_, length = std::hypot(dx, dy);
    if (length == 0) continue;
    const double nx = -dy / length * half / width_, ny = dx / length * half / height_;
    pieces.push_back(
        {{a.x - nx, a.y - ny}, {b.x - nx, b.y - ny}, {b.x + nx, b.y + ny}, {a.x + nx, a.y + ny}});
  }
  fill(pieces, f);
}

void Painter::curve(const Contour& points, double width, const Fill& f) {
  stroke(smoothed(points, false), width, f);
}

Image Painter::image() const {
  Image image;
  image.width = width_;
  image.height = height_;
  image.opaque = true;
  image.pixels.reserve(pixels_.size());
  const auto byte = [](float v) {
    return static_cast<uint8_t>(std::clamp(v, 0.0f, 1.0f) * 255 + 0.5f);
  };
  for (const Premultiplied& p : pixels_) {
    image.pixels.push_back({byte(p.r), byte(p.g), byte(p.b), byte(p.a)});
    image.opaque = image.opaque && image.pixels.back().a == 255;
  }
  return image;
}

double cell_noise(int x, int y, uint32_t seed) {
  uint32_t h = static_cast<uint32_t>(x) * 0x8da6b343u ^ static_cast<uint32_t>(y) * 0xd8163841u ^
               seed * 0xcb1ab31fu;
  h = (h ^ h >> 15) * 0x2c1b3c6du;
  h = (h ^ h >> 12) * 0x297a2d39u;
  return (h ^ h >> 15) / 4294967296.0;
}

double tiling_noise(double x, double y, int period, uint32_t seed) {
  const int x0 = static_cast<int>(std::floor(x)), y0 = static_cast<int>(std::floor(y));
  const double wx = fade(x - x0), wy = fade(y - y0);
  const auto at = [&](int i, int j) {
    return cell_noise(((x0 + i) % period + period) % period, ((y0 + j) % period + period) % period,
                      seed);
  };
  return spread(spread(at(0, 0), at(1, 0), wx), spread(at(0, 1), at(1, 1), wx), wy);
}

double smooth_noise(double x, double y, uint32_t seed) { return tiling_noise(x, y, 1 << 20, seed); }

double cloud_noise(double x, double y, uint32_t seed, int octaves) {
  double sum = 0, weight = 0.5, total = 0;
  for (int k = 0; k < octaves; ++k) {
    sum += weight * smooth_noise(x, y, seed + k);
    total += weight;
    weight /= 2;
    x *= 2;
    y *= 2;
  }
  return sum / total;
}

}  // namespace cprocgen
