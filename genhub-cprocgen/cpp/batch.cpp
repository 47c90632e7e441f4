#include "batch.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "rows.h"
#include "view.h"

namespace cprocgen {

namespace {

constexpr size_t kMostPages = 4;

Mode mode_of(const std::string& name) {
  for (int m = 0; m < kModes; ++m)
    if (name == kModeNames[m]) return static_cast<Mode>(m);
  throw std::invalid_argument("there is no mode \"" + name + "\"");
}

// Python words its own messages; these are for who comes here without it.
void check_levels(int num_levels, int start_level) {
  if (num_levels < 0 || start_level < 0 ||
      (num_levels && start_level > std::numeric_limits<int>::max() - num_levels))
    throw std::invalid_argument("levels must be from 0 to 2147483647");
}

int channels(Layout layout) {
  return layout == Layout::none ? 0 : layout == Layout::gray ? 1 : 3;
}

}  // namespace

Page::Page(size_t bytes) : storage_(bytes + 64) {
  const auto address = reinterpret_cast<uintptr_t>(storage_.data());
  data_ = storage_.data() + (64 - address % 64) % 64;
}

Batch::Batch(const BatchConfig& config, std::shared_ptr<SkinSet> skins)
    : config_(config), pool_(config.threads) {
  const size_t n = config.games.size();
  if (n == 0 || config.modes.size() != n || config.num_levels.size() != n ||
      config.start_level.size() != n)
    throw std::invalid_argument("games, modes and levels must be lists of one length, not empty");
  slots_.resize(n);
  for (size_t i = 0; i < n; ++i) {
    const RegisteredGame* game = find_game(config.games[i]);
    if (!game) throw std::invalid_argument("there is no game \"" + config.games[i] + "\"");
    const Mode mode = mode_of(config.modes[i]);
    if (!(game->table->modes >> static_cast<int>(mode) & 1))
      throw std::invalid_argument(config.games[i] + " has no mode \"" + config.modes[i] + "\"");
    check_levels(config.num_levels[i], config.start_level[i]);
    Slot& slot = slots_[i];
    slot.game = game;
    slot.env = game->make(mode, config.options);
    slot.skin = skins->of(config.games[i]);
    slot.pending.assign(game->table->parameter_count, kUnset);
    slot.low = config.num_levels[i] ? config.start_level[i] : 0;
    slot.high = config.num_levels[i] ? slot.low + config.num_levels[i] : 2147483647;
  }
  rewards.assign(n, 0);
  episode_return.assign(n, 0);
  for (auto* flags : {&terminated, &truncated, &first, &prev_level_complete})
    flags->assign(n, 0);
  waiting.assign(n, 1);
  for (auto* numbers : {&level_seed, &prev_level_seed, &episode_length}) numbers->assign(n, 0);
  actions_.assign(n, 4);
  for (int k = 0; k < 2; ++k) pages_.push_back(std::make_shared<Page>(n * frame_bytes()));
  page_ = pages_[0];
  if (config.final_obs) final_ = std::make_shared<Page>(n * frame_bytes());
  seed(config.rand_seed);
}

size_t Batch::frame_bytes() const { return size_t(kSide) * kSide * channels(config_.layout); }

void Batch::seed(int32_t rand_seed) {
  config_.rand_seed = rand_seed;
  Random all(static_cast<uint32_t>(rand_seed));
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    slot.seeds.seed(all.word());
    slot.sampler.seed((uint64_t(uint32_t(rand_seed)) << 32) + i);
    slot.won = false;
    slot.levels = 0;
  }
}

void Batch::set_context(int i, std::vector<double> row) {
  Slot& slot = slots_.at(i);
  check_row(slot.env->table(), row);
  slot.pending = std::move(row);
}

void Batch::set_sampler(int i, std::vector<SamplerRow> rows) {
  slots_.at(i).sampler.set_rows(std::move(rows));
}

std::vector<double> Batch::episode_values(int i) const {
  const Env& env = *slots_.at(i).env;
  std::vector<double> values(env.table().episode_value_count, kUnset);
  if (slots_.at(i).ready) env.episode_values(values.data());
  return values;
}

void Batch::step(const int32_t* actions, bool defer) {
  step_async(actions, defer);
  step_wait();
}

void Batch::step_async(const int32_t* actions, bool defer) {
  if (config_.autoreset != Autoreset::next_step)
    for (int i = 0; i < size(); ++i)
      if (waiting[i])
        throw std::invalid_argument("environment " + std::to_string(i) +
                                    " has no running episode: reset it before it is stepped");
  std::copy(actions, actions + size(), actions_.begin());
  defer_ = defer;
  turn_page();
  steps_ += size();
  pool_.begin(size(), [this](int i) { step_one(i); });
}

void Batch::step_wait() {
  pool_.finish();
  gather_failures();
}

void Batch::start(const std::vector<int>& indices, const int32_t* level_seeds, bool turn_page) {
  if (turn_page && !config_.keep_pages) {
    const std::shared_ptr<Page> last = page_;
    this->turn_page();
    std::memcpy(page_->data(), last->data(), size() * frame_bytes());
  }
  const bool all = turn_page && config_.keep_pages;  // whoever holds the last page may write to it
  pool_.begin(static_cast<int>(indices.size()), [this, &indices, level_seeds, all](int k) {
    const int i = indices[k];
    slots_[i].episode_return = 0;
    slots_[i].episode_length = 0;
    first[i] = 1;
    next_level(i, level_seeds ? &level_seeds[k] : nullptr);
    if (!all) show(i);
  });
  pool_.finish();
  if (all) draw_all();
  gather_failures();
}

void Batch::draw_all() {
  turn_page();
  pool_.begin(size(), [this](int i) { show(i); });
  pool_.finish();
}

void Batch::turn_page() {
  if (!config_.keep_pages) {
    page_ = pages_[page_ == pages_[0] ? 1 : 0];
    return;
  }
  page_.reset();
  for (const std::shared_ptr<Page>& page : pages_) {
    if (page.use_count() > 1) continue;
    page_ = page;
    return;
  }
  page_ = std::make_shared<Page>(size() * frame_bytes());
  if (pages_.size() == kMostPages) pages_.erase(pages_.begin());
  pages_.push_back(page_);
}

void Batch::step_one(int i) {
  try {
    advance(i);
  } catch (const std::exception& error) {
    fail(i, error.what());
  }
  if (!waiting[i] || !defer_) show(i);
}

// An exception must not leave a thread of the pool: the environment that ran into it fails alone.
void Batch::show(int i) {
  try {
    draw(i, *page_);
  } catch (const std::exception& error) {
    fail(i, error.what());
    draw(i, *page_);  // black now
  }
}

void Batch::advance(int i) {
  if (!waiting[i]) {
    play(i, actions_[i]);
  } else {  // it ended at the last step: this one only shows the beginning of the next episode
    rewards[i] = 0;
    terminated[i] = truncated[i] = prev_level_complete[i] = 0;
    first[i] = 1;
    next_level(i, nullptr);
  }
}

void Batch::play(int i, int action) {
  Slot& slot = slots_[i];
  Outcome outcome = slot.env->step(action);
  rewards[i] = outcome.reward;
  slot.episode_return += outcome.reward;
  slot.episode_length += 1;
  prev_level_seed[i] = slot.level_seed;
  prev_level_complete[i] = outcome.complete;
  first[i] = terminated[i] = truncated[i] = 0;
  if (!outcome.done) return;
  slot.won = outcome.complete;
  if (config_.use_sequential_levels && outcome.complete) {
    next_level(i, nullptr);  // the episode goes on in the next level
    return;
  }
  end_episode(i, outcome);
}

void Batch::end_episode(int i, const Outcome& outcome) {
  Slot& slot = slots_[i];
  terminated[i] = !outcome.truncated;
  truncated[i] = outcome.truncated;
  episode_return[i] = slot.episode_return;
  episode_length[i] = slot.episode_length;
  slot.episode_return = 0;
  slot.episode_length = 0;
  if (config_.final_obs) draw(i, *final_);
  if (config_.autoreset != Autoreset::same_step || defer_) {
    waiting[i] = 1;
    first[i] = defer_ && config_.autoreset == Autoreset::same_step;
    return;
  }
  first[i] = 1;
  next_level(i, nullptr);
}

void Batch::next_level(int i, const int32_t* seed) {
  Slot& slot = slots_[i];
  if (seed) {
    slot.level_seed = *seed;
  } else if (config_.use_sequential_levels && slot.won) {
    slot.level_seed = static_cast<int32_t>(static_cast<uint32_t>(slot.level_seed) + 997u);
  } else {
    slot.level_seed = slot.seeds.between(slot.low, slot.high);
  }
  slot.won = false;
  level_seed[i] = slot.level_seed;
  slot.failure.clear();
  slot.ready = false;
  waiting[i] = 0;
  try {
    std::vector<double> row = slot.pending;
    const GameTable& game = slot.env->table();
    if (!slot.sampler.empty())
      slot.sampler.apply(game, uint64_t(slot.levels) * slots_.size() + i,
                         static_cast<double>(steps_), slot.env->distribution_mode(), row.data());
    slot.levels += 1;
    slot.env->new_level(slot.level_seed, row.data());
    slot.ready = true;
  } catch (const std::exception& error) {
    fail(i, error.what());
  }
}

void Batch::fail(int i, const char* reason) {
  slots_[i].failure = reason;
  slots_[i].ready = false;
  waiting[i] = 1;
  failed_.store(true, std::memory_order_relaxed);
}

void Batch::gather_failures() {
  failures_.clear();
  if (!failed_.exchange(false)) return;
  for (int i = 0; i < size(); ++i) {
    if (slots_[i].failure.empty()) continue;
    failures_.push_back({i, slots_[i].level_seed, slots_[i].failure});
    slots_[i].failure.clear();
  }
  throw LevelFailure(failures_[0].reason);
}

void Batch::draw(int i, const Page& page) {
  if (config_.layout == Layout::none) return;
  Slot& slot = slots_[i];
  uint8_t* out = page.data() + i * frame_bytes();
  if (!slot.ready) {
    std::memset(out, 0, frame_bytes());
    return;
  }
  if (config_.layout == Layout::rgb) {
    Canvas canvas(out, kSide);
    slot.env->draw(canvas, *slot.skin);
    return;
  }
  uint8_t rgb[kSide * kSide * 3];
  Canvas canvas(rgb, kSide);
  slot.env->draw(canvas, *slot.skin);
  for (int p = 0; p < kSide * kSide; ++p) {
    const uint8_t r = rgb[3 * p], g = rgb[3 * p + 1], b = rgb[3 * p + 2];
    if (config_.layout == Layout::gray) {
      out[p] = static_cast<uint8_t>((299 * r + 587 * g + 114 * b + 500) / 1000);
    } else {
      out[p] = r;
      out[p + kSide * kSide] = g;
      out[p + 2 * kSide * kSide] = b;
    }
  }
}

void Batch::render(int i, int side, uint8_t* rgb) {
  Slot& slot = slots_.at(i);
  if (!slot.ready) {
    std::memset(rgb, 0, size_t(side) * side * 3);
    return;
  }
  draw_view(*slot.env, *slot.skin, side, rgb);
}

}  // namespace cprocgen
