// LOLWUT: hills in the evening, another picture each time, and the version that clients read from its last line.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "base/random.h"
#include "commands/arguments.h"
#include "server/server.h"
#include "server/server_commands.h"

namespace brim {

namespace {

constexpr int64_t kColumns = 66;
constexpr int64_t kRows = 16;
constexpr int64_t kColumnsMost = 1000;
constexpr int64_t kRowsMost = 200;

// A ridge's height at each column, in rows: two waves of drawn length and place.
std::vector<double> Ridge(int64_t columns, double base, double height) {
  double longer = 1.5 + 2 * RandomUnit();
  double shorter = 3 + 4 * RandomUnit();
  double at = 2 * std::numbers::pi * RandomUnit();
  std::vector<double> heights;
  for (int64_t x = 0; x < columns; x++) {
    double turn = 2 * std::numbers::pi * static_cast<double>(x) / static_cast<double>(kColumns);
    heights.push_back(base + height * (0.6 * std::sin(longer * turn + at) + 0.4 * std::sin(shorter * turn - at)));
  }
  return heights;
}

std::string Draw(int64_t columns, int64_t rows) {
  auto tall = static_cast<double>(rows);
  std::vector<double> far = Ridge(columns, tall * 0.5, tall * 0.2);
  std::vector<double> near = Ridge(columns, tall * 0.25, tall * 0.15);
  auto moon_x = static_cast<double>(RandomBelow(static_cast<uint64_t>(columns)));
  double moon_y = tall * 0.85;
  std::string text;
  for (int64_t row = rows; row-- > 0;) {
    auto y = static_cast<double>(row);
    for (int64_t x = 0; x < columns; x++) {
      auto column = static_cast<size_t>(x);
      double across = (static_cast<double>(x) - moon_x) / 2;  // letters are half as wide as high
      bool moon = across * across + (y - moon_y) * (y - moon_y) < 2.5;
      if (y < near[column]) {
        text += "▓";
      } else if (y < far[column]) {
        text += "░";
      } else if (moon) {
        text += "●";
      } else {
        text += RandomBelow(40) == 0 ? "·" : " ";
      }
    }
    text += '\n';
  }
  return text;
}

void Lolwut(Context& context) {
  size_t first = 1;
  if (context.argc() >= 3 && ArgIs(context, 1, "VERSION")) {
    int64_t version;  // there is one picture for all
    if (!ParseIntArg(context, 2, &version)) return;
    first = 3;
  }
  int64_t columns = kColumns;
  int64_t rows = kRows;
  if (context.argc() > first && !ParseIntArg(context, first, &columns)) return;
  if (context.argc() > first + 1 && !ParseIntArg(context, first + 1, &rows)) return;
  std::string text = Draw(std::clamp<int64_t>(columns, 1, kColumnsMost), std::clamp<int64_t>(rows, 1, kRowsMost));
  text += "\nBrim " + std::string(kVersion) + "\nRedis ver. " + kRedisVersion + "\n";
  context.reply().Verbatim(text, "txt");
}

constexpr CommandSpec kRowsOfTable[] = {
    {"lolwut",
     -1,
     kReadonly | kFast,
     {},
     0,
     Group::kServer,
     "5.0.0",
     "O(N) where N is the size of the picture",
     "Draws a picture and tells the version.",
     "[VERSION version] [columns [rows]]",
     Lolwut},
};

}  // namespace

const CommandTable kLolwutCommands = kRowsOfTable;

}  // namespace brim
