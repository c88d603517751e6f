#pragma once
// Small sorted sets: a listpack of member, score, member, score in order. Inside types/ only.
#include <cstdint>
#include <string_view>
#include <vector>

#include "types/listpack.h"
#include "types/zset.h"

namespace brim::zset_pack {

// A value's listpack, for reading.
inline const uint8_t* BytesOf(const Value& value) { return const_cast<Value&>(value).data(); }

// A place in the listpack: a member's offset, kEnd behind the last. The score follows the member.
inline size_t ScorePlace(const uint8_t* lp, size_t at) { return listpack::Next(lp, at); }
inline size_t NextMember(const uint8_t* lp, size_t at) { return listpack::Next(lp, listpack::Next(lp, at)); }
// The member before; `at` may be EndOffset. kEnd when there is none.
size_t PreviousMember(const uint8_t* lp, size_t at);
// The score at its own place.
double ScoreAt(const uint8_t* lp, size_t score_at);
inline double ScoreOf(const uint8_t* lp, size_t at) { return ScoreAt(lp, ScorePlace(lp, at)); }

size_t Find(const uint8_t* lp, std::string_view member);
bool Rank(const uint8_t* lp, std::string_view member, size_t* rank);
// Adds a member that is absent.
void Insert(ValueBytes& value, std::string_view member, double score);
// Adds a member that belongs behind all others.
void Append(ValueBytes& value, std::string_view member, double score);
// Gives the member at `at` another score and the place that it belongs to. `member` is its text, from elsewhere.
void Change(ValueBytes& value, size_t at, std::string_view member, double score);

// Whether the text is on the right side of one end.
bool IsAboveMin(const ZsetLexRange::Bound& min, std::string_view text);
bool IsBelowMax(const ZsetLexRange::Bound& max, std::string_view text);

ZsetRanks RanksOf(const uint8_t* lp, const ZsetScoreRange& range);
ZsetRanks RanksOf(const uint8_t* lp, const ZsetLexRange& range, bool backward);

void VisitRanks(const uint8_t* lp, ZsetRanks ranks, bool backward, ZsetVisitor visit, void* fn);
void VisitScores(const uint8_t* lp, const ZsetScoreRange& range, ZsetVisitor visit, void* fn);
void VisitSample(const uint8_t* lp, size_t count, bool distinct, ZsetVisitor visit, void* fn);

}  // namespace brim::zset_pack
