#pragma once
// Places on the globe as numbers whose order keeps neighbours together: each step halves the longitudes and the
// latitudes, so that a cell of n steps has 2n bits, latitude's even and longitude's odd. Scores of sorted sets have 26
// steps: 52 bits, which a double holds exactly. No locks, no allocation.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace brim {

// The limits of the projection that the cells are square in.
inline constexpr double kGeoLongitudeMax = 180;
inline constexpr double kGeoLatitudeMax = 85.05112878;
inline constexpr unsigned kGeoSteps = 26;

// In degrees.
struct GeoPlace {
  double longitude = 0;
  double latitude = 0;
  bool InLimits() const;
};
struct GeoBox {
  GeoPlace min;
  GeoPlace max;
};

struct GeoCell {
  uint64_t bits = 0;
  unsigned steps = 0;  // 0: no cell
  bool operator==(const GeoCell&) const = default;
  // Scores in the cell: from first() to below end().
  uint64_t first() const { return bits << (2 * (kGeoSteps - steps)); }
  uint64_t end() const { return (bits + 1) << (2 * (kGeoSteps - steps)); }
};

// The cell of that many steps around a place within the limits.
GeoCell GeoCellOf(const GeoPlace& place, unsigned steps);
GeoBox GeoBoxOf(const GeoCell& cell);
// A cell next to it, `east` and `north` being -1, 0 or 1; round the globe.
GeoCell GeoNeighbor(const GeoCell& cell, int east, int north);

uint64_t GeoScore(const GeoPlace& place);
// The middle of the score's cell, within the limits. Scores that are no places give some place too.
GeoPlace GeoPlaceOf(double score);
// The usual geohash of a place, 11 letters, without terminator.
inline constexpr size_t kGeoTextBytes = 11;
void GeoText(const GeoPlace& place, char* to);

// In metres, on a sphere.
double GeoDistance(const GeoPlace& a, const GeoPlace& b);

// What a search looks in. Sizes are in metres.
class GeoShape {
 public:
  // The vertices have to live as long as the shape.
  static GeoShape Circle(const GeoPlace& center, double radius);
  static GeoShape Rectangle(const GeoPlace& center, double width, double height);
  static GeoShape Polygon(std::span<const GeoPlace> vertices);

  // Whether the place lies inside; then *distance is that from the center, of a polygon the vertices' middle.
  bool Contains(const GeoPlace& place, double* distance) const;
  // The cells that cover it: its center's and those around it, in the order north, south, east, west, north-east,
  // north-west, south-east, south-west; those that it does not reach have no steps.
  std::array<GeoCell, 9> Cells() const;

 private:
  enum class Kind : uint8_t { kCircle, kRectangle, kPolygon };
  GeoShape(Kind kind, const GeoPlace& center);
  void BoundBySize(double half_width, double half_height);
  bool OutsideCircle(const GeoPlace& place) const;
  bool InsidePolygon(const GeoPlace& place) const;

  Kind kind_;
  GeoPlace center_;
  GeoBox bounds_;
  double reach_ = 0;  // from the center to the farthest point
  double half_width_ = 0;
  double half_height_ = 0;
  double cosine_ = 1;            // of the center's latitude
  double latitude_reach_ = 1e9;  // a circle's places are no farther from the center than these
  double longitude_reach_ = 1e9;
  std::span<const GeoPlace> vertices_;
};

}  // namespace brim
