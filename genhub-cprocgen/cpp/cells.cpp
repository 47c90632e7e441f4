#include "cells.h"

#include <algorithm>

namespace cprocgen {

void CellAxis::build(const float* starts, int count, float extent, int source, int size) {
  source_ = source;
  cells_.clear();
  index_.clear();
  for (int k = 0; k < count; ++k) {
    const Axis axis = sample_axis(starts[k], extent, source, size);
    cells_.push_back({axis.span, static_cast<int>(index_.size())});
    for (int pixel = axis.span.first; pixel < axis.span.last; ++pixel)
      index_.push_back(static_cast<uint16_t>(axis.source(pixel)));
  }
}

void CellSheet::begin(const Camera& camera, const CellRange& range, int size) {
  lefts_.clear();
  tops_.clear();
  for (int x = range.x0; x <= range.x1; ++x)
    lefts_.push_back(camera.left(static_cast<float>(x), Camera::kCellMargin));
  for (int y = range.y0; y <= range.y1; ++y)
    tops_.push_back(camera.top(static_cast<float>(y + 1), Camera::kCellMargin));
  count_ = 0;
  shown_.resize(std::max(shown_.size(), lefts_.size() * tops_.size()));
  covers_.assign(tops_.size(), Cover());
  extent_ = camera.length(1, Camera::kCellMargin);
  used_columns_ = used_rows_ = 0;
  size_ = size;
}

void CellSheet::cover(uint64_t* lines) const {
  for (size_t row = 0; row < covers_.size(); ++row) {
    if (!covers_[row].rows) continue;
    const Span ys = covers_[row].rows->span(static_cast<int>(row));
    for (int line = ys.first; line < ys.last; ++line) lines[line] |= covers_[row].columns;
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
