#include "strips.h"

#include <algorithm>
#include <cstring>

namespace cprocgen {
namespace {

bool continues(const std::vector<uint16_t>& columns, int skipped,
               const std::vector<uint16_t>& run) {
  return skipped + run.size() <= columns.size() &&
         std::equal(run.begin(), run.end(), columns.begin() + skipped);
}

}  // namespace

Strips& Strips::own() {
  static thread_local Strips strips;
  return strips;
}

void Strips::make(Strip& strip, const Canvas& canvas, const Rect& r, const Image& image) {
  strip.picture = image.id();
  strip.width = r.w;
  strip.top = r.y;
  strip.height = r.h;
  strip.size = canvas.size();
  const double offset = r.x - round_pixel(r.x);
  const Axis across = sample_axis(offset, r.w, image.width, static_cast<int>(r.w) + 2);
  const Axis down = sample_axis(r.y, r.h, image.height, canvas.size());
  strip.lines = down.span;
  strip.columns.clear();
  for (int x = across.span.first; x < across.span.last; ++x)
    strip.columns.push_back(static_cast<uint16_t>(across.source(x)));
  const int count = static_cast<int>(strip.columns.size());
  strip.rgb.resize(static_cast<size_t>(std::max(0, down.span.last - down.span.first)) * count * 3);
  uint8_t* out = strip.rgb.data();
  for (int y = down.span.first; y < down.span.last && count > 0; ++y, out += 3 * count)
    copy_row(out, image.row(down.source(y)), strip.columns.data(), count);
}

// The strip that has the run of source columns; the oldest makes room where there is none.
Strips::Strip& Strips::find(const Canvas& canvas, const Rect& r, const Image& image, int skipped,
                            const std::vector<uint16_t>& index) {
  for (Strip& strip : strips_) {
    if (strip.picture == image.id() && strip.width == r.w && strip.top == r.y &&
        strip.height == r.h && strip.size == canvas.size() &&
        continues(strip.columns, skipped, index))
      return strip;
  }
  if (strips_.size() < kMost) {
    strips_.emplace_back();
    make(strips_.back(), canvas, r, image);
    return strips_.back();
  }
  Strip& strip = strips_[oldest_++ % kMost];
  make(strip, canvas, r, image);
  return strip;
}

void Strips::draw(const Canvas& canvas, const Rect& r, const Image& image, Span clip_x,
                  Span clip_y) {
  const Axis across = sample_axis(r.x, r.w, image.width, canvas.size());
  const Axis down = sample_axis(r.y, r.h, image.height, canvas.size());
  const Span xs = intersect(across.span, clip_x), ys = intersect(down.span, clip_y);
  if (xs.empty() || ys.empty()) return;
  index_.clear();
  for (int x = xs.first; x < xs.last; ++x)
    index_.push_back(static_cast<uint16_t>(across.source(x)));
  const int skipped = xs.first - round_pixel(r.x);
  const Strip& strip = find(canvas, r, image, skipped, index_);
  const bool ready = continues(strip.columns, skipped, index_);
  const size_t stride = strip.columns.size() * 3, count = index_.size() * 3;
  for (int y = ys.first; y < ys.last; ++y) {
    uint8_t* out = canvas.pixel(xs.first, y);
    if (ready) {
      std::memcpy(out, strip.rgb.data() + (y - strip.lines.first) * stride + 3 * skipped, count);
    } else {
      copy_row(out, image.row(down.source(y)), index_.data(), static_cast<int>(index_.size()));
    }
  }
}

}  // namespace cprocgen
