// An unstable sort whose order of equal elements is fixed: step by step that of GNU's C++ library,
// which the benchmark was built with, instead of whatever std::sort a platform has.
#pragma once

#include <algorithm>
#include <vector>

namespace cprocgen {

template <class T, class Less>
class Introsort {
 public:
  static void sort(std::vector<T>& list) {
    const int n = static_cast<int>(list.size());
    if (n == 0) return;
    int depth = 0;
    for (int k = n; k > 1; k >>= 1) depth += 2;
    divide(list.data(), list.data() + n, depth);
    insert_guarded(list.data(), list.data() + std::min(n, kSmall));
    for (int i = kSmall; i < n; ++i) insert(list.data() + i);
  }

 private:
  static constexpr int kSmall = 16;  // pieces of at most this size are left to insertion

  static bool less(const T& a, const T& b) { return Less()(a, b); }

  static void divide(T* first, T* last, int depth) {
    while (last - first > kSmall) {
      if (depth-- == 0) {
        heap_sort(first, static_cast<int>(last - first));
        return;
      }
      median_to_first(first, first + 1, first + (last - first) / 2, last - 1);
      T* cut = partition(first + 1, last, *first);
      divide(cut, last, depth);
      last = cut;
    }
  }

  static void median_to_first(T* first, T* a, T* b, T* c) {
    T* median = a;
    if (less(*a, *b)) {
      median = less(*b, *c) ? b : (less(*a, *c) ? c : a);
    } else if (!less(*a, *c)) {
      median = less(*b, *c) ? c : b;
    }
    std::swap(*first, *median);
  }

  static T* partition(T* first, T* last, const T& pivot) {
    while (true) {
      while (less(*first, pivot)) ++first;
      --last;
      while (less(pivot, *last)) --last;
      if (!(first < last)) return first;
      std::swap(*first, *last);
      ++first;
    }
  }

  // The hole goes down to a leaf, always to the larger child, and the value comes up from there.
  static void sift(T* heap, int hole, int n, T value) {
    const int top = hole;
    int below = hole;
    while (below < (n - 1) / 2) {
      below = 2 * below + 2;
      if (less(heap[below], heap[below - 1])) --below;
      heap[hole] = heap[below];
      hole = below;
    }
    if (n % 2 == 0 && below == (n - 2) / 2) {
      heap[hole] = heap[2 * below + 1];
      hole = 2 * below + 1;
    }
    for (int above = (hole - 1) / 2; hole > top && less(heap[above], value);
         above = (hole - 1) / 2) {
      heap[hole] = heap[above];
      hole = above;
    }
    heap[hole] = value;
  }

  static void heap_sort(T* heap, int n) {
    for (int i = (n - 2) / 2; i >= 0; --i) sift(heap, i, n, heap[i]);
    while (n > 1) {
      const T value = heap[--n];
      heap[n] = heap[0];
      sift(heap, 0, n, value);
    }
  }

  static void insert_guarded(T* first, T* last) {
    for (T* i = first + 1; i < last; ++i) {
      if (less(*i, *first)) {
        std::rotate(first, i, i + 1);
      } else {
        insert(i);
      }
    }
  }

  static void insert(T* at) {
    const T value = *at;
    for (; less(value, *(at - 1)); --at) *at = *(at - 1);
    *at = value;
  }
};

}  // namespace cprocgen
