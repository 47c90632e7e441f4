// One frame of a game: camera, background, cells, entities, overlay.
#pragma once

#include "raster.h"
#include "tables.h"

namespace cprocgen {

class Skin;

// Where the world lies on the image, in f32 as the benchmark computes it.
struct Camera {
  float unit, view, x_off, y_off;
};

template <class G>
void draw_background_picture(G&, Canvas&, const Camera&, const Skin&) {}

template <class G>
void draw_game(G&, Canvas& canvas, const Skin&) {
  canvas.clear();
}

}  // namespace cprocgen
