#include "cells.h"

namespace cprocgen {

void CellAxis::build(const float* starts, int count, float extent, int source, int size) {
  source_ = source;
  cells_.clear();
  index_.clear();
  const int64_t step = sample_step(extent, source);
  for (int k = 0; k < count; ++k) {
    const Axis axis = sample_by_steps(starts[k], extent, step, source, size);
    cells_.push_back({axis.span, static_cast<int>(index_.size())});
    for (int pixel = axis.span.first; pixel < axis.span.last; ++pixel)
      index_.push_back(static_cast<uint16_t>(axis.source(pixel)));
  }
}

namespace {

// Of a look in one row of cells, the pixels of xs on the lines of ys.
void paint_look(Canvas& canvas, const CellLook& look, int row, Span xs, const uint16_t* index,
                Span ys) {
  const Span own = look.rows->span(row);
  const Span lines = intersect(own, ys);
  const int count = xs.last - xs.first;
  if (lines.empty() || count <= 0) return;
  const uint16_t* down = look.rows->index(row) + (lines.first - own.first);
  for (int y = lines.first; y < lines.last; ++y) {
    const Pixel* source = look.image->row(*down++);
    if (look.image->opaque) {
      copy_row(canvas.pixel(xs.first, y), source, index, count);
    } else {
      put_row(canvas.pixel(xs.first, y), source, index, count);
    }
  }
}

}  // namespace

void CellSheet::begin(const Camera& camera, const CellRange& range, int size) {
  lefts_.clear();
  tops_.clear();
  for (int x = range.x0; x <= range.x1; ++x)
    lefts_.push_back(camera.left(static_cast<float>(x), Camera::kCellMargin));
  for (int y = range.y0; y <= range.y1; ++y)
    tops_.push_back(camera.top(static_cast<float>(y + 1), Camera::kCellMargin));
  extent_ = camera.length(1, Camera::kCellMargin);
  used_columns_ = used_rows_ = 0;
  size_ = size;
  width_ = static_cast<int>(lefts_.size());
  height_ = static_cast<int>(tops_.size());
  looks_.assign(lefts_.size() * tops_.size(), nullptr);
}

void CellSheet::find_runs() {
  runs_.clear();
  lines_.clear();
  for (int row = 0; row < height_; ++row) {
    const int first = static_cast<int>(runs_.size());
    const CellLook* last = nullptr;
    for (int column = 0; column < width_; ++column) {
      const CellLook* now = look(column, row);
      if (now) {
        const Span xs = now->columns->span(column);
        if (now == last && runs_.back().xs.last == xs.first) {
          runs_.back().xs.last = xs.last;
        } else {
          runs_.push_back({now, xs, now->columns->index(column)});
        }
      }
      last = now;
    }
    lines_.push_back(
        {pixel_span(tops_[row], extent_, size_), first, static_cast<int>(runs_.size())});
  }
}

bool CellSheet::cover(uint64_t* lines) {
  find_runs();
  bool any = false;
  for (int row = 0; row < height_; ++row) {
    for (int k = lines_[row].first_run; k < lines_[row].last_run; ++k) {
      const Run& run = runs_[k];
      if (!run.look->image->opaque || run.xs.empty()) continue;
      const uint64_t bits = (~uint64_t{0} >> (64 - (run.xs.last - run.xs.first))) << run.xs.first;
      const Span ys = run.look->rows->span(row);
      any = true;
      for (int line = ys.first; line < ys.last; ++line) lines[line] |= bits;
    }
  }
  return any;
}

// Rows share lines with the next row at most: runs go where a row is alone, cells where it is not.
void CellSheet::paint(Canvas& canvas) const {
  if (extent_ < 2) return paint_cells(canvas, 0, height_ - 1, {0, size_});
  for (int row = 0; row < height_; ++row) {
    const Span above = row + 1 < height_ ? lines_[row + 1].ys : Span{0, 0};
    const Span below = row > 0 ? lines_[row - 1].ys : Span{size_, size_};
    const Span alone = intersect(lines_[row].ys, {above.last, below.first});
    for (int k = lines_[row].first_run; k < lines_[row].last_run; ++k)
      paint_look(canvas, *runs_[k].look, row, runs_[k].xs, runs_[k].index, alone);
    const Span shared = intersect(lines_[row].ys, above);
    if (!shared.empty()) paint_cells(canvas, row, row + 1, shared);
  }
}

void CellSheet::paint_cells(Canvas& canvas, int row0, int row1, Span ys) const {
  for (int column = 0; column < width_; ++column) {
    for (int row = row0; row <= row1; ++row) {
      const CellLook* now = look(column, row);
      if (!now) continue;
      const CellAxis& columns = *now->columns;
      paint_look(canvas, *now, row, columns.span(column), columns.index(column), ys);
    }
  }
}

const CellAxis& CellSheet::axis(Axes& axes, size_t& used, const std::vector<float>& starts,
                                int source) {
  for (size_t k = 0; k < used; ++k)
    if (axes[k].source() == source) return axes[k];
  CellAxis& next = axes[used++];
  next.build(starts.data(), static_cast<int>(starts.size()), extent_, source, size_);
  return next;
}

}  // namespace cprocgen
