// Every item of a job runs once, whatever the numbers of threads and items; also after a fork.
#include "pool.h"

#include <atomic>
#include <vector>

#include "check.h"

#if !defined(_WIN32) && !defined(__SANITIZE_THREAD__)  // which cannot follow forks
#define CHECK_FORKS 1
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {

using namespace cprocgen;

void run_jobs(Pool& pool, int jobs) {
  for (int job = 0; job < jobs; ++job) {
    const int count = job * 7 % 131;
    std::vector<std::atomic<int>> runs(count);
    for (auto& n : runs) n = 0;
    pool.begin(count, [&](int i) { runs[i].fetch_add(1); });
    pool.finish();
    for (auto& n : runs) CHECK(n == 1);
  }
}

void every_item_once() {
  for (int threads : {1, 2, 5}) {
    Pool pool(threads);
    run_jobs(pool, 60);
  }
}

void results_are_seen_by_the_caller() {
  Pool pool(4);
  std::vector<int> numbers(1000, 0);  // plain ones: finish() must be enough to read them
  for (int round = 1; round <= 20; ++round) {
    pool.begin(1000, [&](int i) { numbers[i] += i; });
    pool.finish();
    for (int i = 0; i < 1000; ++i) CHECK(numbers[i] == round * i);
  }
}

void unused_and_idle_pools_end() {
  for (int i = 0; i < 10; ++i) {
    Pool unused(4), idle(3);
    idle.begin(1, [](int) {});
    idle.finish();
  }
}

#ifdef CHECK_FORKS
void works_in_the_child_of_a_fork() {
  Pool pool(3);
  run_jobs(pool, 10);
  const pid_t child = fork();
  if (child == 0) {
    run_jobs(pool, 10);
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  run_jobs(pool, 10);
}
#endif

}  // namespace

int main() {
  every_item_once();
  results_are_seen_by_the_caller();
  unused_and_idle_pools_end();
#ifdef CHECK_FORKS
  works_in_the_child_of_a_fork();
#endif
  std::puts("ok");
}
