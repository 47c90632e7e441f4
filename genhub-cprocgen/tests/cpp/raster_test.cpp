// Rectangles and pictures against a pixel-by-pixel reading of the drawing rules, and the quick ways
// of drawing them against the plain one.
#include "raster.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

using namespace cprocgen;
constexpr int kSide = 64;
using Frame = std::vector<uint8_t>;

uint32_t state = 7;
int below(int n) {
  state = state * 1664525u + 1013904223u;
  return static_cast<int>((state >> 8) % static_cast<uint32_t>(n));
}
double between(double low, double high) { return low + (high - low) * below(1 << 20) / (1 << 20); }

Frame noise_frame() {
  Frame frame(kSide * kSide * 3);
  for (uint8_t& byte : frame) byte = static_cast<uint8_t>(below(256));
  return frame;
}

Image noise_image(bool opaque) {
  const int width = 1 + below(90), height = 1 + below(90);
  std::vector<uint8_t> rgba(static_cast<size_t>(width) * height * 4);
  for (size_t i = 0; i < rgba.size(); ++i) {
    rgba[i] = static_cast<uint8_t>(below(256));
    if (i % 4 == 3) rgba[i] = opaque || below(3) == 0 ? 255 : below(2) ? 0 : rgba[i];
  }
  return make_image(rgba.data(), width, height);
}

// Off the borders, thin, and exactly on halves of pixels, too.
Rect any_rect() {
  const double grain = below(2) ? 0.5 : 1e-6;
  const auto grained = [grain](double v) { return std::floor(v / grain) * grain; };
  return {grained(between(-40, 70)), grained(between(-40, 70)), grained(between(0, 90)),
          grained(between(0, 90))};
}

int rounded(double v) { return static_cast<int>(std::floor(v + 0.5)); }

// Which source column (or row) a pixel reads; -1: none.
int read_by_rule(int pixel, double start, double extent, int source) {
  const int first = std::max(rounded(start), 0), last = std::min(rounded(start + extent), kSide);
  if (pixel < first || pixel >= last || extent <= 0) return -1;
  const long long step = static_cast<long long>(65536 / (extent / source));
  const long long begin = static_cast<long long>(std::ceil((first + 0.5 - start) * step)) - 1;
  const long long at = (begin + (pixel - first) * step) >> 16;
  return at < 0 || at >= source ? -1 : static_cast<int>(at);
}

void blend_by_rule(uint8_t* out, Pixel p, float alpha) {
  const auto product = [](unsigned v, unsigned a) { return ((v * a) + (v * a >> 8) + 128) >> 8; };
  unsigned channel[4] = {p.r, p.g, p.b, p.a};
  if (alpha < 1) {
    const unsigned m = static_cast<unsigned>(alpha * 256) * 255 >> 8;
    for (unsigned& v : channel) v = product(v, m);
  }
  for (int c = 0; c < 3; ++c)
    out[c] = static_cast<uint8_t>(channel[c] + product(out[c], 255 - channel[3]));
}

Frame picture_by_rule(Frame frame, const Rect& r, const Image& image, bool mirrored, float alpha) {
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      int column = read_by_rule(x, r.x, r.w, image.width);
      const int row = read_by_rule(y, r.y, r.h, image.height);
      if (column < 0 || row < 0) continue;
      if (mirrored) column = image.width - 1 - column;
      blend_by_rule(&frame[(y * kSide + x) * 3], image.row(row)[column], alpha);
    }
  }
  return frame;
}

bool pictures_follow_the_rules() {
  for (int round = 0; round < 3000; ++round) {
    const Image image = noise_image(below(2));
    const Rect r = any_rect();
    const bool mirrored = below(2);
    const float alpha = below(2) ? 1.0f : static_cast<float>(between(0.01, 1));
    const Frame before = noise_frame();
    Frame drawn = before;
    Canvas(drawn.data(), kSide).picture(r, image, mirrored, alpha);
    if (drawn != picture_by_rule(before, r, image, mirrored, alpha))
      return std::printf("picture %d differs from the rules\n", round), false;
  }
  return true;
}

bool rectangles_follow_the_rules() {
  for (int round = 0; round < 3000; ++round) {
    const Rect r = any_rect();
    Frame expected = noise_frame(), drawn = expected;
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x)
        if (x >= rounded(r.x) && x < rounded(r.x + r.w) && y >= rounded(r.y) &&
            y < rounded(r.y + r.h))
          std::memcpy(&expected[(y * kSide + x) * 3], "\x10\x20\x30", 3);
    Canvas(drawn.data(), kSide).fill(r, {0x10, 0x20, 0x30});
    if (drawn != expected)
      return std::printf("rectangle %d differs from the rules\n", round), false;
  }
  return true;
}

bool clipping_changes_no_pixel_inside() {
  for (int round = 0; round < 2000; ++round) {
    const Image image = noise_image(below(2));
    const Rect r = any_rect();
    const Span xs{below(32), 32 + below(33)}, ys{below(32), 32 + below(33)};
    const float rotation = below(2) ? 0 : static_cast<float>(between(-4, 4));
    const Frame before = noise_frame();
    Frame whole = before, part = before;
    Canvas(whole.data(), kSide).picture(r, image, false, 1, rotation);
    Canvas canvas(part.data(), kSide);
    canvas.clip(xs, ys);
    canvas.picture(r, image, false, 1, rotation);
    for (int i = 0; i < kSide * kSide * 3; ++i) {
      const int x = i / 3 % kSide, y = i / 3 / kSide;
      const bool inside = x >= xs.first && x < xs.last && y >= ys.first && y < ys.last;
      if (part[i] != (inside ? whole : before)[i])
        return std::printf("clipped picture %d differs at %d, %d\n", round, x, y), false;
    }
  }
  return true;
}

bool scrolled_pictures_stay_equal() {
  for (int round = 0; round < 40; ++round) {
    const Image image = noise_image(true);
    const double speed = between(0.1, 3);
    const float wide = static_cast<float>(between(100, 900));
    for (int t = 0; t < 120; ++t) {
      const Rect r{static_cast<float>(-speed * t), -3, wide, 70};
      Frame fast = noise_frame(), plain = fast;
      Canvas(fast.data(), kSide).tiles(r, image, 1, false, 1);
      Canvas(plain.data(), kSide, Style::plain).tiles(r, image, 1, false, 1);
      if (fast != plain) return std::printf("frame %d of scroll %d differs\n", t, round), false;
    }
  }
  return true;
}

bool hidden_pixels_alone_are_left_out() {
  for (int round = 0; round < 500; ++round) {
    const Image image = noise_image(true);
    const Rect r = any_rect();
    uint64_t hidden[kSide];
    for (uint64_t& line : hidden)
      line = (static_cast<uint64_t>(below(1 << 24)) << 40) >> below(64) |
             (below(4) ? 0 : ~uint64_t{0});
    const Frame before = noise_frame();
    Frame whole = before, part = before;
    Canvas(whole.data(), kSide).picture(r, image);
    Canvas canvas(part.data(), kSide);
    canvas.hide(hidden);
    canvas.picture(r, image);
    for (int i = 0; i < kSide * kSide * 3; ++i) {
      const bool left_out = hidden[i / 3 / kSide] >> (i / 3 % kSide) & 1;
      if (part[i] != (left_out ? before : whole)[i])
        return std::printf("picture %d differs where pixels are hidden\n", round), false;
    }
  }
  return true;
}

}  // namespace

int main() {
  const bool good = pictures_follow_the_rules() && rectangles_follow_the_rules() &&
                    clipping_changes_no_pixel_inside() && scrolled_pictures_stay_equal() &&
                    hidden_pixels_alone_are_left_out();
  if (good) std::puts("ok");
  return good ? 0 : 1;
}
