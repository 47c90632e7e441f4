// Plays the engine at random, without Python: built with sanitizers, it looks for what no test names.
//
//   cprocgen_fuzz configurations COUNT [FIRST]   batches of all kinds, 20 steps each
//   cprocgen_fuzz threads COUNT [FIRST]          the same with several threads, held against one
//   cprocgen_fuzz memory STEPS                   one batch for long: resident memory must stay flat
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "checks.h"

// Sanitizers, where they are built in, abort at their first finding, so that it can be placed.
#if defined(__GNUC__)
#define CPROCGEN_OPTIONS(name, value) \
  extern "C" __attribute__((visibility("default"))) const char* name() { return value; }
CPROCGEN_OPTIONS(__asan_default_options, "abort_on_error=1")
CPROCGEN_OPTIONS(__ubsan_default_options, "abort_on_error=1:print_stacktrace=1")
CPROCGEN_OPTIONS(__tsan_default_options, "abort_on_error=1:halt_on_error=1")
#endif

namespace cprocgen::fuzz {
namespace {

constexpr int kSteps = 20;

// The configuration at work, for the report of a finding.
struct {
  long number = 0;
  std::string text;
} current;

struct Count {
  long configurations = 0, impossible = 0, continued = 0;
};

void report() {
  std::fprintf(stderr, "in configuration %ld:\n%s", current.number, current.text.c_str());
}

void render_now_and_then(Chance& chance, Batch& batch, int i) {
  if (!chance.one_in(1000)) return;
  std::vector<uint8_t> rgb(512 * 512 * 3);
  batch.render(i, 512, rgb.data());
}

// Loads the states of a batch into another that has played something else, and plays on in both.
bool check_continuation(Chance& chance, const Setting& setting, Batch& batch, int played) {
  const int n = batch.size();
  const auto other = setting.make();
  if (!begin(*other, setting)) return false;
  for (int k = 0; k < played; ++k)  // as many steps, because schedules go by them
    if (!advance(*other, setting, draw_actions(chance, n))) return false;
  for (int i = 0; i < n; ++i) other->set_state(i, batch.get_state(i));
  for (int k = 0; k < 10; ++k) {
    const std::vector<int32_t> actions = draw_actions(chance, n);
    const bool possible = advance(batch, setting, actions);
    if (advance(*other, setting, actions) != possible)
      throw Finding("a continued state failed where the first did not, or the reverse");
    if (!possible) return false;
    check_equal(batch, *other, setting);
  }
  return true;
}

void play(Chance& chance, const Setting& setting, Count& count) {
  const int n = static_cast<int>(setting.config.games.size());
  const auto batch = setting.make();
  ++count.configurations;
  const int pause = chance.one_in(4) ? chance.below(kSteps) : -1;
  bool possible = begin(*batch, setting);
  for (int step = 0; step < kSteps && possible; ++step) {
    if (step == pause) {
      check_damage(chance, *batch, chance.below(n));
      for (int k = 0; k < 3; ++k) check_forgery(chance, setting, *batch, chance.below(n));
      possible = check_continuation(chance, setting, *batch, step);
      count.continued += possible;
      if (!possible) break;
    }
    possible = advance(*batch, setting, draw_actions(chance, n));
    if (!possible) break;
    check(*batch, step % 10 == 9);
    render_now_and_then(chance, *batch, chance.below(n));
    if (chance.one_in(40)) batch->set_context(0, draw_row(chance, batch->table(0), batch->mode(0)));
  }
  count.impossible += !possible;
}

void fuzz_configurations(long count, long first) {
  Count done;
  for (current.number = first; current.number < first + count; ++current.number) {
    Chance chance(static_cast<uint64_t>(current.number));
    const int environments = chance.one_in(4) ? chance.between(2, 5) : 1;
    const int threads = chance.one_in(10) ? chance.between(2, 3) : 1;
    const Setting setting = draw_setting(chance, environments, threads);
    current.text = setting.describe();
    play(chance, setting, done);
  }
  std::printf("%ld configurations, %ld states continued, %ld contexts without a possible level\n",
              done.configurations, done.continued, done.impossible);
}

void fuzz_threads(long count, long first) {
  for (current.number = first; current.number < first + count; ++current.number) {
    Chance chance(static_cast<uint64_t>(current.number));
    const int n = chance.between(1, 40);
    Setting setting = draw_setting(chance, n, chance.between(2, 5));
    for (auto& row : setting.rows) row.clear();  // every level is possible
    for (auto& rules : setting.sampler_rows) rules.clear();
    current.text = setting.describe();
    const auto together = setting.make();
    setting.config.threads = 1;
    const auto alone = setting.make();
    begin(*together, setting), begin(*alone, setting);
    for (int step = 0; step < kSteps; ++step) {
      const std::vector<int32_t> actions = draw_actions(chance, n);
      advance(*together, setting, actions);
      advance(*alone, setting, actions);
    }
    check_equal(*together, *alone, setting);
  }
  std::printf("%ld batches gave the same with one thread and with more\n", count);
}

// In KiB; 0 where the system does not say.
long resident() {
  long pages = 0, all = 0;
  std::ifstream file("/proc/self/statm");
  return file >> all >> pages ? pages * 4 : 0;
}

void watch_memory(long steps) {
  Chance chance(1);
  Setting setting = draw_setting(chance, 64, 1);
  setting.config.layout = Layout::rgb;
  setting.config.autoreset = Autoreset::same_step;
  setting.defer = false;
  for (auto& row : setting.rows) row.clear();
  for (auto& rules : setting.sampler_rows) rules.clear();
  const auto batch = setting.make();
  begin(*batch, setting);
  constexpr int kReports = 10;
  long after_first = 0;
  for (int part = 1; part <= kReports; ++part) {
    for (long k = 0; k < steps / kReports; k += 64)
      advance(*batch, setting, draw_actions(chance, 64));
    const long now = resident();
    if (part == 1) after_first = now;
    std::printf("%ld steps: %ld KiB resident\n", steps / kReports * part, now);
    std::fflush(stdout);
    if (now > after_first + 4096) throw Finding("memory grows");
  }
}

int run(int count, char** arguments) {
  const std::string what = count > 1 ? arguments[1] : "";
  const long amount = count > 2 ? std::atol(arguments[2]) : 0;
  const long first = count > 3 ? std::atol(arguments[3]) : 1;
  if (amount < 1 || (what != "configurations" && what != "threads" && what != "memory")) {
    std::fprintf(stderr, "usage: cprocgen_fuzz configurations|threads|memory COUNT [FIRST]\n");
    return 2;
  }
  try {
    if (what == "configurations") fuzz_configurations(amount, first);
    if (what == "threads") fuzz_threads(amount, first);
    if (what == "memory") watch_memory(amount);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "finding: %s\n", error.what());
    report();
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace cprocgen::fuzz

int main(int count, char** arguments) {
  std::signal(SIGABRT, [](int) { cprocgen::fuzz::report(); });
  std::signal(SIGTERM, [](int) {  // what takes too long is told by its number, too
    cprocgen::fuzz::report();
    std::_Exit(1);
  });
  return cprocgen::fuzz::run(count, arguments);
}
