// Grid cells as pictures: cells of one column share their columns of pixels, and those of one row
// their rows, so the sampling of each is worked out once a frame.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "raster.h"

namespace cprocgen {

// Where the world lies on the image, in f32 as the benchmark computes it.
struct Camera {
  float unit = 0, view = 0, x_off = 0, y_off = 0;

  static Camera around(float x, float y, float visibility, int size) {
    const float base = 64 / visibility;
    Camera c;
    c.unit = base * (static_cast<float>(size) / 64);
    c.view = 64 / base;
    c.x_off = c.unit * (x - c.view / 2);
    c.y_off = c.unit * (y - c.view / 2);
    return c;
  }
  float left(float x, float margin) const { return (x - margin) * unit - x_off; }
  float top(float y, float margin) const { return (view - y - margin) * unit + y_off; }
  float length(float v, float margin) const { return (v + 2 * margin) * unit; }

  // The top is given in world units, upwards; the margin is added on every side.
  Rect rect(float x, float top_y, float w, float h, float margin = 0) const {
    return {left(x, margin), top(top_y, margin), length(w, margin), length(h, margin)};
  }
  Rect cell(int x, int y) const {
    return rect(static_cast<float>(x), static_cast<float>(y + 1), 1, 1, kCellMargin);
  }
  // Fixed to the screen, in units of the view, y downwards.
  Rect screen(float x, float y, float w, float h) const {
    return {x * unit, y * unit, w * unit, h * unit};
  }
  static constexpr float kCellMargin = 0.02f;
};

// The visible cells of a frame, inclusive.
struct CellRange {
  int x0, y0, x1, y1;
};

// Along one axis, for pictures of one length: each cell's pixels, and the source index of each.
class CellAxis {
 public:
  void build(const float* starts, int count, float extent, int source, int size);
  int source() const { return source_; }
  Span span(int cell) const { return cells_[cell].span; }
  const uint16_t* index(int cell) const { return index_.data() + cells_[cell].offset; }

 private:
  struct Cell {
    Span span;
    int offset;
  };
  int source_ = 0;
  std::vector<Cell> cells_;
  std::vector<uint16_t> index_;
};

// What the cells of one value look like in this frame.
struct CellLook {
  enum class Kind : uint8_t { unknown, nothing, picture, plain, custom };
  Kind kind = Kind::unknown;
  Color color{0, 0, 0};
  const Image* image = nullptr;
  const CellAxis* columns = nullptr;
  const CellAxis* rows = nullptr;
};

// The visible cells of a frame that are pictures. Kept from frame to frame by a thread, so that
// nothing is allocated.
class CellSheet {
 public:
  void begin(const Camera& camera, const CellRange& range, int size);
  const CellAxis& columns(int source) { return axis(columns_, used_columns_, lefts_, source); }
  const CellAxis& rows(int source) { return axis(rows_, used_rows_, tops_, source); }

  void show(const CellLook* look, int column, int row) { looks_[row * width_ + column] = look; }
  // Sets the bits of the pixels under opaque cells, a word for each of the 64 lines; false: none.
  bool cover(uint64_t* lines);
  // As if cell by cell, columns from the left and each upwards.
  void paint(Canvas& canvas) const;

 private:
  // More than the kinds of cells: every look of a frame can have a size of its own.
  static constexpr size_t kSizes = 64;
  using Axes = std::array<CellAxis, kSizes>;

  // Neighbours in a row that look the same and whose pixels follow one another.
  struct Run {
    const CellLook* look;
    Span xs;
    const uint16_t* index;
  };
  // The runs of one row.
  struct Row {
    Span ys;
    int first_run, last_run;
  };

  const CellAxis& axis(Axes& axes, size_t& used, const std::vector<float>& starts, int source);
  const CellLook* look(int column, int row) const { return looks_[row * width_ + column]; }
  void find_runs();
  void paint_cells(Canvas& canvas, int row0, int row1, Span ys) const;

  Axes columns_, rows_;
  size_t used_columns_ = 0, used_rows_ = 0;
  std::vector<float> lefts_, tops_;
  float extent_ = 0;
  int size_ = 0, width_ = 0, height_ = 0;
  std::vector<const CellLook*> looks_;
  std::vector<Run> runs_;
  std::vector<Row> lines_;
};

}  // namespace cprocgen
