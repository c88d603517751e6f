#pragma once
// A row of numbers drawn with letters, as LATENCY GRAPH shows them.
#include <cstdint>
#include <span>
#include <string>

namespace brim {

struct SparkPoint {
  uint64_t value;
  std::string label;  // written downwards below the point
};

// Columns, one a point, `rows` lines high between the smallest and the largest value of all points; below an empty line
// and the labels. At most `width` points stand side by side, the next ones in a drawing of their own below.
std::string DrawSparkLine(std::span<const SparkPoint> points, size_t width, int rows);

}  // namespace brim
