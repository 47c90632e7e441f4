// Many environments that step together: level seeds, ends of episodes, observations, states.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "env.h"
#include "pool.h"
#include "sampler.h"
#include "skin.h"

namespace cprocgen {

enum class Layout { rgb, rgb_chw, gray, none };
enum class Autoreset { same_step, next_step, disabled };

struct BatchConfig {
  std::vector<std::string> games, modes;  // one per environment
  std::vector<int> num_levels, start_level;
  int32_t rand_seed = 0;
  bool use_sequential_levels = false;
  Options options;
  Layout layout = Layout::rgb;
  Autoreset autoreset = Autoreset::same_step;
  bool final_obs = false;
  // Pages of observations that somebody still holds are never drawn on again; otherwise two take
  // turns.
  bool keep_pages = false;
  int threads = 1;
};

// Memory for the observations of one step, aligned for devices.
class Page {
 public:
  explicit Page(size_t bytes = 0);
  uint8_t* data() const { return data_; }

 private:
  std::vector<uint8_t> storage_;
  uint8_t* data_;
};

// An environment whose level could not be made, and why.
struct Failure {
  int index;
  int32_t level_seed;
  std::string reason;
};

struct LevelFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Batch {
 public:
  static constexpr int kSide = 64;

  // Throws std::invalid_argument for games, modes and sizes that do not exist.
  Batch(const BatchConfig& config, std::shared_ptr<SkinSet> skins);

  // One action per environment, -1..14. Throws std::invalid_argument where an environment waits for
  // start(). With `defer`, environments that end wait for start(). Throws
  // LevelFailure, when every other environment has been stepped, if a level could not be made.
  void step(const int32_t* actions, bool defer);
  void step_async(const int32_t* actions, bool defer);
  void step_wait();

  void dismiss_threads() { pool_.dismiss(); }

  // Begins a new level in some environments: the given one, or the next of their sequence.
  // `turn_page`: the observations go to another page, so that the last ones stay as they were.
  void start(const std::vector<int>& indices, const int32_t* level_seeds, bool turn_page);

  // Seeds the sequences of levels anew, as at the construction with this rand_seed.
  void seed(int32_t rand_seed);

  int size() const { return static_cast<int>(slots_.size()); }
  size_t frame_bytes() const;
  const std::shared_ptr<Page>& observations() const { return page_; }
  const std::shared_ptr<Page>& final_observations() const { return final_; }
  const std::vector<Failure>& failures() const { return failures_; }

  const GameTable& table(int i) const { return slots_.at(i).env->table(); }
  Mode mode(int i) const { return slots_.at(i).env->distribution_mode(); }
  void set_context(int i, std::vector<double> row);  // from the next level on
  const std::vector<double>& context(int i) const { return slots_.at(i).env->context(); }
  const std::vector<double>& pending_context(int i) const { return slots_.at(i).pending; }
  void set_sampler(int i, std::vector<SamplerRow> rows);
  std::vector<double> episode_values(int i) const;

  std::string get_state(int i);
  // Throws StateError, leaving the old state. Draws nothing: draw_all() does.
  void set_state(int i, const std::string& state);
  Snapshot snapshot(int i) { return slots_.at(i).ready ? slots_[i].env->snapshot() : Snapshot(); }
  void render(int i, int side, uint8_t* rgb);
  void draw_all();  // on another page

  // One element per environment, of the last step.
  std::vector<float> rewards, episode_return;
  std::vector<uint8_t> terminated, truncated, first, prev_level_complete, waiting;
  std::vector<int32_t> level_seed, prev_level_seed, episode_length;

 private:
  struct Slot {
    const RegisteredGame* game = nullptr;
    std::unique_ptr<Env> env;
    std::shared_ptr<const Skin> skin;
    Random seeds;
    int low = 0, high = 0;  // of level seeds, high excluded
    std::vector<double> pending;
    Sampler sampler;
    int32_t level_seed = 0;
    bool won = false;  // the last level; sequential levels then go on from it
    float episode_return = 0;
    int32_t episode_length = 0;
    uint32_t levels = 0;
    uint64_t steps = 0;  // of the whole batch, when the state was taken
    bool ready = false;  // it has a level that can be drawn and saved
    std::string failure;

    // The same kind of slot with an environment that has no level yet, to load a state into.
    Slot fresh(const Options& options) const {
      Slot slot;
      slot.game = game;
      slot.env = game->make(env->distribution_mode(), options);
      slot.skin = skin;
      slot.sampler = sampler;
      return slot;
    }
  };

  void step_one(int i);
  void advance(int i);
  void show(int i);
  void play(int i, int action);
  void end_episode(int i, const Outcome& outcome);
  void next_level(int i, const int32_t* seed);
  void fail(int i, const char* reason);
  void draw(int i, const Page& page);
  void turn_page();
  void gather_failures();
  template <class Archive>
  void slot_fields(Slot& slot, Archive& archive);
  std::string header(int i) const;
  void load(Slot& slot, Reader& reader);

  BatchConfig config_;
  std::vector<Slot> slots_;
  Pool pool_;
  std::vector<std::shared_ptr<Page>> pages_;
  std::shared_ptr<Page> page_, final_;  // page_: of the last step
  std::vector<int32_t> actions_;
  bool defer_ = false;
  uint64_t steps_ = 0;
  std::vector<Failure> failures_;
  std::atomic<bool> failed_{false};
};

}  // namespace cprocgen
