// Pixels: rectangles and pictures drawn into a square 8-bit RGB image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace cprocgen {

struct Color {
  uint8_t r, g, b;
};

// Left, top, width and height in pixels, y downwards.
struct Rect {
  double x, y, w, h;
};

// Premultiplied by alpha.
struct Pixel {
  uint8_t r, g, b, a;
};

// v*a/255 with the rounding of the benchmark's 8-bit compositing.
inline uint8_t scale_byte(unsigned v, unsigned a) {
  const unsigned q = v * a;
  return static_cast<uint8_t>((q + (q >> 8) + 128) >> 8);
}

struct Image {
  int width = 0;
  int height = 0;
  bool opaque = false;
  std::vector<Pixel> pixels;

  const Pixel* row(int y) const { return pixels.data() + static_cast<size_t>(y) * width; }
  // Another for each picture ever made; copies share it.
  uint64_t id() const { return id_; }

 private:
  static uint64_t next_id();
  uint64_t id_ = next_id();
};

// Straight (not premultiplied) RGBA bytes, rows from the top.
Image make_image(const uint8_t* rgba, int width, int height);
// The same with nothing behind it: the colours as they are, whatever their alpha.
Image make_backdrop(const uint8_t* rgba, int width, int height);

// Half-open range of pixels.
struct Span {
  int first, last;
  bool empty() const { return first >= last; }
};

inline Span intersect(Span a, Span b) {
  return {a.first > b.first ? a.first : b.first, a.last < b.last ? a.last : b.last};
}

// floor(v + 0.5), kept inside int.
int round_pixel(double v);
Span pixel_span(double start, double extent, int size);

// One axis of an unrotated picture: the visible pixels and the source index of each in 16.16.
struct Axis {
  Span span;
  int64_t start, step;

  int source(int pixel) const {
    return static_cast<int>((start + (pixel - span.first) * step) >> 16);
  }
};
Axis sample_axis(double start, double extent, int source, int size);
// The same with the step worked out before, for many of one extent above 0.
int64_t sample_step(double extent, int source);
Axis sample_by_steps(double start, double extent, int64_t step, int source, int size);

// Rotation in degrees as the benchmark derives it from radians.
float degrees_of(float radians);

// How a canvas is drawn on: plain follows the rules word by word, fast gives the same pixels with
// less work, smooth samples pictures between their pixels.
enum class Style { fast, plain, smooth };

class Canvas {
 public:
  static constexpr int kMaxSize = 2048;

  Canvas(uint8_t* rgb, int size, Style style = Style::fast)
      : rgb_(rgb), size_(size), style_(style), clip_x_{0, size}, clip_y_{0, size} {}

  int size() const { return size_; }
  Style style() const { return style_; }
  uint8_t* pixel(int x, int y) const { return rgb_ + (static_cast<size_t>(y) * size_ + x) * 3; }

  // Limits what is written; sampling still starts at the border of the image.
  void clip(Span x, Span y) {
    clip_x_ = x;
    clip_y_ = y;
  }
  void unclip() { clip({0, size_}, {0, size_}); }
  // Opaque pictures leave out pixels with a bit here: a word a row, for images of 64 pixels; null
  // for none. Only for what is painted over anyway.
  void hide(const uint64_t* rows) { hidden_ = rows; }

  void clear();
  void fill(const Rect& r, Color c);
  void picture(const Rect& r, const Image& image, bool mirrored = false, float alpha = 1,
               float rotation = 0);
  // Copies side by side (ratio > 0) or downwards (ratio < 0), as many as the ratio asks for.
  void tiles(const Rect& r, const Image& image, float ratio, bool mirrored, float alpha);
  void ellipse(const Rect& r, Color c, float alpha = 1);
  void line(double x0, double y0, double x1, double y1, double width, Color c);

 private:
  void straight(const Rect& r, const Image& image, bool mirrored, unsigned opacity,
                bool half_turned);
  void rotated(const Rect& r, const Image& image, bool mirrored, unsigned opacity, float degrees);
  void smooth_picture(const Rect& r, const Image& image, bool mirrored, unsigned opacity,
                      float degrees);

  uint8_t* rgb_;
  int size_;
  Style style_;
  Span clip_x_, clip_y_;
  const uint64_t* hidden_ = nullptr;
};

// Rows of a picture: pixels `index` of a source row go to consecutive output pixels.
inline void copy_row(uint8_t* out, const Pixel* source, const uint16_t* index, int count) {
  // Four bytes a pixel: the surplus byte is overwritten by the next pixel; the last one gets three.
  for (; count > 4; count -= 4, index += 4, out += 12) {
    std::memcpy(out, source + index[0], 4);
    std::memcpy(out + 3, source + index[1], 4);
    std::memcpy(out + 6, source + index[2], 4);
    std::memcpy(out + 9, source + index[3], 4);
  }
  for (; count > 1; --count, ++index, out += 3) std::memcpy(out, source + *index, 4);
  std::memcpy(out, source + *index, 3);
}
void put_row(uint8_t* out, const Pixel* source, const uint16_t* index, int count);

// Averages blocks of factor x factor pixels of a square image of side size * factor.
void shrink(const uint8_t* rgb, int size, int factor, uint8_t* out);

}  // namespace cprocgen
