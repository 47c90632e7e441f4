#include "env.h"

namespace cprocgen {

std::vector<RegisteredGame>& registered_games() {
  static std::vector<RegisteredGame> games;
  return games;
}

const RegisteredGame* find_game(const std::string& name) {
  for (const RegisteredGame& game : registered_games())
    if (name == game.table->name) return &game;
  return nullptr;
}

}  // namespace cprocgen
