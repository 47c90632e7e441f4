#include "setting.h"

#include <algorithm>
#include <sstream>

namespace cprocgen::fuzz {

namespace {

std::shared_ptr<SkinSet> skins() {  // shared, since pictures are painted at their first use
  static const auto one = std::make_shared<SkinSet>();
  return one;
}

double fitting(const Parameter& p, double x) {
  if (p.kind != 'f') x = std::floor(x);
  if (p.kind == 'o') x = 2 * std::floor(x / 2) + 1;
  x = std::clamp(x, p.minimum, p.maximum);
  return p.kind == 'o' && std::fmod(x, 2) == 0 ? x - 1 : x;
}

double draw_value(Chance& chance, const Parameter& p) {
  const int kind = chance.below(4);
  if (kind == 0) return fitting(p, p.minimum);
  if (kind == 1) return fitting(p, p.maximum);
  const double share = kind == 2 ? chance.uniform() : std::pow(chance.uniform(), 6);
  return fitting(p, p.minimum + share * (p.maximum + (p.kind == 'f' ? 0 : 1) - p.minimum));
}

// Where a lower bound lies above its upper one, one of them gives way.
bool put_in_order(Chance& chance, const GameTable& table, Mode mode, std::vector<double>& row) {
  for (int round = 0; round < 8; ++round) {
    bool ordered = true;
    for (int i = 0; i < table.pair_count; ++i) {
      const int a = table.ordered_pairs[i][0], b = table.ordered_pairs[i][1];
      const double low = value(row.data(), table.parameters, a, mode);
      const double high = value(row.data(), table.parameters, b, mode);
      if (low <= high) continue;
      ordered = false;
      if (chance.one_in(2)) {
        row[a] = fitting(table.parameters[a], high);
      } else {
        row[b] = fitting(table.parameters[b], low);
      }
    }
    if (ordered) return true;
  }
  return false;
}

SamplerRow draw_rule(Chance& chance, const GameTable& table) {
  const int p = chance.below(table.parameter_count);
  const Parameter& parameter = table.parameters[p];
  double a = draw_value(chance, parameter), b = draw_value(chance, parameter);
  if (a > b) std::swap(a, b);
  switch (chance.below(5)) {
    case 0: return {{p}, Rule::uniform, {a, b}};
    case 1: return {{p}, a > 0 ? Rule::log_uniform : Rule::uniform, {a, b}};
    case 2: return {{p}, Rule::choice, {a, b, draw_value(chance, parameter)}};
    case 3: return {{p}, Rule::schedule, {0, a, 1.0 + chance.below(100), b}};
    default: {
      const int q = chance.below(table.parameter_count);
      if (q == p) return {{p}, Rule::grid, {a, b}};
      const Parameter& other = table.parameters[q];
      return {{p, q}, Rule::grid, {a, draw_value(chance, other), b, draw_value(chance, other)}};
    }
  }
}

Options draw_options(Chance& chance) {
  Options o;
  o.center_agent = !chance.one_in(3);
  o.use_backgrounds = !chance.one_in(3);
  o.monochrome = chance.one_in(4);
  o.restrict_themes = chance.one_in(3);
  o.paint_vel_info = chance.one_in(4);
  return o;
}

void draw_environment(Chance& chance, Setting& setting) {
  const RegisteredGame& game = chance.of(registered_games());
  int mode;
  do {
    mode = chance.below(kModes);
  } while (!(game.table->modes >> mode & 1));
  BatchConfig& c = setting.config;
  c.games.push_back(game.table->name);
  c.modes.push_back(kModeNames[mode]);
  c.num_levels.push_back(chance.of<int>({0, 0, 1, 10, 200, 1000000}));
  c.start_level.push_back(chance.one_in(2) ? 0 : chance.below(2146483647));
  setting.rows.emplace_back();
  setting.sampler_rows.emplace_back();
  if (!chance.one_in(4))
    setting.rows.back() = draw_row(chance, *game.table, static_cast<Mode>(mode));
  if (chance.one_in(6))
    for (int k = chance.between(1, 3); k > 0; --k)
      setting.sampler_rows.back().push_back(draw_rule(chance, *game.table));
}

}  // namespace

std::vector<double> draw_row(Chance& chance, const GameTable& table, Mode mode) {
  std::vector<double> row(table.parameter_count, kUnset);
  const double density = chance.of<double>({0.1, 0.3, 1.0});
  for (int i = 0; i < table.parameter_count; ++i)
    if (chance.uniform() < density) row[i] = draw_value(chance, table.parameters[i]);
  if (!put_in_order(chance, table, mode, row)) row.assign(table.parameter_count, kUnset);
  return row;
}

Setting draw_setting(Chance& chance, int environments, int threads) {
  Setting setting;
  BatchConfig& c = setting.config;
  for (int i = 0; i < environments; ++i) draw_environment(chance, setting);
  c.rand_seed = static_cast<int32_t>(chance.word());
  c.use_sequential_levels = chance.one_in(4);
  c.options = draw_options(chance);
  c.layout = chance.of<Layout>({Layout::rgb, Layout::rgb_chw, Layout::gray, Layout::none});
  c.autoreset = chance.of<Autoreset>(
      {Autoreset::same_step, Autoreset::same_step, Autoreset::next_step, Autoreset::disabled});
  c.final_obs = chance.one_in(3);
  setting.defer = chance.one_in(4);
  if (chance.one_in(4))
    for (int i = 0; i < environments; ++i)
      setting.level_seeds.push_back(static_cast<int32_t>(chance.word()));
  c.keep_pages = chance.one_in(3);
  c.threads = threads;
  return setting;
}

std::unique_ptr<Batch> Setting::make() const {
  auto batch = std::make_unique<Batch>(config, skins());
  for (int i = 0; i < batch->size(); ++i) {
    if (!rows[i].empty()) batch->set_context(i, rows[i]);
    if (!sampler_rows[i].empty()) batch->set_sampler(i, sampler_rows[i]);
  }
  return batch;
}

std::string Setting::describe() const {
  std::ostringstream text;
  for (size_t i = 0; i < config.games.size(); ++i) {
    const GameTable& table = *find_game(config.games[i])->table;
    text << config.games[i] << ' ' << config.modes[i] << " levels " << config.start_level[i] << '+'
         << config.num_levels[i];
    for (size_t p = 0; p < rows[i].size(); ++p)
      if (rows[i][p] == rows[i][p]) text << ' ' << table.parameters[p].name << '=' << rows[i][p];
    for (const SamplerRow& rule : sampler_rows[i]) {
      text << " rule " << static_cast<int>(rule.rule) << " of";
      for (int p : rule.parameters) text << ' ' << table.parameters[p].name;
      for (double number : rule.numbers) text << ' ' << number;
    }
    text << '\n';
  }
  return text.str();
}

}  // namespace cprocgen::fuzz
