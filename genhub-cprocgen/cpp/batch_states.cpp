// States of environments as bytes: a line that says of what, the fields, a checksum.
#include <algorithm>
#include <sstream>

#include "batch.h"
#include "rows.h"

namespace cprocgen {

namespace {

constexpr char kMagic[] = "CPROCGEN";
constexpr int kStateVersion = 1;

uint32_t checksum(const char* data, size_t size) {  // FNV-1a
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<uint8_t>(data[i])) * 16777619u;
  return hash;
}

// "1 maze easy free 8" in words.
std::string described(const std::string& header) {
  std::istringstream words(header);
  std::string version, game, mode, themes, parameters;
  words >> version >> game >> mode >> themes >> parameters;
  return game + " (" + mode + (themes == "restricted" ? ", restricted themes" : "") + ", " +
         parameters + " parameters, format " + version + ")";
}

}  // namespace

template <class Archive>
void Batch::slot_fields(Slot& slot, Archive& archive) {
  slot.seeds.fields(archive);
  slot.sampler.fields(archive);
  archive("low", slot.low);
  archive("high", slot.high);
  archive("pending_context", slot.pending);
  archive("level_seed", slot.level_seed);
  archive("won", slot.won);
  archive("episode_return", slot.episode_return);
  archive("episode_length", slot.episode_length);
  archive("levels", slot.levels);
  archive("steps", slot.steps);
  archive("ready", slot.ready);
  if (slot.ready) slot.env->archive(archive);
}

std::string Batch::header(int i) const {
  const Env& env = *slots_.at(i).env;
  std::string text = std::string(kMagic) + " " + std::to_string(kStateVersion) + " ";
  text += std::string(env.table().name) + " ";
  text += kModeNames[static_cast<int>(env.distribution_mode())];
  text += config_.options.restrict_themes ? " restricted" : " free";
  text += " " + std::to_string(env.table().parameter_count) + "\n";
  return text;
}

std::string Batch::get_state(int i) {
  Writer writer;
  uint8_t waits = waiting.at(i);
  slots_[i].steps = steps_;
  writer("waiting", waits);
  slot_fields(slots_[i], writer);
  uint32_t sum = checksum(writer.bytes.data(), writer.bytes.size());
  std::string tail;
  for (int shift = 0; shift < 32; shift += 8) tail.push_back(static_cast<char>(sum >> shift & 255));
  return header(i) + writer.bytes + tail;
}

// Throws StateError.
void Batch::load(Slot& slot, Reader& reader) {
  try {
    slot_fields(slot, reader);
    check_row(slot.env->table(), slot.pending);
  } catch (const std::invalid_argument& error) {
    throw StateError(std::string("the state contradicts itself: ") + error.what());
  }
  const int position = slot.seeds.position();
  if (slot.low < 0 || slot.high <= slot.low || position < 1 || position > Random::kWords)
    throw StateError("the state contradicts itself: its sequence of levels cannot be");
}

void Batch::set_state(int i, const std::string& state) {
  const std::string expected = header(i);
  const size_t newline = state.find('\n');
  if (newline == std::string::npos || state.compare(0, 8, kMagic) != 0)
    throw StateError("these bytes are no state of an environment");
  if (state.compare(0, newline + 1, expected) != 0)
    throw StateError("this state is of " + described(state.substr(9, newline - 9)) +
                     ", and the environment of " +
                     described(expected.substr(9, expected.size() - 10)));
  if (state.size() < newline + 5) throw StateError("the state is cut short");
  const char* body = state.data() + newline + 1;
  const size_t size = state.size() - newline - 5;
  uint32_t sum = 0;
  for (int k = 0; k < 4; ++k) sum |= uint32_t(uint8_t(body[size + k])) << (8 * k);
  if (sum != checksum(body, size)) throw StateError("the state is damaged: its checksum differs");
  Reader reader(body, size);
  uint8_t waits = 0;
  reader("waiting", waits);
  Slot loaded = slots_.at(i).fresh(config_.options);
  load(loaded, reader);
  slots_[i] = std::move(loaded);
  steps_ = std::max(steps_, slots_[i].steps);  // schedules go on where they were
  waiting[i] = waits;
  level_seed[i] = slots_[i].level_seed;
}

}  // namespace cprocgen
