#include "base/geohash.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace brim {

namespace {

constexpr double kEarthRadius = 6372797.560856;       // metres
constexpr double kMercatorMax = 20037726.37;          // metres
constexpr double kRadian = std::numbers::pi / 180.0;  // a degree's
constexpr double kPoleLatitude = 90;

double ToRadians(double degrees) { return degrees * kRadian; }
double ToDegrees(double radians) { return radians / kRadian; }

// Of two places on one meridian.
double LatitudeDistance(double a, double b) { return kEarthRadius * std::abs(ToRadians(b) - ToRadians(a)); }

// The bits of a number, each followed by a zero.
uint64_t Spread(uint32_t number) {
  uint64_t bits = number;
  bits = (bits | bits << 16) & 0x0000ffff0000ffff;
  bits = (bits | bits << 8) & 0x00ff00ff00ff00ff;
  bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0f;
  bits = (bits | bits << 2) & 0x3333333333333333;
  return (bits | bits << 1) & 0x5555555555555555;
}

// The even bits of a number.
uint32_t Gather(uint64_t bits) {
  bits &= 0x5555555555555555;
  bits = (bits | bits >> 1) & 0x3333333333333333;
  bits = (bits | bits >> 2) & 0x0f0f0f0f0f0f0f0f;
  bits = (bits | bits >> 4) & 0x00ff00ff00ff00ff;
  bits = (bits | bits >> 8) & 0x0000ffff0000ffff;
  return static_cast<uint32_t>(bits | bits >> 16);
}

// How far along a range a value is, in parts of 1 / 2^steps.
uint32_t PartsOf(double value, double max, unsigned steps) {
  double offset = (value + max) / (max + max);
  return static_cast<uint32_t>(offset * static_cast<double>(1ull << steps));
}

uint64_t BitsOf(const GeoPlace& place, double latitude_max, unsigned steps) {
  return Spread(PartsOf(place.latitude, latitude_max, steps)) |
         Spread(PartsOf(place.longitude, kGeoLongitudeMax, steps)) << 1;
}

// Where that part of a range of 1 / part parts begins; `part` is a power of two.
double StartOf(uint32_t parts, double max, double part) { return -max + (parts * part) * (max + max); }

GeoBox BoxOf(uint64_t bits, double part) {
  uint32_t latitude = Gather(bits);
  uint32_t longitude = Gather(bits >> 1);
  return {{StartOf(longitude, kGeoLongitudeMax, part), StartOf(latitude, kGeoLatitudeMax, part)},
          {StartOf(longitude + 1, kGeoLongitudeMax, part), StartOf(latitude + 1, kGeoLatitudeMax, part)}};
}

// A score as an integer. Those beyond its range become what the x86-64 instructions make of them, as everywhere where
// such scores were stored before.
uint64_t BitsOfScore(double score) {
  constexpr double kHalf = 9223372036854775808.0;
  auto convert = [](double number) {
    return number >= -kHalf && number < kHalf ? static_cast<uint64_t>(static_cast<int64_t>(number)) : uint64_t{1} << 63;
  };
  return score < kHalf ? convert(score) : convert(score - kHalf) ^ uint64_t { 1 } << 63;
}

// How many steps cells may have so that a center's and the eight around it cover such a range.
unsigned StepsFor(double range_metres, double latitude) {
  if (range_metres == 0) return kGeoSteps;
  int steps = 1;
  while (range_metres < kMercatorMax) {
    range_metres *= 2;
    steps++;
  }
  steps -= 2;
  // Towards the poles cells become narrow.
  if (std::abs(latitude) > 66) steps--;
  if (std::abs(latitude) > 80) steps--;
  return static_cast<unsigned>(std::clamp<int>(steps, 1, kGeoSteps));
}

constexpr uint64_t kLatitudeBits = 0x5555555555555555;
constexpr uint64_t kLongitudeBits = ~kLatitudeBits;

// Moves one coordinate of a cell, whose bits are `mask`, by one; of it only bits below 2 * steps stay.
uint64_t Move(uint64_t bits, uint64_t mask, unsigned steps, int by) {
  uint64_t used = mask & ~uint64_t{0} >> (64 - 2 * steps);
  // With ones between its bits a carry passes them.
  uint64_t moved = by > 0 ? (bits | ~used) + 1 : (bits & used) - 1;
  return (moved & used) | (bits & ~mask);
}

}  // namespace

bool GeoPlace::InLimits() const {
  return longitude >= -kGeoLongitudeMax && longitude <= kGeoLongitudeMax && latitude >= -kGeoLatitudeMax &&
         latitude <= kGeoLatitudeMax;
}

GeoCell GeoCellOf(const GeoPlace& place, unsigned steps) { return {BitsOf(place, kGeoLatitudeMax, steps), steps}; }

GeoBox GeoBoxOf(const GeoCell& cell) { return BoxOf(cell.bits, 1.0 / static_cast<double>(1ull << cell.steps)); }

GeoCell GeoNeighbor(const GeoCell& cell, int east, int north) {
  uint64_t bits = cell.bits;
  if (east != 0) bits = Move(bits, kLongitudeBits, cell.steps, east);
  if (north != 0) bits = Move(bits, kLatitudeBits, cell.steps, north);
  return {bits, cell.steps};
}

uint64_t GeoScore(const GeoPlace& place) { return BitsOf(place, kGeoLatitudeMax, kGeoSteps); }

GeoPlace GeoPlaceOf(double score) {
  GeoBox box = BoxOf(BitsOfScore(score), 1.0 / (1ull << kGeoSteps));
  return {std::clamp((box.min.longitude + box.max.longitude) / 2, -kGeoLongitudeMax, kGeoLongitudeMax),
          std::clamp((box.min.latitude + box.max.latitude) / 2, -kGeoLatitudeMax, kGeoLatitudeMax)};
}

void GeoText(const GeoPlace& place, char* to) {
  constexpr const char* kLetters = "0123456789bcdefghjkmnpqrstuvwxyz";
  // Geohashes divide all latitudes, scores only those of the projection.
  uint64_t bits = BitsOf(place, kPoleLatitude, kGeoSteps);
  constexpr unsigned kBits = 2 * kGeoSteps;
  for (unsigned i = 0; i + 1 < kGeoTextBytes; i++) to[i] = kLetters[bits >> (kBits - 5 * (i + 1)) & 31];
  to[kGeoTextBytes - 1] = kLetters[0];  // the 52 bits end before it
}

namespace {

// As GeoDistance, the cosine of a's latitude being known.
double DistanceFrom(const GeoPlace& a, double a_cosine, const GeoPlace& b) {
  double v = std::sin((ToRadians(b.longitude) - ToRadians(a.longitude)) / 2);
  if (v == 0) return LatitudeDistance(a.latitude, b.latitude);
  double b_latitude = ToRadians(b.latitude);
  double u = std::sin((b_latitude - ToRadians(a.latitude)) / 2);
  double square = u * u + a_cosine * std::cos(b_latitude) * v * v;
  return 2.0 * kEarthRadius * std::asin(std::sqrt(square));
}

}  // namespace

double GeoDistance(const GeoPlace& a, const GeoPlace& b) { return DistanceFrom(a, std::cos(ToRadians(a.latitude)), b); }

// ---- shapes

GeoShape::GeoShape(Kind kind, const GeoPlace& center)
    : kind_(kind), center_(center), cosine_(std::cos(ToRadians(center.latitude))) {}

// The box around a shape of that size. Parallels become shorter towards the poles: its longitudes are those at its
// farthest latitude on the pole's side.
void GeoShape::BoundBySize(double half_width, double half_height) {
  double latitude_delta = ToDegrees(half_height / kEarthRadius);
  double far_latitude = center_.latitude < 0 ? center_.latitude - latitude_delta : center_.latitude + latitude_delta;
  double longitude_delta = ToDegrees(half_width / kEarthRadius / std::cos(ToRadians(far_latitude)));
  bounds_ = {{center_.longitude - longitude_delta, center_.latitude - latitude_delta},
             {center_.longitude + longitude_delta, center_.latitude + latitude_delta}};
}

GeoShape GeoShape::Circle(const GeoPlace& center, double radius) {
  GeoShape shape(Kind::kCircle, center);
  shape.BoundBySize(radius, radius);
  shape.reach_ = radius;
  // Most places of the cells lie outside, and are to be seen to do so without a sine. The margins are far wider than
  // what the formula of the distance errs by.
  constexpr double kMargin = 1 + 1e-9;
  constexpr double kMarginDegrees = 1e-7;
  double angle = radius / kEarthRadius;
  double latitude = std::abs(ToRadians(center.latitude));
  if (angle + latitude < 1.5) {
    shape.latitude_reach_ = ToDegrees(angle) * kMargin + kMarginDegrees;
    shape.longitude_reach_ = ToDegrees(std::asin(std::sin(angle) / std::cos(latitude))) * kMargin + kMarginDegrees;
  }
  return shape;
}

GeoShape GeoShape::Rectangle(const GeoPlace& center, double width, double height) {
  GeoShape shape(Kind::kRectangle, center);
  shape.half_width_ = width / 2;
  shape.half_height_ = height / 2;
  shape.BoundBySize(shape.half_width_, shape.half_height_);
  shape.reach_ = std::sqrt(shape.half_width_ * shape.half_width_ + shape.half_height_ * shape.half_height_);
  return shape;
}

GeoShape GeoShape::Polygon(std::span<const GeoPlace> vertices) {
  GeoShape shape(Kind::kPolygon, {});
  shape.vertices_ = vertices;
  shape.bounds_ = {vertices[0], vertices[0]};
  // The vertices' middle: the mean of the vectors to them.
  double x = 0;
  double y = 0;
  double z = 0;
  for (const GeoPlace& vertex : vertices) {
    GeoBox& bounds = shape.bounds_;
    bounds.min.longitude = std::min(bounds.min.longitude, vertex.longitude);
    bounds.min.latitude = std::min(bounds.min.latitude, vertex.latitude);
    bounds.max.longitude = std::max(bounds.max.longitude, vertex.longitude);
    bounds.max.latitude = std::max(bounds.max.latitude, vertex.latitude);
    double longitude = ToRadians(vertex.longitude);
    double latitude = ToRadians(vertex.latitude);
    x += std::cos(latitude) * std::cos(longitude);
    y += std::cos(latitude) * std::sin(longitude);
    z += std::sin(latitude);
  }
  GeoPlace middle{ToDegrees(std::atan2(y, x)), ToDegrees(std::atan2(z, std::sqrt(x * x + y * y)))};
  middle.latitude = std::clamp(middle.latitude, -kGeoLatitudeMax, kGeoLatitudeMax);
  middle.longitude = std::clamp(middle.longitude, -kGeoLongitudeMax, kGeoLongitudeMax);
  shape.center_ = middle;
  shape.cosine_ = std::cos(ToRadians(middle.latitude));
  for (double longitude : {shape.bounds_.min.longitude, shape.bounds_.max.longitude}) {
    for (double latitude : {shape.bounds_.min.latitude, shape.bounds_.max.latitude}) {
      shape.reach_ = std::max(shape.reach_, GeoDistance(middle, {longitude, latitude}));
    }
  }
  return shape;
}

// True only for places that are outside beyond any doubt.
bool GeoShape::OutsideCircle(const GeoPlace& place) const {
  if (std::abs(place.latitude - center_.latitude) > latitude_reach_) return true;
  double apart = std::abs(place.longitude - center_.longitude);
  return std::min(apart, 360 - apart) > longitude_reach_;
}

// Counts the sides that a ray to the east crosses.
bool GeoShape::InsidePolygon(const GeoPlace& place) const {
  bool inside = false;
  const GeoPlace* from = &vertices_.back();
  for (const GeoPlace& to : vertices_) {
    if ((to.latitude > place.latitude) != (from->latitude > place.latitude)) {
      double along = (place.latitude - to.latitude) / (from->latitude - to.latitude);
      if (place.longitude < to.longitude + (from->longitude - to.longitude) * along) inside = !inside;
    }
    from = &to;
  }
  return inside;
}

bool GeoShape::Contains(const GeoPlace& place, double* distance) const {
  switch (kind_) {
    case Kind::kCircle:
      if (OutsideCircle(place)) return false;
      *distance = DistanceFrom(center_, cosine_, place);
      return !(*distance > reach_);
    case Kind::kRectangle:
      if (LatitudeDistance(place.latitude, center_.latitude) > half_height_) return false;
      if (GeoDistance(place, {center_.longitude, place.latitude}) > half_width_) return false;
      break;
    case Kind::kPolygon:
      if (!InsidePolygon(place)) return false;
      break;
  }
  *distance = DistanceFrom(center_, cosine_, place);
  return true;
}

std::array<GeoCell, 9> GeoShape::Cells() const {
  struct Direction {
    int east;
    int north;
  };
  constexpr Direction kDirections[] = {{0, 0}, {0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
  unsigned steps = StepsFor(reach_, center_.latitude);
  GeoCell cell = GeoCellOf(center_, steps);
  // Near an edge of its cell the center may see over the cells next to it.
  auto neighbor = [&](int east, int north) { return GeoBoxOf(GeoNeighbor(cell, east, north)); };
  if (steps > 1 &&
      (neighbor(0, 1).max.latitude < bounds_.max.latitude || neighbor(0, -1).min.latitude > bounds_.min.latitude ||
       neighbor(1, 0).max.longitude < bounds_.max.longitude || neighbor(-1, 0).min.longitude > bounds_.min.longitude)) {
    cell = GeoCellOf(center_, --steps);
  }
  GeoBox box = GeoBoxOf(cell);
  std::array<GeoCell, 9> cells;
  for (size_t i = 0; i < cells.size(); i++) {
    auto [east, north] = kDirections[i];
    bool reached = steps < 2 || !((north < 0 && box.min.latitude < bounds_.min.latitude) ||
                                  (north > 0 && box.max.latitude > bounds_.max.latitude) ||
                                  (east < 0 && box.min.longitude < bounds_.min.longitude) ||
                                  (east > 0 && box.max.longitude > bounds_.max.longitude));
    if (reached) cells[i] = GeoNeighbor(cell, east, north);
  }
  return cells;
}

}  // namespace brim
