// What a failed check of these programs says, and how they end.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) {                                                      \
      std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
      std::exit(1);                                                          \
    }                                                                        \
  } while (false)

#define CHECK_THROWS(expression, Error)                                             \
  do {                                                                              \
    bool thrown = false;                                                            \
    try {                                                                           \
      expression;                                                                   \
    } catch (const Error&) {                                                        \
      thrown = true;                                                                \
    }                                                                               \
    if (!thrown) {                                                                  \
      std::printf("%s:%d: no %s from %s\n", __FILE__, __LINE__, #Error, #expression); \
      std::exit(1);                                                                 \
    }                                                                               \
  } while (false)
