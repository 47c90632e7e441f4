#include "raster.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace cprocgen {
namespace {

inline void copy_pixel(uint8_t* out, Pixel p) { std::memcpy(out, &p, 3); }

inline void blend_pixel(uint8_t* out, Pixel p) {
  const unsigned keep = 255u - p.a;
  out[0] = static_cast<uint8_t>(p.r + scale_byte(out[0], keep));
  out[1] = static_cast<uint8_t>(p.g + scale_byte(out[1], keep));
  out[2] = static_cast<uint8_t>(p.b + scale_byte(out[2], keep));
}

inline void put_pixel(uint8_t* out, Pixel p) {
  if (p.a == 255) {
    copy_pixel(out, p);
  } else if (p.a != 0) {
    blend_pixel(out, p);
  }
}

inline Pixel fade(Pixel p, unsigned opacity) {
  return {scale_byte(p.r, opacity), scale_byte(p.g, opacity), scale_byte(p.b, opacity),
          scale_byte(p.a, opacity)};
}

unsigned opacity_of(float alpha) {
  if (alpha >= 1) return 255;
  if (!(alpha > 0)) return 0;
  return (static_cast<unsigned>(alpha * 256) * 255) >> 8;
}

void fade_row(uint8_t* out, const Pixel* source, const uint16_t* index, int count, unsigned opacity) {
  for (int k = 0; k < count; ++k) blend_pixel(out + 3 * k, fade(source[index[k]], opacity));
}

void index_columns(const Axis& axis, Span columns, int width, bool mirrored, uint16_t* index) {
  int64_t at = axis.start + (columns.first - axis.span.first) * axis.step;
  for (int x = columns.first; x < columns.last; ++x, at += axis.step) {
    const int column = static_cast<int>(at >> 16);
    *index++ = static_cast<uint16_t>(mirrored ? width - 1 - column : column);
  }
}

int lowest_bit(uint64_t word) {
#if defined(_MSC_VER)
  unsigned long index;
  _BitScanForward64(&index, word);
  return static_cast<int>(index);
#else
  return __builtin_ctzll(word);
#endif
}

// The row without the pixels that have a bit in `hidden`.
void copy_visible(uint8_t* row, const Pixel* source, const uint16_t* index, Span xs,
                  uint64_t hidden) {
  const uint64_t all = ~uint64_t{0};
  uint64_t open = (all >> (64 - (xs.last - xs.first))) << xs.first & ~hidden;
  while (open != 0) {
    const int first = lowest_bit(open);
    const uint64_t rest = ~(open >> first);
    const int count = rest == 0 ? 64 : lowest_bit(rest);
    copy_row(row + 3 * first, source, index + (first - xs.first), count);
    open = first + count >= 64 ? 0 : open & (all << (first + count));
  }
}

struct Turn {
  double sine, cosine;
};

Turn turn_of(float degrees) {
  if (degrees == 90 || degrees == -270) return {1, 0};
  if (degrees == 270 || degrees == -90) return {-1, 0};
  const double radians = static_cast<double>(degrees) * (3.14159265358979323846 / 180);
  return {std::sin(radians), std::cos(radians)};
}

// One coordinate of the source over the pixels of an image, in 16.16 fixed point.
class Walk {
 public:
  // Turned: its changes per column and per row, truncated, from the corner of the image; (cx, cy)
  // shows the source's middle.
  Walk(double per_column, double per_row, double cx, double cy, int size)
      : across_(per_column),
        down_(per_row),
        corner_(size / 2.0 - per_column * cx - per_row * cy),
        size_(size),
        per_column_(static_cast<int64_t>(per_column * 65536)),
        per_row_(static_cast<int64_t>(per_row * 65536)) {
    start_ = first_of((corner_ + 0.5 * per_column + 0.5 * per_row) * 65536);
  }

  // Turned by half, against the source's direction from the first pixel seen.
  static int64_t backwards(double start, double extent, Span seen, int size, int at) {
    const int64_t step = static_cast<int64_t>(65536 / (extent / size));
    const double first = size * 65536.0 - (seen.first + 0.5 - start) * step;
    return (first_of(first) - (at - seen.first) * step) >> 16;
  }

  // Whether the pixel's middle lies in the source; one on an edge belongs to the right or the lower.
  bool holds(int x, int y) const {
    const double at = corner_ + across_ * (x + kMiddle) + down_ * (y + kMiddle);
    return at >= 0 && at < size_;
  }
  int at(int x, int y) const {
    const int64_t at = (start_ + x * per_column_ + y * per_row_) >> 16;
    return static_cast<int>(std::min<int64_t>(std::max<int64_t>(at, 0), size_ - 1));
  }

 private:
  static constexpr double kMiddle = 0.5 - 1e-6;
  static int64_t first_of(double v) { return static_cast<int64_t>(std::ceil(v)) - 1; }

  double across_, down_, corner_;
  int size_;
  int64_t per_column_, per_row_, start_ = 0;
};

}  // namespace

// Four bytes a pixel: the surplus byte is overwritten by the next pixel; the last one gets three.
void copy_row(uint8_t* out, const Pixel* source, const uint16_t* index, int count) {
  for (int k = 0; k + 1 < count; ++k) std::memcpy(out + 3 * k, source + index[k], 4);
  copy_pixel(out + 3 * (count - 1), source[index[count - 1]]);
}

void put_row(uint8_t* out, const Pixel* source, const uint16_t* index, int count) {
  for (int k = 0; k < count; ++k) put_pixel(out + 3 * k, source[index[k]]);
}

Image make_image(const uint8_t* rgba, int width, int height) {
  Image image;
  image.width = width;
  image.height = height;
  image.opaque = true;
  image.pixels.resize(static_cast<size_t>(width) * height);
  for (Pixel& p : image.pixels) {
    const unsigned a = rgba[3];
    p = {scale_byte(rgba[0], a), scale_byte(rgba[1], a), scale_byte(rgba[2], a), rgba[3]};
    image.opaque = image.opaque && a == 255;
    rgba += 4;
  }
  return image;
}

int round_pixel(double v) {
  const double limit = 1e8;
  return static_cast<int>(std::floor(std::min(std::max(v, -limit), limit) + 0.5));
}

Span pixel_span(double start, double extent, int size) {
  return intersect({round_pixel(start), round_pixel(start + extent)}, {0, size});
}

Axis sample_axis(double start, double extent, int source, int size) {
  Axis axis{pixel_span(start, extent, size), 0, 0};
  if (axis.span.empty() || !(extent > 0)) return {{0, 0}, 0, 0};
  axis.step = static_cast<int64_t>(65536 / (extent / source));
  axis.start = static_cast<int64_t>(std::ceil((axis.span.first + 0.5 - start) * axis.step)) - 1;
  while (!axis.span.empty() && axis.source(axis.span.last - 1) >= source) --axis.span.last;
  while (!axis.span.empty() && axis.start < 0) {
    axis.start += axis.step;
    ++axis.span.first;
    if (axis.step == 0) return {{0, 0}, 0, 0};
  }
  return axis;
}

float degrees_of(float radians) {
  return radians * 180 / 3.14159265358979323846f;
}

void Canvas::clear() { std::memset(rgb_, 0, static_cast<size_t>(size_) * size_ * 3); }

void Canvas::fill(const Rect& r, Color c) {
  const Span xs = intersect(pixel_span(r.x, r.w, size_), clip_x_);
  const Span ys = intersect(pixel_span(r.y, r.h, size_), clip_y_);
  if (xs.empty() || ys.empty()) return;
  const Pixel p{c.r, c.g, c.b, 255};
  const int count = xs.last - xs.first;
  for (int y = ys.first; y < ys.last; ++y) {
    uint8_t* out = pixel(xs.first, y);
    for (int k = 0; k + 1 < count; ++k) std::memcpy(out + 3 * k, &p, 4);
    copy_pixel(out + 3 * (count - 1), p);
  }
}

void Canvas::picture(const Rect& r, const Image& image, bool mirrored, float alpha,
                     float rotation) {
  const unsigned opacity = opacity_of(alpha);
  if (opacity == 0 || image.pixels.empty() || !(r.w > 0) || !(r.h > 0)) return;
  const float degrees = rotation == 0 ? 0 : degrees_of(rotation);
  if (style_ == Style::smooth) {
    smooth_picture(r, image, mirrored, opacity, degrees);
  } else if (degrees == 0) {
    straight(r, image, mirrored, opacity);
  } else {
    rotated(r, image, mirrored, opacity, degrees);
  }
}

void Canvas::straight(const Rect& r, const Image& image, bool mirrored, unsigned opacity) {
  const Axis across = sample_axis(r.x, r.w, image.width, size_);
  const Axis down = sample_axis(r.y, r.h, image.height, size_);
  const Span xs = intersect(across.span, clip_x_);
  const Span ys = intersect(down.span, clip_y_);
  if (xs.empty() || ys.empty()) return;
  uint16_t index[kMaxSize];
  index_columns(across, xs, image.width, mirrored, index);
  const int count = xs.last - xs.first;
  for (int y = ys.first; y < ys.last; ++y) {
    const Pixel* source = image.row(down.source(y));
    uint8_t* out = pixel(xs.first, y);
    if (opacity < 255) {
      fade_row(out, source, index, count, opacity);
    } else if (image.opaque && hidden_) {
      copy_visible(pixel(0, y), source, index, xs, hidden_[y]);
    } else if (image.opaque) {
      copy_row(out, source, index, count);
    } else {
      put_row(out, source, index, count);
    }
  }
}

void Canvas::rotated(const Rect& r, const Image& image, bool mirrored, unsigned opacity,
                     float degrees) {
  if (degrees == 180 || degrees == -180) {
    turned_by_half(r, image, mirrored, opacity);
    return;
  }
  const auto [sine, cosine] = turn_of(degrees);
  const double cx = r.x + r.w / 2, cy = r.y + r.h / 2;
  const double half_w = (std::fabs(r.w * cosine) + std::fabs(r.h * sine)) / 2 + 1;
  const double half_h = (std::fabs(r.w * sine) + std::fabs(r.h * cosine)) / 2 + 1;
  const Span xs = intersect(pixel_span(cx - half_w, 2 * half_w, size_), clip_x_);
  const Span ys = intersect(pixel_span(cy - half_h, 2 * half_h, size_), clip_y_);
  const Walk across(cosine * image.width / r.w, sine * image.width / r.w, cx, cy, image.width);
  const Walk down(-sine * image.height / r.h, cosine * image.height / r.h, cx, cy, image.height);
  for (int y = ys.first; y < ys.last; ++y) {
    for (int x = xs.first; x < xs.last; ++x) {
      if (!across.holds(x, y) || !down.holds(x, y)) continue;
      const int column = across.at(x, y);
      const Pixel p = image.row(down.at(x, y))[mirrored ? image.width - 1 - column : column];
      blend_pixel(pixel(x, y), opacity < 255 ? fade(p, opacity) : p);
    }
  }
}

void Canvas::turned_by_half(const Rect& r, const Image& image, bool mirrored, unsigned opacity) {
  const Span xs = pixel_span(r.x, r.w, size_), ys = pixel_span(r.y, r.h, size_);
  const Span drawn_x = intersect(xs, clip_x_), drawn_y = intersect(ys, clip_y_);
  for (int y = drawn_y.first; y < drawn_y.last; ++y) {
    const int64_t row = Walk::backwards(r.y, r.h, ys, image.height, y);
    if (row < 0 || row >= image.height) continue;
    for (int x = drawn_x.first; x < drawn_x.last; ++x) {
      const int64_t column = Walk::backwards(r.x, r.w, xs, image.width, x);
      if (column < 0 || column >= image.width) continue;
      const Pixel p = image.row(static_cast<int>(row))[mirrored ? image.width - 1 - column : column];
      blend_pixel(pixel(x, y), opacity < 255 ? fade(p, opacity) : p);
    }
  }
}

void Canvas::tiles(const Rect& r, const Image& image, float ratio, bool mirrored, float alpha) {
  const bool across = ratio > 0;
  const float w = static_cast<float>(r.w), h = static_cast<float>(r.h);
  const float wanted = across ? w / (h * ratio) : h / (w * -ratio);
  const int count = std::max(1, static_cast<int>(std::min(wanted, 1e4f)));
  const float extent = static_cast<float>((across ? r.w : r.h) / count);
  for (int k = 0; k < count; ++k) {
    const float offset = extent * k;
    const Rect tile = across ? Rect{r.x + offset, r.y, extent, r.h} : Rect{r.x, r.y + offset, r.w, extent};
    picture(tile, image, mirrored, alpha);
  }
}

void shrink(const uint8_t* rgb, int size, int factor, uint8_t* out) {
  const size_t stride = static_cast<size_t>(size) * factor * 3;
  const int area = factor * factor;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size * 3; ++x) {
      const uint8_t* block = rgb + y * factor * stride + (x / 3) * factor * 3 + x % 3;
      int sum = area / 2;
      for (int j = 0; j < factor; ++j)
        for (int i = 0; i < factor; ++i) sum += block[j * stride + i * 3];
      *out++ = static_cast<uint8_t>(sum / area);
    }
  }
}

}  // namespace cprocgen
