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

// Sums of channels, each weighted in parts of 1 << 16.
struct Sum {
  uint32_t r = 0, g = 0, b = 0, a = 0;

  void add(Pixel p, uint32_t weight) {
    r += weight * p.r;
    g += weight * p.g;
    b += weight * p.b;
    a += weight * p.a;
  }
};

// Between the four nearest pixels, for pictures that are enlarged; the border is repeated.
Sum between_pixels(const Image& image, double x, double y) {
  const int fx = static_cast<int>(x * 256 + 256) - 256, fy = static_cast<int>(y * 256 + 256) - 256;
  const uint32_t wx = fx & 255, wy = fy & 255;
  const int x0 = std::clamp(fx >> 8, 0, image.width - 1);
  const int x1 = std::clamp((fx >> 8) + 1, 0, image.width - 1);
  const Pixel* upper = image.row(std::clamp(fy >> 8, 0, image.height - 1));
  const Pixel* lower = image.row(std::clamp((fy >> 8) + 1, 0, image.height - 1));
  Sum sum;
  sum.add(upper[x0], (256 - wx) * (256 - wy));
  sum.add(upper[x1], wx * (256 - wy));
  sum.add(lower[x0], (256 - wx) * wy);
  sum.add(lower[x1], wx * wy);
  return sum;
}

// Mean of n x n points of the area that one output pixel covers, for pictures that are reduced.
Sum mean_of_area(const Image& image, double x, double y, double across, double down, int n) {
  const uint32_t weight = 65536 / (n * n);
  Sum sum;
  for (int j = 0; j < n; ++j) {
    const int row = static_cast<int>(y + ((j + 0.5) / n - 0.5) * down);
    const Pixel* pixels = image.row(std::clamp(row, 0, image.height - 1));
    for (int i = 0; i < n; ++i) {
      const int column = static_cast<int>(x + ((i + 0.5) / n - 0.5) * across);
      sum.add(pixels[std::clamp(column, 0, image.width - 1)], weight);
    }
  }
  return sum;
}

void put_sum(uint8_t* out, const Sum& s, unsigned opacity) {
  const auto byte = [](uint32_t v) { return std::min((v + 32768) >> 16, 255u); };
  const unsigned keep = 255u - scale_byte(byte(s.a), opacity);
  const uint32_t channels[3] = {s.r, s.g, s.b};
  for (int c = 0; c < 3; ++c) {
    const unsigned v = scale_byte(byte(channels[c]), opacity) + scale_byte(out[c], keep);
    out[c] = static_cast<uint8_t>(std::min(v, 255u));
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
  const Span xs = intersect(pixel_span(cx - half_w, 2 * half_w, size_), clip_x_);
  const Span ys = intersect(pixel_span(cy - half_h, 2 * half_h, size_), clip_y_);
  const double across = image.width / r.w, down = image.height / r.h;
  const double reduction = std::max(across, down);
  // Half as many points as pixels: the view averages once more.
  const int n = std::clamp(static_cast<int>(std::ceil(reduction / 2)), 1, 8);
  for (int y = ys.first; y < ys.last; ++y) {
    for (int x = xs.first; x < xs.last; ++x) {
      const double dx = x + 0.5 - cx, dy = y + 0.5 - cy;
      double column = (dx * cosine + dy * sine) * across + 0.5 * image.width;
      const double row = (dy * cosine - dx * sine) * down + 0.5 * image.height;
      if (!(column >= 0 && column < image.width && row >= 0 && row < image.height)) continue;
      if (mirrored) column = image.width - column;
      put_sum(pixel(x, y),
              reduction > 1 ? mean_of_area(image, column, row, across, down, n)
                            : between_pixels(image, column - 0.5, row - 0.5),
              opacity);
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
    const double v = (y + 0.5 - cy) / ry, reach = 1 - v * v;
    if (reach < 0) continue;
    const double half = rx * std::sqrt(reach);
    const Span run = intersect(pixel_span(cx - half, 2 * half, size_), xs);
    for (int x = run.first; x < run.last; ++x) mix(pixel(x, y), c, opacity);
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
      if (along >= -half && along <= length + half && std::fabs(off) <= half)
        mix(pixel(x, y), c, 255);
    }
  }
}

}  // namespace cprocgen
