// maze: a mouse looks for the cheese.
#include "../engine.h"
#include "../maze.h"
#include "tables.h"

namespace cprocgen {
namespace {

class Maze : public Game<Maze> {
 public:
  static constexpr const GameTable& kTable = kMaze;
  static constexpr int kGoal = 2;
  static constexpr bool kUsefulVelocity = false;

  Maze(Mode mode, const Options& options) : Game(mode, options) {
    fixed_start = true;
    grid_step = true;
    out_of_bounds = kWall;
  }

  void game_reset() {
    timeout = params.max_episode_steps;
    base_reset(params.world_dim, params.world_dim);
    const int sizes = (params.max_maze_dim - params.min_maze_dim) / 2 + 1;
    maze_dim = random.below(sizes) * 2 + params.min_maze_dim;
    const int margin = (width - maze_dim) / 2;
    centred = mode == Mode::memory;
    visibility = static_cast<float>(params.visibility);

    MazeGenerator maze(maze_dim);
    maze.generate(random);
    for (int i = 0; i < params.num_goals; ++i) maze.place(random, kGoal);
    fill_grid(kWall);
    for (int i = 0; i < maze_dim; ++i)
      for (int j = 0; j < maze_dim; ++j) set_cell(margin + i, margin + j, maze.at(i, j));

    Entity& a = agent();
    a.rx = a.ry = 0.5f;
    a.x = a.y = margin + 0.5f;
    if (params.start_random) {
      const int k = random.choose_one(cells_of(kSpace));
      a.x = column(k) + 0.5f;
      a.y = row(k) + 0.5f;
    }
  }

  void set_action(int move) {
    Game::set_action(move);
    if (avx != 0) avy = 0;
  }

  void game_step(int action) {
    base_step(action);
    Entity& a = agent();
    if (avx > 0) a.is_reflected = true;
    if (avx < 0) a.is_reflected = false;
    const int x = static_cast<int>(a.x), y = static_cast<int>(a.y);
    if (cell(x, y) == kGoal) {
      set_cell(x, y, kSpace);
      reward += static_cast<float>(params.goal_reward);
      complete = true;
    }
    done = complete;
  }

  void episode_values(double* values) const override { values[0] = maze_dim; }

  template <class Archive>
  void fields(Archive& a) {
    a("maze_dim", maze_dim);
  }

  contexts::Maze params;
  int maze_dim = 0;
};

const Register<Maze> registered;

}  // namespace
}  // namespace cprocgen
