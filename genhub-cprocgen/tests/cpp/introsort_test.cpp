// Lists with many equal keys come in the order of GNU's std::sort, also where it turns to heaps.
#include "introsort.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

struct Item {
  int key, place;
};
struct Later {
  bool operator()(const Item& a, const Item& b) const { return a.key > b.key; }
};

uint32_t state = 1;
int below(int n) {
  state = state * 1664525u + 1013904223u;
  return static_cast<int>((state >> 8) % static_cast<uint32_t>(n));
}

// An adversary that fixes keys while the list is sorted, so that every partition is a bad one.
std::vector<int> hostile_keys(int n) {
  std::vector<int> keys(n, n), order(n);
  int solid = 0, candidate = 0;
  for (int i = 0; i < n; ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    if (keys[a] == n && keys[b] == n) keys[a == candidate ? a : b] = solid++;
    if (keys[a] == n) candidate = a;
    if (keys[b] == n) candidate = b;
    return keys[a] < keys[b];
  });
  for (int& key : keys) key = -key;  // Later sorts downwards
  return keys;
}

bool same_order(const std::vector<int>& keys) {
  std::vector<Item> ours;
  for (int i = 0; i < static_cast<int>(keys.size()); ++i) ours.push_back({keys[i], i});
  std::vector<Item> theirs = ours;
  cprocgen::Introsort<Item, Later>::sort(ours);
  std::sort(theirs.begin(), theirs.end(), Later());
  for (size_t i = 0; i < ours.size(); ++i)
    if (ours[i].place != theirs[i].place) return false;
  return true;
}

}  // namespace

int main() {
#ifdef __GLIBCXX__
  for (int round = 0; round < 20000; ++round) {
    std::vector<int> keys(below(120));
    const int different = 1 + below(60);
    for (int& key : keys) key = below(different);
    if (!same_order(keys)) return std::printf("round %d: another order\n", round), 1;
  }
  for (int n : {17, 100, 1000, 3000})
    if (!same_order(hostile_keys(n))) return std::printf("hostile %d: another order\n", n), 1;
#endif
  std::printf("ok\n");
  return 0;
}
