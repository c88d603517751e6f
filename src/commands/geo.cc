// GEOADD, GEODIST, GEOHASH, GEOPOS: sorted sets whose scores are places. Searches are in geo_search.cc.
#include "commands/geo.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "commands/tables.h"
#include "types/zset.h"

namespace brim {

bool ParseGeoPlace(Context& context, size_t i, GeoPlace* place) {
  if (!ParseDouble(context.arg(i), &place->longitude) || !ParseDouble(context.arg(i + 1), &place->latitude)) {
    context.reply().Error(errors::kNotAFloat);
    return false;
  }
  if (place->InLimits()) return true;
  char text[1024];
  int size =
      snprintf(text, sizeof(text), "ERR invalid longitude,latitude pair %f,%f", place->longitude, place->latitude);
  context.reply().Error({text, static_cast<size_t>(size)});
  return false;
}

bool ParseGeoUnit(Context& context, size_t i, double* metres) {
  if (ArgIs(context, i, "m")) {
    *metres = 1;
  } else if (ArgIs(context, i, "km")) {
    *metres = 1000;
  } else if (ArgIs(context, i, "ft")) {
    *metres = 0.3048;
  } else if (ArgIs(context, i, "mi")) {
    *metres = 1609.34;
  } else {
    context.reply().Error("ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
  }
  return true;
}

void ReplyGeoDistance(Reply& reply, double distance) {
  constexpr int kDecimals = 4;
  constexpr double kScale = 10000;
  char text[32];
  // Scaled and then rounded, as redis-server does: "%.4f" differs in the last digit now and then.
  int64_t scaled = std::llrint(distance * kScale);
  int size = FormatInt64(scaled, text + kDecimals + 1);
  char* digits = text + kDecimals + 1;
  while (size <= kDecimals) {
    *--digits = '0';
    size++;
  }
  // The point goes in front of the last ones.
  memmove(digits - 1, digits, static_cast<size_t>(size - kDecimals));
  digits[size - kDecimals - 1] = '.';
  reply.Bulk({digits - 1, static_cast<size_t>(size) + 1});
}

namespace {

// As FormatLongDoubleHuman, in a fraction of its time.
void ReplyCoordinate(Reply& reply, double degrees) {
  char text[48];
  text[0] = ',';
  char* begin = text + 1;
  auto [end, error] = std::to_chars(begin, text + sizeof(text) - 2, degrees, std::chars_format::fixed, 17);
  while (end[-1] == '0') end--;
  if (end[-1] == '.') end--;
  if (end - begin == 2 && begin[0] == '-' && begin[1] == '0') *begin = *--end;
  if (reply.version() < 3) {
    reply.Bulk({begin, static_cast<size_t>(end - begin)});
    return;
  }
  *end++ = '\r';
  *end++ = '\n';
  reply.Raw({text, static_cast<size_t>(end - text)});
}

}  // namespace

void ReplyGeoPlace(Reply& reply, const GeoPlace& place) {
  reply.ArrayHeader(2);
  ReplyCoordinate(reply, place.longitude);
  ReplyCoordinate(reply, place.latitude);
}

namespace {

struct GeoAddOptions {
  ZsetAddRules rules;
  bool count_changed = false;
  size_t first = 2;  // the first longitude's argument
};

// False with the error replied.
bool ReadGeoAddOptions(Context& context, GeoAddOptions* options) {
  for (; options->first < context.argc(); options->first++) {
    if (ArgIs(context, options->first, "NX")) {
      options->rules.only_new = true;
    } else if (ArgIs(context, options->first, "XX")) {
      options->rules.only_existing = true;
    } else if (ArgIs(context, options->first, "CH")) {
      options->count_changed = true;
    } else {
      break;
    }
  }
  size_t words = context.argc() - options->first;
  if (words > 0 && words % 3 == 0 && !(options->rules.only_new && options->rules.only_existing)) return true;
  context.reply().Error(errors::kSyntax);
  return false;
}

void Geoadd(Context& context) {
  GeoAddOptions options;
  if (!ReadGeoAddOptions(context, &options)) return;
  GeoPlace place;
  for (size_t i = options.first; i < context.argc(); i += 3) {
    if (!ParseGeoPlace(context, i, &place)) return;
  }
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kZset, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref && !options.rules.only_existing) {
    ref = context.Create(key, Type::kZset, Encoding::kListpack, EmptyZsetBytes());
    InitZset(ref);
  }
  int64_t added = 0;
  int64_t updated = 0;
  for (size_t i = options.first; ref && i < context.argc(); i += 3) {
    ParseGeoPlace(context, i, &place);
    double score;
    ZsetAddResult result =
        ZsetAdd(ref, context.arg(i + 2), static_cast<double>(GeoScore(place)), options.rules, &score);
    added += result == ZsetAddResult::kAdded ? 1 : 0;
    updated += result == ZsetAddResult::kUpdated ? 1 : 0;
  }
  context.reply().Integer(options.count_changed ? added + updated : added);
  if (added + updated == 0) return;
  context.Changed(key, kNotifyZset, "zadd");
  context.CountChanges(added + updated - 1);
}

// The place of a member; false when there is none.
bool FindGeoPlace(const KeyRef& ref, std::string_view member, GeoPlace* place) {
  double score;
  if (!ref || !ZsetScore(ref, member, &score)) return false;
  *place = GeoPlaceOf(score);
  return true;
}

void Geodist(Context& context) {
  double metres = 1;
  if (context.argc() > 5) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  if (context.argc() == 5 && !ParseGeoUnit(context, 4, &metres)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  GeoPlace a;
  GeoPlace b;
  if (FindGeoPlace(ref, context.arg(2), &a) && FindGeoPlace(ref, context.arg(3), &b)) {
    ReplyGeoDistance(context.reply(), GeoDistance(a, b) / metres);
  } else {
    context.reply().Null();
  }
}

void Geohash(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  context.reply().ArrayHeader(context.argc() - 2);
  for (size_t i = 2; i < context.argc(); i++) {
    GeoPlace place;
    if (FindGeoPlace(ref, context.arg(i), &place)) {
      char text[kGeoTextBytes];
      GeoText(place, text);
      context.reply().Bulk({text, sizeof(text)});
    } else {
      context.reply().Null();
    }
  }
}

void Geopos(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  context.reply().ArrayHeader(context.argc() - 2);
  for (size_t i = 2; i < context.argc(); i++) {
    GeoPlace place;
    if (FindGeoPlace(ref, context.arg(i), &place)) {
      ReplyGeoPlace(context.reply(), place);
    } else {
      context.reply().NullArray();
    }
  }
}

constexpr KeySpec kRead = KeyAt(1, kKeyRO | kKeyAccess);
constexpr const char* kEachMember = "O(N) where N is the number of members named";

constexpr CommandSpec kRows[] = {
    {"geoadd",
     -5,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyRW | kKeyUpdate)},
     kCatGeo,
     Group::kGeo,
     "3.2.0",
     "O(M*log(N)) where M is the number of members named and N the size of the sorted set",
     "Adds members with their places to a sorted set or moves them; creates it when absent.",
     "key [NX|XX] [CH] longitude latitude member [longitude latitude member ...]",
     Geoadd},
    {"geodist",
     -4,
     kReadonly,
     {kRead},
     kCatGeo,
     Group::kGeo,
     "3.2.0",
     "O(1)",
     "Answers the distance between two members.",
     "key member1 member2 [M|KM|FT|MI]",
     Geodist},
    {"geohash",
     -2,
     kReadonly,
     {kRead},
     kCatGeo,
     Group::kGeo,
     "3.2.0",
     kEachMember,
     "Answers the geohashes of members.",
     "key [member [member ...]]",
     Geohash},
    {"geopos",
     -2,
     kReadonly,
     {kRead},
     kCatGeo,
     Group::kGeo,
     "3.2.0",
     kEachMember,
     "Answers the longitudes and latitudes of members.",
     "key [member [member ...]]",
     Geopos},
};

}  // namespace

const CommandTable kGeoCommands = kRows;

}  // namespace brim
