// Mazes: connected, without loops, with as many ways as there must be; doors that keys open in turn.
#include "maze.h"

#include <algorithm>
#include <set>
#include <vector>

#include "check.h"

namespace {

using namespace cprocgen;

struct Grid {
  int dim;
  std::vector<int> cells;

  Grid(const MazeGenerator& maze, int dim) : dim(dim) {
    for (int y = 0; y < dim; ++y)
      for (int x = 0; x < dim; ++x) cells.push_back(maze.at(x, y));
  }
  std::vector<int> neighbours(int k) const {
    std::vector<int> list;
    if (k % dim > 0) list.push_back(k - 1);
    if (k >= dim) list.push_back(k - dim);
    if (k / dim + 1 < dim) list.push_back(k + dim);
    if (k % dim + 1 < dim) list.push_back(k + 1);
    return list;
  }
  int count(int value) const {
    return static_cast<int>(std::count(cells.begin(), cells.end(), value));
  }
  // The cells within reach of a start, through all that is neither wall nor in `shut`.
  std::set<int> reach(int start, const std::set<int>& shut) const {
    std::set<int> seen = {start};
    std::vector<int> queue = {start};
    for (size_t i = 0; i < queue.size(); ++i)
      for (int k : neighbours(queue[i]))
        if (cells[k] != kWall && !shut.count(cells[k]) && seen.insert(k).second) queue.push_back(k);
    return seen;
  }
  int find(int value) const {
    return static_cast<int>(std::find(cells.begin(), cells.end(), value) - cells.begin());
  }
};

void trees() {
  for (int seed = 0; seed < 60; ++seed) {
    const int dim = 3 + 2 * (seed % 12);
    Random random(seed);
    MazeGenerator maze(dim);
    maze.generate(random);
    const Grid grid(maze, dim);
    const int rooms = (dim + 1) / 2 * ((dim + 1) / 2);
    CHECK(grid.count(kSpace) == 2 * rooms - 1);  // a tree has one passage less than rooms
    CHECK(static_cast<int>(grid.reach(0, {}).size()) == 2 * rooms - 1);
    CHECK(static_cast<int>(maze.free_cells().size()) == 2 * rooms - 1);
    const int walls = ((dim + 1) / 2 - 1) * ((dim + 1) / 2) * 2;
    CHECK(static_cast<int>(random.consumed()) == walls);  // one word each, opened or not
  }
}

void no_dead_ends() {
  for (int seed = 0; seed < 60; ++seed) {
    const int dim = 4 + seed % 20;  // even ones, too
    Random random(seed);
    MazeGenerator maze(dim);
    maze.generate_without_dead_ends(random);
    const Grid grid(maze, dim);
    CHECK(static_cast<int>(grid.reach(0, {}).size()) == grid.count(kSpace));
    for (int k = 0; k < dim * dim && dim % 2 == 1; ++k) {
      if (grid.cells[k] != kSpace) continue;
      int open = 0;
      for (int n : grid.neighbours(k)) open += grid.cells[n] == kSpace;
      CHECK(open > 1);
    }
  }
}

// Whoever takes keys in order and opens their doors comes from the start to the exit, but not sooner.
void doors() {
  int most = 0;
  for (int seed = 0; seed < 200; ++seed) {
    const int dim = 5 + 2 * (seed % 8);
    Random random(seed);
    MazeGenerator maze(dim);
    maze.generate_with_doors(random, seed % 4);
    const Grid grid(maze, dim);
    std::set<int> shut;
    for (int k = 1; k <= 3; ++k)
      if (grid.count(MazeGenerator::kDoorCell + k)) shut.insert(MazeGenerator::kDoorCell + k);
    most = std::max(most, static_cast<int>(shut.size()));
    const int start = grid.find(MazeGenerator::kAgentCell);
    const int exit = grid.find(MazeGenerator::kExitCell);
    for (int k = 1; !shut.empty(); ++k) {
      const std::set<int> near = grid.reach(start, shut);
      CHECK(!near.count(exit));
      CHECK(near.count(grid.find(MazeGenerator::kKeyCell + k)));
      shut.erase(MazeGenerator::kDoorCell + k);
    }
    CHECK(grid.reach(start, {}).count(exit));
  }
  CHECK(most == 3);
}

void placing() {
  Random random(1);
  MazeGenerator maze(3);
  maze.generate(random);
  std::set<int> places;
  for (int i = 0; i < 6; ++i) places.insert(maze.place(random, 2));
  CHECK(places.size() == 6 && !places.count(0));
  CHECK_THROWS(maze.place(random, 2), LevelError);
}

}  // namespace

int main() {
  trees();
  no_dead_ends();
  doors();
  placing();
  std::puts("ok");
}
