// Three ways to visit the fields of a game: write them, read them back, list them by name. A class
// has one `template <class Archive> void fields(Archive&)` that names each of its fields once.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace cprocgen {

struct StateError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Little-endian, 8 bytes a number, so that states read the same on every platform.
class Writer {
 public:
  static constexpr bool kReads = false;
  std::string bytes;

  template <class T>
  void operator()(const char*, T& value) {
    if constexpr (std::is_floating_point_v<T>) {
      const double wide = value;
      uint64_t bits;
      std::memcpy(&bits, &wide, 8);
      number(bits);
    } else {
      static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
      number(static_cast<uint64_t>(static_cast<int64_t>(value)));
    }
  }

  template <class T>
  void operator()(const char* name, std::vector<T>& values) {
    uint64_t size = values.size();
    (*this)(name, size);
    for (size_t i = 0; i < values.size(); ++i) {
      T value = values[i];
      (*this)(name, value);
    }
  }

  template <class T, size_t N>
  void operator()(const char* name, T (&values)[N]) {
    for (T& value : values) (*this)(name, value);
  }

  void words(const char*, uint32_t* values, int count) {
    for (int i = 0; i < count; ++i)
      for (int shift = 0; shift < 32; shift += 8)
        bytes.push_back(static_cast<char>(values[i] >> shift & 255));
  }

 private:
  void number(uint64_t bits) {
    for (int shift = 0; shift < 64; shift += 8)
      bytes.push_back(static_cast<char>(bits >> shift & 255));
  }
};

class Reader {
 public:
  static constexpr bool kReads = true;

  Reader(const char* data, size_t size) : data_(data), left_(size) {}

  template <class T>
  void operator()(const char*, T& value) {
    const uint64_t bits = number();
    if constexpr (std::is_floating_point_v<T>) {
      double wide;
      std::memcpy(&wide, &bits, 8);
      value = static_cast<T>(wide);
    } else if constexpr (std::is_same_v<T, bool>) {
      value = bits != 0;
    } else {
      value = static_cast<T>(bits);
    }
  }

  template <class T>
  void operator()(const char* name, std::vector<T>& values) {
    uint64_t size = 0;
    (*this)(name, size);
    if (size > left_) throw StateError("the state is cut short");
    values.resize(size);
    for (size_t i = 0; i < size; ++i) {
      T value{};
      (*this)(name, value);
      values[i] = value;
    }
  }

  template <class T, size_t N>
  void operator()(const char* name, T (&values)[N]) {
    for (T& value : values) (*this)(name, value);
  }

  void words(const char*, uint32_t* values, int count) {
    for (int i = 0; i < count; ++i) {
      values[i] = 0;
      for (int shift = 0; shift < 32; shift += 8)
        values[i] |= static_cast<uint32_t>(byte()) << shift;
    }
  }

  size_t left() const { return left_; }

 private:
  uint8_t byte() {
    if (left_ == 0) throw StateError("the state is cut short");
    --left_;
    return static_cast<uint8_t>(*data_++);
  }

  uint64_t number() {
    uint64_t bits = 0;
    for (int shift = 0; shift < 64; shift += 8) bits |= static_cast<uint64_t>(byte()) << shift;
    return bits;
  }

  const char* data_;
  size_t left_;
};

// Names and values of numbers and flags, for people and tests.
class Inspector {
 public:
  static constexpr bool kReads = false;
  std::vector<std::pair<std::string, double>> scalars;

  template <class T>
  void operator()(const char* name, T& value) {
    scalars.emplace_back(name, static_cast<double>(value));
  }

  // Lists are long; whoever inspects gets the grid and the entities as arrays.
  template <class T>
  void operator()(const char*, std::vector<T>&) {}

  template <class T, size_t N>
  void operator()(const char* name, T (&values)[N]) {
    for (size_t i = 0; i < N; ++i)
      scalars.emplace_back(std::string(name) + "." + std::to_string(i),
                           static_cast<double>(values[i]));
  }

  void words(const char*, uint32_t*, int) {}
};

}  // namespace cprocgen
