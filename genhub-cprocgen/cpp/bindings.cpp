// The Python module _engine: thin, and only a second line of defence; Python words the messages.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "batch.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace cprocgen {
namespace {

template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Picture8 = nb::ndarray<const uint8_t, nb::shape<-1, -1, 4>, nb::c_contig, nb::device::cpu>;
using SamplerTuple = std::tuple<std::vector<int>, std::string, std::vector<double>>;

// A view of memory that the owner keeps alive.
template <class T, class... Sizes>
nb::ndarray<nb::numpy, T> view(nb::handle owner, const T* data, Sizes... sizes) {
  const size_t shape[] = {static_cast<size_t>(sizes)...};
  return nb::ndarray<nb::numpy, T>(const_cast<T*>(data), sizeof...(sizes), shape, owner);
}

template <class T>
nb::ndarray<nb::numpy, T> copy(const T* data, std::initializer_list<size_t> shape) {
  size_t count = 1;
  for (size_t n : shape) count *= n;
  T* own = new T[count ? count : 1];
  std::copy(data, data + count, own);
  nb::capsule owner(own, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return nb::ndarray<nb::numpy, T>(own, shape.size(), shape.begin(), owner);
}

nb::object frames(const Batch& batch, Layout layout, const std::shared_ptr<Page>& page) {
  if (layout == Layout::none || !page) return nb::none();
  nb::capsule holder(new std::shared_ptr<Page>(page), [](void* p) noexcept {
    delete static_cast<std::shared_ptr<Page>*>(p);
  });
  const size_t n = batch.size(), side = Batch::kSide;
  const uint8_t* data = page->data();
  if (layout == Layout::rgb) return nb::cast(view(holder, data, n, side, side, size_t(3)));
  if (layout == Layout::gray) return nb::cast(view(holder, data, n, side, side));
  return nb::cast(view(holder, data, n, size_t(3), side, side));
}

// Actions as the batch takes them; throws std::invalid_argument.
std::vector<int32_t> actions_of(const Vector<int64_t>& given, const Batch& batch) {
  if (given.size() != size_t(batch.size()))
    throw std::invalid_argument("one action per environment is needed");
  const int64_t* first = given.data();
  for (size_t i = 0; i < given.size(); ++i)
    if (first[i] < -1 || first[i] > 14)
      throw std::invalid_argument("actions must lie in -1..14");
  return {first, first + given.size()};
}

// The batch and what of its construction Python asks for again.
// Arrays may still show a closed batch's memory, so it lives as long as they do.
struct BatchObject {
  std::unique_ptr<Batch> batch;
  Layout layout;
  bool closed = false;

  Batch& get() const {
    if (closed) throw std::invalid_argument("these environments are closed");
    return *batch;
  }

  void close() {
    closed = true;
    batch->dismiss_threads();
  }
};

template <class E>
E choose(const std::string& name, const std::vector<std::pair<const char*, E>>& of,
         const char* what) {
  for (const auto& [known, value] : of)
    if (name == known) return value;
  throw std::invalid_argument(std::string("there is no ") + what + " \"" + name + "\"");
}

Layout layout_of(const std::string& name) {
  return choose<Layout>(name,
                        {{"rgb", Layout::rgb},
                         {"rgb_chw", Layout::rgb_chw},
                         {"gray", Layout::gray},
                         {"none", Layout::none}},
                        "layout");
}

Autoreset autoreset_of(const std::string& name) {
  return choose<Autoreset>(name,
                           {{"same_step", Autoreset::same_step},
                            {"next_step", Autoreset::next_step},
                            {"disabled", Autoreset::disabled}},
                           "way to reset");
}

std::vector<SamplerRow> sampler_rows(const GameTable& table, const std::vector<SamplerTuple>& spec) {
  std::vector<SamplerRow> rows;
  for (const auto& [parameters, rule, numbers] : spec) {
    SamplerRow row{parameters,
                   choose<Rule>(rule,
                                {{"uniform", Rule::uniform},
                                 {"loguniform", Rule::log_uniform},
                                 {"choice", Rule::choice},
                                 {"grid", Rule::grid},
                                 {"schedule", Rule::schedule}},
                                "rule"),
                   numbers};
    const bool pair = row.rule == Rule::uniform || row.rule == Rule::log_uniform;
    const bool fits = !parameters.empty() && !numbers.empty() &&
                      (!pair || numbers.size() == 2) &&
                      (row.rule != Rule::grid || numbers.size() % parameters.size() == 0) &&
                      (row.rule != Rule::schedule || numbers.size() % 2 == 0);
    if (!fits) throw std::invalid_argument("a rule has the wrong number of parameters or numbers");
    for (int p : parameters)
      if (p < 0 || p >= table.parameter_count)
        throw std::invalid_argument("a rule names a parameter that the game does not have");
    rows.push_back(std::move(row));
  }
  return rows;
}

// One row per entity, one column per field.
nb::object entity_table(std::vector<Entity>& entities) {
  std::vector<double> table;
  for (Entity& e : entities) {
    Inspector fields;
    e.fields(fields);
    for (const auto& named : fields.scalars) table.push_back(named.second);
  }
  const size_t rows = entities.size();
  return nb::cast(copy<double>(table.data(), {rows, rows ? table.size() / rows : 0}));
}

nb::list entity_fields() {
  Entity e;
  Inspector fields;
  e.fields(fields);
  nb::list names;
  for (const auto& named : fields.scalars) names.append(named.first);
  return names;
}

nb::dict debug_state(BatchObject& self, int i) {
  Snapshot s = self.get().snapshot(i);
  nb::dict state, scalars;
  for (const auto& [name, value] : s.scalars) scalars[name.c_str()] = value;
  state["grid"] = copy<int16_t>(s.grid.data(), {size_t(s.height), size_t(s.width)});
  state["entities"] = entity_table(s.entities);
  state["spawners"] = entity_table(s.spawners);
  state["entity_fields"] = entity_fields();
  state["scalars"] = scalars;
  return state;
}

BatchConfig config_of(const std::vector<std::string>& games, const std::vector<std::string>& modes,
                      const nb::kwargs& options) {
  BatchConfig c;
  c.games = games;
  c.modes = modes;
  c.num_levels = nb::cast<std::vector<int>>(options["num_levels"]);
  c.start_level = nb::cast<std::vector<int>>(options["start_level"]);
  c.rand_seed = nb::cast<int32_t>(options["rand_seed"]);
  c.use_sequential_levels = nb::cast<bool>(options["use_sequential_levels"]);
  c.options.center_agent = nb::cast<bool>(options["center_agent"]);
  c.options.use_backgrounds = nb::cast<bool>(options["use_backgrounds"]);
  c.options.monochrome = nb::cast<bool>(options["use_monochrome_assets"]);
  c.options.restrict_themes = nb::cast<bool>(options["restrict_themes"]);
  c.options.paint_vel_info = nb::cast<bool>(options["paint_vel_info"]);
  c.layout = layout_of(nb::cast<std::string>(options["observation"]));
  c.autoreset = autoreset_of(nb::cast<std::string>(options["autoreset"]));
  c.final_obs = nb::cast<bool>(options["final_obs"]);
  c.keep_pages = nb::cast<bool>(options["copy"]);
  c.threads = std::max(1, nb::cast<int>(options["num_threads"]));
  return c;
}

template <class T>
void def_view(nb::class_<BatchObject>& type, const char* name, std::vector<T> Batch::*member) {
  type.def_prop_ro(name, [member](nb::handle self) {
    const std::vector<T>& values = nb::cast<BatchObject&>(self).get().*member;
    return view(self, values.data(), values.size());
  });
}

void def_flags(nb::class_<BatchObject>& type, const char* name,
               std::vector<uint8_t> Batch::*member) {
  type.def_prop_ro(name, [member](nb::handle self) {
    const std::vector<uint8_t>& values = nb::cast<BatchObject&>(self).get().*member;
    return view(self, reinterpret_cast<const bool*>(values.data()), values.size());
  });
}

void def_stepping(nb::class_<BatchObject>& type) {
  type
      .def(
          "step_async",
          [](BatchObject& self, Vector<int64_t> given, bool defer) {
            Batch& batch = self.get();
            batch.step_async(actions_of(given, batch).data(), defer);
          },
          "actions"_a, "defer"_a = false)
      .def("step_wait",
           [](BatchObject& self) {
             Batch& batch = self.get();
             nb::gil_scoped_release release;
             batch.step_wait();
           })
      .def(
          "start",
          [](BatchObject& self, Vector<int32_t> indices, const std::vector<int32_t>& level_seeds,
             bool turn_page) {
            Batch& batch = self.get();
            const std::vector<int> chosen(indices.data(), indices.data() + indices.size());
            for (int i : chosen)
              if (i < 0 || i >= batch.size())
                throw std::invalid_argument("there is no environment " + std::to_string(i));
            if (!level_seeds.empty() && level_seeds.size() != chosen.size())
              throw std::invalid_argument("one level seed per environment is needed");
            nb::gil_scoped_release release;
            batch.start(chosen, level_seeds.empty() ? nullptr : level_seeds.data(), turn_page);
          },
          "indices"_a, "level_seeds"_a = std::vector<int32_t>(), "turn_page"_a = true)
      .def("draw_all",
           [](BatchObject& self) {
             Batch& batch = self.get();
             nb::gil_scoped_release release;
             batch.draw_all();
           })
      .def("seed", [](BatchObject& self, int32_t seed) { self.get().seed(seed); })
      .def_prop_ro("failures",
                   [](BatchObject& self) {
                     nb::list all;
                     for (const Failure& f : self.get().failures())
                       all.append(nb::make_tuple(f.index, f.level_seed, f.reason));
                     return all;
                   })
      .def("close", [](BatchObject& self) { self.close(); });
}

void def_contexts(nb::class_<BatchObject>& type) {
  type.def("set_context",
           [](BatchObject& self, int i, Vector<double> row) {
             self.get().set_context(i, {row.data(), row.data() + row.size()});
           })
      .def("context",
           [](BatchObject& self, int i) {
             const std::vector<double>& row = self.get().context(i);
             return copy(row.data(), {row.size()});
           })
      .def("pending_context",
           [](BatchObject& self, int i) {
             const std::vector<double>& row = self.get().pending_context(i);
             return copy(row.data(), {row.size()});
           })
      .def("set_sampler",
           [](BatchObject& self, int i, const std::vector<SamplerTuple>& spec) {
             Batch& batch = self.get();
             batch.set_sampler(i, sampler_rows(batch.table(i), spec));
           })
      .def("episode_values", [](BatchObject& self, int i) {
        const std::vector<double> values = self.get().episode_values(i);
        const GameTable& table = self.get().table(i);
        nb::dict named;
        for (size_t k = 0; k < values.size(); ++k) named[table.episode_values[k]] = values[k];
        return named;
      });
}

void def_states(nb::class_<BatchObject>& type) {
  type.def("get_state",
           [](BatchObject& self, int i) {
             const std::string state = self.get().get_state(i);
             return nb::bytes(state.data(), state.size());
           })
      .def("set_state",
           [](BatchObject& self, int i, nb::bytes state) {
             self.get().set_state(i, std::string(state.c_str(), state.size()));
           })
      .def("debug_state", debug_state)
      .def(
          "render",
          [](BatchObject& self, int i, int side) {
            if (side < 64 || side > 1024 || side % 64 != 0)
              throw std::invalid_argument("a picture's side must be a multiple of 64 up to 1024");
            std::vector<uint8_t> rgb(size_t(side) * side * 3);
            self.get().render(i, side, rgb.data());
            return copy<uint8_t>(rgb.data(), {size_t(side), size_t(side), size_t(3)});
          },
          "i"_a, "side"_a = 512);
}

void def_batch(nb::module_& m) {
  nb::class_<BatchObject> type(m, "Batch");
  type.def("__init__", [](BatchObject* self, const std::vector<std::string>& games,
                          const std::vector<std::string>& modes, std::shared_ptr<SkinSet> skin,
                          nb::kwargs options) {
    const BatchConfig config = config_of(games, modes, options);
    new (self) BatchObject{std::make_unique<Batch>(config, skin), config.layout};
  }, "games"_a, "modes"_a, "skin"_a, "options"_a);
  def_stepping(type);
  def_contexts(type);
  def_states(type);
  type.def("observations", [](nb::handle self) {
    auto& object = nb::cast<BatchObject&>(self);
    return frames(object.get(), object.layout, object.get().observations());
  });
  type.def("final_observations", [](nb::handle self) {
    auto& object = nb::cast<BatchObject&>(self);
    return frames(object.get(), object.layout, object.get().final_observations());
  });
  def_view(type, "rewards", &Batch::rewards);
  def_view(type, "episode_return", &Batch::episode_return);
  def_view(type, "level_seed", &Batch::level_seed);
  def_view(type, "prev_level_seed", &Batch::prev_level_seed);
  def_view(type, "episode_length", &Batch::episode_length);
  def_flags(type, "terminated", &Batch::terminated);
  def_flags(type, "truncated", &Batch::truncated);
  def_flags(type, "first", &Batch::first);
  def_flags(type, "prev_level_complete", &Batch::prev_level_complete);
  def_flags(type, "waiting", &Batch::waiting);
}

auto pixels_of(const Image& image) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(image.pixels.data());
  return copy<uint8_t>(bytes, {size_t(image.height), size_t(image.width), size_t(4)});
}

void def_skin(nb::module_& m) {
  nb::class_<SkinSet>(m, "Skin")
      .def(nb::init<>())
      .def("set_sprite",
           [](SkinSet& self, const std::string& game, int type, int theme, Picture8 rgba) {
             self.set_sprite(game, type, theme,
                             make_image(rgba.data(), int(rgba.shape(1)), int(rgba.shape(0))));
           })
      .def("set_background",
           [](SkinSet& self, const std::string& group, int index, Picture8 rgba) {
             const int height = int(rgba.shape(0)), width = int(rgba.shape(1));
             self.set_background(group, index, make_backdrop(rgba.data(), width, height));
           })
      // Colours are multiplied by alpha.
      .def("sprite",
           [](SkinSet& self, const std::string& game, int type, int theme) {
             return pixels_of(self.of(game)->image(type, theme));
           })
      .def("background", [](SkinSet& self, const std::string& game, int index) {
        const auto skin = self.of(game);
        if (index < 0 || index >= skin->background_count())
          throw std::invalid_argument("there is no background " + std::to_string(index));
        return pixels_of(skin->background(index));
      });
}

}  // namespace
}  // namespace cprocgen

NB_MODULE(_engine, m) {
  using namespace cprocgen;
  m.def("games", [] {
    std::vector<std::string> names;
    for (const RegisteredGame& game : registered_games()) names.push_back(game.table->name);
    std::sort(names.begin(), names.end());
    return names;
  });
  nb::exception<LevelFailure>(m, "LevelFailure", PyExc_ValueError);
  nb::exception<StateError>(m, "StateError", PyExc_ValueError);
  def_skin(m);
  def_batch(m);
}
