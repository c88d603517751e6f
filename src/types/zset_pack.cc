#include "types/zset_pack.h"

#include <algorithm>

#include "base/numbers.h"
#include "base/random.h"

namespace brim::zset_pack {

namespace {

using listpack::kEnd;

// A member's text, with the room that a number needs to be one.
struct MemberText {
  MemberText(const uint8_t* lp, size_t at) : text(listpack::Get(lp, at).Text(buffer)) {}
  MemberText(const MemberText&) = delete;
  MemberText& operator=(const MemberText&) = delete;
  char buffer[24];
  std::string_view text;
};

struct ScoreText {
  explicit ScoreText(double score) : text(buffer, static_cast<size_t>(FormatPackedScore(score, buffer))) {}
  ScoreText(const ScoreText&) = delete;
  ScoreText& operator=(const ScoreText&) = delete;
  char buffer[40];
  std::string_view text;
};

// Whether the pair at `at` comes before (score, member).
bool IsBefore(const uint8_t* lp, size_t at, std::string_view member, double score) {
  double other = ScoreOf(lp, at);
  return other != score ? other < score : MemberText(lp, at).text < member;
}

// Where (score, member) belongs: before this place.
size_t PlaceFor(const uint8_t* lp, std::string_view member, double score) {
  size_t end = listpack::EndOffset(lp);
  size_t last = PreviousMember(lp, end);
  if (last == kEnd || IsBefore(lp, last, member, score)) return end;
  size_t at = listpack::First(lp);
  while (IsBefore(lp, at, member, score)) at = NextMember(lp, at);
  return at;
}

void InsertAt(ValueBytes& value, size_t at, std::string_view member, double score) {
  ScoreText score_text(score);
  std::string_view texts[2] = {member, score_text.text};
  listpack::InsertMany(value, at, texts, 2);
}

bool IsEmptyRange(const ZsetLexRange& range) {
  if (range.min.kind != range.max.kind) return range.min.kind > range.max.kind;
  if (range.min.kind != ZsetLexRange::Bound::kText) return true;
  int order = range.min.text.compare(range.max.text);
  return order > 0 || (order == 0 && (range.min.without || range.max.without));
}

}  // namespace

bool IsAboveMin(const ZsetLexRange::Bound& min, std::string_view text) {
  if (min.kind != ZsetLexRange::Bound::kText) return min.kind == ZsetLexRange::Bound::kLowest;
  return min.without ? text > min.text : text >= min.text;
}

bool IsBelowMax(const ZsetLexRange::Bound& max, std::string_view text) {
  if (max.kind != ZsetLexRange::Bound::kText) return max.kind == ZsetLexRange::Bound::kHighest;
  return max.without ? text < max.text : text <= max.text;
}

size_t PreviousMember(const uint8_t* lp, size_t at) {
  size_t score_at = listpack::Previous(lp, at);
  return score_at == kEnd ? kEnd : listpack::Previous(lp, score_at);
}

double ScoreAt(const uint8_t* lp, size_t score_at) {
  listpack::Item item = listpack::Get(lp, score_at);
  if (item.is_number) return static_cast<double>(item.number);
  double score = 0;
  ParseDouble(item.text, &score);
  return score;
}

size_t Find(const uint8_t* lp, std::string_view member) {
  size_t first = listpack::First(lp);
  return first == kEnd ? kEnd : listpack::Find(lp, first, member, 1);
}

bool Rank(const uint8_t* lp, std::string_view member, size_t* rank) {
  size_t found = Find(lp, member);
  if (found == kEnd) return false;
  *rank = 0;
  for (size_t at = listpack::First(lp); at != found; at = NextMember(lp, at)) ++*rank;
  return true;
}

void Insert(ValueBytes& value, std::string_view member, double score) {
  InsertAt(value, PlaceFor(value.data(), member, score), member, score);
}

void Append(ValueBytes& value, std::string_view member, double score) {
  InsertAt(value, listpack::EndOffset(value.data()), member, score);
}

void Change(ValueBytes& value, size_t at, std::string_view member, double score) {
  const uint8_t* lp = value.data();
  size_t before = PreviousMember(lp, at);
  size_t after = NextMember(lp, at);
  if ((before == kEnd || IsBefore(lp, before, member, score)) &&
      (after == kEnd || !IsBefore(lp, after, member, score))) {
    listpack::Replace(value, ScorePlace(lp, at), ScoreText(score).text);
    return;
  }
  listpack::Erase(value, at, 2);
  Insert(value, member, score);
}

ZsetRanks RanksOf(const uint8_t* lp, const ZsetScoreRange& range) {
  ZsetRanks ranks;
  for (size_t at = listpack::First(lp); at != kEnd; at = NextMember(lp, at)) {
    double score = ScoreOf(lp, at);
    if (range.without_min ? score <= range.min : score < range.min) ranks.begin++;
    if (range.without_max ? score >= range.max : score > range.max) break;
    ranks.end++;
  }
  return ranks;
}

// Scores may differ, texts be out of order: as redis-server does, the run that begins at one end.
ZsetRanks RanksOf(const uint8_t* lp, const ZsetLexRange& range, bool backward) {
  size_t first = listpack::First(lp);
  if (first == kEnd || IsEmptyRange(range)) return {};
  size_t last = PreviousMember(lp, listpack::EndOffset(lp));
  if (!IsAboveMin(range.min, MemberText(lp, last).text) || !IsBelowMax(range.max, MemberText(lp, first).text))
    return {};
  size_t rank = backward ? listpack::Count(lp) / 2 - 1 : 0;
  size_t at = backward ? last : first;
  auto step = [&] {
    at = backward ? PreviousMember(lp, at) : NextMember(lp, at);
    rank = backward ? rank - 1 : rank + 1;
  };
  auto near_holds = [&](std::string_view text) {
    return backward ? IsBelowMax(range.max, text) : IsAboveMin(range.min, text);
  };
  auto far_holds = [&](std::string_view text) {
    return backward ? IsAboveMin(range.min, text) : IsBelowMax(range.max, text);
  };
  while (at != kEnd && !near_holds(MemberText(lp, at).text)) step();
  size_t begin = rank;
  while (at != kEnd && far_holds(MemberText(lp, at).text)) step();
  return backward ? ZsetRanks{rank + 1, begin + 1} : ZsetRanks{begin, rank};
}

void VisitRanks(const uint8_t* lp, ZsetRanks ranks, bool backward, ZsetVisitor visit, void* fn) {
  size_t length = listpack::Count(lp) / 2;
  size_t end = std::min(ranks.end, length);
  if (ranks.begin >= end) return;
  size_t from = backward ? end - 1 : ranks.begin;
  auto index = static_cast<int64_t>(from * 2);
  if (from > length / 2) index -= static_cast<int64_t>(length * 2);
  size_t at = listpack::At(lp, index);
  for (size_t left = end - ranks.begin; left > 0; left--) {
    size_t score_at = ScorePlace(lp, at);
    if (!visit(fn, MemberText(lp, at).text, ScoreAt(lp, score_at)) || left == 1) return;
    at = backward ? PreviousMember(lp, at) : listpack::Next(lp, score_at);
  }
}

void VisitScores(const uint8_t* lp, const ZsetScoreRange& range, ZsetVisitor visit, void* fn) {
  for (size_t at = listpack::First(lp); at != kEnd;) {
    size_t score_at = ScorePlace(lp, at);
    double score = ScoreAt(lp, score_at);
    if (range.without_max ? score >= range.max : score > range.max) return;
    bool inside = range.without_min ? score > range.min : score >= range.min;
    if (inside && !visit(fn, MemberText(lp, at).text, score)) return;
    at = listpack::Next(lp, score_at);
  }
}

void VisitSample(const uint8_t* lp, size_t count, bool distinct, ZsetVisitor visit, void* fn) {
  std::vector<size_t> places;
  places.reserve(listpack::Count(lp) / 2);
  for (size_t at = listpack::First(lp); at != kEnd; at = NextMember(lp, at)) places.push_back(at);
  for (size_t i = 0; i < count; i++) {
    if (distinct) std::swap(places[i], places[i + RandomBelow(places.size() - i)]);
    size_t at = distinct ? places[i] : places[RandomBelow(places.size())];
    visit(fn, MemberText(lp, at).text, ScoreOf(lp, at));
  }
}

}  // namespace brim::zset_pack

namespace brim {

int FormatPackedScore(double score, char* to) {
  constexpr double kWholeMax = 4611686018427387904.0;
  if (score >= -kWholeMax && score <= kWholeMax) {
    auto whole = static_cast<int64_t>(score);
    if (static_cast<double>(whole) == score) return FormatInt64(whole, to);
  }
  return FormatDouble17(score, to);
}

}  // namespace brim
