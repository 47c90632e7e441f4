// Mazes by Kruskal's algorithm on a square with a margin of one cell; also with doors and keys.
#pragma once

#include <algorithm>
#include <vector>

#include "entity.h"
#include "random.h"

namespace cprocgen {

class MazeGenerator {
 public:
  static constexpr int kAgentCell = 53, kExitCell = 52, kDoorCell = 200, kKeyCell = 300;

  explicit MazeGenerator(int dim) : dim_(dim), side_(dim + 2), cells_(side_ * side_, kWall) {}

  // The maze cell (x, y), 0 <= x, y < dim.
  int at(int x, int y) const { return cells_[(y + 1) * side_ + x + 1]; }
  // The same with a margin of walls around; array coordinates are one higher.
  const std::vector<int>& free_cells() const { return free_; }  // y * dim + x, in order of opening

  void generate(Random& random) {
    open_first_cell();
    std::vector<int> parent(dim_ * dim_);
    for (int i = 0; i < dim_ * dim_; ++i) parent[i] = i;
    std::vector<Passage> walls = candidate_walls();
    while (!walls.empty()) {
      const int n = random.below(static_cast<int>(walls.size()));
      const Passage w = walls[n];
      const int a = root(parent, w.from), b = root(parent, w.to);
      if (cells_[array(w.between)] == kWall && a != b) {
        for (int k : {w.from, w.between, w.to}) open(k);
        parent[a] = b;
        parent[root(parent, w.between)] = b;
      }
      walls.erase(walls.begin() + n);
    }
  }

  void generate_without_dead_ends(Random& random) {
    generate(random);
    for (int k = 0; k < side_ * side_; ++k) {
      if (cells_[k] != kSpace || neighbours(k, kSpace).size() != 1) continue;
      const std::vector<int> walls = neighbours(k, kWall);
      if (!walls.empty()) cells_[random.choose_one(walls)] = kSpace;
    }
  }

  // Doors stand at forks; behind each door, in the order in which they can be opened, lies the next
  // key, and the exit behind the last.
  void generate_with_doors(Random& random, int num_doors) {
    generate(random);
    std::vector<int> forks;
    for (int k = 0; k < side_ * side_; ++k)
      if (cells_[k] == kSpace && neighbours(k, kSpace).size() > 2) forks.push_back(k);
    const std::vector<int> doors = random.choose_n(forks, num_doors);
    for (int k : doors) cells_[k] = kDoorCell;
    num_doors = static_cast<int>(doors.size());

    const std::vector<int> spaces = all(kSpace);
    int agent;
    do {
      agent = random.choose_one(spaces);
    } while (!neighbours(agent, kDoorCell).empty());
    cells_[agent] = kAgentCell;
    hide_keys(random, agent, num_doors);
  }

  // Puts an object on a free cell that is neither used nor the corner of the maze.
  int place(Random& random, int object) {
    if (placed_ + 1 >= static_cast<int>(free_.size()))
      throw LevelError("the maze has fewer free cells than there are things to place");
    int m;
    do {
      m = random.below(static_cast<int>(free_.size()));
    } while (free_[m] == -1 || free_[m] == 0);
    const int k = free_[m];
    cells_[array(k)] = object;
    free_[m] = -1;
    ++placed_;
    return k;
  }

 private:
  struct Passage {
    int from, between, to;  // maze indices y * dim + x
  };

  int array(int k) const { return (k / dim_ + 1) * side_ + k % dim_ + 1; }
  int maze_index(int x, int y) const { return y * dim_ + x; }

  void open_first_cell() { cells_[side_ + 1] = 0; }

  void open(int k) {
    if (cells_[array(k)] == kSpace) return;
    cells_[array(k)] = kSpace;
    free_.push_back(k);
  }

  std::vector<Passage> candidate_walls() const {
    std::vector<Passage> walls;
    for (int i = 1; i < dim_ - 1; i += 2)
      for (int j = 0; j < dim_; j += 2)
        walls.push_back({maze_index(i - 1, j), maze_index(i, j), maze_index(i + 1, j)});
    for (int i = 0; i < dim_; i += 2)
      for (int j = 1; j < dim_ - 1; j += 2)
        walls.push_back({maze_index(i, j - 1), maze_index(i, j), maze_index(i, j + 1)});
    return walls;
  }

  static int root(std::vector<int>& parent, int k) {
    while (parent[k] != k) k = parent[k] = parent[parent[k]];
    return k;
  }

  bool inside(int k) const {
    const int x = k % side_, y = k / side_;
    return x >= 1 && y >= 1 && x <= dim_ && y <= dim_;
  }

  std::vector<int> neighbours(int k, int value) const {
    std::vector<int> found;
    for (int other : {k - 1, k - side_, k + side_, k + 1})
      if (other >= 0 && other < side_ * side_ && inside(other) && cells_[other] == value)
        found.push_back(other);
    return found;
  }

  std::vector<int> all(int value) const {
    std::vector<int> found;
    for (int k = 0; k < side_ * side_; ++k)
      if (cells_[k] == value) found.push_back(k);
    return found;
  }

  void hide_keys(Random& random, int agent, int num_doors) {
    std::vector<bool> reached(cells_.size(), false), added(cells_.size(), false);
    reached[agent] = true;
    for (int k = 0; k <= num_doors; ++k) {
      std::fill(added.begin(), added.end(), false);
      int door = -1;
      if (k < num_doors) {
        door = expand(reached, added, kDoorCell);
        if (door >= 0) cells_[door] = kDoorCell + k + 1;
        merge(reached, added);
      }
      expand(reached, added, -999);
      std::vector<int> candidates;
      for (size_t i = 0; i < added.size(); ++i)
        if (added[i]) candidates.push_back(static_cast<int>(i));
      const int key = random.choose_one(candidates);
      cells_[key] = k == num_doors ? kExitCell : kKeyCell + k + 1;
      merge(reached, added);
      if (door >= 0) reached[door] = true;
    }
  }

  static void merge(std::vector<bool>& into, const std::vector<bool>& from) {
    for (size_t i = 0; i < from.size(); ++i) into[i] = into[i] || from[i];
  }

  // Breadth first over spaces from `reached`, filling `added`, up to the first cell of type `target`.
  int expand(const std::vector<bool>& reached, std::vector<bool>& added, int target) const {
    std::vector<int> layer;
    for (size_t i = 0; i < reached.size(); ++i)
      if (reached[i]) layer.push_back(static_cast<int>(i));
    while (!layer.empty()) {
      std::vector<bool> next(cells_.size(), false);
      for (int e : layer) {
        for (int k : neighbours(e, kSpace)) {
          if (reached[k] || added[k]) continue;
          next[k] = added[k] = true;
        }
        const std::vector<int> targets = neighbours(e, target);
        if (!targets.empty()) return targets[0];
      }
      layer.clear();
      for (size_t i = 0; i < next.size(); ++i)
        if (next[i]) layer.push_back(static_cast<int>(i));
    }
    return -1;
  }

  int dim_, side_;
  std::vector<int> cells_;
  std::vector<int> free_;
  int placed_ = 0;
};

}  // namespace cprocgen
