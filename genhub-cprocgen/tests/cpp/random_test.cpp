// The generator's words against the C++ library's own Mersenne Twister, and what each draw takes.
#include "random.h"

#include <algorithm>
#include <random>
#include <set>

#include "archive.h"
#include "check.h"

namespace {

using namespace cprocgen;

void words() {
  Random standard;  // seed 5489
  uint32_t word = 0;
  for (int i = 0; i < 10000; ++i) word = standard.word();
  CHECK(word == 4123659995u);  // required of every mt19937 by the C++ standard
  for (uint32_t seed : {0u, 1u, 7u, 2147483647u, 4294967295u}) {
    Random ours(seed);
    std::mt19937 theirs(seed);
    for (int i = 0; i < 3000; ++i) CHECK(ours.word() == theirs());
    CHECK(ours.consumed() == 3000 && ours.position() == 3000 % 624);
    ours.seed(seed);
    theirs.seed(seed);
    CHECK(ours.word() == theirs() && ours.consumed() == 1);
  }
}

// numpy.random.RandomState(2026).randint(0, 2**32, dtype="uint32")
void words_of_numpy() {
  Random random(2026);
  const uint32_t words[] = {942082305u,  3292560774u, 1773871898u,
                            4128273336u, 4194617421u, 4135491917u};
  for (uint32_t word : words) CHECK(random.word() == word);
}

void draws_take_their_words() {
  Random random(3), mirror(3);
  CHECK(random.below(7) == static_cast<int>(mirror.word() % 7));
  CHECK(random.between(-5, 20) == -5 + static_cast<int>(mirror.word() % 25));
  CHECK(random.raw() == static_cast<int32_t>(mirror.word()));
  CHECK(random.uniform() == static_cast<float>(mirror.word() / 4294967296.0));
  const float u = static_cast<float>(mirror.word() / 4294967296.0);
  CHECK(random.uniform(2, 5) == u * 3.0f + 2.0f);
  CHECK(random.consumed() == 5);
  const std::vector<int> bins = random.partition(100, 7);
  CHECK(random.consumed() == 105);
  int sum = 0;
  for (int n : bins) sum += n;
  CHECK(bins.size() == 7 && sum == 100);
}

void choices() {
  Random random(4);
  std::vector<int> list = {9, 8, 7, 6, 5};
  const std::vector<int> all = random.choose_n(list, 6);  // too few: all, in order, no word
  CHECK(all == list && random.consumed() == 0);
  std::vector<int> chosen = random.choose_n(list, 5);
  CHECK(random.consumed() == 5);
  std::sort(chosen.rbegin(), chosen.rend());
  CHECK(chosen == list);
  const std::vector<int> simple = random.simple_choose(50, 50);
  CHECK(std::set<int>(simple.begin(), simple.end()).size() == 50 && random.consumed() >= 55);
  CHECK_THROWS(random.below(0), LevelError);
  CHECK_THROWS(random.choose_one({}), LevelError);
  CHECK_THROWS(random.simple_choose(3, 4), LevelError);
}

void goes_on_from_a_state() {
  Random random(5);
  for (int i = 0; i < 700; ++i) random.word();
  Writer writer;
  random.fields(writer);
  Random other(99);
  Reader reader(writer.bytes.data(), writer.bytes.size());
  other.fields(reader);
  for (int i = 0; i < 2000; ++i) CHECK(random.word() == other.word());
}

}  // namespace

int main() {
  words();
  words_of_numpy();
  draws_take_their_words();
  choices();
  goes_on_from_a_state();
  std::puts("ok");
}
