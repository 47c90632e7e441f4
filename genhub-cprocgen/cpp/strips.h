// Rows of pictures that scroll past at few offsets again and again, kept scaled by each thread.
#pragma once

#include <cstdint>
#include <vector>

#include "raster.h"

namespace cprocgen {

class Strips {
 public:
  static Strips& own();  // the calling thread's

  // Draws what Canvas::picture draws of an opaque picture that is neither mirrored nor hidden.
  void draw(const Canvas& canvas, const Rect& r, const Image& image, Span clip_x, Span clip_y);

 private:
  // Backgrounds of a game times the offsets within a pixel at which they scroll.
  static constexpr size_t kMost = 96;

  struct Strip {
    uint64_t picture = 0;
    double width = 0, top = 0, height = 0;
    int size = 0;
    Span lines{0, 0};
    std::vector<uint16_t> columns;  // of the source, from the rounded left border on
    std::vector<uint8_t> rgb;
  };

  Strip& find(const Canvas& canvas, const Rect& r, const Image& image, int skipped,
              const std::vector<uint16_t>& index);
  static void make(Strip& strip, const Canvas& canvas, const Rect& r, const Image& image);

  std::vector<Strip> strips_;
  size_t oldest_ = 0;
  std::vector<uint16_t> index_;
};

}  // namespace cprocgen
