// Threads that share the items of one job after another; the calling thread works along.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace cprocgen {

class Pool {
 public:
  // `threads` work in all, the caller's among them; they are started by the first job.
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Calls body(i) once for every 0 <= i < count, in any order and on any thread.
  void begin(int count, std::function<void(int)> body);
  void finish();  // works along until all of it is done
  void dismiss();  // ends the threads, after what they are at; the next job starts new ones

 private:
  struct Crew;

  void run_items();
  void work(Crew& crew);
  void muster();

  static constexpr int kChunk = 4;

  int threads_;
  std::unique_ptr<Crew> crew_;
  std::function<void(int)> body_;
  int count_ = 0;
  std::atomic<int> next_{0};
};

}  // namespace cprocgen
