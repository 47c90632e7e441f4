// What must hold of every batch, whatever it plays.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "setting.h"

namespace cprocgen::fuzz {

// Something that must never happen did.
struct Finding : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Begins the first levels; false where a context makes a level impossible.
bool begin(Batch& batch, const Setting& setting);

// One step; environments that wait are started before it. False as above.
bool advance(Batch& batch, const Setting& setting, const std::vector<int32_t>& actions);

std::vector<int32_t> draw_actions(Chance& chance, int environments);

// Numbers are finite, lists short, flags consistent. `thorough`: looks at every entity.
void check(Batch& batch, bool thorough);

// Both are in the same state and show the same.
void check_equal(Batch& a, Batch& b, const Setting& setting);

// A state that was damaged or cut is refused, and the environment plays on as before.
void check_damage(Chance& chance, Batch& batch, int i);

// A state that was changed by hand, checksum included, is refused or played: nothing breaks.
void check_forgery(Chance& chance, const Setting& setting, Batch& batch, int i);

}  // namespace cprocgen::fuzz
