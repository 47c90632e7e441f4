// What the built-in pictures of all games share: one ink, one light, the same way of drawing a
// body.
#pragma once

#include "painter.h"
#include "skin.h"

namespace cprocgen {

constexpr Tone kInk = tone(0x2a2233);
constexpr double kLine = 0.045;  // width of outlines

// Light falls from the upper left.
Fill lit(Tone base);
void inked_disc(Painter& p, double x, double y, double r, const Fill& f, double line = kLine);
void inked_ellipse(Painter& p, double x, double y, double rx, double ry, const Fill& f,
                   double degrees = 0);
void inked_polygon(Painter& p, const Contour& points, const Fill& f, double line = kLine);
void inked_blob(Painter& p, const Contour& points, const Fill& f, double line = kLine);
void inked_stroke(Painter& p, const Contour& points, double width, const Fill& f);
// White with a dark pupil that looks to one side, in radii of the eye.
void eye(Painter& p, double x, double y, double r, double look_x = 0.3, double look_y = 0.1);

// Opaque tiles that fit together on all sides.
struct Ground {
  Tone soil, dark, crust;
};
void paint_ground(Painter& p, const Ground& ground, uint32_t seed);
void paint_ground_top(Painter& p, const Ground& ground, uint32_t seed);
void paint_bricks(Painter& p, Tone brick, Tone mortar, int rows, uint32_t seed);

void paint_gem(Painter& p, Tone base);
void paint_rock(Painter& p, Tone base, uint32_t seed, double edge = 0.47);

}  // namespace cprocgen
