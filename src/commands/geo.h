#pragma once
// What the files of geo commands share.
#include "base/geohash.h"
#include "command/context.h"

namespace brim {

// Reads a longitude and a latitude at arg(i), arg(i + 1). False with the error replied.
bool ParseGeoPlace(Context& context, size_t i, GeoPlace* place);
// Reads a unit of length, in metres. False with the error replied.
bool ParseGeoUnit(Context& context, size_t i, double* metres);

// "%.4f" of a distance.
void ReplyGeoDistance(Reply& reply, double distance);
// An array of longitude and latitude.
void ReplyGeoPlace(Reply& reply, const GeoPlace& place);

}  // namespace brim
