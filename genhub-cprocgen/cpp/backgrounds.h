// The built-in backgrounds, varied by a number.
#pragma once

#include "painter.h"

namespace cprocgen {

void paint_space(Painter& p, int index);
void paint_landscape(Painter& p, int index);
void paint_floor(Painter& p, int index);
void paint_underwater(Painter& p, int index);
void paint_waves(Painter& p, int index);

}  // namespace cprocgen
