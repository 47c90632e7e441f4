#include "checks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace cprocgen::fuzz {

namespace {

constexpr int kMostEntities = 10000;

void require(bool holds, const std::string& otherwise) {
  if (!holds) throw Finding(otherwise);
}

void check_entities(Batch& batch, int i) {
  const Snapshot s = batch.snapshot(i);
  require(!s.entities.empty() && s.entities[0].type == kPlayer, "the first entity is no agent");
  require(s.entities.size() < kMostEntities,
          "there are " + std::to_string(s.entities.size()) + " entities");
  for (const Entity& e : s.entities)
    for (float number : {e.x, e.y, e.vx, e.vy, e.rx, e.ry, e.rotation, e.vrot, e.alpha, e.health})
      require(std::isfinite(number), "an entity of type " + std::to_string(e.type) +
                                         " has a number that is not finite");
}

// Gives the body of a state the checksum that belongs to it.
void seal(std::string& state) {
  const size_t begin = state.find('\n') + 1, end = state.size() - 4;
  uint32_t hash = 2166136261u;
  for (size_t i = begin; i < end; ++i) hash = (hash ^ static_cast<uint8_t>(state[i])) * 16777619u;
  for (int k = 0; k < 4; ++k) state[end + k] = static_cast<char>(hash >> (8 * k) & 255);
}

}  // namespace

bool begin(Batch& batch, const Setting& setting) {
  std::vector<int> all;
  for (int i = 0; i < batch.size(); ++i) all.push_back(i);
  try {
    const auto& seeds = setting.level_seeds;
    batch.start(all, seeds.empty() ? nullptr : seeds.data(), false);
  } catch (const LevelFailure&) {
    require(!batch.failures().empty(), "levels failed, but none is listed");
    return false;
  }
  return true;
}

bool advance(Batch& batch, const Setting& setting, const std::vector<int32_t>& actions) {
  try {
    std::vector<int> waiting;
    for (int i = 0; i < batch.size(); ++i)
      if (batch.waiting[i]) waiting.push_back(i);
    if (setting.config.autoreset != Autoreset::next_step && !waiting.empty())
      batch.start(waiting, nullptr, true);
    batch.step(actions.data(), setting.defer);
  } catch (const LevelFailure&) {
    require(!batch.failures().empty(), "levels failed, but none is listed");
    return false;
  }
  return true;
}

std::vector<int32_t> draw_actions(Chance& chance, int environments) {
  std::vector<int32_t> actions;
  for (int i = 0; i < environments; ++i)
    actions.push_back(chance.one_in(100) ? -1 : chance.below(15));
  return actions;
}

void check(Batch& batch, bool thorough) {
  for (int i = 0; i < batch.size(); ++i) {
    require(std::isfinite(batch.rewards[i]), "a reward is not finite");
    require(!(batch.terminated[i] && batch.truncated[i]), "an episode ended in two ways");
    if (thorough) check_entities(batch, i);
    for (double value : batch.episode_values(i))
      require(std::isfinite(value), "an episode value is not finite");
  }
}

void check_equal(Batch& a, Batch& b, const Setting& setting) {
  require(a.rewards == b.rewards && a.first == b.first && a.terminated == b.terminated &&
              a.truncated == b.truncated && a.level_seed == b.level_seed,
          "equal batches gave unequal rewards, ends or levels");
  const size_t bytes = a.frame_bytes();
  const uint8_t *shown = a.observations()->data(), *other = b.observations()->data();
  for (int i = 0; i < a.size(); ++i) {
    const bool undrawn = setting.defer && a.waiting[i];  // until it is started
    require(bytes == 0 || undrawn || std::memcmp(shown + i * bytes, other + i * bytes, bytes) == 0,
            "equal batches show unequal observations");
    require(a.get_state(i) == b.get_state(i), "equal batches came to unequal states");
  }
}

void check_damage(Chance& chance, Batch& batch, int i) {
  const std::string state = batch.get_state(i);
  const int size = static_cast<int>(state.size());
  for (int k = 0; k < 4; ++k) {
    std::string damaged = state;
    if (k % 2 == 0) {
      damaged.resize(chance.below(size));
    } else {
      damaged[chance.below(size)] ^= static_cast<char>(1 << chance.below(8));
    }
    try {
      batch.set_state(i, damaged);
    } catch (const StateError&) {
      continue;
    }
    throw Finding("a damaged state was accepted");
  }
  require(batch.get_state(i) == state, "a refused state changed the environment");
}

void check_forgery(Chance& chance, const Setting& setting, Batch& batch, int i) {
  std::string forged = batch.get_state(i);
  const int begin = static_cast<int>(forged.find('\n')) + 1;
  const int size = static_cast<int>(forged.size()) - 4 - begin;
  // The generators fill the front; the fields of the game are behind them.
  const int low = chance.one_in(4) ? 0 : std::min(size - 1, 5100);
  for (int k = chance.between(1, 3); k > 0; --k)
    forged[begin + chance.between(low, size - 1)] = static_cast<char>(chance.word());
  seal(forged);
  const auto other = setting.make();
  if (!fuzz::begin(*other, setting)) return;
  try {
    other->set_state(i, forged);
  } catch (const StateError&) {
    return;
  }
  other->draw_all();
  for (int k = 0; k < 3; ++k)
    if (!advance(*other, setting, draw_actions(chance, other->size()))) return;
}

}  // namespace cprocgen::fuzz
