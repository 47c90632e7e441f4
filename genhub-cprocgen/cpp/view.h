// A frame for people: drawn larger than asked for, pictures sampled smoothly, then averaged.
#pragma once

#include <cstdint>

#include "env.h"

namespace cprocgen {

// size x size x 3 bytes; the size is a multiple of 64. At 64 it is the observation, pixel by pixel.
void draw_view(Env& env, const Skin& skin, int size, uint8_t* rgb);

}  // namespace cprocgen
