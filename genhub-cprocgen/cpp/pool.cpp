#include "pool.h"

#include <chrono>
#include <system_error>

#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif

namespace cprocgen {

namespace {

int process_id() {
#if defined(_WIN32)
  return _getpid();
#else
  return static_cast<int>(getpid());
#endif
}

// Waits a little without sleeping. Bounded by time: where others want the processor, a single yield
// may take milliseconds.
template <class Condition>
void spin_until(Condition ready) {
  constexpr std::chrono::microseconds kLongest(200);
  const auto end = std::chrono::steady_clock::now() + kLongest;
  while (!ready() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

}  // namespace

struct Pool::Crew {
  int process = process_id();
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable wake, rest;
  std::atomic<unsigned> job{0};
  std::atomic<int> busy{0};
  std::atomic<bool> stop{false};
};

Pool::Pool(int threads) : threads_(threads) {}

Pool::~Pool() { dismiss(); }

void Pool::dismiss() {
  if (!crew_) return;
  if (crew_->process != process_id()) {
    crew_.release();  // the threads stayed behind in the parent of a fork: nothing to join
    return;
  }
  {
    std::lock_guard<std::mutex> lock(crew_->mutex);
    crew_->stop = true;
  }
  crew_->wake.notify_all();
  for (std::thread& thread : crew_->threads) thread.join();
  crew_.reset();
}

void Pool::muster() {
  if (crew_ && crew_->process != process_id()) crew_.release();
  if (crew_) return;
  crew_ = std::make_unique<Crew>();
  try {
    for (int i = 1; i < threads_; ++i)
      crew_->threads.emplace_back([this, crew = crew_.get()] { work(*crew); });
  } catch (const std::system_error&) {
    // The system allows no more threads: those that it gave do all the work, with the same results.
  }
}

void Pool::begin(int count, std::function<void(int)> body) {
  body_ = std::move(body);
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  if (threads_ < 2) return;
  muster();
  crew_->busy.store(static_cast<int>(crew_->threads.size()), std::memory_order_relaxed);
  {
    std::lock_guard<std::mutex> lock(crew_->mutex);
    crew_->job.fetch_add(1, std::memory_order_release);
  }
  crew_->wake.notify_all();
}

void Pool::finish() {
  run_items();
  if (threads_ < 2) return;
  spin_until([this] { return crew_->busy.load(std::memory_order_acquire) == 0; });
  std::unique_lock<std::mutex> lock(crew_->mutex);
  crew_->rest.wait(lock, [this] { return crew_->busy.load(std::memory_order_acquire) == 0; });
}

void Pool::run_items() {
  for (;;) {
    const int first = next_.fetch_add(kChunk, std::memory_order_relaxed);
    if (first >= count_) return;
    const int last = first + kChunk < count_ ? first + kChunk : count_;
    for (int i = first; i < last; ++i) body_(i);
  }
}

void Pool::work(Crew& crew) {
  unsigned seen = 0;
  for (;;) {
    // A policy often answers within microseconds: spin a little before sleeping.
    spin_until([&] { return crew.job.load(std::memory_order_acquire) != seen; });
    {
      std::unique_lock<std::mutex> lock(crew.mutex);
      crew.wake.wait(lock, [&] { return crew.stop || crew.job.load() != seen; });
      if (crew.stop) return;
      seen = crew.job.load(std::memory_order_acquire);
    }
    run_items();
    if (crew.busy.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      std::lock_guard<std::mutex> lock(crew.mutex);
      crew.rest.notify_one();
    }
  }
}

}  // namespace cprocgen
