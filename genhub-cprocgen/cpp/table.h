// The kinds of rows that tables.h is made of; tables.h itself is generated from the JSON files.
#pragma once

#include <limits>

namespace cprocgen {

enum class Mode { easy, hard, extreme, memory };
constexpr int kModes = 4;
constexpr const char* kModeNames[kModes] = {"easy", "hard", "extreme", "memory"};

// In a row of parameters: take the mode's default. In a default: the game's own rule decides.
constexpr double kUnset = std::numeric_limits<double>::quiet_NaN();

struct Parameter {
  const char* name;
  char kind;  // 'i', 'o' (an odd integer), 'f' or 'b'
  double minimum, maximum;
  double defaults[kModes];
};

struct Picture {
  const char* file;  // in the benchmark's picture folder
  int width, height;
  constexpr float aspect() const {
    return static_cast<float>(static_cast<double>(width) / height);
  }
};

struct PictureType {
  int type;
  const Picture* themes;
  int count;
};

struct BackgroundGroup {
  const char* name;
  const Picture* pictures;
  int count;
};

struct GameTable {
  const char* name;
  unsigned modes;  // bit m: the game has mode m
  const Parameter* parameters;
  int parameter_count;
  const int (*ordered_pairs)[2];  // indices a, b of parameters with a <= b
  int pair_count;
  const PictureType* types;
  int type_count;
  int background_group;
  const char* const* episode_values;
  int episode_value_count;
};

inline double value(const double* row, const Parameter* parameters, int i, Mode mode) {
  return row[i] == row[i] ? row[i] : parameters[i].defaults[static_cast<int>(mode)];
}

inline int integer(double v) { return v == v ? static_cast<int>(v) : 0; }

// A value equal to the default counts as unset, so that writing it out never changes a bit.
inline bool differs(const double* row, const Parameter* parameters, int i, Mode mode) {
  return row[i] == row[i] && row[i] != parameters[i].defaults[static_cast<int>(mode)];
}

}  // namespace cprocgen
