// GEOSEARCH, GEOSEARCHSTORE, GEORADIUS and its kin: the members inside a circle, a rectangle or a polygon.
#include <algorithm>
#include <string>
#include <vector>

#include "base/partial_quicksort.h"
#include "commands/arguments.h"
#include "commands/geo.h"
#include "commands/sorted_sets.h"
#include "commands/store_result.h"
#include "commands/tables.h"

namespace brim {

namespace {

// Which of the commands it is.
struct SearchForm {
  size_t source = 1;       // the sorted set's argument
  size_t options = 2;      // the first option's
  bool search = false;     // GEOSEARCH and GEOSEARCHSTORE: the shape is among the options
  bool stores = false;     // GEOSEARCHSTORE
  bool may_store = true;   // STORE and STOREDIST are known (GEORADIUS)
  bool by_member = false;  // GEORADIUSBYMEMBER
};

struct SearchOptions {
  bool with_distance = false;
  bool with_hash = false;
  bool with_place = false;
  enum Order : uint8_t { kAsFound, kNearest, kFarthest } order = kAsFound;
  int64_t count = 0;  // 0: all
  bool any = false;
  bool stores = false;
  bool store_distances = false;
  std::string_view target;

  bool has_center = false;
  bool from_member = false;
  GeoPlace center;
  enum ShapeKind : uint8_t { kNoShape, kCircle, kRectangle, kPolygon } shape = kNoShape;
  double unit = 1;  // in metres
  double radius = 0;
  double width = 0;
  double height = 0;
  std::vector<GeoPlace> vertices;
};

// ---- reading the arguments. All answer false with the error replied.

bool ParseLength(Context& context, size_t i, const char* message, double* length) {
  if (ParseDouble(context.arg(i), length)) return true;
  context.reply().Error(message);
  return false;
}

bool ParseCircle(Context& context, size_t i, SearchOptions* options) {
  if (!ParseLength(context, i, "ERR need numeric radius", &options->radius)) return false;
  if (options->radius < 0) {
    context.reply().Error("ERR radius cannot be negative");
    return false;
  }
  options->shape = SearchOptions::kCircle;
  return ParseGeoUnit(context, i + 1, &options->unit);
}

bool ParseRectangle(Context& context, size_t i, SearchOptions* options) {
  if (!ParseLength(context, i, "ERR need numeric width", &options->width) ||
      !ParseLength(context, i + 1, "ERR need numeric height", &options->height)) {
    return false;
  }
  if (options->width < 0 || options->height < 0) {
    context.reply().Error("ERR height or width cannot be negative");
    return false;
  }
  options->shape = SearchOptions::kRectangle;
  return ParseGeoUnit(context, i + 2, &options->unit);
}

// The number of vertices at arg(*i) and the vertices; *i is then at the last word.
bool ParsePolygon(Context& context, size_t* i, SearchOptions* options) {
  int64_t count;
  if (!ParseIntArg(context, *i, &count, "ERR invalid number of vertices")) return false;
  if (count < 3 || static_cast<uint64_t>(count) > (context.argc() - *i - 1) / 2) {
    context.reply().Error("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");
    return false;
  }
  options->vertices.resize(static_cast<size_t>(count));
  for (GeoPlace& vertex : options->vertices) {
    if (!ParseGeoPlace(context, *i + 1, &vertex)) return false;
    *i += 2;
  }
  options->shape = SearchOptions::kPolygon;
  return true;
}

bool TakeMember(Context& context, const KeyRef& ref, std::string_view member, SearchOptions* options) {
  options->has_center = true;
  options->from_member = true;
  if (!ref) return true;  // the answer is known when all options have been looked at
  double score;
  if (!ZsetScore(ref, member, &score)) {
    context.reply().Error("ERR could not decode requested zset member");
    return false;
  }
  options->center = GeoPlaceOf(score);
  return true;
}

enum class Taken : uint8_t { kNo, kYes, kFailed };
Taken TakenIf(bool sound) { return sound ? Taken::kYes : Taken::kFailed; }

// GEOSEARCH's options about the shape. *i is then at the last word of it.
Taken TakeShape(Context& context, const KeyRef& ref, size_t* i, SearchOptions* options) {
  size_t at = *i;
  size_t left = context.argc() - at - 1;
  bool polygon = options->shape == SearchOptions::kPolygon;
  if (left >= 1 && ArgIs(context, at, "FROMMEMBER") && (!options->has_center || options->from_member) && !polygon) {
    *i += 1;
    return TakenIf(TakeMember(context, ref, context.arg(at + 1), options));
  }
  if (left >= 2 && ArgIs(context, at, "FROMLONLAT") && !options->from_member && !polygon) {
    *i += 2;
    options->has_center = true;
    return TakenIf(ParseGeoPlace(context, at + 1, &options->center));
  }
  if (left >= 2 && ArgIs(context, at, "BYRADIUS") && options->shape <= SearchOptions::kCircle) {
    *i += 2;
    return TakenIf(ParseCircle(context, at + 1, options));
  }
  bool rectangle = options->shape == SearchOptions::kRectangle || options->shape == SearchOptions::kNoShape;
  if (left >= 3 && ArgIs(context, at, "BYBOX") && rectangle) {
    *i += 3;
    return TakenIf(ParseRectangle(context, at + 1, options));
  }
  if (left >= 2 && ArgIs(context, at, "BYPOLYGON") && options->shape == SearchOptions::kNoShape &&
      !options->has_center) {
    *i += 1;
    return TakenIf(ParsePolygon(context, i, options));
  }
  return Taken::kNo;
}

Taken TakeStore(Context& context, const SearchForm& form, size_t* i, SearchOptions* options) {
  bool distances = ArgIs(context, *i, "STOREDIST");
  if (form.stores && distances) {
    options->store_distances = true;
    return Taken::kYes;
  }
  if (!form.may_store || form.search || *i + 1 >= context.argc()) return Taken::kNo;
  if (!distances && !ArgIs(context, *i, "STORE")) return Taken::kNo;
  options->stores = true;
  options->store_distances = distances;
  options->target = context.arg(++*i);
  return Taken::kYes;
}

Taken TakeCount(Context& context, size_t* i, SearchOptions* options) {
  if (*i + 1 >= context.argc() || !ArgIs(context, *i, "COUNT")) return Taken::kNo;
  if (!ParseIntArg(context, ++*i, &options->count)) return Taken::kFailed;
  if (options->count > 0) return Taken::kYes;
  context.reply().Error("ERR COUNT must be > 0");
  return Taken::kFailed;
}

// The options of one word.
bool TakeFlag(Context& context, size_t i, SearchOptions* options) {
  if (ArgIs(context, i, "WITHDIST")) {
    options->with_distance = true;
  } else if (ArgIs(context, i, "WITHHASH")) {
    options->with_hash = true;
  } else if (ArgIs(context, i, "WITHCOORD")) {
    options->with_place = true;
  } else if (ArgIs(context, i, "ANY")) {
    options->any = true;
  } else if (ArgIs(context, i, "ASC")) {
    options->order = SearchOptions::kNearest;
  } else if (ArgIs(context, i, "DESC")) {
    options->order = SearchOptions::kFarthest;
  } else {
    return false;
  }
  return true;
}

bool ReadOptions(Context& context, const SearchForm& form, const KeyRef& ref, SearchOptions* options) {
  for (size_t i = form.options; i < context.argc(); i++) {
    if (TakeFlag(context, i, options)) continue;
    Taken taken = TakeCount(context, &i, options);
    if (taken == Taken::kNo) taken = TakeStore(context, form, &i, options);
    if (taken == Taken::kNo && form.search) taken = TakeShape(context, ref, &i, options);
    if (taken == Taken::kYes) continue;
    if (taken == Taken::kNo) context.reply().Error(errors::kSyntax);
    return false;
  }
  return true;
}

// What is wrong with the options together, or "".
std::string MistakeIn(Context& context, const SearchForm& form, const SearchOptions& options) {
  if (options.stores && (options.with_distance || options.with_hash || options.with_place)) {
    return "ERR " + std::string(form.stores ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS") +
           " is not compatible with WITHDIST, WITHHASH and WITHCOORD options";
  }
  std::string name(context.arg(0));
  if (form.search && !options.has_center && options.shape != SearchOptions::kPolygon) {
    return "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + name;
  }
  if (form.search && options.shape == SearchOptions::kNoShape) {
    return "ERR exactly one of BYRADIUS and BYBOX can be specified for " + name;
  }
  if (options.any && options.count == 0) return "ERR the ANY argument requires COUNT argument";
  return {};
}

// GEORADIUS's center and circle, which stand in front of the options.
bool ReadCircle(Context& context, const SearchForm& form, const KeyRef& ref, SearchOptions* options) {
  if (!form.by_member) {
    return ParseGeoPlace(context, 2, &options->center) && ParseCircle(context, form.options - 2, options);
  }
  return !ref || (TakeMember(context, ref, context.arg(2), options) && ParseCircle(context, form.options - 2, options));
}

// ---- searching

struct GeoMatch {
  GeoPlace place;
  double distance;  // in metres
  double score;
  size_t text;  // where its member begins among the texts
  size_t text_size;
};

// What was found; the members' texts lie in one piece.
class GeoMatches {
 public:
  // `limit`: how many are wanted; 0: all.
  GeoMatches(const GeoShape& shape, size_t limit) : shape_(shape), limit_(limit) {}

  // Looks through the cells, in the order in which they are told.
  void Search(const KeyRef& ref) {
    const GeoCell* before = nullptr;
    std::array<GeoCell, 9> cells = shape_.Cells();
    for (const GeoCell& cell : cells) {
      // Round a small globe one cell may lie on several sides of another.
      if (cell.steps == 0 || (before != nullptr && cell == *before)) continue;
      if (full()) return;
      SearchCell(ref, cell);
      if (&cell != &cells[0]) before = &cell;
    }
  }

  std::vector<GeoMatch>& all() { return matches_; }
  std::string_view TextOf(const GeoMatch& match) const {
    return std::string_view(texts_).substr(match.text, match.text_size);
  }

 private:
  bool full() const { return limit_ > 0 && matches_.size() >= limit_; }

  void SearchCell(const KeyRef& ref, const GeoCell& cell) {
    auto end = static_cast<double>(cell.end());
    ZsetScoreRange range{static_cast<double>(cell.first()), end, false, true};
    ZsetForScores(ref, range, [&](std::string_view member, double score) {
      GeoMatch match{GeoPlaceOf(score), 0, score, texts_.size(), member.size()};
      if (!shape_.Contains(match.place, &match.distance)) return true;
      texts_ += member;
      matches_.push_back(match);
      room_.Added();
      return !full();
    });
  }

  const GeoShape& shape_;
  size_t limit_;
  std::vector<GeoMatch> matches_;
  std::string texts_;
  RoomWatch room_;
};

GeoShape ShapeOf(const SearchOptions& options) {
  if (options.shape == SearchOptions::kPolygon) return GeoShape::Polygon(options.vertices);
  if (options.shape == SearchOptions::kRectangle) {
    return GeoShape::Rectangle(options.center, options.width * options.unit, options.height * options.unit);
  }
  return GeoShape::Circle(options.center, options.radius * options.unit);
}

// Brings the first `count` matches into their order.
void SortMatches(SearchOptions::Order order, size_t count, std::vector<GeoMatch>* matches) {
  if (order == SearchOptions::kAsFound) return;
  bool nearest = order == SearchOptions::kNearest;
  auto compare = [nearest](const GeoMatch& a, const GeoMatch& b) {
    int result = a.distance > b.distance ? 1 : a.distance == b.distance ? 0 : -1;
    return nearest ? result : -result;
  };
  if (count == matches->size()) {
    std::stable_sort(matches->begin(), matches->end(),
                     [&](const GeoMatch& a, const GeoMatch& b) { return compare(a, b) < 0; });
  } else {
    PartialQuicksort(matches->data(), count, compare).Sort(0, matches->size());
  }
}

void ReplyMatches(Context& context, const SearchOptions& options, const GeoMatches& found,
                  std::span<const GeoMatch> matches) {
  Reply& reply = context.reply();
  size_t more = size_t{options.with_distance} + size_t{options.with_hash} + size_t{options.with_place};
  reply.ArrayHeader(matches.size());
  for (const GeoMatch& match : matches) {
    if (more > 0) reply.ArrayHeader(more + 1);
    reply.Bulk(found.TextOf(match));
    if (options.with_distance) ReplyGeoDistance(reply, match.distance / options.unit);
    if (options.with_hash) reply.Integer(static_cast<int64_t>(match.score));
    if (options.with_place) ReplyGeoPlace(reply, match.place);
  }
}

void StoreMatches(Context& context, const SearchForm& form, const SearchOptions& options, const GeoMatches& found,
                  std::span<const GeoMatch> matches) {
  ZsetResult result(options.target);
  ZsetConvertToTree(result);
  RoomWatch room;
  for (const GeoMatch& match : matches) {
    ZsetSet(result, found.TextOf(match), options.store_distances ? match.distance / options.unit : match.score);
    room.Added();
  }
  ZsetPackIfSmall(result);
  auto size = static_cast<int64_t>(ZsetLength(result));
  StoreResult(context, options.target, result, kNotifyZset, form.search ? "geosearchstore" : "georadiusstore");
  context.CountChanges(size - 1);
}

void SearchGeneric(Context& context, const SearchForm& form) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(form.source), Type::kZset, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  SearchOptions options;
  options.stores = form.stores;
  if (form.stores) options.target = context.arg(1);
  if (!form.search && !ReadCircle(context, form, ref, &options)) return;
  if (!ReadOptions(context, form, ref, &options)) return;
  if (std::string mistake = MistakeIn(context, form, options); !mistake.empty()) {
    context.reply().Error(mistake);
    return;
  }
  // To answer the first ones they have to be sorted.
  bool nearest_first = options.count > 0 && options.order == SearchOptions::kAsFound && !options.any;
  if (nearest_first) options.order = SearchOptions::kNearest;
  GeoShape shape = ShapeOf(options);
  GeoMatches found(shape, options.any ? static_cast<size_t>(options.count) : 0);
  if (ref) found.Search(ref);
  size_t count = found.all().size();
  if (options.count > 0) count = std::min(count, static_cast<size_t>(options.count));
  SortMatches(options.order, count, &found.all());
  std::span<const GeoMatch> matches(found.all().data(), count);
  if (options.stores) {
    StoreMatches(context, form, options, found, matches);
  } else {
    ReplyMatches(context, options, found, matches);
  }
}

void Geosearch(Context& context) { SearchGeneric(context, {.search = true}); }
void Geosearchstore(Context& context) {
  SearchGeneric(context, {.source = 2, .options = 3, .search = true, .stores = true});
}
void Georadius(Context& context) { SearchGeneric(context, {.options = 6}); }
void GeoradiusRo(Context& context) { SearchGeneric(context, {.options = 6, .may_store = false}); }
void Georadiusbymember(Context& context) { SearchGeneric(context, {.options = 5, .by_member = true}); }
void GeoradiusbymemberRo(Context& context) {
  SearchGeneric(context, {.options = 5, .may_store = false, .by_member = true});
}

// The key, and whatever stands behind STORE and STOREDIST: the last of them counts.
bool FindRadiusKeys(std::span<const std::string_view> argv, KeyPosition* keys, size_t max, size_t* count) {
  *count = 0;
  if (max > 0) keys[(*count)++] = {1, kKeyRO | kKeyAccess};
  for (std::string_view keyword : {"STORE", "STOREDIST"}) {
    for (size_t i = 5; i + 1 < argv.size(); i++) {
      if (!EqualsNoCase(argv[i], keyword) || *count >= max) continue;
      keys[(*count)++] = {static_cast<uint32_t>(i + 1), kKeyOW | kKeyUpdate};
    }
  }
  return true;
}

constexpr KeySpec StoreBehind(const char* keyword, int16_t from) {
  return {KeySpec::kKeyword, from, keyword, KeySpec::kRange, 0, 1, 0, kKeyOW | kKeyUpdate};
}

constexpr KeySpec kRead = KeyAt(1, kKeyRO | kKeyAccess);
constexpr const char* kSearchCost =
    "O(N+log(M)) where N is the number of members in the cells around the shape and M the size of the sorted set";
constexpr CommandSpec kRows[] = {
    {"geosearch",
     -7,
     kReadonly,
     {kRead},
     kCatGeo,
     Group::kGeo,
     "6.2.0",
     kSearchCost,
     "Answers the members inside a circle, a rectangle or a polygon.",
     "key [FROMMEMBER member|FROMLONLAT longitude latitude] <BYRADIUS radius <M|KM|FT|MI>|BYBOX width height "
     "<M|KM|FT|MI>|BYPOLYGON num-vertices longitude latitude [longitude latitude ...]> [ASC|DESC] "
     "[COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
     Geosearch},
    {"geosearchstore",
     -8,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyOW | kKeyUpdate), KeyAt(2, kKeyRO | kKeyAccess)},
     kCatGeo,
     Group::kGeo,
     "6.2.0",
     kSearchCost,
     "Stores the members inside a circle, a rectangle or a polygon.",
     "destination source [FROMMEMBER member|FROMLONLAT longitude latitude] <BYRADIUS radius <M|KM|FT|MI>|BYBOX width "
     "height <M|KM|FT|MI>|BYPOLYGON num-vertices longitude latitude [longitude latitude ...]> [ASC|DESC] "
     "[COUNT count [ANY]] [STOREDIST]",
     Geosearchstore},
    {"georadius",
     -6,
     kWrite | kDenyOom | kMovableKeys,
     {kRead, StoreBehind("STORE", 6), StoreBehind("STOREDIST", 6)},
     kCatGeo,
     Group::kGeo,
     "3.2.0",
     kSearchCost,
     "Answers or stores the members inside a circle around a place.",
     "key longitude latitude radius M|KM|FT|MI [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC] "
     "[STORE key] [STOREDIST key]",
     Georadius,
     FindRadiusKeys,
     "",
     "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
     "6.2.0"},
    {"georadius_ro",
     -6,
     kReadonly,
     {kRead},
     kCatGeo,
     Group::kGeo,
     "3.2.10",
     kSearchCost,
     "Answers the members inside a circle around a place.",
     "key longitude latitude radius M|KM|FT|MI [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC]",
     GeoradiusRo,
     nullptr,
     "",
     "`GEOSEARCH` with the `BYRADIUS` argument",
     "6.2.0"},
    {"georadiusbymember",
     -5,
     kWrite | kDenyOom | kMovableKeys,
     {kRead, StoreBehind("STORE", 5), StoreBehind("STOREDIST", 5)},
     kCatGeo,
     Group::kGeo,
     "3.2.0",
     kSearchCost,
     "Answers or stores the members inside a circle around one of them.",
     "key member radius M|KM|FT|MI [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC] [STORE key] "
     "[STOREDIST key]",
     Georadiusbymember,
     FindRadiusKeys,
     "",
     "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
     "6.2.0"},
    {"georadiusbymember_ro",
     -5,
     kReadonly,
     {kRead},
     kCatGeo,
     Group::kGeo,
     "3.2.10",
     kSearchCost,
     "Answers the members inside a circle around one of them.",
     "key member radius M|KM|FT|MI [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC|DESC]",
     GeoradiusbymemberRo,
     nullptr,
     "",
     "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
     "6.2.0"},
};

}  // namespace

const CommandTable kGeoSearchCommands = kRows;

}  // namespace brim
