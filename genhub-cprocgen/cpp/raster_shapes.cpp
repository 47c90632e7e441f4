// Shapes of overlays, and pictures sampled smoothly for the human view.
#include <algorithm>
#include <cmath>

#include "raster.h"

namespace cprocgen {
namespace {

void mix(uint8_t* out, Color c, unsigned opacity) {
  const unsigned keep = 255u - opacity;
  out[0] = static_cast<uint8_t>(scale_byte(c.r, opacity) + scale_byte(out[0], keep));
  out[1] = static_cast<uint8_t>(scale_byte(c.g, opacity) + scale_byte(out[1], keep));
  out[2] = static_cast<uint8_t>(scale_byte(c.b, opacity) + scale_byte(out[2], keep));
}

struct Sum {
  double r = 0, g = 0, b = 0, a = 0;

  void add(Pixel p, double weight) {
    r += weight * p.r;
    g += weight * p.g;
    b += weight * p.b;
    a += weight * p.a;
  }
};

// Between the four nearest pixels; the border is repeated.
Sum bilinear(const Image& image, double x, double y) {
  const double fx = std::floor(x), fy = std::floor(y);
  const double wx = x - fx, wy = y - fy;
  const int x0 = static_cast<int>(fx), y0 = static_cast<int>(fy);
  Sum sum;
  for (int j = 0; j < 2; ++j) {
    const Pixel* row = image.row(std::clamp(y0 + j, 0, image.height - 1));
    const double weight = j == 0 ? 1 - wy : wy;
    sum.add(row[std::clamp(x0, 0, image.width - 1)], weight * (1 - wx));
    sum.add(row[std::clamp(x0 + 1, 0, image.width - 1)], weight * wx);
  }
  return sum;
}

// Mean over n x n points of the area that one output pixel covers in the source.
Sum area_sample(const Image& image, double x, double y, double across, double down, int n) {
  Sum mean;
  for (int j = 0; j < n; ++j) {
    for (int i = 0; i < n; ++i) {
      const double ox = ((i + 0.5) / n - 0.5) * across, oy = ((j + 0.5) / n - 0.5) * down;
      const Sum s = bilinear(image, x + ox - 0.5, y + oy - 0.5);
      mean.r += s.r, mean.g += s.g, mean.b += s.b, mean.a += s.a;
    }
  }
  const double scale = 1.0 / (n * n);
  mean.r *= scale, mean.g *= scale, mean.b *= scale, mean.a *= scale;
  return mean;
}

void put_sum(uint8_t* out, const Sum& s, double opacity) {
  const double keep = 1 - s.a * opacity / 255;
  const double channels[3] = {s.r, s.g, s.b};
  for (int c = 0; c < 3; ++c) {
    const double v = channels[c] * opacity + out[c] * keep + 0.5;
    out[c] = static_cast<uint8_t>(std::min(v, 255.0));
  }
}

}  // namespace

void Canvas::smooth_picture(const Rect& r, const Image& image, bool mirrored, unsigned opacity,
                            float degrees) {
  const double radians = static_cast<double>(degrees) * (3.14159265358979323846 / 180);
  const double sine = std::sin(radians), cosine = std::cos(radians);
  const double cx = r.x + r.w / 2, cy = r.y + r.h / 2;
  const double half_w = (std::fabs(r.w * cosine) + std::fabs(r.h * sine)) / 2;
  const double half_h = (std::fabs(r.w * sine) + std::fabs(r.h * cosine)) / 2;
  const Span xs = pixel_span(cx - half_w, 2 * half_w, size_);
  const Span ys = pixel_span(cy - half_h, 2 * half_h, size_);
  const double across = image.width / r.w, down = image.height / r.h;
  const int n = std::clamp(static_cast<int>(std::ceil(std::max(across, down) - 0.25)), 1, 8);
  for (int y = std::max(ys.first, clip_y_.first); y < std::min(ys.last, clip_y_.last); ++y) {
    for (int x = std::max(xs.first, clip_x_.first); x < std::min(xs.last, clip_x_.last); ++x) {
      const double dx = x + 0.5 - cx, dy = y + 0.5 - cy;
      double u = (dx * cosine + dy * sine) / r.w + 0.5;
      const double v = (-dx * sine + dy * cosine) / r.h + 0.5;
      if (!(u >= 0 && u < 1 && v >= 0 && v < 1)) continue;
      if (mirrored) u = 1 - u;
      put_sum(pixel(x, y), area_sample(image, u * image.width, v * image.height, across, down, n),
              opacity / 255.0);
    }
  }
}

void Canvas::ellipse(const Rect& r, Color c, float alpha) {
  const unsigned opacity = static_cast<unsigned>(std::clamp(alpha, 0.0f, 1.0f) * 255 + 0.5f);
  const double cx = r.x + r.w / 2, cy = r.y + r.h / 2;
  // The benchmark's rasteriser fills a little beyond the border.
  const double extra = style_ == Style::smooth ? 0 : 0.3;
  const double rx = r.w / 2 + extra, ry = r.h / 2 + extra;
  const Span xs = pixel_span(cx - rx - 1, 2 * rx + 2, size_);
  const Span ys = pixel_span(cy - ry - 1, 2 * ry + 2, size_);
  for (int y = ys.first; y < ys.last; ++y) {
    for (int x = xs.first; x < xs.last; ++x) {
      const double u = (x + 0.5 - cx) / rx, v = (y + 0.5 - cy) / ry;
      if (u * u + v * v <= 1) mix(pixel(x, y), c, opacity);
    }
  }
}

void Canvas::line(double x0, double y0, double x1, double y1, double width, Color c) {
  const double length = std::hypot(x1 - x0, y1 - y0);
  const double half = std::max(width, 1.0) / 2;
  const double ux = length > 0 ? (x1 - x0) / length : 1, uy = length > 0 ? (y1 - y0) / length : 0;
  const Span xs = pixel_span(std::min(x0, x1) - half, std::fabs(x1 - x0) + 2 * half + 1, size_);
  const Span ys = pixel_span(std::min(y0, y1) - half, std::fabs(y1 - y0) + 2 * half + 1, size_);
  for (int y = ys.first; y < ys.last; ++y) {
    for (int x = xs.first; x < xs.last; ++x) {
      const double dx = x + 0.5 - x0, dy = y + 0.5 - y0;
      const double along = dx * ux + dy * uy, off = dy * ux - dx * uy;
      if (along >= -half && along <= length + half && std::fabs(off) <= half) mix(pixel(x, y), c, 255);
    }
  }
}

}  // namespace cprocgen
