// Searches for places: numbers of all kinds as centers, sizes and scores. The cells have to cover what the shape
// contains where the globe is not in the way, and nothing may be undefined elsewhere.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/geohash.h"
#include "fuzz_input.h"

namespace {

using namespace brim;

class Input : public FuzzInput {
 public:
  using FuzzInput::FuzzInput;
  double Number() {
    uint8_t bytes[8] = {};
    for (uint8_t& byte : bytes) byte = Byte();
    double number;
    memcpy(&number, bytes, 8);
    return std::isnan(number) ? 0 : number;
  }
  // Within [-max, max], usually.
  double Within(double max) {
    double number = Number();
    return std::abs(number) <= max ? number : std::fmod(number, max);
  }
  GeoPlace Place() {
    double longitude = Within(kGeoLongitudeMax);
    double latitude = Within(kGeoLatitudeMax);
    return {std::isfinite(longitude) ? longitude : 0, std::isfinite(latitude) ? latitude : 0};
  }
};

bool Covers(const std::array<GeoCell, 9>& cells, double score) {
  for (const GeoCell& cell : cells) {
    if (cell.steps == 0) continue;
    Require(cell.steps <= kGeoSteps && cell.first() < cell.end());
    if (score >= static_cast<double>(cell.first()) && score < static_cast<double>(cell.end())) return true;
  }
  return false;
}

void Look(const GeoShape& shape, Input& input, bool plain) {
  std::array<GeoCell, 9> cells = shape.Cells();
  for (int i = 0; i < 16 && !input.empty(); i++) {
    double score = input.Byte() % 2 ? input.Number() : static_cast<double>(GeoScore(input.Place()));
    GeoPlace place = GeoPlaceOf(score);
    Require(place.InLimits());
    char text[kGeoTextBytes];
    GeoText(place, text);
    double distance = 0;
    bool covered = Covers(cells, static_cast<double>(GeoScore(place)));
    if (shape.Contains(place, &distance) && plain) Require(covered);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  uint8_t kind = input.Byte() % 3;
  GeoPlace center = input.Place();
  if (kind == 2) {
    std::vector<GeoPlace> vertices(3 + input.Byte() % 6);
    for (GeoPlace& vertex : vertices) vertex = input.Place();
    Look(GeoShape::Polygon(vertices), input, false);
    return 0;
  }
  double width = std::abs(input.Number());
  double height = std::abs(input.Number());
  // Away from the poles and from where longitudes begin anew.
  bool plain = std::abs(center.latitude) < 60 && std::abs(center.longitude) < 150 && width < 1e6 && height < 1e6;
  Look(kind == 0 ? GeoShape::Circle(center, width) : GeoShape::Rectangle(center, width, height), input, plain);
  return 0;
}
