// Caves against plain readings of their rules: automaton, largest room, shortest way, widening.
#include "rooms.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "check.h"
#include "tables.h"

namespace {

using namespace cprocgen;

void fill(World& world, int seed, int width, int height, int walls_of_10) {
  Random random(seed);
  world.width = width;
  world.height = height;
  world.fill_grid(kSpace);
  for (int k = 0; k < world.area(); ++k)
    if (random.below(10) < walls_of_10) world.set_cell(k, kWall);
}

std::vector<int> distances(const World& world, int start) {
  std::vector<int> far(world.area(), -1);
  far[start] = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (int k = 0; k < world.area(); ++k) {
      if (world.cell(k) != kSpace || far[k] >= 0) continue;
      for (int n = 0; n < world.area(); ++n) {
        const int steps = std::abs(world.column(k) - world.column(n)) +
                          std::abs(world.row(k) - world.row(n));
        if (steps != 1 || far[n] < 0 || (far[k] >= 0 && far[k] <= far[n] + 1)) continue;
        far[k] = far[n] + 1;
        changed = true;
      }
    }
  }
  return far;
}

void automaton() {
  World world(kJumper, Mode::easy, {});
  for (int outside : {int(kWall), int(kInvalid)}) {
    fill(world, 3, 9, 7, 5);
    world.out_of_bounds = outside;
    const World before = [&] {
      World copy(kJumper, Mode::easy, {});
      copy.width = world.width, copy.height = world.height, copy.grid = world.grid;
      copy.out_of_bounds = outside;
      return copy;
    }();
    Rooms(world).automaton_step();
    for (int k = 0; k < world.area(); ++k) {
      int walls = 0;
      for (int n = 0; n < 9; ++n)
        walls += before.cell(before.column(k) + n % 3 - 1, before.row(k) + n / 3 - 1) == kWall;
      CHECK(world.cell(k) == (walls >= 5 ? kWall : kSpace));
    }
  }
}

void rooms_and_ways() {
  for (int seed = 0; seed < 30; ++seed) {
    World world(kJumper, Mode::easy, {});
    fill(world, seed, 8 + seed % 5, 8, 4);
    const Rooms rooms(world);
    const std::vector<int> room = rooms.best_room();
    CHECK(!room.empty() && std::is_sorted(room.begin(), room.end()));
    const std::vector<int> far = distances(world, room[0]);
    CHECK(std::count_if(far.begin(), far.end(), [](int d) { return d >= 0; }) ==
          static_cast<long>(room.size()));
    for (int k : room) {
      const std::vector<int> way = rooms.path(room[0], k);
      CHECK(static_cast<int>(way.size()) == far[k] + 1 && way.front() == room[0] && way.back() == k);
    }
    for (int k = 0; k < world.area(); ++k) {  // no other room is larger
      if (world.cell(k) != kSpace) continue;
      const std::vector<int> other = distances(world, k);
      const long size = std::count_if(other.begin(), other.end(), [](int d) { return d >= 0; });
      CHECK(size == 1 || size <= static_cast<long>(room.size()));
    }
  }
}

void lone_cells_and_lost_ways() {
  World world(kJumper, Mode::easy, {});
  fill(world, 1, 5, 5, 10);
  world.set_cell(2, 2, kSpace);
  CHECK(Rooms(world).best_room().empty());
  world.set_cell(4, 4, kSpace);
  CHECK(Rooms(world).path(world.index(2, 2), world.index(4, 4)).empty());
}

void widening() {
  World world(kJumper, Mode::easy, {});
  fill(world, 1, 11, 11, 0);
  const int middle = world.index(5, 5);
  for (int n = 0; n <= 5; ++n) {
    const std::vector<int> wide = Rooms(world).widen({middle}, n);
    CHECK(static_cast<int>(wide.size()) == (2 * n + 1) * (2 * n + 1));
  }
  world.fill_block(0, 6, 11, 1, kWall);  // a wall holds it back
  for (int k : Rooms(world).widen({middle}, 5)) CHECK(world.row(k) < 6);
}

}  // namespace

int main() {
  automaton();
  rooms_and_ways();
  lone_cells_and_lost_ways();
  widening();
  std::puts("ok");
}
