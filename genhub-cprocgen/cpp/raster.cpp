#include "raster.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "strips.h"

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace cprocgen {
namespace {

// Without a call, which std::floor is where the processor's own rounding may not be used.
inline int64_t floor_of(double v) {
  const int64_t cut = static_cast<int64_t>(v);
  return cut - (v < static_cast<double>(cut));
}

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

void fade_row(uint8_t* out, const Pixel* source, const uint16_t* index, int count,
              unsigned opacity) {
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

}  // namespace

void put_row(uint8_t* out, const Pixel* source, const uint16_t* index, int count) {
  for (int k = 0; k < count; ++k) put_pixel(out + 3 * k, source[index[k]]);
}

uint64_t Image::next_id() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

namespace {

template <class Convert>
Image image_of(const uint8_t* rgba, int width, int height, Convert convert) {
  Image image;
  image.width = width;
  image.height = height;
  image.opaque = true;
  image.pixels.resize(static_cast<size_t>(width) * height);
  for (Pixel& p : image.pixels) {
    p = convert(rgba);
    image.opaque = image.opaque && p.a == 255;
    rgba += 4;
  }
  return image;
}

}  // namespace

Image make_image(const uint8_t* rgba, int width, int height) {
  return image_of(rgba, width, height,
                  [](const uint8_t* c) { return fade({c[0], c[1], c[2], 255}, c[3]); });
}

Image make_backdrop(const uint8_t* rgba, int width, int height) {
  return image_of(rgba, width, height,
                  [](const uint8_t* c) { return Pixel{c[0], c[1], c[2], 255}; });
}

int round_pixel(double v) {
  const double limit = 1e8;  // also of what is not a number
  return static_cast<int>(floor_of((v < limit ? v > -limit ? v : -limit : limit) + 0.5));
}

Span pixel_span(double start, double extent, int size) {
  return intersect({round_pixel(start), round_pixel(start + extent)}, {0, size});
}

int64_t sample_step(double extent, int source) {
  constexpr double kMost = 1e15;  // of a speck: beyond the source with the next pixel anyway
  return static_cast<int64_t>(std::min(65536 / (extent / source), kMost));
}

Axis sample_by_steps(double start, double extent, int64_t step, int source, int size) {
  Axis axis{pixel_span(start, extent, size), 0, step};
  if (axis.span.empty()) return {{0, 0}, 0, 0};
  axis.start = -floor_of(-((axis.span.first + 0.5 - start) * static_cast<double>(step))) - 1;
  while (!axis.span.empty() && axis.source(axis.span.last - 1) >= source) --axis.span.last;
  while (!axis.span.empty() && axis.start < 0) {
    axis.start += axis.step;
    ++axis.span.first;
    if (axis.step == 0) return {{0, 0}, 0, 0};
  }
  return axis;
}

Axis sample_axis(double start, double extent, int source, int size) {
  if (!(extent > 0 && extent < 1e8)) return {{0, 0}, 0, 0};
  return sample_by_steps(start, extent, sample_step(extent, source), source, size);
}

// The same for a picture turned by a half: its last source pixel comes first.
Axis sample_backwards(double start, double extent, int source, int size) {
  if (!(extent > 0 && extent < 1e8)) return {{0, 0}, 0, 0};
  Axis axis{pixel_span(start, extent, size), 0, -sample_step(extent, source)};
  if (axis.span.empty()) return {{0, 0}, 0, 0};
  axis.start = (static_cast<int64_t>(source) << 16) + 1 +
               floor_of((axis.span.first + 0.5 - start) * static_cast<double>(axis.step));
  while (!axis.span.empty() && axis.source(axis.span.last - 1) < 0) --axis.span.last;
  while (!axis.span.empty() && axis.source(axis.span.first) >= source) {
    axis.start += axis.step;
    ++axis.span.first;
    if (axis.step == 0) return {{0, 0}, 0, 0};
  }
  return axis;
}

float degrees_of(float radians) { return radians * 180 / 3.14159265358979323846f; }

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
  } else if (degrees == 0 || std::fabs(degrees) == 180) {
    straight(r, image, mirrored, opacity, degrees != 0);
  } else {
    rotated(r, image, mirrored, opacity, degrees);
  }
}

void Canvas::straight(const Rect& r, const Image& image, bool mirrored, unsigned opacity,
                      bool half_turned) {
  const Axis across = half_turned ? sample_backwards(r.x, r.w, image.width, size_)
                                  : sample_axis(r.x, r.w, image.width, size_);
  const Axis down = half_turned ? sample_backwards(r.y, r.h, image.height, size_)
                                : sample_axis(r.y, r.h, image.height, size_);
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

namespace {

// Source positions of a turned picture in 16.16, walked pixel by pixel as the benchmark does: the
// steps are cut to whole units, so that they drift a little along a row or column.
struct Walk {
  int64_t start, across, down;

  Walk(double origin, double dx, double dy)
      : start(static_cast<int64_t>(std::ceil((origin + 0.5 * dx + 0.5 * dy) * 65536)) - 1),
        across(static_cast<int64_t>(dx * 65536)),
        down(static_cast<int64_t>(dy * 65536)) {}

  int64_t at(int x, int y) const { return start + x * across + y * down; }
};

int source_of(int64_t walked, int size) {
  return std::clamp(static_cast<int>(walked >> 16), 0, size - 1);
}

}  // namespace

void Canvas::rotated(const Rect& r, const Image& image, bool mirrored, unsigned opacity,
                     float degrees) {
  constexpr double kSpeck = 0.001;  // smaller than that, steps of 16.16 mean nothing
  constexpr double kTie = 0.000001;  // a border through a pixel's centre: as if that were less
  const auto [sine, cosine] = turn_of(degrees);
  const double cx = r.x + r.w / 2, cy = r.y + r.h / 2;
  const double half_w = (std::fabs(r.w * cosine) + std::fabs(r.h * sine)) / 2 + 1;
  const double half_h = (std::fabs(r.w * sine) + std::fabs(r.h * cosine)) / 2 + 1;
  const Span xs = intersect(pixel_span(cx - half_w, 2 * half_w, size_), clip_x_);
  const Span ys = intersect(pixel_span(cy - half_h, 2 * half_h, size_), clip_y_);
  if (xs.empty() || ys.empty() || r.w < kSpeck || r.h < kSpeck) return;
  const double scale_u = image.width / r.w, scale_v = image.height / r.h;
  const Walk u(image.width * 0.5 - (cx * cosine + cy * sine) * scale_u, cosine * scale_u,
               sine * scale_u);
  const Walk v(image.height * 0.5 + (cx * sine - cy * cosine) * scale_v, -sine * scale_v,
               cosine * scale_v);
  for (int y = ys.first; y < ys.last; ++y) {
    const double dy = y + 0.5 - kTie - cy;
    const auto inside = [&, sine = sine, cosine = cosine](int x) {
      const double dx = x + 0.5 - kTie - cx;
      return std::fabs(dx * cosine + dy * sine) <= r.w / 2 &&
             std::fabs(dy * cosine - dx * sine) <= r.h / 2;
    };
    // What is inside is one run of pixels.
    int first = xs.first, last = xs.last;
    while (first < last && !inside(first)) ++first;
    while (first < last && !inside(last - 1)) --last;
    int64_t at_u = u.at(first, y), at_v = v.at(first, y);
    uint8_t* out = pixel(first, y);
    for (int x = first; x < last; ++x, out += 3, at_u += u.across, at_v += v.across) {
      const int column = source_of(at_u, image.width);
      const Pixel p =
          image.row(source_of(at_v, image.height))[mirrored ? image.width - 1 - column : column];
      put_pixel(out, opacity < 255 ? fade(p, opacity) : p);
    }
  }
}

void Canvas::tiles(const Rect& r, const Image& image, float ratio, bool mirrored, float alpha) {
  const bool across = ratio > 0;
  const float w = static_cast<float>(r.w), h = static_cast<float>(r.h);
  const float wanted = across ? w / (h * ratio) : h / (w * -ratio);
  const int count = std::max(1, static_cast<int>(std::min(wanted, 1e4f)));
  const float extent = static_cast<float>((across ? r.w : r.h) / count);
  const bool kept = across && style_ == Style::fast && image.opaque && !mirrored && alpha >= 1 &&
                    !hidden_ && r.h >= size_;
  for (int k = 0; k < count; ++k) {
    const float offset = extent * k;
    const Rect tile =
        across ? Rect{r.x + offset, r.y, extent, r.h} : Rect{r.x, r.y + offset, r.w, extent};
    if (kept) {
      Strips::own().draw(*this, tile, image, clip_x_, clip_y_);
    } else {
      picture(tile, image, mirrored, alpha);
    }
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
