#include "base/geohash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/partial_quicksort.h"

namespace brim {
namespace {

GeoPlace Draw(std::mt19937& random) {
  std::uniform_real_distribution<double> unit(-1, 1);
  return {unit(random) * kGeoLongitudeMax, unit(random) * kGeoLatitudeMax};
}

// A place near another, at any scale.
GeoPlace DrawNear(std::mt19937& random, const GeoPlace& center) {
  std::normal_distribution<double> apart(0, std::pow(10.0, static_cast<double>(random() % 7) - 5));
  double longitude = std::fmod(center.longitude + apart(random) + 540, 360) - 180;
  return {std::clamp(longitude, -180.0, 180.0), std::clamp(center.latitude + apart(random), -85.0, 85.0)};
}

TEST(GeohashTest, ScoresAndTextsAreThoseOfRedisServer) {
  GeoPlace palermo{13.361389, 38.115556};
  GeoPlace catania{15.087269, 37.502669};
  EXPECT_EQ(GeoScore(palermo), 3479099956230698u);
  EXPECT_EQ(GeoScore(catania), 3479447370796909u);
  GeoPlace stored = GeoPlaceOf(3479099956230698);
  EXPECT_DOUBLE_EQ(stored.longitude, 13.36138933897018433);
  EXPECT_DOUBLE_EQ(stored.latitude, 38.11555639549629859);
  char text[kGeoTextBytes];
  GeoText(stored, text);
  EXPECT_EQ(std::string(text, sizeof(text)), "sqc8b49rny0");
  EXPECT_NEAR(GeoDistance(stored, GeoPlaceOf(3479447370796909)), 166274.1516, 0.0001);
  EXPECT_EQ(GeoDistance(stored, stored), 0);
}

TEST(GeohashTest, PlacesSurviveTheirScores) {
  std::mt19937 random(1);
  for (int i = 0; i < 10000; i++) {
    GeoPlace place = Draw(random);
    GeoPlace back = GeoPlaceOf(static_cast<double>(GeoScore(place)));
    EXPECT_NEAR(back.longitude, place.longitude, 360.0 / (1 << 26));
    EXPECT_NEAR(back.latitude, place.latitude, 171.0 / (1 << 26));
  }
  for (double odd : {-1.0, -1e300, 1e300, 1e19, 0.5, -std::numeric_limits<double>::infinity(),
                     std::numeric_limits<double>::infinity()}) {
    EXPECT_TRUE(GeoPlaceOf(odd).InLimits()) << odd;
  }
}

TEST(GeohashTest, NeighborsTouch) {
  std::mt19937 random(2);
  for (int i = 0; i < 2000; i++) {
    GeoCell cell = GeoCellOf(Draw(random), 1 + random() % 26);
    EXPECT_EQ(GeoNeighbor(GeoNeighbor(cell, 1, 1), -1, -1), cell);
    EXPECT_EQ(GeoNeighbor(GeoNeighbor(cell, -1, 0), 1, 0), cell);
    GeoBox box = GeoBoxOf(cell);
    GeoBox east = GeoBoxOf(GeoNeighbor(cell, 1, 0));
    EXPECT_TRUE(east.min.longitude == box.max.longitude || east.min.longitude == -180);
    EXPECT_EQ(east.min.latitude, box.min.latitude);
    GeoBox north = GeoBoxOf(GeoNeighbor(cell, 0, 1));
    EXPECT_TRUE(north.min.latitude == box.max.latitude || north.min.latitude == -kGeoLatitudeMax);
  }
}

// Whether the place's score lies in one of the cells.
bool Covered(const std::array<GeoCell, 9>& cells, const GeoPlace& place) {
  uint64_t score = GeoScore(place);
  return std::any_of(cells.begin(), cells.end(), [score](const GeoCell& cell) {
    return cell.steps > 0 && score >= cell.first() && score < cell.end();
  });
}

TEST(GeohashTest, CirclesAgreeWithTheDistance) {
  std::mt19937 random(3);
  int inside = 0;
  for (int i = 0; i < 200000; i++) {
    GeoPlace center = Draw(random);
    GeoPlace place = DrawNear(random, center);
    double distance = GeoDistance(center, place);
    std::uniform_real_distribution<double> factor(0.2, 3);
    double radius = i % 5 == 0 ? distance : distance * factor(random);
    double found = -1;
    GeoShape circle = GeoShape::Circle(center, radius);
    bool contains = circle.Contains(place, &found);
    ASSERT_EQ(contains, distance <= radius) << distance << " " << radius;
    if (!contains) continue;
    inside++;
    ASSERT_EQ(found, distance);
    // Far from the poles and from the antimeridian the cells leave nothing out.
    if (std::abs(center.latitude) < 60 && std::abs(center.longitude) < 150 && radius < 1e6) {
      ASSERT_TRUE(Covered(circle.Cells(), place)) << radius;
    }
  }
  EXPECT_GT(inside, 50000);
}

TEST(GeohashTest, RectanglesAndPolygons) {
  GeoShape box = GeoShape::Rectangle({10, 45}, 200000, 100000);
  double distance;
  EXPECT_TRUE(box.Contains({11.2, 45}, &distance));
  EXPECT_FALSE(box.Contains({11.4, 45}, &distance));
  EXPECT_TRUE(box.Contains({10, 45.44}, &distance));
  EXPECT_FALSE(box.Contains({10, 45.46}, &distance));
  const GeoPlace vertices[] = {{0, 0}, {4, 0}, {4, 4}, {2, 1}, {0, 4}};  // not convex
  GeoShape polygon = GeoShape::Polygon(vertices);
  EXPECT_TRUE(polygon.Contains({0.5, 2}, &distance));
  EXPECT_TRUE(polygon.Contains({3.5, 2}, &distance));
  EXPECT_FALSE(polygon.Contains({2, 2}, &distance));
  EXPECT_FALSE(polygon.Contains({-0.1, 1}, &distance));
  EXPECT_TRUE(Covered(polygon.Cells(), {0.1, 3.5}));
  EXPECT_TRUE(Covered(polygon.Cells(), {3.9, 3.5}));
}

TEST(PartialQuicksortTest, FirstElementsAreRight) {
  std::mt19937 random(4);
  for (int round = 0; round < 2000; round++) {
    std::vector<int> numbers(1 + random() % 300);
    for (int& n : numbers) n = static_cast<int>(random() % (1 + random() % 200));
    std::vector<int> sorted = numbers;
    std::sort(sorted.begin(), sorted.end());
    size_t wanted = 1 + random() % numbers.size();
    PartialQuicksort(numbers.data(), wanted, [](int a, int b) { return a - b; }).Sort(0, numbers.size());
    ASSERT_TRUE(std::equal(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(wanted), sorted.begin()));
    std::sort(numbers.begin(), numbers.end());
    ASSERT_EQ(numbers, sorted);
  }
}

}  // namespace
}  // namespace brim
