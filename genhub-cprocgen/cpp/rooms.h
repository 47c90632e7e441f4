// Caves: a cellular automaton on the game's grid, its largest room, paths through it.
#pragma once

#include <algorithm>
#include <vector>

#include "world.h"

namespace cprocgen {

class Rooms {
 public:
  explicit Rooms(World& world) : world_(world) {}

  // A cell becomes a wall where at least five of the 3 x 3 block around it are walls.
  void automaton_step() {
    std::vector<int16_t> next(world_.grid.size());
    for (int y = 0; y < world_.height; ++y)
      for (int x = 0; x < world_.width; ++x) {
        int walls = 0;
        for (int i = -1; i <= 1; ++i)
          for (int j = -1; j <= 1; ++j) walls += world_.cell(x + i, y + j) == kWall;
        next[world_.index(x, y)] = walls >= 5 ? kWall : kSpace;
      }
    world_.grid = std::move(next);
  }

  // The cells, ascending, of the largest connected space; of equals the first. A cell counts where
  // it is entered from a neighbour, so that a lone one is an empty room.
  std::vector<int> best_room() const {
    std::vector<int> best;
    std::vector<bool> visited(world_.area(), false);
    for (int k = 0; k < world_.area(); ++k) {
      if (world_.grid[k] != kSpace || visited[k]) continue;
      std::vector<int> room = flood(k, visited);
      if (room.size() > best.size()) best = std::move(room);
    }
    return best;
  }

  // From source to destination over spaces, both included; empty where there is no way.
  std::vector<int> path(int source, int destination) const {
    std::vector<int> parent(world_.area(), -1), queue{source};
    parent[source] = source;
    for (size_t i = 0; i < queue.size() && parent[destination] < 0; ++i)
      for_neighbours(queue[i], [&](int k) {
        if (world_.grid[k] != kSpace || parent[k] >= 0) return;
        parent[k] = queue[i];
        queue.push_back(k);
      });
    if (parent[destination] < 0) return {};
    std::vector<int> way{destination};
    while (way.back() != source) way.push_back(parent[way.back()]);
    return {way.rbegin(), way.rend()};
  }

  // The cells together with the spaces within n king's moves of them, ascending.
  std::vector<int> widen(const std::vector<int>& cells, int n) const {
    std::vector<bool> in(world_.area(), false);
    for (int k : cells) in[k] = true;
    std::vector<int> layer = cells;
    for (; n > 0; --n) {
      std::vector<int> next;
      for (int k : layer)
        if (world_.grid[k] == kSpace) add_ring(k, in, next);
      layer = std::move(next);
    }
    std::vector<int> wide;
    for (int k = 0; k < world_.area(); ++k)
      if (in[k]) wide.push_back(k);
    return wide;
  }

  void set_cells(const std::vector<int>& cells, int value) {
    for (int k : cells) world_.set_cell(k, value);
  }

 private:
  template <class Visit>
  void for_neighbours(int k, Visit visit) const {
    const int x = world_.column(k), y = world_.row(k);
    if (x > 0) visit(k - 1);
    if (y > 0) visit(k - world_.width);
    if (y + 1 < world_.height) visit(k + world_.width);
    if (x + 1 < world_.width) visit(k + 1);
  }

  std::vector<int> flood(int start, std::vector<bool>& visited) const {
    std::vector<int> queue{start};
    std::vector<int> room;
    for (size_t i = 0; i < queue.size(); ++i)
      for_neighbours(queue[i], [&](int k) {
        if (world_.grid[k] != kSpace || visited[k]) return;
        visited[k] = true;
        room.push_back(k);
        queue.push_back(k);
      });
    std::sort(room.begin(), room.end());
    return room;
  }

  void add_ring(int k, std::vector<bool>& in, std::vector<int>& next) const {
    const int x = world_.column(k), y = world_.row(k);
    for (int i = -1; i <= 1; ++i)
      for (int j = -1; j <= 1; ++j) {
        if (world_.cell(x + i, y + j) != kSpace) continue;
        const int other = world_.index(x + i, y + j);
        if (in[other]) continue;
        in[other] = true;
        next.push_back(other);
      }
  }

  World& world_;
};

}  // namespace cprocgen
