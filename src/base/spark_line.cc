#include "base/spark_line.h"

#include <algorithm>

namespace brim {

namespace {

// Each row of a column is empty, filled, or ends in one of three heights.
constexpr char kTops[] = {'_', 'o', '#'};
constexpr int kHeights = sizeof kTops;
constexpr char kFilled = '|';

char CellOf(int height, int rows_below) {
  int here = height - rows_below * kHeights;
  if (here < 0) return ' ';
  return here < kHeights ? kTops[here] : kFilled;
}

}  // namespace

std::string DrawSparkLine(std::span<const SparkPoint> points, size_t width, int rows) {
  std::string out;
  if (points.empty()) return out;
  auto [low, high] = std::minmax_element(points.begin(), points.end(),
                                         [](const SparkPoint& a, const SparkPoint& b) { return a.value < b.value; });
  uint64_t range = std::max<uint64_t>(high->value - low->value, 1);
  uint64_t steps = static_cast<uint64_t>(rows) * kHeights;
  for (size_t from = 0; from < points.size(); from += width) {
    std::span<const SparkPoint> part = points.subspan(from, std::min(width, points.size() - from));
    if (from > 0) out += '\n';
    for (int row = rows - 1; row >= 0; row--) {
      for (const SparkPoint& point : part) {
        auto height = static_cast<int>(std::min((point.value - low->value) * steps / range, steps - 1));
        out += CellOf(height, row);
      }
      out += '\n';
    }
    out += std::string(part.size(), ' ') + '\n';
    size_t longest = 0;
    for (const SparkPoint& point : part) longest = std::max(longest, point.label.size());
    for (size_t line = 0; line < longest; line++) {
      for (const SparkPoint& point : part) out += line < point.label.size() ? point.label[line] : ' ';
      out += '\n';
    }
  }
  return out;
}

}  // namespace brim
